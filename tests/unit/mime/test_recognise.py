"""What contents are seen to be, and that no content is dear to look at."""

import gc
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.contents import (
    TELLING_BYTES,
    AttachedMail,
    Delivery,
    DeliveryReport,
    Invite,
    Moment,
    Picture,
    Sealed,
)
from shared.mime.recognise import recognise

INVITE = b"""BEGIN:VCALENDAR
PRODID:-//x
METHOD:REQUEST
BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:STANDARD
DTSTART:16010101T030000
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
ORGANIZER;CN="Ann: the boss":mailto:ann@sender.example
DTSTART;TZID=Europe/Berlin:20260303T101500
DTEND;X-A="b;c:d";TZID="Europe/Berlin":20260303T111500
SUMMARY;LANGUAGE=en:Price\\, terms\\nand a line tha
 t was folded
LOCATION:Room 1
UID:u-1
BEGIN:VALARM
SUMMARY:not this
DTEND:20300101T000000Z
END:VALARM
RRULE:FREQ=WEEKLY
END:VEVENT
BEGIN:VEVENT
DTSTART:20400101T000000Z
END:VEVENT
END:VCALENDAR
"""
REPORT = b"""Reporting-MTA: dns; mx.example

Original-Recipient: rfc822;old@x.example
Final-Recipient: rfc822; nobody@x.example
Action: Failed
Status: 5.1.1 (no such user)
Diagnostic-Code: smtp; 550 5.1.1
 no such; user

Original-Recipient: rfc822;slow@x.example
Action: delayed
Status: 4.4.1
"""
CALENDAR, DELIVERY, SMIME = "text/calendar", "message/delivery-status", "application/pkcs7-mime"
DER = bytes.fromhex("30821234") + bytes.fromhex("06092a864886f70d0107")


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_of_a_calendar_the_first_entry_is_told(line_end):
    assert recognise(CALENDAR, INVITE.replace(b"\n", line_end)) == Invite(
        method="request",
        uid="u-1",
        summary="Price, terms and a line that was folded",
        location="Room 1",
        organizer="ann@sender.example",
        starts=Moment("2026-03-03T10:15:00", "Europe/Berlin"),
        ends=Moment("2026-03-03T11:15:00", "Europe/Berlin"),
        repeats=True,
    )


@pytest.mark.parametrize(
    ("line", "starts"),
    [
        ("DTSTART:20260303T101500Z", Moment("2026-03-03T10:15:00", "UTC")),
        ("DTSTART:20260303T101500", Moment("2026-03-03T10:15:00")),
        ("DTSTART;VALUE=DATE:20260303", Moment("2026-03-03")),
        ("dtstart;tzid=W. Europe Standard Time:20260303T101500",
         Moment("2026-03-03T10:15:00", "W. Europe Standard Time")),
        ("DTSTART:20261303T101500Z", None),
        ("DTSTART:soon", None),
        ("DTSTART", None),
        ('DTSTART;X="open:20260303T101500Z', None),
    ],
)  # fmt: skip
def test_a_time_is_told_as_the_calendar_has_it(line, starts):
    text = f"BEGIN:VCALENDAR\nBEGIN:VEVENT\n{line}\nEND:VEVENT\nEND:VCALENDAR\n"
    assert recognise("application/ics", text.encode()).starts == starts


def test_a_calendar_that_is_cut_off_or_has_no_entry_is_still_one():
    long = INVITE.replace(b"LOCATION:", b"LOCATION:" + b"x" * TELLING_BYTES)[:TELLING_BYTES]
    cut = recognise(CALENDAR, long)
    assert cut.organizer == "ann@sender.example"
    assert (cut.location, cut.uid) == (None, None)
    assert recognise(CALENDAR, b"BEGIN:VCALENDAR\nMETHOD:CANCEL\nEND:VCALENDAR") == Invite("cancel")
    assert recognise(CALENDAR, b"BEGIN:VCALENDAR\n") == Invite(None)
    for none in (b"", b"words", b"<html>METHOD:REQUEST", b"BEGIN:VCARD\nUID:1\nEND:VCARD"):
        assert recognise(CALENDAR, none) is None


def test_of_a_delivery_report_each_recipient_is_told():
    assert recognise(DELIVERY, REPORT.replace(b"\n", b"\r\n")) == DeliveryReport(
        (
            Delivery("nobody@x.example", "failed", "5.1.1", "550 5.1.1 no such; user"),
            Delivery("slow@x.example", "delayed", "4.4.1"),
        )
    )
    assert recognise(DELIVERY, b"Reporting-MTA: dns; x\n\nAction: failed\n") is None
    assert len(recognise(DELIVERY, b"Final-Recipient: a\n\n" * 900).deliveries) == 50


@pytest.mark.parametrize("claimed", ["message/rfc822", "text/rfc822-headers", "message/global"])
def test_an_attached_message_is_named_with_its_thread(claimed):
    header = b"Subject: x\r\nmessage-id: <own@x>\r\nIn-Reply-To: <parent@x>\r\n"
    refs = b"References: <root@x>\r\n <parent@x>\r\n"
    assert recognise(claimed, header + refs + b"\r\nText") == AttachedMail("own@x", "root@x")
    assert recognise(claimed, b"\n" + header) == AttachedMail("own@x", "parent@x")
    assert recognise(claimed, b"Message-ID: <own@x>\n") == AttachedMail("own@x", "own@x")
    for none in (b"", b"Subject: x\r\n\r\nMessage-ID: <body@x>", b"Message-ID: <>", b"\0" * 99):
        assert recognise(claimed, none) is None
    assert len(recognise(claimed, b"Message-ID: <" + b"a" * 9_000 + b">\n").root) <= 998


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (DER + b"\x03", Sealed(is_encrypted=True)),
        (bytes.fromhex("3080060b2a864886f70d0109100117"), Sealed(is_encrypted=True)),
        (DER + b"\x02", Sealed(is_encrypted=False)),
        (b"0\x82\x01\x00", None),
        (b"x" * 100 + DER + b"\x03", None),
    ],
)
def test_sealed_mail_says_how_it_is_sealed(content, seen):
    assert recognise(SMIME, content) == seen


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"GIF87a", "image/gif"),
        (b"RIFF\x01\x02\x03\x04WEBPVP8 ", "image/webp"),
        (b"RIFF\x01\x02\x03\x04AVI LIST", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", None),
        (b"<html><script>alert(1)</script>", None),
        (b"BM", None),
        (b"", None),
    ],
)
@pytest.mark.parametrize("claimed", ["image/png", "text/html", "application/octet-stream", ""])
def test_a_picture_is_what_its_content_is_and_not_what_it_is_called(claimed, content, content_type):
    assert recognise(claimed, content) == (Picture(content_type) if content_type else None)


@given(st.sampled_from([CALENDAR, DELIVERY, SMIME, "image/png"]), st.binary(max_size=300))
def test_any_bytes_are_looked_at(claimed, content):
    recognise(claimed, content)
    recognise(claimed, b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART" + content)
    recognise(claimed, b"Final-Recipient: " + content)


DEAR = [
    (CALENDAR, b"BEGIN:VCALENDAR\n", b"BEGIN:X\n"),
    (CALENDAR, b"BEGIN:VCALENDAR\n", b"A:b\n"),
    (CALENDAR, b"BEGIN:VCALENDAR\nMETHOD:", b"x\n "),
    (CALENDAR, b"BEGIN:VCALENDAR\nX;", b'"'),
    (CALENDAR, b"BEGIN:VCALENDAR\nX;", b'"a"'),
    (CALENDAR, b"BEGIN:VCALENDAR\nX", b";"),
    (CALENDAR, b"BEGIN:VCALENDAR\nMETHOD:", b"\\n"),
    (CALENDAR, b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART", b";TZID=a"),
    (CALENDAR, b"", b"\xc3"),
    (DELIVERY, b"Final-Recipient: a\n", b" \n"),
    (DELIVERY, b"Final-Recipient: a\n", b" b\n"),
    (DELIVERY, b"", b"\n\n"),
    (DELIVERY, b"", b"\n \r"),
    (DELIVERY, b"\n", b" "),
    (DELIVERY, b"", b"Final-Recipient: a\n\n"),
    (DELIVERY, b"Final-Recipient: ", b"=?utf-8?q?a?= "),
    (DELIVERY, b"Final-Recipient: ", b"=?"),
]


@pytest.mark.parametrize(("claimed", "head", "piece"), DEAR, ids=range(len(DEAR)))
def test_no_content_is_dear_to_look_at(claimed, head, piece):
    content = head + piece * (50 * 1024 * 1024 // len(piece) // 50)
    assert len(content) > TELLING_BYTES
    # What else this process holds is nothing of the content's.
    gc.disable()
    try:
        began = time.process_time()
        recognise(claimed, content)
        took = time.process_time() - began
    finally:
        gc.enable()
    # Fifty of a message are looked at, within two seconds.
    assert took < 0.2
