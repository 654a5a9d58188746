"""A mail as people send it, taken in and read through the handlers and the real stores."""

import re
from base64 import b64encode, encodebytes
from html import unescape
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

from tests.functions.moto_stack import client
from tests.unit.mime.xss import DANGLING, TRICKS, TURNED

LOGO = b"\x89PNG\r\n\x1a\n" + b"logo" * 9
MAIL = b"""From: Cleo <cleo@client.example>
To: ann@ours.example
Date: Sat, 21 Nov 2026 10:00:00 +0100
Message-ID: <visit@client.example>
Subject: Visit
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=mixed

--mixed
Content-Type: multipart/related; boundary=related

--related
Content-Type: text/html

<div onclick=run()>See you <img src="https://tracker.example/p.gif"><img src="cid:logo@x"></div>
<div class=gmail_signature>Cleo, boss</div>
<div class=gmail_quote><div class=gmail_attr>On Monday, Ann wrote:</div>
<blockquote class=gmail_quote>When?<script>run()</script></blockquote></div>
--related
Content-Type: image/png; name=logo.png
Content-ID: <logo@x>
Content-Disposition: inline
Content-Transfer-Encoding: base64

%b
--related--
--mixed
Content-Type: text/calendar; method=REQUEST

BEGIN:VCALENDAR
METHOD:REQUEST
BEGIN:VEVENT
DTSTART;TZID=Europe/Berlin:20261201T100000
SUMMARY:Visit
END:VEVENT
END:VCALENDAR
--mixed
Content-Type: image/png; name=not-a-picture.png
Content-Disposition: attachment

<html><script>run()</script></html>
--mixed--
""" % encodebytes(LOGO)
BOUNCE = b"""From: Mail Delivery <mailer-daemon@mx.example>
To: ann@ours.example
Date: Sat, 21 Nov 2026 11:00:00 +0100
Subject: Undelivered
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

It did not arrive.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; gone@client.example
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 no such user
--b
Content-Type: text/rfc822-headers

From: ann@ours.example
Message-ID: <asked@ours.example>
References: <offer@client.example>
--b--
"""


def read(stack, raw, **query):
    stack.deliver_raw(raw.replace(b"\n", b"\r\n"))
    stack.connect(backfill_days=30)
    stack.work()
    (item,) = stack.ask("GET", "/v1/messages").json["items"]
    whole = stack.ask("GET", f"/v1/messages/{item['id']}", query=query)
    assert whole.status == 200, whole.text
    assert whole.json["kinds"] == item["kinds"]
    return whole.json


def served(url):
    """What S3 serves under a link: the object, its type, and what a browser is told to do with it."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    key = unquote(parts.path).partition("attachments/")
    content = client("s3").get_object(Bucket="mailroom-test", Key=key[1] + key[2])["Body"].read()
    (kind,), (disposition,) = query["response-content-type"], query["response-content-disposition"]
    return content, kind, disposition.partition(";")[0], query["X-Amz-Expires"]


@pytest.mark.parametrize("remote_images", [False, True])
def test_a_mail_is_read_safely_with_its_pictures_folded_and_named(stack, remote_images):
    whole = read(stack, MAIL, **({"remote_images": "true"} if remote_images else {}))
    html = whole["html"]
    assert "run()" not in html
    assert ("tracker.example" in html) == remote_images
    assert whole["blocked_images"] == (0 if remote_images else 1)
    folded = re.findall(r"<details>.*?</details>", html, re.DOTALL)
    assert ["Cleo, boss" in folded[0], "When?" in folded[1]] == [True, True]

    (link,) = re.findall(r'src="(https://[^"]*attachments/[^"]*)"', html)
    assert served(unescape(link)) == (LOGO, "image/png", "attachment", ["300"])
    parts = urlsplit(link)
    sources = f"img-src {parts.scheme}://{parts.netloc}" + (" http: https:;" * remote_images or ";")
    assert sources in whole["content_security_policy"]

    assert (whole["kinds"], whole["about"]) == (["calendar"], None)
    assert whole["calendar"]["summary"] == "Visit"
    starts = {"local": "2026-12-01T10:00:00", "time_zone": "Europe/Berlin"}
    assert whole["calendar"]["starts"] == starts | {"at": "2026-12-01T09:00:00Z"}
    pictures = [one["picture_type"] for one in whole["attachments"]]
    assert sorted(pictures, key=str) == [None, None, "image/png"]
    (n,) = (one["n"] for one in whole["attachments"] if one["filename"] == "not-a-picture.png")
    link = stack.ask("GET", f"/v1/messages/{whole['id']}/attachments/{n}").json["url"]
    content, *how = served(link)
    assert b"run()" in content
    assert how == ["application/octet-stream", "attachment", ["300"]]


def test_scripts_in_names_subjects_and_file_names_are_words_in_json_and_nothing_else(stack):
    vectors = [*TRICKS, *DANGLING, *TURNED]
    for number, vector in enumerate(vectors):
        word = f"=?utf-8?b?{b64encode(vector.encode()).decode()}?="
        stack.deliver_raw(
            f"From: {word} <cleo@client.example>\r\nMessage-ID: <{number}@x>\r\nSubject: {word}\r\n"
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n"
            f"Text\r\n--b\r\nContent-Disposition: attachment; filename*=utf-8''{quote(vector)}\r\n"
            "Content-Type: text/html\r\n\r\n<script>run()</script>\r\n--b--\r\n".encode()
        )
    stack.connect(backfill_days=30)
    stack.work()
    body = {"name": "".join(TRICKS)[:200], "addresses": ["cleo@client.example"]}
    assert stack.ask("PUT", "/v1/contacts/cleo", body=body).json["name"] == body["name"]
    items = stack.ask("GET", "/v1/contacts/cleo/messages", query={"limit": 100}).json["items"]
    assert len(items) == len(vectors)
    as_written = 0
    for item in items:
        targets = [f"/v1/messages/{item['id']}", f"/v1/messages/{item['id']}/attachments/0"]
        whole, link = (stack.ask("GET", target) for target in targets)
        for answer in (whole, link):
            assert answer.headers["Content-Type"] == "application/json"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert whole.json["html"] is None
        as_written += whole.json["subject"] == whole.json["from"][0]["name"] != ""
        (attachment,) = whole.json["attachments"]
        assert not set(attachment["filename"]) & set("/\\\r\n\0\u202e")
        disposition = parse_qs(urlsplit(link.json["url"]).query)["response-content-disposition"][0]
        # A header's value: what is no letter of ASCII is escaped, and one quoted string holds it.
        assert re.fullmatch(
            r'attachment; filename="[ -!#-\[\]-~]*"(; filename\*=[\w\'%.~!-]+)?', disposition
        ), disposition
        assert served(link.json["url"])[1:3] == ("application/octet-stream", "attachment")
    assert as_written > len(vectors) / 2


def test_a_bounce_says_who_was_not_reached_and_why(stack):
    whole = read(stack, BOUNCE)
    assert whole["kinds"] == ["delivery_report", "bounce"]
    assert whole["deliveries"] == [
        {
            "recipient": "gone@client.example",
            "action": "failed",
            "status": "5.1.1",
            "said": "550 no such user",
        }
    ]
    assert whole["about"]["internet_message_id"] == "asked@ours.example"
    returned = f"/v1/threads/{whole['about']['thread_id']}"
    assert stack.ask("GET", returned).status == 404


def test_a_bounce_leads_to_the_thread_of_what_it_is_about(stack):
    stack.deliver_raw(
        b"From: ann@ours.example\r\nTo: gone@client.example\r\nMessage-ID: <asked@ours.example>\r\n"
        b"References: <offer@client.example>\r\nSubject: Asked\r\n\r\nAgain?\r\n",
        "Sent",
    )
    stack.deliver_raw(BOUNCE.replace(b"\n", b"\r\n"))
    stack.connect(backfill_days=30)
    stack.work()
    items = stack.ask("GET", "/v1/messages").json["items"]
    (bounce,) = (one["id"] for one in items if one["subject"] == "Undelivered")
    about = stack.ask("GET", f"/v1/messages/{bounce}").json["about"]
    thread = stack.ask("GET", f"/v1/threads/{about['thread_id']}").json["items"]
    assert [one["internet_message_id"] for one in thread] == [about["internet_message_id"]]
