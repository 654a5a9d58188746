"""Decides what Exchange keeps of a message it is given: properties, bodies, attachments.

Exchange takes a message apart when it comes in and does not keep its bytes. Whatever is not in
`Mail` is lost here as it is there.
"""

from __future__ import annotations

import email
import email.errors
import email.header
import email.utils
import re
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

_INLINE_TEXT = ("text/plain", "text/html", "text/calendar")
_YEAR_1, _YEAR_9999 = -62_000_000_000, 253_000_000_000
_RE = re.compile(r"^\s*((re|aw|sv|antw|fw|fwd|wg)\s*(\[\d+\])?\s*:\s*)+", re.IGNORECASE)


@dataclass(slots=True)
class Attachment:
    """A file, or a message (``item``), attached to a message."""

    name: str
    content_type: str
    content: bytes
    is_inline: bool = False
    content_id: str = ""
    kind: str = "file"


@dataclass(slots=True)
class Mail:
    """What a message says, whoever made it.

    Attributes:
        facts: addresses and the like, as Graph names them, ready for JSON.
        headers: all of them in order, decoded.
        sent: epoch seconds; None when there is no date.
    """

    subject: str = ""
    internet_id: str = ""
    sent: int | None = None
    importance: str = "normal"
    html: str | None = None
    plain: str | None = None
    calendar: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    headers: list[tuple[str, str]] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)

    @property
    def references(self) -> list[str]:
        """The ids of the messages that this one answers, oldest first."""
        found: list[str] = []
        for name, value in self.headers:
            if name.lower() in ("references", "in-reply-to"):
                found += [one for one in re.findall(r"<[^<>\s]+>", value) if one not in found]
        return found


def topic(subject: str) -> str:
    """Return a subject without the marks of replies and forwards."""
    return _RE.sub("", subject).strip()


def read_mail(raw: bytes) -> Mail:
    """Return what a message says. Never fails: what cannot be read is left out."""
    message = email.message_from_bytes(raw)
    mail = Mail(headers=[(name, _decoded(value)) for name, value in message.raw_items()])
    mail.subject = _one_line(_decoded(_first(message, "Subject")))
    mail.internet_id = _one_line(_first(message, "Message-ID"))
    mail.sent = _date(_first(message, "Date"))
    mail.importance = _importance(message)
    mail.facts = _people(message)
    _walk(message, mail)
    return mail


def _people(message: Message) -> dict[str, Any]:
    everyone = {
        name: [_recipient(*pair) for pair in _addresses(message, header)]
        for name, header in (
            ("toRecipients", "To"),
            ("ccRecipients", "Cc"),
            ("bccRecipients", "Bcc"),
            ("replyTo", "Reply-To"),
            ("from", "From"),
            ("sender", "Sender"),
        )
    }
    writers, senders = everyone.pop("from"), everyone.pop("sender")
    facts: dict[str, Any] = dict(everyone)
    if writers or senders:
        facts |= {"from": (writers or senders)[0], "sender": (senders or writers)[0]}
    receipt = message.get("Disposition-Notification-To") is not None
    return facts | {"isReadReceiptRequested": receipt}


def _addresses(message: Message, header: str) -> list[tuple[str, str]]:
    # A group's words and an empty list come out as a pair without an address.
    values = _all(message, header)
    found = email.utils.getaddresses(values)
    return [(_decoded(name), address) for name, address in found if "@" in address]


def _recipient(name: str, address: str) -> dict[str, Any]:
    return {"emailAddress": {"name": _one_line(name) or address, "address": _one_line(address)}}


def _importance(message: Message) -> str:
    said = _first(message, "Importance").strip().lower()
    if said in ("low", "normal", "high"):
        return said
    priority = _first(message, "X-Priority").strip()[:1]
    return {"1": "high", "2": "high", "4": "low", "5": "low"}.get(priority, "normal")


def _date(value: str) -> int | None:
    try:
        stamp = email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    # Graph's dates have four digits for the year.
    return int(stamp) if _YEAR_1 < stamp < _YEAR_9999 else None


# ---- parts ------------------------------------------------------------------------------------


def _walk(part: Message, mail: Mail) -> None:
    kind = part.get_content_type()
    if kind.startswith("multipart/") and not part.is_multipart():
        kind = "text/plain"  # without a boundary that holds, it is all text
    if kind == "message/rfc822":
        _attach_message(part, mail)
    elif part.get_content_maintype() == "message":
        mail.attachments.append(_report(part, kind))
    elif part.is_multipart():
        for child in part.get_payload():
            if isinstance(child, Message):
                _walk(child, mail)
    elif kind in _INLINE_TEXT and not _is_file(part) and _take_body(part, kind, mail):
        pass
    else:
        mail.attachments.append(_file(part, kind))


def _is_file(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or part.get_filename() is not None


def _take_body(part: Message, kind: str, mail: Mail) -> bool:
    """Take a part as a body; False when that place is taken."""
    name = {"text/html": "html", "text/calendar": "calendar"}.get(kind, "plain")
    if getattr(mail, name) is not None:
        return False
    setattr(mail, name, _body(part))
    return True


def _body(part: Message) -> str:
    data = part.get_payload(decode=True)
    content = data if isinstance(data, bytes) else b""
    for charset in (part.get_content_charset() or "us-ascii", "utf-8"):
        try:
            return _clean(content.decode(charset))
        except (LookupError, UnicodeDecodeError):
            continue
    return _clean(content.decode("windows-1252", "replace"))


def _file(part: Message, kind: str) -> Attachment:
    data = part.get_payload(decode=True)
    content_id = _first(part, "Content-ID").strip().strip("<>")
    return Attachment(
        name=_one_line(_decoded(part.get_filename() or "")) or _made_up_name(kind),
        content_type=kind,
        content=data if isinstance(data, bytes) else b"",
        is_inline=bool(content_id) and part.get_content_disposition() != "attachment",
        content_id=content_id,
    )


def _attach_message(part: Message, mail: Mail) -> None:
    inner = part.get_payload()
    message = inner[0] if isinstance(inner, list) and inner else Message()
    if not isinstance(message, Message):
        return
    try:
        content = message.as_bytes()
    except (UnicodeError, LookupError, email.errors.MessageError):
        content = str(message).encode("utf-8", "replace")
    name = _one_line(_decoded(_first(message, "Subject"))) or "Untitled"
    mail.attachments.append(Attachment(name, "message/rfc822", content, kind="item"))


def _report(part: Message, kind: str) -> Attachment:
    # The parser makes messages of the groups of a delivery report; they are lines, and stay so.
    groups = part.get_payload()
    texts = groups if isinstance(groups, list) else [groups]
    content = "\r\n".join(str(one).rstrip() + "\r\n" for one in texts)
    content = content.replace("\r\n", "\n").replace("\n", "\r\n")
    return Attachment("details.txt", kind, content.encode("ascii", "replace"))


def _made_up_name(kind: str) -> str:
    return {"text/plain": "ATT00001.txt", "text/html": "ATT00001.htm"}.get(kind, "ATT00001.bin")


# ---- text -------------------------------------------------------------------------------------


def _all(message: Message, name: str) -> list[str]:
    # Not `get`: it makes replacement signs of bytes that nobody declared.
    return [_text(value) for key, value in message.raw_items() if key.lower() == name.lower()]


def _first(message: Message, name: str) -> str:
    return next(iter(_all(message, name)), "")


def _text(value: Any) -> str:
    """Return a header's value as text that can be written anywhere."""
    raw = str(value).encode("utf-8", "surrogateescape")
    try:
        return _clean(raw.decode())
    except UnicodeDecodeError:
        return _clean(raw.decode("windows-1252", "replace"))


def _decoded(value: Any) -> str:
    text = re.sub(r"\r?\n(?=[ \t])", "", _text(value))
    try:
        pieces = email.header.decode_header(text)
    except (email.errors.HeaderParseError, ValueError):
        return text
    if all(charset is None for _, charset in pieces):
        return text
    return "".join(_piece(data, charset) for data, charset in pieces)


def _piece(data: bytes | str, charset: str | None) -> str:
    if isinstance(data, str):
        return data
    try:
        return _clean(data.decode(charset or "ascii"))
    except (LookupError, UnicodeDecodeError):
        return _clean(data.decode("utf-8", "replace"))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "")
