"""Decides the mail nobody wrote by hand: newsletters, notices, bounces, auto-replies and junk."""

from __future__ import annotations

import html
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING

from infra.local.demo_corpus.compose import Draft, digest, write
from infra.local.demo_corpus.people import ADA, Person

if TYPE_CHECKING:
    import datetime as dt

_NEWSLETTERS = (
    (Person("Bright Weekly", "news@bright-weekly.example"), "Bright Weekly #{n}: light in cafés"),
    (Person("Hafen-Kurier", "info@hafen-kurier.example"), "Der Kurier, Ausgabe {n}: Neues am Kai"),
    (Person("Tools for Trades", "hello@tools-trades.example"), "{n} offers for your workshop 🔧"),
)
_NOTICES = (
    (Person("Parcel Service", "no-reply@parcels.example"), "Your parcel {n} is on its way"),
    (Person("Town Bank", "service@town-bank.example"), "Your statement {n} is ready"),
    (Person("Calendar", "calendar@mailroom.example"), "Reminder: team meeting ({n})"),
)
_JUNK = (
    "You have WON {n} dollars!!!",
    "Cheap watches, limited offer {n}",
    "URGENT: your mailbox is almost full ({n})",
)


def newsletter(number: int, date: dt.datetime) -> bytes:
    """Return a newsletter with an HTML body of tables, a tracking pixel, a style and a script."""
    sender, subject = _NEWSLETTERS[number % len(_NEWSLETTERS)]
    subject = subject.format(n=100 + number)
    host = sender.address.partition("@")[2]
    stories = "".join(
        f'<tr><td style="padding:12px"><h2>Story {at}</h2><p>{html.escape(_STORY)}</p>'
        f'<a href="https://{host}/{number}/{at}?utm_source=mail">Read on</a></td></tr>'
        for at in range(1, 5)
    )
    body = (
        "<html><head><style>td { font-family: sans-serif }</style>"
        "<script>document.title = 'opened'</script></head><body>"
        f'<img src="https://{host}/open.gif?id={number}" width="1" height="1" alt="">'
        f'<table width="600" align="center">{stories}</table>'
        f'<p><a href="https://{host}/leave?id={number}" onclick="track()">Unsubscribe</a></p>'
        "</body></html>\n"
    )
    headers = {
        "List-Id": f"<news.{host}>",
        "List-Unsubscribe": f"<https://{host}/leave?id={number}>",
        "Precedence": "bulk",
    }
    text = f"{subject}\n\n{_STORY}\n\nRead it in the browser: https://{host}/{number}"
    key = f"newsletter {number}"
    return write(Draft(key, sender, (ADA,), subject, text, date, html_body=body, headers=headers))


def notice(number: int, date: dt.datetime) -> bytes:
    """Return a short notice by a machine."""
    sender, subject = _NOTICES[number % len(_NOTICES)]
    subject = subject.format(n=7000 + number)
    text = f"{subject}.\n\nThis message was sent by a machine; nobody reads answers to it."
    headers = {"Auto-Submitted": "auto-generated"}
    return write(Draft(f"notice {number}", sender, (ADA,), subject, text, date, headers=headers))


def junk(number: int, date: dt.datetime) -> bytes:
    """Return what belongs into Junk."""
    sender = Person("Lucky Prize Team", f"winner{number}@prizes.example")
    subject = _JUNK[number % len(_JUNK)].format(n=1000 * (number + 1))
    body = f'<b>{html.escape(subject)}</b><form action="https://prizes.example"><input></form>\n'
    headers = {"X-Spam-Flag": "YES"}
    draft = Draft(f"junk {number}", sender, (ADA,), subject, subject, date, body, headers=headers)
    return write(draft)


def auto_reply(number: int, sender: Person, date: dt.datetime, answers: str) -> bytes:
    """Return an absence note that answers the message with the id ``answers``."""
    headers = {"Auto-Submitted": "auto-replied", "X-Auto-Response-Suppress": "All"}
    text = "I am out of the office until Monday and will answer then."
    draft = Draft(
        f"auto-reply {number}",
        sender,
        (ADA,),
        "Automatic reply: out of office",
        text,
        date,
        references=(answers,),
        headers=headers,
    )
    return write(draft)


def bounce(number: int, date: dt.datetime) -> bytes:
    """Return a report that a message could not be delivered (RFC 3464)."""
    gone = f"someone{number}@closed-shop.example"
    boundary = f"=_{digest(f'bounce {number}')}"
    message = EmailMessage(policy=SMTP)
    message["From"] = "Mail Delivery System <MAILER-DAEMON@mx.mailroom.example>"
    message["To"] = ADA.address
    message["Subject"] = "Undelivered Mail Returned to Sender"
    message["Date"] = format_datetime(date)
    message["Message-ID"] = f"<{digest(f'bounce {number}')}@mx.mailroom.example>"
    message["Auto-Submitted"] = "auto-replied"
    message["MIME-Version"] = "1.0"
    kind = f'multipart/report; report-type=delivery-status; boundary="{boundary}"'
    head = message.as_bytes().rstrip(b"\r\n") + f"\r\nContent-Type: {kind}\r\n\r\n".encode()
    status = (
        "Reporting-MTA: dns; mx.mailroom.example\r\n\r\n"
        f"Final-Recipient: rfc822; {gone}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 User unknown\r\n"
    )
    original = f"From: {ADA.address}\r\nTo: {gone}\r\nSubject: Price list\r\n"
    parts = (
        ("text/plain; charset=us-ascii", f"Your message to {gone} could not be delivered.\r\n"),
        ("message/delivery-status", status),
        ("text/rfc822-headers", original),
    )
    body = "".join(f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n{text}" for kind, text in parts)
    return head + f"{body}--{boundary}--\r\n".encode()


_STORY = (
    "Good light is noticed only when it is missing. We visited three small rooms, a bakery, a "
    "library and a garage, and measured what their owners had changed & why."
)
