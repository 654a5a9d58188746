"""Gmail as simulated: lists and searches, formats, labels, history, threads, drafts, sending."""

import base64
import datetime as dt
import email.message
import urllib.parse

import pytest

from infra.simulators.kit.mailbox import Delivery
from tests.contract.simulators.google_world import (
    BOB,
    ids,
    letter,
    pages,
)

DAY = dt.timedelta(days=1)


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
    "to:cy@work.example": [],
    "cc:cy@work.example": [2],
    "cc:bob@gmail.example": [],
    'bcc:"di work example"': [2],
    "cc:di@work.example": [],
    "{to:di@work.example bcc:di@work.example}": [2],
    "to:b_b@gmail.example": [],
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
        mail.deliver(letter(2, sender="ann2@work.example", to=f"Bob <{BOB}>", Cc="cy@work.example", Bcc="Di <di@work.example>"), folders=["SENT", "Work/Plans"], received_at=now - DAY, seen=True),
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
