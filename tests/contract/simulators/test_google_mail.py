"""Gmail as simulated: lists and searches, formats, labels, history, threads, drafts, sending."""

import base64
import datetime as dt
import email.message
import urllib.parse

import pytest

from infra.simulators.kit.mailbox import Delivery
from tests.contract.simulators.google_world import (
    ADA,
    BOB,
    FULL,
    METADATA,
    MODIFY,
    READONLY,
    base64url,
    letter,
)

DAY = dt.timedelta(days=1)


@pytest.fixture
def mail(google):
    return google.mail()


@pytest.fixture
def api(google):
    google.simulator.limits.user_units = 1_000_000
    token = google.token(FULL)

    def call(method, path, body=None, **more):
        return google.api(method, path, token, body=body, **more)

    return call


def ids(answer, kind="messages"):
    assert answer.status == 200, answer.body
    return [found["id"] for found in answer.json.get(kind, [])]


def pages(api, path, kind="messages"):
    found, token = [], ""
    while token is not None:
        answer = api("GET", f"{path}&pageToken={token}" if token else path)
        found.append(ids(answer, kind))
        token = answer.json.get("nextPageToken")
    return found


# ---- lists ------------------------------------------------------------------------------------


def test_ids_are_sixteen_hex_digits(mail, api):
    made = mail.deliver(letter())
    assert len(made) == 16
    assert int(made, 16)
    assert api("GET", "messages").json == {
        "messages": [{"id": made, "threadId": made}],
        "resultSizeEstimate": 1,
    }


def test_an_empty_mailbox_has_no_list_at_all(api):
    assert api("GET", "messages").json == {"resultSizeEstimate": 0}
    assert api("GET", "threads").json == {"resultSizeEstimate": 0}
    assert api("GET", "drafts").json == {"resultSizeEstimate": 0}


def test_the_newest_comes_first_by_its_own_date(google, mail, api):
    now = google.simulator.clock.now()
    days = [3, 1, 2]
    made = [mail.deliver(letter(n), received_at=now - n * DAY) for n in days]
    assert ids(api("GET", "messages")) == [made[1], made[2], made[0]]


def test_pages_hold_still_while_mail_arrives_and_goes(mail, api):
    made = [mail.deliver(letter(n)) for n in range(7)][::-1]
    first = api("GET", "messages?maxResults=3")
    mail.deliver(letter(100))
    mail.delete(made[1])
    token = first.json["nextPageToken"]
    second = api("GET", f"messages?maxResults=3&pageToken={token}")
    assert ids(first) + ids(second) == made[:6]
    assert first.json["resultSizeEstimate"] > 3


def test_a_page_holds_at_most_five_hundred_and_a_hundred_unless_asked(mail, api):
    mail.deliver_all(Delivery(letter(n)) for n in range(501))
    assert [len(page) for page in pages(api, "messages?maxResults=1000")] == [500, 1]
    assert len(ids(api("GET", "messages"))) == 100


@pytest.mark.parametrize("change", ["garbage", "q", "labels", "user", "age"])
def test_a_page_token_belongs_to_its_query_and_expires(google, mail, api, change):
    for number in range(3):
        mail.deliver(letter(number))
    token = api("GET", "messages?maxResults=1").json["nextPageToken"]
    path = f"messages?maxResults=1&pageToken={token}"
    if change == "age":
        google.simulator.clock.advance(25 * 3600)
        answer = google.api("GET", path, google.token())
    elif change == "user":
        answer = google.api("GET", path, google.token(address=BOB))
    else:
        more = {"garbage": "x", "q": "&q=letter", "labels": "&labelIds=INBOX"}[change]
        answer = api("GET", path + more)
    assert (answer.status, answer.reason) == (400, "invalidArgument")
    assert answer.error["message"] == "Invalid pageToken"


def test_all_named_labels_are_needed_and_trash_and_spam_are_hidden(mail, api):
    both = mail.deliver(letter(1), folders=["INBOX", "STARRED"], seen=True)
    inbox = mail.deliver(letter(2), folders=["INBOX"])
    trash = mail.deliver(letter(3), folders=["TRASH"])
    spam = mail.deliver(letter(4), folders=["SPAM"])
    assert ids(api("GET", "messages?labelIds=INBOX&labelIds=STARRED")) == [both]
    assert ids(api("GET", "messages")) == [inbox, both]
    assert ids(api("GET", "messages?includeSpamTrash=true")) == [spam, trash, inbox, both]
    assert ids(api("GET", "messages?labelIds=TRASH")) == [trash]
    assert api("GET", "messages?labelIds=Label_99").status == 400


SEARCHES = {
    "from:ann@work.example": [1],
    "from:work.example": [2, 1],
    "to:bob@gmail.example": [2],
    "subject:budget": [1],
    'subject:"the budget"': [1],
    'subject:"budget the"': [],
    "-subject:budget": [3, 2],
    "rfc822msgid:letter-2@example.org": [2],
    "rfc822msgid:<letter-2@example.org>": [2],
    "elephant": [3],
    "eleph": [],
    "letter": [2, 1],
    "budget OR elephant": [3, 1],
    "{budget elephant}": [3, 1],
    "letter -(budget OR elephant)": [2],
    "letter budget": [1],
    "in:inbox": [3, 1],
    "in:sent": [2],
    "in:anywhere": [4, 3, 2, 1],
    "in:trash": [4],
    "is:unread": [3],
    "is:read": [2, 1],
    "is:starred": [1],
    "label:work-plans": [2],
    "label:INBOX -is:starred": [3],
    "has:attachment": [3],
    "larger:1k": [3],
    "smaller:1k": [2, 1],
    "newer_than:36h": [3, 2],
    "newer_than:2d": [3, 2],
    "older_than:2d": [1],
    "after:{two_days_ago} before:{now}": [3, 2],
    "before:{two_days_ago}": [1],
    "after:2000/1/1": [3, 2, 1],
    "before:2000-01-01": [],
}


@pytest.mark.parametrize("q", SEARCHES)
def test_a_search_finds_what_gmail_says_it_finds(google, mail, api, q):
    now = google.simulator.clock.now()
    mail.create_folder("Work/Plans")
    attached = letter(
        3,
        subject="An elephant",
        text="x" * 2000,
        Content_Disposition='attachment; filename="a.txt"',
    )
    made = [
        mail.deliver(letter(1, subject="About the budget", sender="Ann <ann@work.example>"), folders=["INBOX", "STARRED"], received_at=now - 3 * DAY, seen=True),
        mail.deliver(letter(2, sender="ann2@work.example", to=f"Bob <{BOB}>"), folders=["SENT", "Work/Plans"], received_at=now - DAY, seen=True),
        mail.deliver(attached, received_at=now - DAY / 2),
        mail.deliver(letter(4, subject="Gone"), folders=["TRASH"], received_at=now - DAY / 4),
    ]  # fmt: skip
    stamp = int(now.timestamp())
    text = q.replace("{now}", str(stamp)).replace("{two_days_ago}", str(stamp - 2 * 86_400))
    quoted = urllib.parse.quote(text)
    assert [made.index(one) + 1 for one in ids(api("GET", f"messages?q={quoted}"))] == SEARCHES[q]


def test_an_operator_the_simulator_does_not_know_is_refused_not_ignored(api):
    assert api("GET", "messages?q=list:dev").status == 400


# ---- formats ----------------------------------------------------------------------------------


def test_raw_is_byte_for_byte_what_arrived(mail, api):
    raw = b"Subject: caf\xe9\r\nX: \xff\xfe\r\n\r\nbody \x80\x00 without end"
    found = api("GET", f"messages/{mail.deliver(raw)}?format=raw").json
    assert base64.urlsafe_b64decode(found["raw"]) == raw
    assert found["sizeEstimate"] == len(raw)
    assert "payload" not in found


def test_minimal_and_metadata_leave_out_the_content(mail, api):
    made = mail.deliver(letter(subject="=?utf-8?q?Gr=C3=BC=C3=9Fe?=", text="<b> & more"))
    minimal = api("GET", f"messages/{made}?format=minimal").json
    assert minimal["snippet"] == "&lt;b&gt; &amp; more"
    assert minimal["labelIds"] == ["INBOX", "UNREAD"]
    assert not {"payload", "raw"} & set(minimal)
    names = "metadataHeaders=subject&metadataHeaders=From"
    found = api("GET", f"messages/{made}?format=metadata&{names}").json["payload"]
    assert {h["name"]: h["value"] for h in found["headers"]} == {
        "From": "Eve <eve@example.org>",
        "Subject": "Grüße",
    }
    assert "body" not in found


def test_full_shows_the_tree_and_fetches_attachments(mail, api):
    message = email.message.EmailMessage()
    message["Subject"] = "A tree"
    message.set_content("plain ä", charset="iso-8859-1")
    message.add_alternative("<p>html</p>", subtype="html")
    message.add_attachment(b"\x00\x01" * 5000, maintype="image", subtype="png", filename="ä.png")
    made = mail.deliver(bytes(message))
    payload = api("GET", f"messages/{made}").json["payload"]
    assert payload["mimeType"] == "multipart/mixed"
    assert payload["body"] == {"size": 0}
    alternative, image = payload["parts"]
    assert [part["partId"] for part in alternative["parts"]] == ["0.0", "0.1"]
    plain = alternative["parts"][0]["body"]
    assert base64.urlsafe_b64decode(plain["data"]).decode() == "plain ä\r\n"
    assert image["filename"] == "ä.png"
    assert set(image["body"]) == {"attachmentId", "size"}
    again = api("GET", f"messages/{made}").json["payload"]["parts"][1]["body"]
    assert again["attachmentId"] != image["body"]["attachmentId"]
    for body in (image["body"], again):
        found = api("GET", f"messages/{made}/attachments/{body['attachmentId']}").json
        assert base64.urlsafe_b64decode(found["data"]) == b"\x00\x01" * 5000
    other = mail.deliver(letter())
    assert api("GET", f"messages/{other}/attachments/{again['attachmentId']}").status == 400


def test_fields_leave_only_what_was_asked_for(mail, api):
    made = mail.deliver(letter())
    found = api("GET", f"messages/{made}?fields=id,payload(headers/name,body)").json
    assert set(found) == {"id", "payload"}
    assert set(found["payload"]) == {"headers", "body"}
    assert all(set(header) == {"name"} for header in found["payload"]["headers"])
    assert api("GET", "messages?fields=messages/id").json == {"messages": [{"id": made}]}
    for wrong in ("", "a(", "a//b", "a,,b", "a)"):
        assert api("GET", f"messages?fields={wrong}").status == 400


def test_what_does_not_exist_is_404_and_what_is_no_id_is_400(api):
    answer = api("GET", "messages/1234567890abcdef")
    assert (answer.status, answer.reason) == (404, "notFound")
    assert answer.error["message"] == "Requested entity was not found."
    for path in ("messages/xyz", "messages/0", f"messages/{'f' * 17}"):
        assert api("GET", path).status == 400
    assert api("GET", f"messages/{'f' * 16}").status == 404


def test_an_unknown_parameter_or_field_is_refused(mail, api):
    made = mail.deliver(letter())
    assert api("GET", "messages?max=3").status == 400
    assert api("GET", "messages?maxResults=many").status == 400
    assert api("GET", f"messages/{made}?format=everything").status == 400
    assert api("POST", f"messages/{made}/modify", {"labels": []}).status == 400
    assert api("POST", f"messages/{made}/modify", {"addLabelIds": "INBOX"}).status == 400
    assert api("POST", f"messages/{made}/modify", [1]).status == 400


# ---- changes and history ----------------------------------------------------------------------


def history(api, start, more=""):
    answer = api("GET", f"history?startHistoryId={start}{more}")
    assert answer.status == 200, answer.body
    return answer.json


def test_every_change_is_in_history_once_and_in_order(mail, api):
    start = mail.history_id()
    made = mail.deliver(letter())
    label = mail.create_folder("Work")
    api("POST", f"messages/{made}/modify", {"addLabelIds": [label], "removeLabelIds": ["UNREAD"]})
    api("POST", f"messages/{made}/trash")
    api("DELETE", f"messages/{made}")
    found = history(api, start)
    kinds = [next(k for k in record if k not in ("id", "messages")) for record in found["history"]]
    assert kinds == ["messagesAdded", "labelsRemoved", "labelsAdded", "labelsRemoved", "labelsAdded", "messagesDeleted"]  # fmt: skip
    numbers = [int(record["id"]) for record in found["history"]]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == int(found["historyId"])
    assert all(
        record["messages"] == [{"id": made, "threadId": made}] for record in found["history"]
    )
    assert found["history"][2]["labelsAdded"][0]["labelIds"] == [label]
    assert found["history"][0]["messagesAdded"][0]["message"]["labelIds"] == ["INBOX", "UNREAD"]
    assert history(api, found["historyId"]) == {"historyId": found["historyId"]}


def test_what_changes_nothing_leaves_no_trace(mail, api):
    made = mail.deliver(letter())
    before = mail.history_id()
    api("POST", f"messages/{made}/modify", {"addLabelIds": ["INBOX"], "removeLabelIds": ["SPAM"]})
    assert mail.history_id() == before


def test_history_is_filtered_by_kind_and_by_label(mail, api):
    start = mail.history_id()
    made = mail.deliver(letter(1))
    mail.deliver(letter(2), folders=["SENT"])
    mail.set_flags(made, flagged=True)
    assert len(history(api, start)["history"]) == 3
    assert len(history(api, start, "&historyTypes=messageAdded")["history"]) == 2
    both = "&historyTypes=labelAdded&historyTypes=labelRemoved"
    assert len(history(api, start, both)["history"]) == 1
    assert len(history(api, start, "&labelId=INBOX")["history"]) == 2
    assert "history" not in history(api, start, "&labelId=SPAM")


def test_history_goes_on_page_by_page(mail, api):
    start = mail.history_id()
    mail.deliver_all(Delivery(letter(n)) for n in range(5))
    found = pages(api, f"history?startHistoryId={start}&maxResults=2", "history")
    assert [len(page) for page in found] == [2, 2, 1]


def test_a_history_id_too_old_or_in_the_future_is_404(google, mail, api):
    start = mail.history_id()
    mail.deliver(letter(1))
    middle = mail.history_id()
    assert api("GET", f"history?startHistoryId={int(middle) + 1}").status == 404
    google.simulator.clock.advance(9 * 86_400)
    mail.deliver(letter(2))
    token = google.token()
    old = google.api("GET", f"history?startHistoryId={start}", token)
    assert (old.status, old.reason) == (404, "notFound")
    # Nothing after this one was forgotten.
    assert len(google.api("GET", f"history?startHistoryId={middle}", token).json["history"]) == 1


def test_forgotten_history_is_404_at_once(mail, api):
    start = mail.history_id()
    mail.deliver(letter())
    mail.forget_history()
    assert api("GET", f"history?startHistoryId={start}").status == 404
    assert api("GET", f"history?startHistoryId={mail.history_id()}").status == 200


def test_history_ids_may_be_larger_than_any_signed_number(google):
    google.simulator.add_user("big@gmail.example", history_start=2**63 + 10)
    mail = google.mail("big@gmail.example")
    start = mail.history_id()
    made = mail.deliver(letter())
    token = google.token(address="big@gmail.example")
    found = google.api("GET", f"history?startHistoryId={start}", token).json
    assert int(found["history"][0]["id"]) > 2**63
    message = google.api("GET", f"messages/{made}?format=minimal", token).json
    assert message["historyId"] == found["historyId"]


def test_labels_nobody_may_set_and_labels_nobody_made_are_refused(mail, api):
    made = mail.deliver(letter())
    for label in ("SENT", "DRAFT", "Label_77", "nonsense"):
        assert api("POST", f"messages/{made}/modify", {"addLabelIds": [label]}).status == 400
    bad = api("POST", "messages/batchModify", {"ids": [made], "addLabelIds": ["Label_77"]})
    assert bad.status == 400


def test_many_messages_are_changed_and_deleted_at_once(mail, api):
    made = [mail.deliver(letter(n)) for n in range(3)]
    body = {"ids": [*made, "1234567890abcdef"], "addLabelIds": ["STARRED"]}
    assert api("POST", "messages/batchModify", body).status == 204
    assert len(ids(api("GET", "messages?q=is:starred"))) == 3
    assert api("POST", "messages/batchDelete", {"ids": made[:2]}).status == 204
    assert ids(api("GET", "messages")) == [made[2]]
    assert api("POST", "messages/batchDelete", {"ids": ["a1"] * 1001}).status == 400
    assert api("POST", "messages/batchDelete", {"ids": []}).status == 400


def test_trash_takes_a_message_out_of_the_inbox(mail, api):
    made = mail.deliver(letter())
    assert api("POST", f"messages/{made}/trash").json["labelIds"] == ["TRASH", "UNREAD"]
    assert ids(api("GET", "messages")) == []
    assert api("POST", f"messages/{made}/untrash").json["labelIds"] == ["UNREAD"]


# ---- labels -----------------------------------------------------------------------------------


def test_labels_are_made_renamed_counted_and_deleted(mail, api):
    made = api("POST", "labels", {"name": "Work/Plans", "labelListVisibility": "labelShow"}).json
    assert made == {"id": "Label_1", "name": "Work/Plans", "type": "user", "labelListVisibility": "labelShow"}  # fmt: skip
    first = mail.deliver(letter(1), folders=["Label_1"])
    mail.deliver(letter(2, In_Reply_To="<letter-1@example.org>", subject="Re: Letter 1"), folders=["Label_1"], seen=True)  # fmt: skip
    found = api("GET", "labels/Label_1").json
    counts = [
        found[k] for k in ("messagesTotal", "messagesUnread", "threadsTotal", "threadsUnread")
    ]
    assert counts == [2, 1, 1, 1]
    assert api("PATCH", "labels/Label_1", {"name": "Plans"}).json["name"] == "Plans"
    assert api("PUT", "labels/Label_1", {"name": "Work"}).json["name"] == "Work"
    assert api("DELETE", "labels/Label_1").status == 204
    assert "Label_1" not in api("GET", f"messages/{first}?format=minimal").json["labelIds"]
    assert api("GET", "labels/Label_1").status == 404
    assert api("POST", "labels", {"name": "Next"}).json["id"] == "Label_2"


def test_label_names_are_unique_and_not_the_systems(api):
    api("POST", "labels", {"name": "Work"})
    answer = api("POST", "labels", {"name": "work"})
    assert (answer.status, answer.reason) == (409, "aborted")
    for name in ("", " ", "inbox", "/a", "x" * 300):
        assert api("POST", "labels", {"name": name}).status == 400
    assert api("DELETE", "labels/INBOX").status == 400
    assert api("PATCH", "labels/INBOX", {"name": "x"}).status == 400


# ---- threads ----------------------------------------------------------------------------------


def test_a_reply_joins_its_thread_by_reference_and_subject(mail, api):
    first = mail.deliver(letter(1, subject="Plans"))
    reply = mail.deliver(letter(2, subject="RE: AW: plans", In_Reply_To="<letter-1@example.org>"))
    other_subject = mail.deliver(letter(3, subject="Else", References="<letter-1@example.org>"))
    no_reference = mail.deliver(letter(4, subject="Re: Plans"))
    found = {m["id"]: m["threadId"] for m in api("GET", "messages").json["messages"]}
    assert found[reply] == first
    assert found[other_subject] == other_subject
    assert found[no_reference] == no_reference
    thread = api("GET", f"threads/{first}?format=minimal").json
    assert [m["id"] for m in thread["messages"]] == [first, reply]
    assert first in ids(api("GET", "threads"), "threads")
    assert len(ids(api("GET", "threads"), "threads")) == 3


def test_what_is_done_to_a_thread_is_done_to_each_message(mail, api):
    first = mail.deliver(letter(1))
    mail.deliver(letter(2, subject="Re: Letter 1", In_Reply_To="<letter-1@example.org>"))
    found = api("POST", f"threads/{first}/modify", {"addLabelIds": ["STARRED"]}).json
    assert all("STARRED" in message["labelIds"] for message in found["messages"])
    api("POST", f"threads/{first}/trash")
    assert ids(api("GET", "threads"), "threads") == []
    api("POST", f"threads/{first}/untrash")
    assert ids(api("GET", "threads"), "threads") == [first]
    assert api("DELETE", f"threads/{first}").status == 204
    assert api("GET", f"threads/{first}").status == 404
    assert mail.messages() == []


def test_threads_are_paged_by_their_newest_message(mail, api):
    for number in range(3):
        mail.deliver(letter(number))
        mail.deliver(letter(number + 10, subject=f"Re: Letter {number}", In_Reply_To=f"<letter-{number}@example.org>"))  # fmt: skip
    assert [len(p) for p in pages(api, "threads?maxResults=2", "threads")] == [2, 1]


# ---- sending and drafts -----------------------------------------------------------------------


def test_sending_keeps_a_copy_and_delivers_to_others_here_without_bcc(google, api):
    raw = letter(1, sender=ADA, to=f"{BOB}, x@elsewhere.example", Bcc="cy@gmail.example")
    google.simulator.add_user("cy@gmail.example")
    sent = api("POST", "messages/send", {"raw": base64url(raw)}).json
    assert sent["labelIds"] == ["SENT"]
    for address in (BOB, "cy@gmail.example"):
        mail = google.mail(address)
        [held] = mail.messages()
        assert "INBOX" in held.folders
        assert not held.seen
        assert b"bcc" not in mail.raw(held.id).lower()
    assert b"Bcc: cy@gmail.example" in google.mail().raw(sent["id"])


def test_the_api_puts_its_own_message_id_in_place_of_ours(google, api):
    for keeps in (False, True):
        google.simulator.limits.keeps_message_ids = keeps
        raw = letter(f"keeps-{keeps}", sender=ADA, to=BOB)
        sent = api("POST", "messages/send", {"raw": base64url(raw)}).json
        text = google.mail().raw(sent["id"])
        assert (f"<letter-keeps-{keeps}@example.org>".encode() in text) is keeps
        assert text.lower().count(b"message-id:") == 1


def test_a_reply_is_sent_into_a_thread_only_if_it_fits(mail, api):
    first = mail.deliver(letter(1, subject="Plans"))
    good = letter(2, subject="Re: Plans", to=BOB, In_Reply_To="<letter-1@example.org>")
    bad = letter(3, subject="Other", to=BOB, In_Reply_To="<letter-1@example.org>")
    loose = letter(4, subject="Re: Plans", to=BOB)
    threads = [
        api("POST", "messages/send", {"raw": base64url(raw), "threadId": first}).json["threadId"]
        for raw in (good, bad, loose)
    ]
    assert threads[0] == first
    assert first not in threads[1:]
    unknown = {"raw": base64url(good), "threadId": "1234567890abcdef"}
    assert api("POST", "messages/send", unknown).status == 404


def test_mail_to_oneself_is_one_message_in_both_places(mail, api):
    api("POST", "messages/send", {"raw": base64url(letter(to=ADA))})
    [held] = mail.messages()
    assert {"INBOX", "SENT"} <= set(held.folders)


def test_nothing_is_sent_without_a_recipient_or_a_message(api):
    no_one = base64url(b"Subject: x\r\n\r\nx")
    assert api("POST", "messages/send", {"raw": no_one}).error["message"] == "Recipient address required"  # fmt: skip
    for body in ({}, {"raw": ""}, {"raw": "*"}):
        assert api("POST", "messages/send", body).status == 400


def test_a_message_is_inserted_now_and_imported_with_its_date(mail, api):
    raw = {"raw": base64url(letter(1)), "labelIds": ["INBOX"]}
    inserted = api("POST", "messages", raw).json["id"]
    imported = api("POST", "messages/import?neverMarkSpam=true", raw).json["id"]
    dated = api("POST", "messages?internalDateSource=dateHeader", raw).json["id"]
    dates = {m.id: m.received_at.date().isoformat() for m in mail.messages()}
    assert dates[imported] == dates[dated] == "2026-11-20"
    assert dates[inserted] != "2026-11-20" or dt.datetime.now(dt.UTC).day == 20
    assert api("POST", "messages", {**raw, "labelIds": ["Label_9"]}).status == 400


def test_a_message_may_be_uploaded_as_it_is(google, mail):
    token = google.token(FULL)
    raw = letter(1, sender=ADA, to=BOB)
    path = "/upload/gmail/v1/users/me/messages/send?uploadType=media"
    simple = google.ask("POST", path, token=token, body=raw, headers={"Content-Type": "message/rfc822"})  # fmt: skip
    assert simple.json["labelIds"] == ["SENT"]
    parts = b"--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
    both = google.ask(
        "POST",
        path.replace("media", "multipart"),
        token=token,
        body=parts + raw + b"\r\n--b--\r\n",
        headers={"Content-Type": "multipart/related; boundary=b"},
    )
    assert both.status == 200
    assert google.mail().raw(both.json["id"]).endswith(b"The text of letter 1.\r\n")


def test_a_draft_is_changed_and_sent(google, mail, api):
    first = mail.deliver(letter(1, subject="Plans"))
    reply = letter(2, subject="Re: Plans", to=BOB, In_Reply_To="<letter-1@example.org>")
    made = api("POST", "drafts", {"message": {"raw": base64url(reply), "threadId": first}}).json
    assert made["message"]["labelIds"] == ["DRAFT"]
    assert made["message"]["threadId"] == first
    changed = api("PUT", f"drafts/{made['id']}", {"message": {"raw": base64url(letter(3, subject="Re: Plans", to=BOB))}}).json  # fmt: skip
    assert changed["id"] == made["id"]
    assert changed["message"]["id"] != made["message"]["id"]
    assert ids(api("GET", "drafts"), "drafts") == [made["id"]]
    assert api("GET", f"drafts/{made['id']}?format=minimal").json["message"]["threadId"] == first
    sent = api("POST", "drafts/send", {"id": made["id"]}).json
    assert sent["labelIds"] == ["SENT"]
    assert sent["threadId"] == first
    assert sent["id"] != changed["message"]["id"]
    assert ids(api("GET", "drafts"), "drafts") == []
    assert len(google.mail(BOB).messages()) == 1
    other = api("POST", "drafts", {"message": {"raw": base64url(letter(4))}}).json["id"]
    assert api("DELETE", f"drafts/{other}").status == 204
    assert api("GET", f"drafts/{other}").status == 404


# ---- scopes and users -------------------------------------------------------------------------


def test_the_metadata_scope_sees_no_content_and_cannot_search(google, mail):
    made = mail.deliver(letter())
    token = google.token(METADATA)
    assert google.api("GET", f"messages/{made}?format=metadata", token).status == 200
    assert google.api("GET", f"messages/{made}", token).status == 403
    assert google.api("GET", f"messages/{made}?format=raw", token).status == 403
    assert google.api("GET", "messages?q=letter", token).status == 403
    assert google.api("GET", f"messages/{made}", google.token(METADATA, READONLY)).status == 200


def test_only_the_whole_scope_deletes_for_good(google, mail):
    made = mail.deliver(letter())
    answer = google.api("DELETE", f"messages/{made}", google.token(MODIFY))
    assert (answer.status, answer.reason) == (403, "insufficientPermissions")
    assert answer.error["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert google.api("DELETE", f"messages/{made}", google.token(FULL)).status == 204


def test_a_token_opens_its_own_mailbox_only(google):
    token = google.token()
    assert google.ask("GET", f"/gmail/v1/users/{ADA}/profile", token=token).status == 200
    assert google.ask("GET", f"/gmail/v1/users/{BOB}/profile", token=token).status == 403
    for missing in (None, "made-up"):
        assert google.api("GET", "profile", missing).status == 401


def test_watch_lasts_seven_days_and_is_kept(google, api):
    answer = api("POST", "watch", {"topicName": "projects/p/topics/t", "labelIds": ["INBOX"]}).json
    ahead = int(answer["expiration"]) / 1000 - google.simulator.clock.epoch()
    assert 7 * 86_400 - 60 < ahead <= 7 * 86_400
    [kept] = google.control("GET", "/").json["watches"]
    assert (kept["address"], kept["topic"], kept["labels"]) == (
        ADA,
        "projects/p/topics/t",
        ["INBOX"],
    )
    assert api("POST", "watch", {"topicName": "t"}).status == 400
    assert api("POST", "stop").status == 204
    assert google.control("GET", "/").json["watches"] == []
