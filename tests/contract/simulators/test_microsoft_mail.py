"""Graph's folders and messages as the simulator plays them."""

from __future__ import annotations

import base64
import email
import email.policy
import urllib.parse
from pathlib import Path

import pytest

from infra.simulators.kit.mailbox import Delivery
from tests.contract.simulators.microsoft_client import (
    IMMUTABLE,
    OTHER,
    SCOPES,
    WORK,
    Graph,
    eml,
    graph_for,
    signed_in,
)

INBOX = "/me/mailFolders/inbox/messages"


def quoted(text):
    return urllib.parse.quote(text, safe="")


# ---- folders ----------------------------------------------------------------------------------


def test_folders_have_long_ids_and_no_well_known_name(graph):
    folders = graph.get("/me/mailFolders?$top=100")["value"]
    assert [one["displayName"] for one in folders][:3] == [
        "Archive",
        "Conversation History",
        "Deleted Items",
    ]
    assert {len(one["id"]) for one in folders} == {120}
    assert all("wellKnownName" not in one for one in folders)
    assert not any(one["isHidden"] for one in folders)
    search = [one for one in folders if "@odata.type" in one]
    assert [one["@odata.type"] for one in search] == ["#microsoft.graph.mailSearchFolder"]
    more = graph.get("/me/mailFolders?$top=100&includeHiddenFolders=true")["value"]
    assert {one["displayName"] for one in more if one["isHidden"]} == {"Clutter", "Scheduled"}


def test_folders_come_in_pages_of_ten(graph):
    first = graph.get("/me/mailFolders?$top=4&$count=true")
    assert len(first["value"]) == 4
    assert first["@odata.count"] == 9
    everything, _ = graph.walk("/me/mailFolders?$top=4")
    assert len({one["id"] for one in everything}) == 9


@pytest.mark.parametrize(
    "name",
    ["inbox", "SentItems", "drafts", "deleteditems", "junkemail", "archive", "outbox"],
)
def test_a_well_known_folder_is_found_by_name_in_any_language(simulator, graph, name):
    found = graph.get(f"/me/mailFolders/{name}")
    assert graph.get(f"/me/mailFolders/{found['id']}") == found
    assert graph.get(f"/me/mailFolders('{quoted(found['id'])}')")["id"] == found["id"]
    simulator.add_user("hans@fabrikam.example", folder_names={name.lower(): "Anders"})
    other = graph_for(simulator, "hans@fabrikam.example")
    assert other.get(f"/me/mailFolders/{name}")["displayName"] == "Anders"


def test_folders_are_made_renamed_moved_and_deleted(graph, mailbox):
    made = graph.ask("POST", "/me/mailFolders", {"displayName": "Deals"})
    assert made.status == 201
    path = f"/me/mailFolders/{made.json['id']}"
    again = graph.ask("POST", "/me/mailFolders", {"displayName": "Deals"})
    assert (again.status, again.code) == (409, "ErrorFolderExists")
    child = graph.ask("POST", f"{path}/childFolders", {"displayName": "Won"}).json
    (listed,) = graph.get(f"{path}/childFolders")["value"]
    assert listed.items() <= child.items()
    assert graph.get(path)["childFolderCount"] == 1
    renamed = graph.ask("PATCH", path, {"displayName": "Sales"}).json
    assert (renamed["id"], renamed["displayName"]) == (made.json["id"], "Sales")
    moved = graph.ask(
        "POST", f"/me/mailFolders/{child['id']}/move", {"destinationId": "archive"}
    ).json
    assert moved["parentFolderId"] == graph.get("/me/mailFolders/archive")["id"]
    inside = graph.ask("POST", f"{path}/move", {"destinationId": made.json["id"]})
    assert inside.code == "ErrorMoveCopyFailed"
    mailbox.deliver(eml(), folders=[made.json["id"]])
    assert graph.ask("DELETE", path).status == 204
    assert graph.ask("GET", path).status == 404
    assert mailbox.messages() == []
    inbox = graph.ask("DELETE", "/me/mailFolders/inbox")
    assert (inbox.status, inbox.code) == (403, "ErrorDeleteDistinguishedFolder")


def test_the_list_of_folders_can_be_followed(graph, mailbox):
    _, last = graph.walk("/me/mailFolders/delta")
    quiet, last = graph.walk(last["@odata.deltaLink"])
    assert quiet == []
    made = mailbox.create_folder("Deals")
    gone = mailbox.create_folder("Gone")
    news, last = graph.walk(last["@odata.deltaLink"])
    assert [one["displayName"] for one in news] == ["Deals", "Gone"]
    mailbox.deliver(eml(), folders=["Deals"])
    mailbox.delete_folder(gone)
    news, _ = graph.walk(last["@odata.deltaLink"])
    assert [(one["id"], one.get("totalItemCount")) for one in news if "@removed" not in one] == [
        (made, 1)
    ]
    assert [one["id"] for one in news if "@removed" in one] == [gone]


def test_the_list_of_folders_is_followed_in_pages(graph, mailbox):
    small = {"Prefer": "odata.maxpagesize=2"}
    first = graph.get("/me/mailFolders/delta", **small)
    assert len(first["value"]) == 2
    mailbox.create_folder("Between pages")
    mailbox.rename_folder("Unread Mail", "Not read")
    rest, last = graph.walk(first["@odata.nextLink"], **small)
    names = [one["displayName"] for one in first["value"] + rest]
    assert len(names) == len(set(names)) == 8
    news, _ = graph.walk(last["@odata.deltaLink"], **small)
    assert [one["displayName"] for one in news] == ["Between pages", "Not read"]


def test_a_folder_is_the_same_however_its_place_is_written(graph, mailbox):
    above = mailbox.create_folder("Above")
    below = mailbox.create_folder("Below", above)
    mailbox.deliver(eml(), folders=[below])
    for path in (
        f"/me/mailFolders/{above}/childFolders/{below}",
        f"/me/mailfolders('{quoted(above)}')/childfolders('{quoted(below)}')",
        f"/me/mailFolders/msgfolderroot/childFolders/{above}/childFolders/{below}",
    ):
        assert graph.get(path)["displayName"] == "Below"
        assert len(graph.get(f"{path}/messages")["value"]) == 1
        assert len(graph.get(f"{path}/messages/microsoft.graph.delta()")["value"]) == 1
        assert graph.ask("GET", f"{path}/messages/$count").data == b"1"
    assert len(graph.get(f"/me/mailFolders/{above}/childFolders")["value"]) == 1


def test_an_invitation_is_a_message_of_another_type(graph, mailbox):
    calendar = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"
    raw = f"Subject: Lunch\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\n{calendar}"
    name = mailbox.deliver(raw.encode())
    invitation = graph.get("/me/messages")["value"][0]
    assert invitation["@odata.type"] == "#microsoft.graph.eventMessageRequest"
    assert invitation["meetingMessageType"] == "meetingRequest"
    assert b"METHOD:REQUEST" in graph.ask("GET", f"/me/messages/{name}/$value").data


def test_counts_follow_the_mail(graph, mailbox):
    mailbox.deliver_all([Delivery(eml(n), seen=n > 1) for n in range(5)])
    inbox = graph.get("/me/mailFolders/inbox")
    assert (inbox["totalItemCount"], inbox["unreadItemCount"]) == (5, 2)
    search = next(
        one
        for one in graph.get("/me/mailFolders?$top=50")["value"]
        if one["displayName"] == "Unread Mail"
    )
    assert search["totalItemCount"] == 2
    found = graph.get(f"/me/mailFolders/{search['id']}/messages")["value"]
    assert {one["parentFolderId"] for one in found} == {inbox["id"]}


# ---- ids --------------------------------------------------------------------------------------


def test_a_default_id_ends_with_a_move_and_an_immutable_one_does_not(graph, mailbox):
    kept = mailbox.deliver(eml())
    before = graph.get(INBOX)["value"][0]
    assert len(before["id"]) == 152
    assert before["id"].startswith("AAMkA")
    assert graph.get(INBOX, **IMMUTABLE)["value"][0]["id"] == kept
    assert kept.startswith("AAkALgAAAAAA")
    path = f"/me/messages/{before['id']}"
    moved = graph.ask("POST", f"{path}/move", {"destinationId": "archive"})
    assert moved.status == 201
    assert moved.json["id"] != before["id"]
    gone = graph.ask("GET", path)
    assert (gone.status, gone.code) == (404, "ErrorItemNotFound")
    assert graph.get(f"/me/messages/{kept}", **IMMUTABLE)["id"] == kept
    assert graph.get(f"/me/messages/{kept}")["id"] == moved.json["id"]
    back = graph.ask("POST", f"/me/messages/{kept}/move", {"destinationId": "inbox"}).json
    assert back["id"] not in (before["id"], moved.json["id"])
    answer = graph.ask("GET", f"/me/messages/{kept}", headers=IMMUTABLE)
    assert answer.headers["preference-applied"] == 'IdType="ImmutableId"'


def test_ids_are_told_apart_by_case(graph, mailbox):
    mailbox.deliver(eml())
    name = graph.get(INBOX)["value"][0]["id"]
    for position in [n for n in range(0, len(name), 7) if name[n].isalpha()]:
        other = name[:position] + name[position].swapcase() + name[position + 1 :]
        assert graph.ask("GET", f"/me/messages/{other}").status in (400, 404), position
    for odd in ("nonsense", "AAMkAD", name[:-4]):
        reply = graph.ask("GET", f"/me/messages/{odd}")
        assert (reply.status, reply.code) == (400, "ErrorInvalidIdMalformed"), odd


def test_ids_are_translated_a_thousand_at_a_time(graph, mailbox):
    kept = mailbox.deliver(eml())
    default = mailbox.default_id(kept)
    reply = graph.ask(
        "POST",
        "/me/translateExchangeIds",
        {
            "inputIds": [default],
            "sourceIdType": "restId",
            "targetIdType": "restImmutableEntryId",
        },
    )
    assert reply.json["value"] == [{"sourceId": default, "targetId": kept}]
    many = {
        "inputIds": [default] * 1001,
        "sourceIdType": "restId",
        "targetIdType": "restImmutableEntryId",
    }
    assert graph.ask("POST", "/me/translateExchangeIds", many).status == 400


# ---- lists ------------------------------------------------------------------------------------


def test_a_list_comes_in_pages_newest_first(graph, mailbox):
    mailbox.deliver_all([Delivery(eml(n)) for n in range(25)])
    first = graph.get("/me/messages?$count=true")
    assert (len(first["value"]), first["@odata.count"]) == (10, 25)
    assert first["value"][0]["subject"] == "Message 24"
    everything, _ = graph.walk(f"{INBOX}?$top=7&$select=subject&$orderby=receivedDateTime desc")
    assert len({one["id"] for one in everything}) == 25
    assert all(one.keys() == {"@odata.etag", "id", "subject"} for one in everything)
    assert len(graph.get(f"{INBOX}?$top=1000")["value"]) == 25
    assert graph.ask("GET", f"{INBOX}?$top=1001").status == 400
    assert graph.ask("GET", f"{INBOX}?$select=nonsense").status == 400


@pytest.mark.parametrize(
    ("query", "subjects"),
    [
        ("isRead eq false", ["Message 2", "Message 1"]),
        ("isRead eq true and hasAttachments eq false", ["Message 0"]),
        ("internetMessageId eq '<m1@example.org>'", ["Message 1"]),
        ("receivedDateTime ge 2026-11-02T00:00:00Z", ["Message 2", "Message 1"]),
        ("receivedDateTime lt 2026-11-02T00:00:00Z or isRead eq true", ["Message 0"]),
        ("not (subject eq 'Message 0')", ["Message 2", "Message 1"]),
        ("startswith(subject,'Message 2')", ["Message 2"]),
        ("contains(subject,'e 1')", ["Message 1"]),
        ("from/emailAddress/address eq 'ZOE@example.org'", ["Message 2", "Message 1", "Message 0"]),
        ("isDraft eq true", []),
        ("flag/flagStatus eq 'flagged'", ["Message 1"]),
    ],
)
def test_a_list_can_be_filtered(graph, mailbox, query, subjects):
    deliveries = [Delivery(eml(n), received_at=_day(n + 1), seen=n == 0) for n in range(3)]
    ids = mailbox.deliver_all(deliveries)
    mailbox.set_flags(ids[1], flagged=True)
    found = graph.get(f"/me/messages?$filter={quoted(query)}")["value"]
    assert [one["subject"] for one in found] == subjects


def _day(number):
    import datetime as dt

    return dt.datetime(2026, 11, number, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("$filter=isRead eq maybe", "BadRequest"),
        ("$filter=nonsense eq 1", "BadRequest"),
        ("$filter=isRead eq", "BadRequest"),
        (
            "$filter=toRecipients/any(r:r/emailAddress/address eq 'a@x.example')",
            "ErrorInvalidUrlQueryFilter",
        ),
        ("$filter=receivedDateTime ge 'yesterday'", "BadRequest"),
        ("$filter=isRead eq false&$orderby=receivedDateTime", "InefficientFilter"),
        ('$search="x"&$filter=isRead eq false', "SearchWithFilter"),
        ('$search="x"&$orderby=receivedDateTime', "SearchWithOrderBy"),
        ("$top=many", "BadRequest"),
    ],
)
def test_a_query_that_exchange_does_not_answer_is_refused(graph, query, code):
    reply = graph.ask("GET", f"/me/messages?{query}")
    assert (reply.status, reply.code) == (400, code)


def test_search_finds_words_and_conversations_are_found_by_id(graph, mailbox):
    mailbox.deliver(eml(1, body="the invoice is here"))
    mailbox.deliver(eml(2, body="nothing"))
    found = graph.get('/me/messages?$search="invoice"')["value"]
    assert [one["subject"] for one in found] == ["Message 1"]
    mailbox.deliver(eml(3, subject="RE: Message 1", extra="In-Reply-To: <m1@example.org>\r\n"))
    conversation = found[0]["conversationId"]
    both = graph.get(f"/me/messages?$filter=conversationId eq '{quoted(conversation)}'")["value"]
    assert [one["subject"] for one in both] == ["RE: Message 1", "Message 1"]
    index = graph.get(f"/me/messages/{both[0]['id']}?$select=conversationIndex")
    assert len(base64.b64decode(index["conversationIndex"])) == 27


# ---- one message ------------------------------------------------------------------------------

FULL = (
    'From: "Zoë, of Sales" <zoe@example.org>\r\n'
    "To: Ada <ada@contoso.example>, bob@fabrikam.example\r\n"
    "Cc: =?utf-8?q?J=C3=BCrgen?= <juergen@example.de>\r\n"
    "Reply-To: sales@example.org\r\n"
    "Subject: =?utf-8?b?w5xiZXIgZGVuIFdvbGtlbg==?=\r\n"
    "Date: Fri, 20 Nov 2026 09:30:00 +0100\r\n"
    "Message-ID: <full@example.org>\r\n"
    "In-Reply-To: <before@example.org>\r\n"
    "References: <first@example.org> <before@example.org>\r\n"
    "X-Campaign: autumn\r\n"
    "Importance: high\r\n"
    "MIME-Version: 1.0\r\n"
    'Content-Type: multipart/mixed; boundary="outer"\r\n\r\n'
    '--outer\r\nContent-Type: multipart/related; boundary="inner"\r\n\r\n'
    '--inner\r\nContent-Type: multipart/alternative; boundary="alt"\r\n\r\n'
    "--alt\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGrüße = schön\r\n"
    "--alt\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    '<p onclick="x()">Grüße<script>bad()</script> <img src="cid:pic"></p>\r\n--alt--\r\n'
    "--inner\r\nContent-Type: image/png; name=p.png\r\nContent-ID: <pic>\r\n"
    "Content-Disposition: inline; filename=p.png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    "iVBORw0KGgo=\r\n--inner--\r\n"
    "--outer\r\nContent-Type: application/pdf\r\n"
    "Content-Disposition: attachment; filename*=utf-8''%C3%9Cbersicht.pdf\r\n"
    "Content-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjc=\r\n"
    "--outer\r\nContent-Type: message/rfc822\r\n\r\n"
    "From: x@example.org\r\nSubject: Inside\r\nMessage-ID: <inside@example.org>\r\n\r\nhi\r\n"
    "--outer--\r\n"
).encode()


def test_a_message_has_all_its_properties(graph, mailbox):
    name = mailbox.deliver(FULL)
    message = graph.get(f"/me/messages/{name}")
    assert message["subject"] == "Über den Wolken"
    assert message["from"]["emailAddress"] == {
        "name": "Zoë, of Sales",
        "address": "zoe@example.org",
    }
    assert [one["emailAddress"]["address"] for one in message["toRecipients"]] == [
        "ada@contoso.example",
        "bob@fabrikam.example",
    ]
    assert message["ccRecipients"][0]["emailAddress"]["name"] == "Jürgen"
    assert message["replyTo"][0]["emailAddress"]["address"] == "sales@example.org"
    assert message["sentDateTime"] == "2026-11-20T08:30:00Z"
    assert message["internetMessageId"] == "<full@example.org>"
    assert (message["importance"], message["hasAttachments"]) == ("high", True)
    assert message["bodyPreview"] == "Grüße"
    assert message["flag"] == {"flagStatus": "notFlagged"}
    assert "internetMessageHeaders" not in message
    assert "script" not in message["body"]["content"]
    assert "onclick" not in message["body"]["content"]
    unsafe = graph.get(f"/me/messages/{name}", Prefer="outlook.allow-unsafe-html")
    assert "<script>" in unsafe["body"]["content"]
    text = graph.get(f"/me/messages/{name}", Prefer='outlook.body-content-type="text"')
    assert text["body"]["contentType"] == "text"
    headers = graph.get(f"/me/messages/{name}?$select=internetMessageHeaders")
    assert {"name": "X-Campaign", "value": "autumn"} in headers["internetMessageHeaders"]


def test_mime_is_whole_in_meaning_and_other_in_bytes(graph, mailbox):
    name = mailbox.deliver(FULL)
    reply = graph.ask("GET", f"/me/messages/{name}/$value")
    assert reply.headers["content-type"].startswith("text/plain")
    assert reply.data != FULL
    assert b'boundary="outer"' not in reply.data
    assert reply.data == graph.ask("GET", f"/me/messages/{name}/$value").data
    before = email.message_from_bytes(FULL, policy=email.policy.default)
    after = email.message_from_bytes(reply.data, policy=email.policy.default)
    for header in (
        "Message-ID",
        "Subject",
        "In-Reply-To",
        "References",
        "X-Campaign",
        "Importance",
    ):
        assert after[header].split() == before[header].split(), header
    for header in ("To", "Cc", "Reply-To"):
        assert [one.addr_spec for one in after[header].addresses] == [
            one.addr_spec for one in before[header].addresses
        ]
    assert after["From"].addresses[0].display_name == "Zoë, of Sales"
    assert after["Date"].datetime == before["Date"].datetime
    assert after.get_body(("plain",)).get_content().strip() == "Grüße = schön"
    assert "<script>bad()</script>" in after.get_body(("html",)).get_content()
    files = {
        (part.get_content_type(), part.get_filename()): part.get_payload(decode=True)
        for part in after.walk()
        if part.get_filename()
    }
    assert files["image/png", "p.png"] == base64.b64decode("iVBORw0KGgo=")
    assert files["application/pdf", "Übersicht.pdf"] == b"%PDF-1.7"
    inner = next(part for part in after.walk() if part.get_content_type() == "message/rfc822")
    assert inner.get_payload(0)["Message-ID"] == "<inside@example.org>"


def test_attachments_are_listed_and_read(graph, mailbox):
    name = mailbox.deliver(FULL)
    path = f"/me/messages/{name}/attachments"
    png, pdf, item = graph.get(path)["value"]
    assert (png["isInline"], png["contentId"]) == (True, "pic")
    assert (pdf["name"], base64.b64decode(pdf["contentBytes"])) == ("Übersicht.pdf", b"%PDF-1.7")
    assert item["@odata.type"] == "#microsoft.graph.itemAttachment"
    assert "contentBytes" not in item
    whole = graph.get(f"{path}/{item['id']}?$expand=microsoft.graph.itemattachment/item")
    assert whole["item"]["subject"] == "Inside"
    assert graph.ask("GET", f"{path}/{pdf['id']}/$value").data == b"%PDF-1.7"
    assert b"<inside@example.org>" in graph.ask("GET", f"{path}/{item['id']}/$value").data
    few = graph.get(f"{path}?$select=name,size")["value"][0]
    assert "contentBytes" not in few
    expanded = graph.get(f"/me/messages/{name}?$expand=attachments&$select=subject")
    assert [one["name"] for one in expanded["attachments"]] == ["p.png", "Übersicht.pdf", "Inside"]
    assert graph.ask("GET", f"{path}/{pdf['id'][:-4]}AAA=").status in (400, 404)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        b"Subject: \xe4\xf6\xfc undeclared\r\nFrom: \xe4 <a@b.example>\r\n\r\nbody \xe4",
        b"From: undisclosed\r\nTo: undisclosed-recipients:;\r\nDate: nonsense\r\n\r\nx",
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nnever closed',
        b"Content-Type: text/plain; charset=martian\r\n\r\nhello",
        b"Date: Fri, 31 Dec 99999 00:00:00 +0000\r\n\r\nx",
        b"Content-Type: message/rfc822\r\n\r\n",
    ],
)
def test_any_bytes_can_be_delivered_and_read(graph, mailbox, raw):
    name = mailbox.deliver(raw)
    assert graph.get(f"/me/messages/{name}?$expand=attachments")["id"]
    written = graph.ask("GET", f"/me/messages/{name}/$value")
    assert written.status == 200
    assert email.message_from_bytes(written.data)["Message-ID"]


def test_mail_as_it_comes_is_written_out_with_all_that_was_in_it(graph, mailbox):
    files = sorted((Path(__file__).parents[2] / "payloads" / "mail").glob("*.eml"))
    assert len(files) > 30
    for file in files:
        raw = file.read_bytes()
        name = mailbox.deliver(raw)
        message = graph.get(f"/me/messages/{name}")
        written = graph.ask("GET", f"/me/messages/{name}/$value").data
        assert written.isascii(), file.name
        before, after = email.message_from_bytes(raw), email.message_from_bytes(written)
        if before["Message-ID"]:
            assert after["Message-ID"].split() == before["Message-ID"].split(), file.name
        assert after["Message-ID"].strip() == message["internetMessageId"], file.name
        assert kinds(before) <= kinds(after), file.name


def kinds(message):
    return {p.get_content_type() for p in message.walk() if not is_frame(p)}


def is_frame(part):
    return part.get_content_maintype() == "multipart"


def test_a_message_is_changed_copied_and_deleted(graph, mailbox):
    name = mailbox.deliver(eml())
    path = f"/me/messages/{name}"
    before = graph.get(path)
    changes = {"isRead": True, "flag": {"flagStatus": "flagged"}, "categories": ["Red"]}
    after = graph.ask("PATCH", path, changes).json
    assert {key: after[key] for key in changes} == changes
    assert after["changeKey"] != before["changeKey"]
    assert graph.ask("PATCH", path, {"isRead": "yes"}).status == 400
    assert graph.ask("PATCH", path, {"subject": "Other"}).code == "ErrorInvalidPropertySet"
    copy = graph.ask("POST", f"{path}/copy", {"destinationId": "archive"}).json
    assert (copy["internetMessageId"], copy["isRead"]) == ("<m1@example.org>", True)
    assert copy["id"] != after["id"]
    assert graph.ask("DELETE", path).status == 204
    trash = graph.get("/me/mailFolders/deleteditems")["id"]
    assert graph.get(path)["parentFolderId"] == trash
    assert graph.ask("DELETE", path).status == 204
    hidden = graph.get("/me/mailFolders/recoverableitemsdeletions")["id"]
    assert graph.get(path)["parentFolderId"] == hidden
    listed = graph.get("/me/messages")["value"]
    assert [one["id"] for one in listed] == [copy["id"]]
    assert graph.ask("POST", f"/me/messages/{copy['id']}/permanentDelete").status == 204
    assert graph.ask("GET", f"/me/messages/{copy['id']}").status == 404
    nowhere = graph.ask("POST", f"{path}/move", {"destinationId": "nowhere"})
    assert nowhere.code == "ErrorInvalidIdMalformed"


# ---- who may ------------------------------------------------------------------------------------


def test_scopes_open_what_they_are_for(simulator):
    reader = graph_for(simulator, scope="openid User.Read Mail.Read")
    assert reader.ask("GET", "/me/messages").status == 200
    for method, path, body in (
        ("POST", "/me/mailFolders", {"displayName": "x"}),
        ("POST", "/me/sendMail", {"message": {}}),
        ("PATCH", "/me/messages/x", {"isRead": True}),
    ):
        reply = reader.ask(method, path, body)
        assert (reply.status, reply.code) == (403, "ErrorAccessDenied"), path
    profile = graph_for(simulator, scope="openid User.Read")
    assert profile.ask("GET", "/me/mailFolders").status == 403
    assert profile.ask("GET", "/me").status == 200


def test_a_bad_token_is_a_401(simulator):
    for token in ("", "made-up"):
        reply = Graph(simulator.browser_url, token).ask("GET", "/me")
        assert (reply.status, reply.code) == (401, "InvalidAuthenticationToken")
        inner = reply.json["error"]["innerError"]
        assert inner.keys() == {"date", "request-id", "client-request-id"}
        assert reply.headers["request-id"] == inner["request-id"]


def test_a_mailbox_may_be_missing_locked_or_somebody_elses(simulator):
    graph = graph_for(simulator)
    simulator.add_user(WORK, mailbox="missing")
    reply = graph.ask("GET", "/me/mailFolders/inbox")
    assert (reply.status, reply.code) == (404, "MailboxNotEnabledForRESTAPI")
    assert graph.get("/me")["mail"] is None
    simulator.add_user(WORK, mailbox="locked")
    assert graph.ask("GET", "/me/messages").status == 423
    simulator.add_user(WORK, mailbox="ok")
    simulator.add_user("team@contoso.example")
    assert graph.get(f"/users/{WORK}/messages")["value"] == []
    assert graph.ask("GET", "/users/team@contoso.example/messages").code == "ErrorAccessDenied"
    assert graph.ask("GET", f"/users/{OTHER}/messages").code == "ErrorInvalidUser"
    simulator.add_user("team@contoso.example", delegates=[WORK])
    shared = signed_in(simulator, scope=f"{SCOPES} Mail.ReadWrite.Shared")["access_token"]
    simulator.mail("team@contoso.example").deliver(eml())
    found = Graph(simulator.browser_url, shared).get("/users/team@contoso.example/messages")
    assert len(found["value"]) == 1
    own_only = graph.ask("GET", "/users/team@contoso.example/messages")
    assert own_only.status == 403


def test_what_is_not_there_is_refused_as_graph_does(graph):
    reply = graph.ask("GET", "/me/pigeons")
    assert (reply.status, reply.code) == (400, "BadRequest")
    assert "Resource not found for the segment 'pigeons'" in reply.json["error"]["message"]
    assert graph.ask("PUT", "/me/messages").status == 405
    assert graph.ask("PATCH", "/me/messages/x", b"{").status in (400, 404)
