"""Writing and sending through the simulated Graph."""

from __future__ import annotations

import base64
import email

import pytest

from tests.contract.simulators.microsoft_client import (
    IMMUTABLE,
    OTHER,
    WORK,
    eml,
    graph_for,
)


def to(*addresses):
    return [{"emailAddress": {"address": one}} for one in addresses]


def only(graph, folder):
    (found,) = graph.get(f"/me/mailFolders/{folder}/messages")["value"]
    return found


def test_a_draft_is_sent_and_keeps_its_immutable_id(simulator, graph):
    draft = graph.ask(
        "POST",
        "/me/messages",
        {
            "subject": "Offer",
            "body": {"contentType": "html", "content": "<p>Ünser Angebot</p>"},
            "toRecipients": to(OTHER),
            "bccRecipients": to("secret@example.org"),
            "internetMessageHeaders": [{"name": "x-deal", "value": "42"}],
            "attachments": [
                {
                    "@odata.type": "#microsoft.graph.fileAttachment",
                    "name": "a.txt",
                    "contentBytes": base64.b64encode(b"hello").decode(),
                }
            ],
        },
        IMMUTABLE,
    )
    assert draft.status == 201
    assert (draft.json["isDraft"], draft.json["hasAttachments"]) == (True, True)
    path = f"/me/messages/{draft.json['id']}"
    assert graph.ask("PATCH", path, {"subject": "Our offer"}).json["subject"] == "Our offer"
    more = {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": "b.txt",
        "contentBytes": base64.b64encode(b"more").decode(),
    }
    added = graph.ask("POST", f"{path}/attachments", more)
    assert added.status == 201
    assert graph.ask("DELETE", f"{path}/attachments/{added.json['id']}").status == 204
    assert graph.ask("POST", f"{path}/send").status == 202
    sent = only(graph, "sentitems")
    assert (sent["isDraft"], sent["subject"]) == (False, "Our offer")
    assert sent["internetMessageId"] == draft.json["internetMessageId"]
    assert graph.get(path, **IMMUTABLE)["id"] == draft.json["id"]
    other = graph_for(simulator, OTHER)
    came = only(other, "inbox")
    assert (came["subject"], came["isRead"]) == ("Our offer", False)
    assert came["from"]["emailAddress"]["address"] == WORK
    mime = email.message_from_bytes(other.ask("GET", f"/me/messages/{came['id']}/$value").data)
    assert mime["x-deal"] == "42"
    assert "secret@example.org" not in mime.as_string()
    assert graph.ask("POST", f"{path}/send").code == "ErrorInvalidOperation"


def test_mail_is_sent_in_one_step_and_nothing_says_which_it_became(simulator, graph):
    message = {
        "subject": "Hi",
        "body": {"contentType": "Text", "content": "there"},
        "toRecipients": to(OTHER, "nobody@example.org"),
    }
    reply = graph.ask("POST", "/me/sendMail", {"message": message})
    assert (reply.status, reply.data) == (202, b"")
    assert only(graph, "sentitems")["subject"] == "Hi"
    unsaved = {"message": {**message, "subject": "Quiet"}, "saveToSentItems": False}
    assert graph.ask("POST", "/me/sendMail", unsaved).status == 202
    assert only(graph, "sentitems")["subject"] == "Hi"
    subjects = [one["subject"] for one in graph_for(simulator, OTHER).get("/me/messages")["value"]]
    assert subjects == ["Quiet", "Hi"]


def test_mime_is_sent_with_its_own_references(simulator, graph):
    raw = (
        f"From: {WORK}\r\nTo: {OTHER}\r\nSubject: Raw\r\nMessage-ID: <own@contoso.example>\r\n"
        "References: <first@example.org>\r\nIn-Reply-To: <first@example.org>\r\n\r\nbody\r\n"
    ).encode()
    text = {"Content-Type": "text/plain"}
    good = graph.ask("POST", "/me/sendMail", base64.b64encode(raw), text)
    assert good.status == 202
    came = only(graph_for(simulator, OTHER), "inbox")
    assert came["internetMessageId"] == "<own@contoso.example>"
    bad = graph.ask("POST", "/me/sendMail", b"%%% not base64", text)
    assert (bad.status, bad.code) == (400, "ErrorMimeContentInvalidBase64String")
    none = graph.ask("POST", "/me/sendMail", base64.b64encode(b"no header here"), text)
    assert none.code == "ErrorMimeContentInvalid"


def test_a_reply_stays_in_its_conversation(simulator, graph):
    mailbox = simulator.mail(WORK)
    name = mailbox.deliver(
        eml(extra=f"Cc: carl@example.org, {OTHER}\r\nReferences: <zero@example.org>\r\n")
    )
    path = f"/me/messages/{name}"
    first = graph.get(path)
    draft = graph.ask("POST", f"{path}/createReply", {"comment": "Thanks"}).json
    assert (draft["subject"], draft["conversationId"]) == ("RE: Message 1", first["conversationId"])
    assert [one["emailAddress"]["address"] for one in draft["toRecipients"]] == ["zoe@example.org"]
    mime = graph.ask("GET", f"/me/messages/{draft['id']}/$value").data
    written = email.message_from_bytes(mime)
    assert written["In-Reply-To"] == "<m1@example.org>"
    assert written["References"].split() == ["<zero@example.org>", "<m1@example.org>"]
    assert "Thanks" in written.get_payload(decode=True).decode()
    everybody = graph.ask("POST", f"{path}/createReplyAll").json
    copied = {one["emailAddress"]["address"] for one in everybody["ccRecipients"]}
    assert copied == {"carl@example.org", OTHER}
    passed_on = graph.ask(
        "POST", f"{path}/createForward", {"toRecipients": to(OTHER), "comment": "see"}
    ).json
    assert passed_on["subject"] == "FW: Message 1"
    assert graph.ask("POST", f"{path}/reply", {"comment": "Bye"}).status == 202
    assert graph.ask("POST", f"{path}/replyAll", {"comment": "Bye"}).status == 202
    assert graph.ask("POST", f"{path}/forward", {"toRecipients": to(OTHER)}).status == 202
    sent = graph.get("/me/mailFolders/sentitems/messages")["value"]
    assert {one["conversationId"] for one in sent} == {first["conversationId"]}
    came = graph_for(simulator, OTHER).get("/me/messages")["value"]
    assert len(came) == 2
    assert len({one["conversationId"] for one in came}) == 1


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        ({"subject": "x"}, 400, "ErrorInvalidRecipients"),
        ({"toRecipients": to("nonsense")}, 400, "ErrorInvalidRecipients"),
        (
            {"toRecipients": to(OTHER), "from": to("boss@contoso.example")[0]},
            403,
            "ErrorSendAsDenied",
        ),
        (
            {
                "toRecipients": to(OTHER),
                "internetMessageHeaders": [{"name": "References", "value": "<a@b>"}],
            },
            400,
            "InvalidInternetMessageHeader",
        ),
    ],
)
def test_what_cannot_be_sent_is_refused(graph, message, status, code):
    reply = graph.ask("POST", "/me/sendMail", {"message": message})
    assert (reply.status, reply.code) == (status, code)


PROPERTIES = [
    "subject",
    "body",
    "toRecipients",
    "from",
    "importance",
    "internetMessageHeaders",
    "attachments",
    "flag",
    "categories",
    "isRead",
    "internetMessageId",
    "inferenceClassification",
]


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_value_of_another_type_is_refused_and_nothing_breaks(simulator, graph, name):
    kept = graph.ask("POST", "/me/messages", {"subject": "kept"}).json["id"]
    odd = [None, 1, "x", [], {}, [1], {"a": 1}, True, [{"emailAddress": "x"}], [{}]]
    for value in odd:
        for method, path, body in (
            ("POST", "/me/messages", {name: value}),
            ("PATCH", f"/me/messages/{kept}", {name: value}),
            ("POST", f"/me/messages/{kept}/createReply", {"message": {name: value}}),
            ("POST", "/me/sendMail", {"message": {"ccRecipients": to(OTHER), name: value}}),
        ):
            reply = graph.ask(method, path, body)
            assert reply.status in (200, 201, 202, 400, 403), (method, path, value)
    assert simulator.failures == []
    for one in graph.get("/me/messages?$top=100")["value"]:
        assert graph.ask("GET", f"/me/messages/{one['id']}/$value").status == 200


def test_subscriptions_live_as_long_as_they_may(simulator, graph):
    import datetime as dt

    def until(**span):
        return (simulator.clock.now() + dt.timedelta(**span)).isoformat()

    wanted = {
        "changeType": "created,updated",
        "notificationUrl": "https://hooks.example/graph",
        "resource": "me/mailFolders('inbox')/messages",
        "expirationDateTime": until(days=6),
        "clientState": "s3cret",
    }
    made = graph.ask("POST", "/subscriptions", wanted)
    assert made.status == 201
    assert made.json["clientState"] == "s3cret"
    path = f"/subscriptions/{made.json['id']}"
    assert graph.get("/subscriptions")["value"][0]["clientState"] is None
    renewed = graph.ask("PATCH", path, {"expirationDateTime": until(minutes=1)}).json
    soon = dt.datetime.fromisoformat(renewed["expirationDateTime"])
    assert soon - simulator.clock.now() > dt.timedelta(minutes=44)
    assert graph.ask("POST", f"{path}/reauthorize").status == 204
    for change in (
        {"expirationDateTime": until(days=8)},
        {"expirationDateTime": until(days=-1)},
        {"expirationDateTime": "soon"},
        {"notificationUrl": "http://hooks.example"},
        {"resource": "me/pigeons"},
        {"changeType": "moved"},
        {"clientState": "x" * 129},
        {"resource": ""},
    ):
        assert graph.ask("POST", "/subscriptions", {**wanted, **change}).status == 400, change
    assert graph.ask("DELETE", path).status == 204
    assert graph.ask("GET", path).status == 404
    short = graph.ask("POST", "/subscriptions", {**wanted, "expirationDateTime": until(minutes=46)})
    simulator.clock.advance(47 * 60)
    assert graph.ask("GET", f"/subscriptions/{short.json['id']}").status == 404
