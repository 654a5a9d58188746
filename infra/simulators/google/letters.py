"""Decides what is read out of a message once, when it arrives: thread marks, words, snippet."""

from __future__ import annotations

import email
import email.header
import html
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

_SNIPPET = 200
_INDEXED = 20_000
_PREFIX = re.compile(r"^\s*((re|fwd?|aw|wg|sv|antw)\s*(\[\d+\])?\s*:\s*)+", re.IGNORECASE)
_TAGS = re.compile(r"(?is)<(script|style)\b.*?</\1>|<[^>]*>")
_MESSAGE_ID = re.compile(r"<[^<>\s]+>")


@dataclass(frozen=True, slots=True)
class Letter:
    """What the mailbox's tables say of a message.

    `*words` hold lower-case words between single blanks, with one at both ends, so that a word or
    a phrase is found by looking for it with its blanks. `to_words` has a line each for To, Cc, Bcc.
    """

    internet_message_id: str
    references: tuple[str, ...]
    base_subject: str
    snippet: str
    subject_words: str
    from_words: str
    to_words: str
    words: str
    has_attachment: bool
    sent_at_ms: int | None
    recipients: tuple[str, ...]


def read_letter(raw: bytes) -> Letter:
    """Read a message of any quality; what cannot be read is empty."""
    message = email.message_from_bytes(raw)
    subject = decoded(_first(message, "Subject"))
    sender = decoded(_first(message, "From"))
    by_field = [[decoded(v) for v in _all(message, n)] for n in ("To", "Cc", "Bcc")]
    receivers = [value for values in by_field for value in values]
    text = " ".join(" ".join(body_texts(message)).split())
    return Letter(
        internet_message_id=(_MESSAGE_ID.findall(str(message.get("Message-ID", ""))) or [""])[0],
        references=_references(message),
        base_subject=base_subject(subject),
        snippet=html.escape(text[:_SNIPPET], quote=True).replace("&#x27;", "&#39;"),
        subject_words=words(subject),
        from_words=words(sender),
        to_words="\n".join(words(" ".join(values)) for values in by_field),
        words=words(f"{subject} {sender} {' '.join(receivers)} {text[:_INDEXED]}"),
        has_attachment=any(part.get_filename() for part in message.walk()),
        sent_at_ms=_sent_at(message),
        recipients=tuple(
            address.lower()
            for value in receivers
            for address in re.findall(r"[^\s<>,;:\"]+@[^\s<>,;:\"]+", value)
        ),
    )


def decoded(value: object) -> str:
    """Return a header's value unfolded and with its encoded words read."""
    if value is None:
        return ""
    # Bytes that nobody declared are UTF-8 by now (RFC 6532).
    written = str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    text = re.sub(r"\r?\n(?=[ \t])", "", written).strip()
    try:
        return str(email.header.make_header(email.header.decode_header(text)))
    except (LookupError, ValueError):
        return text


def _all(message: Message, name: str) -> list[str]:
    # Not `get`: it makes replacement signs of bytes that nobody declared.
    return [str(value) for key, value in message.raw_items() if key.lower() == name.lower()]


def _first(message: Message, name: str) -> str:
    return next(iter(_all(message, name)), "")


def base_subject(subject: str) -> str:
    """Return the subject without `Re:` and its kin, as threads compare it."""
    return " ".join(_PREFIX.sub("", subject).lower().split())


def words(text: str) -> str:
    """Return lower-case words between blanks; an address counts as one word and as its parts."""
    lower = text.lower()
    found = re.findall(r"[^\s<>,;:\"'()\[\]!?]+", lower)
    parts = re.findall(r"\w+", lower)
    return f" {' '.join(found)}  {' '.join(parts)} "


def text_of(part: Message) -> str:
    """Return a text part's content, whatever charset it claims."""
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    try:
        return payload.decode(part.get_content_charset() or "utf-8")
    except (LookupError, UnicodeDecodeError):
        return payload.decode("utf-8", "replace")


def body_texts(message: Message) -> Iterator[str]:
    """Yield the readable texts: plain ones if there are any, else those of HTML."""
    parts = [part for part in message.walk() if not part.get_filename()]
    plain = [part for part in parts if part.get_content_type() == "text/plain"]
    for part in plain or [part for part in parts if part.get_content_type() == "text/html"]:
        text = text_of(part)
        yield html.unescape(_TAGS.sub(" ", text)) if not plain else text


def _references(message: Message) -> tuple[str, ...]:
    values = [str(v) for n in ("References", "In-Reply-To") for v in message.get_all(n, [])]
    return tuple(dict.fromkeys(_MESSAGE_ID.findall(" ".join(values))))


def _sent_at(message: Message) -> int | None:
    try:
        return int(parsedate_to_datetime(str(message.get("Date"))).timestamp() * 1000)
    except (TypeError, ValueError, OverflowError):
        return None
