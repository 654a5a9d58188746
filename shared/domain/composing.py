"""What a mail consists of before it is one: each value that may stand in it, checked by itself.

What goes into a header is refused where it holds a line break or any other control character,
whoever wrote it: a mail whose header somebody can add to goes to whom they like. What comes from
mail of strangers is cleaned before it gets here (`reply`), so that what is refused is what a person
typed, and the field is named.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.addresses import MAX_ADDRESS_LENGTH, canonical_domain
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.ids import SendId

MAX_SUBJECT_CHARACTERS = 998
MAX_NAME_CHARACTERS = 200
MAX_FILENAME_CHARACTERS = 255
"""All three are less than what is kept of a mail that is read (`mime/caps`)."""
MAX_LOCAL_PART_LENGTH = 64

# RFC 5322, 3.2.3; dots may stand anywhere, because there are mailboxes named so.
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+")
_DOMAIN = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_CONTENT_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]{1,200}")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,240}@[!-;=?-~]{1,255}>")
_WRITABLE_ID = re.compile(r"[!-;=?-~]{1,950}")
"""As much as fits into a line of a mail (RFC 5322, 2.1.1) behind the name of its field."""
_NOT_IN_A_LINE = frozenset({"Cc", "Zl", "Zp", "Cs"})
"""Controls, separators of lines and paragraphs, and halves of a character."""
_NO_BREAKS = "A line break or another control character cannot stand here."


@dataclass(frozen=True, slots=True)
class NamedAddress:
    """An address as it goes into a header and the envelope, and what its owner is called."""

    address: str
    """As `sendable_address` returns it."""
    name: str = ""


@dataclass(frozen=True, slots=True)
class DraftAttachment:
    """A file that goes along."""

    filename: str
    content_type: str
    """As claimed; what is no type a part can have goes as a plain file."""
    content: bytes = field(repr=False)
    content_id: str | None = None
    """Without angle brackets: how the HTML names it, as `cid:…`."""
    inline: bool = False
    """Whether it is shown in the HTML, which names its `content_id`."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Everything one mail is made of. The same draft is always the same mail, byte by byte."""

    sender: NamedAddress
    internet_message_id: str
    """With its angle brackets; see `message_id_of`."""
    date: datetime
    """Aware."""
    to: tuple[NamedAddress, ...] = ()
    cc: tuple[NamedAddress, ...] = ()
    bcc: tuple[NamedAddress, ...] = ()
    """Never in the content."""
    reply_to: NamedAddress | None = None
    subject: str = ""
    text: str | None = None
    html: str | None = None
    """Without `text` a text is made of it; without both the mail is empty."""
    attachments: tuple[DraftAttachment, ...] = ()
    in_reply_to: str | None = None
    """A Message-ID, with or without its angle brackets; one that cannot be written is left out."""
    references: tuple[str, ...] = ()
    """As `in_reply_to`, the root first."""
    test_of: SendId | None = None
    """Set for a test message: sync knows it by this (see `round_trip`)."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Whom a mail is handed over for."""

    recipients: tuple[str, ...]
    """Each once, in the order of To, Cc and Bcc."""
    blind: tuple[str, ...]
    """Those of them whom neither To nor Cc names."""


def envelope_of(draft: Draft) -> Envelope:
    """Return whom the mail is for."""
    shown = dict.fromkeys(one.address for one in (*draft.to, *draft.cc))
    blind = dict.fromkeys(one.address for one in draft.bcc if one.address not in shown)
    return Envelope((*shown, *blind), tuple(blind))


def message_id_of(send_id: SendId, sender: str) -> str:
    """Return the Message-ID of a send, with its angle brackets, known before anything is sent."""
    return f"<{send_id.lower()}.mailroom@{sender.rpartition('@')[2]}>"


def sendable_address(text: str, field_name: str) -> str:
    """Return an address as it goes into a header and the envelope: its domain in ASCII.

    The local part stays as it is written: upper case may mean something to its server. Raises
    `RequestError` naming the field: `ADDRESS_NOT_SUPPORTED` for letters before the @ that only
    SMTPUTF8 (RFC 6531) could bring, which few servers take; `INVALID_REQUEST` for what is none.
    """
    text = text.strip()
    local, at, written = text.rpartition("@")
    domain = canonical_domain(written.removesuffix("."))
    is_one = at and domain is not None and _DOMAIN.fullmatch(domain)
    if is_one and local and not local.isascii() and _is_one_line(local):
        reason = "Only ASCII letters may stand before the @."
        raise RequestError(ErrorCode.ADDRESS_NOT_SUPPORTED, fields=[(field_name, reason)])
    if (
        not is_one
        or not _LOCAL_PART.fullmatch(local)
        or len(local) > MAX_LOCAL_PART_LENGTH
        or len(text) > MAX_ADDRESS_LENGTH
    ):
        reason = "This is not an e-mail address, such as ann@example.org."
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=[(field_name, reason)])
    return f"{local}@{domain}"


def refusals(text: str, field_name: str) -> Sequence[tuple[str, str]]:
    """Return why `sendable_address` refuses an address, by field; nothing where it does not."""
    try:
        sendable_address(text, field_name)
    except RequestError as error:
        return error.fields
    return ()


def one_line(text: str) -> str:
    """Return a text from mail of strangers as it may stand in a header: what may not is a space."""
    if _is_one_line(text):
        return " ".join(text.split())
    return " ".join(
        "".join(
            " " if unicodedata.category(letter) in _NOT_IN_A_LINE else letter for letter in text
        ).split()
    )


def writable_id(name: str | None) -> str | None:
    """Return a Message-ID without angle brackets, or None where it cannot stand in a header.

    Mail of strangers may be named anything.
    """
    bare = (name or "").removeprefix("<").removesuffix(">")
    return bare if _WRITABLE_ID.fullmatch(bare) else None


def is_content_id(text: str) -> bool:
    """Whether a part can be named so and found again."""
    return _CONTENT_ID.fullmatch(text) is not None


def check(draft: Draft) -> None:
    """Raise `RequestError(INVALID_REQUEST)` naming every field that no mail can have."""
    if not _MESSAGE_ID.fullmatch(draft.internet_message_id) or draft.date.tzinfo is None:
        raise ValueError("a draft has a Message-ID and an aware date of ours")
    if refused := list(_refused(draft)):
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=refused)


def _refused(draft: Draft) -> Iterator[tuple[str, str]]:
    yield from _not_a_line("subject", draft.subject, MAX_SUBJECT_CHARACTERS)
    for name, people in _people(draft):
        for path, one in people:
            yield from _not_a_line(f"{name}{path}.name", one.name, MAX_NAME_CHARACTERS)
            yield from _not_an_address(f"{name}{path}.address", one.address)
    for name, body in (("text", draft.text), ("html", draft.html)):
        if body is not None and ("\0" in body or _has_half_letters(body)):
            yield name, "A null character, or half of one in UTF-16, cannot stand here."
    names: set[str] = set()
    for number, part in enumerate(draft.attachments):
        path = f"attachments.{number}"
        if not part.filename.strip():
            yield f"{path}.filename", "A file needs a name."
        yield from _not_a_line(f"{path}.filename", part.filename, MAX_FILENAME_CHARACTERS)
        if part.content_id is None:
            continue
        if not is_content_id(part.content_id):
            yield f"{path}.content_id", "At most 200 ASCII letters, digits, dots, @ and the like."
        if part.content_id in names:
            yield f"{path}.content_id", "Another attachment has this id."
        names.add(part.content_id)


_Numbered = Iterator[tuple[str, NamedAddress]]


def _people(draft: Draft) -> Iterator[tuple[str, _Numbered]]:
    yield "from", iter([("", draft.sender)])
    if draft.reply_to is not None:
        yield "reply_to", iter([("", draft.reply_to)])
    for name, people in (("to", draft.to), ("cc", draft.cc), ("bcc", draft.bcc)):
        yield name, ((f".{number}", one) for number, one in enumerate(people))


def _not_an_address(name: str, address: str) -> Iterator[tuple[str, str]]:
    try:
        if sendable_address(address, name) != address:
            yield name, "The domain has another form in a mail."
    except RequestError as error:
        yield from error.fields


def _not_a_line(name: str, text: str, most: int) -> Iterator[tuple[str, str]]:
    if not _is_one_line(text):
        yield name, _NO_BREAKS
    elif len(text) > most:
        yield name, f"At most {most} characters."


def _is_one_line(text: str) -> bool:
    # A tab does no harm, and is pasted from tables.
    return text.isprintable() or not any(
        unicodedata.category(letter) in _NOT_IN_A_LINE for letter in text if letter != "\t"
    )


def _has_half_letters(text: str) -> bool:
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
