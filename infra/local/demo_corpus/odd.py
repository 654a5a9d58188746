"""Decides the mail that tries a parser: legacy character sets, and messages that break the rules.

Each is what a real program once sent. They are written as bytes, since a library would mend them.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable
from email.header import Header
from email.utils import format_datetime

from infra.local.demo_corpus.compose import digest
from infra.local.demo_corpus.people import CONTACTS, Person

_PEOPLE = {contact.contact_id: contact.person for contact in CONTACTS}
_STRANGER = Person("Old Printer", "printer@branch-office.example")

Maker = Callable[[dt.datetime], bytes]


def legacy_messages() -> tuple[tuple[str, Maker], ...]:
    """Return well-formed messages in character sets older than Unicode: (what, maker)."""
    german = "Grüße aus Köln: die Maße stimmen, 20 % Rabatt wären schön."
    return (
        ("iso-8859-1", _legacy("keller", "iso-8859-1", "Maße der Türen", german)),
        ("windows-1252", _legacy("keller", "windows-1252", "Preis in € – „fest“", german + " €")),
        (
            "iso-2022-jp",
            _legacy(
                "tanaka", "iso-2022-jp", "納期の確認", "納期は来週の金曜日でよろしいでしょうか。"
            ),
        ),
        ("shift_jis", _legacy("tanaka", "shift_jis", "請求書", "請求書を郵送いたしました。")),
        ("koi8-r", _legacy("orlov", "koi8-r", "Счёт", "Счёт оплачен сегодня утром.")),
        ("windows-1251", _legacy("orlov", "windows-1251", "Договор", "Договор подписан.")),
        ("windows-1256", _legacy("haddad", "windows-1256", "فاتورة", "تم دفع الفاتورة.")),
    )


def broken_messages() -> tuple[tuple[str, Maker], ...]:
    """Return messages that break a rule each: (what, maker)."""
    return (
        ("no Message-ID", lambda date: _plain("no id", date, drop="Message-ID")),
        ("no Date", lambda date: _plain("no date", date, drop="Date")),
        ("nonsense Date", lambda date: _plain("bad date", date, Date="Yesterday, around noon")),
        ("no From", lambda date: _plain("no sender", date, drop="From")),
        ("wrong charset", _wrong_charset),
        ("unknown charset", _unknown_charset),
        ("bad base64", _bad_base64),
        ("truncated multipart", _truncated),
        ("missing boundary", _missing_boundary),
        ("duplicate Message-ID, first", lambda date: _duplicate("The first letter", date)),
        ("duplicate Message-ID, second", lambda date: _duplicate("Another letter", date)),
        ("8-bit headers", _eight_bit_headers),
        ("no body", lambda date: _plain("no body", date).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"),
        ("folded everything", _folded),
        ("nothing but text", lambda _: b"This file was never a message.\r\nIt has no header.\r\n"),
    )


def _legacy(contact_id: str, charset: str, subject: str, text: str) -> Maker:
    person = _PEOPLE[contact_id]

    def make(date: dt.datetime) -> bytes:
        name = Header(person.name, charset).encode()
        body = text.encode(charset)
        encoding = "7bit" if charset == "iso-2022-jp" else "8bit"
        lines = (
            f"From: {name} <{person.address}>",
            "To: ada@mailroom.example",
            f"Subject: {Header(subject, charset).encode()}",
            f"Date: {format_datetime(date)}",
            f"Message-ID: <{digest(charset + subject)}@{person.address.partition('@')[2]}>",
            "MIME-Version: 1.0",
            f"Content-Type: text/plain; charset={charset}",
            f"Content-Transfer-Encoding: {encoding}",
            "",
            "",
        )
        return "\r\n".join(lines).encode("ascii") + body + b"\r\n"

    return make


def _plain(
    key: str, date: dt.datetime, *, drop: str = "", body: bytes = b"", **headers: str
) -> bytes:
    lines = {
        "From": f"{_STRANGER.name} <{_STRANGER.address}>",
        "To": "ada@mailroom.example",
        "Subject": f"Scan from the branch office ({key})",
        "Date": format_datetime(date),
        "Message-ID": f"<{digest(key)}@branch-office.example>",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines.pop(drop, None)
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode() + b"\r\n" + (body or f"Page 1 of 1, {key}.\r\n".encode())


def _wrong_charset(date: dt.datetime) -> bytes:
    return _plain(
        "wrong charset",
        date,
        body="Says UTF-8, but is Latin: Grüße, Größe, Straße\r\n".encode("iso-8859-1"),
        MIME_Version="1.0",
        Content_Type="text/plain; charset=utf-8",
        Content_Transfer_Encoding="8bit",
    )


def _unknown_charset(date: dt.datetime) -> bytes:
    return _plain(
        "unknown charset",
        date,
        body="Nobody knows x-unknown-8bit: Grüße\r\n".encode(),
        MIME_Version="1.0",
        Content_Type="text/plain; charset=x-unknown-8bit",
    )


def _bad_base64(date: dt.datetime) -> bytes:
    good = base64.encodebytes(b"The page came through, but the line was bad. " * 4)
    return _plain(
        "bad base64",
        date,
        body=good.replace(b"\n", b"\r\n")[:-9] + b"*!\r\n=\r\n",
        MIME_Version="1.0",
        Content_Type="text/plain; charset=utf-8",
        Content_Transfer_Encoding="base64",
    )


def _truncated(date: dt.datetime) -> bytes:
    pixels = base64.encodebytes(bytes(range(256)) * 2).replace(b"\n", b"\r\n")
    body = (
        b"--cut\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nThe photo is attached.\r\n"
        b"--cut\r\nContent-Type: image/png; name=photo.png\r\n"
        b"Content-Disposition: attachment; filename=photo.png\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + pixels[:300]
    )
    kind = 'multipart/mixed; boundary="cut"'
    return _plain("truncated", date, body=body, MIME_Version="1.0", Content_Type=kind)


def _missing_boundary(date: dt.datetime) -> bytes:
    body = b"--lost\r\nContent-Type: text/plain\r\n\r\nThe boundary was lost.\r\n--lost--\r\n"
    return _plain(
        "missing boundary", date, body=body, MIME_Version="1.0", Content_Type="multipart/mixed"
    )


def _duplicate(text: str, date: dt.datetime) -> bytes:
    same = "<0001@branch-office.example>"
    return _plain(text, date, body=f"{text}.\r\n".encode(), Message_ID=same, Subject=text)


def _eight_bit_headers(date: dt.datetime) -> bytes:
    subject = "Grüße vom Drucker: Büro".encode("iso-8859-1")
    raw = _plain("8-bit headers", date, Subject="SUBJECT", From="SENDER <x@branch-office.example>")
    return raw.replace(b"SUBJECT", subject).replace(b"SENDER", "Jörg Müller".encode())


def _folded(date: dt.datetime) -> bytes:
    subject = "Scan\r\n from\r\n\tthe branch\r\n  office"
    return _plain(
        "folded", date, Subject=subject, To="ada@mailroom.example,\r\n grace@mailroom.example"
    )
