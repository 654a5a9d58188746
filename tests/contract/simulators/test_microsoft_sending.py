"""Writing and sending through the simulated Graph."""

from __future__ import annotations

import base64
import email

import pytest

from tests.contract.simulators.microsoft_client import (
    IMMUTABLE,
    OTHER,
    WORK,
    Web,
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


def test_subscriptions_live_as_long_as_they_may(simulator, graph, receiver):
    import datetime as dt

    def until(**span):
        return (simulator.clock.now() + dt.timedelta(**span)).isoformat()

    wanted = {
        "changeType": "created,updated",
        "notificationUrl": receiver.url,
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


# ---- what lies between accepted and sent ----


def drafted(graph, raw):
    draft = graph.ask(
        "POST", "/me/messages", base64.b64encode(raw), {**IMMUTABLE, "Content-Type": "text/plain"}
    )
    assert draft.status == 201
    return draft.json["id"]


def as_mime(bcc="", extra=""):
    blind = f"Bcc: {bcc}\r\n" if bcc else ""
    return (
        f"From: {WORK}\r\nTo: {OTHER}, dan@customer.example\r\n{blind}Subject: Offer\r\n"
        f"Message-ID: <ours@mailroom.example>\r\n{extra}\r\nFor you.\r\n"
    ).encode()


def test_what_was_given_as_mime_leaves_so_to_each_and_names_nobody_in_bcc(simulator, graph):
    name = drafted(graph, as_mime(bcc="secret@example.org", extra="X-Odd:  kept\r\n"))
    assert graph.ask("POST", f"/me/messages/{name}/send").status == 202
    left = simulator.delivered
    assert [one.recipient for one in left] == [OTHER, "dan@customer.example", "secret@example.org"]
    assert {one.raw for one in left} == {as_mime(extra="X-Odd:  kept\r\n")}


def test_what_was_changed_since_leaves_as_exchange_writes_it(simulator, graph):
    name = drafted(graph, as_mime())
    graph.ask("PATCH", f"/me/messages/{name}", {"subject": "Our offer"})
    graph.ask("POST", f"/me/messages/{name}/send")
    mime = email.message_from_bytes(simulator.delivered[0].raw)
    assert (mime["Subject"], mime["Message-ID"]) == ("Our offer", "<ours@mailroom.example>")


def test_a_large_file_comes_in_pieces_to_an_address_of_its_own(simulator, graph):
    name = drafted(graph, as_mime())
    where = f"/me/messages/{name}/attachments"
    content = bytes(range(256)) * (13 << 10)
    item = {"attachmentType": "file", "name": "plan.pdf", "size": len(content)}
    opened = graph.ask("POST", f"{where}/createUploadSession", {"AttachmentItem": item})
    assert opened.status == 201
    path = opened.json["uploadUrl"]
    web = Web(simulator.browser_url)
    half = 2 << 20

    def put(start, piece, **headers):
        ranged = f"bytes {start}-{start + len(piece) - 1}/{len(content)}"
        return web.ask("PUT", path, piece, {"Content-Range": ranged, **headers})

    assert put(0, content[:half], Authorization="Bearer any").status == 401
    assert put(half, content[half:]).status == 400
    told = put(0, content[:half])
    assert (told.status, told.json["nextExpectedRanges"]) == (200, [f"{half}-"])
    assert graph.get(where)["value"] == []
    last = put(half, content[half:])
    assert (last.status, last.data) == (201, b"")
    assert "location" in last.headers
    (kept,) = graph.get(where)["value"]
    assert base64.b64decode(kept["contentBytes"]) == content
    assert put(0, content[:half]).status == 404


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"size": (3 << 20) - 1}, "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize"),
        ({"size": (150 << 20) + 1}, "ErrorAttachmentSizeLimitExceeded"),
        ({"size": 4 << 20, "attachmentType": "item"}, "ErrorInvalidRequest"),
        ({"size": "4"}, "ErrorInvalidRequest"),
    ],
)
def test_no_session_is_opened_for_what_needs_none(graph, item, code):
    name = drafted(graph, as_mime())
    body = {"AttachmentItem": {"attachmentType": "file", "name": "a.txt", **item}}
    where = f"/me/messages/{name}/attachments/createUploadSession"
    assert graph.ask("POST", where, body).code == code


def test_a_request_and_a_message_can_be_too_large(simulator, graph):
    assert graph.ask("POST", "/me/messages", {"subject": "x" * (4 << 20)}).status == 413
    simulator.limits.message_bytes = 5
    name = drafted(graph, as_mime())
    assert graph.ask("POST", f"/me/messages/{name}/send").code == "ErrorMessageSizeExceeded"


def test_an_alias_may_be_sent_from_and_nobody_elses_address(simulator, graph):
    simulator.add_user(WORK, aliases=["Sales@contoso.example"])
    own = graph.get("/me?$select=mail,proxyAddresses")
    assert own["proxyAddresses"] == [f"SMTP:{WORK}", "smtp:Sales@contoso.example"]
    for writer, status in (("sales@contoso.example", 202), ("boss@contoso.example", 403)):
        name = drafted(graph, as_mime().replace(WORK.encode(), writer.encode()))
        assert graph.ask("POST", f"/me/messages/{name}/send").status == status
    sent = only(graph, "sentitems")
    assert sent["from"]["emailAddress"]["address"] == "sales@contoso.example"
