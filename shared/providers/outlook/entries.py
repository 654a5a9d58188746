"""Decides what an entry of a delta or a message's properties say to us.

Entries come in any order, more than once, and with others of the same message between them
(learn.microsoft.com/graph/delta-query-overview); `Page` brings each message to one answer, or names
it as one that has to be asked for.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import quote

from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.message import Flags
from shared.providers.outlook import errors

FIELDS = (
    "id,receivedDateTime,isRead,isDraft,flag,parentFolderId,hasAttachments,lastModifiedDateTime"
    ",conversationIndex"
)
"""Everything we know a message by before its content; a change of any of them is told by delta."""
_INDEX_HEADER_BYTES = 22
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """What Graph says of a message without its content."""

    id: ProviderMessageId
    folder_id: FolderId | None
    received_at: datetime
    flags: Flags
    has_attachments: bool
    thread: str | None = None
    """What all answers to one message share with it; see `_thread_of`."""
    blind: str = ""
    """Its Bcc as a header writes it, where that was asked for: hundreds to a page of a thousand
    would be more than is held."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a folder's delta, each message in one place of it."""

    present: Mapping[ProviderMessageId, Entry]
    removed: frozenset[ProviderMessageId]
    doubtful: Mapping[ProviderMessageId, Entry]
    """Told as present and as removed: which was last, nobody says."""
    link: str
    """The next one, of this round or of what follows."""
    is_last: bool
    """The round is over."""

    @property
    def is_empty(self) -> bool:
        """Whether it tells nothing; more may follow."""
        return not (self.present or self.removed or self.doubtful)


def read_page(body: Mapping[str, object], link: str, *, is_last: bool) -> Page:
    """Return the page `body` is; raises `RetryLaterError` for what is none."""
    listed = body.get("value")
    if not isinstance(listed, list):
        raise errors.unusable("a page without a list")
    present: dict[ProviderMessageId, Entry] = {}
    removed: set[ProviderMessageId] = set()
    for one in listed:
        name = one.get("id") if isinstance(one, dict) else None
        if not isinstance(one, dict) or not isinstance(name, str) or not name:
            raise errors.unusable("an entry without an id")
        identifier = ProviderMessageId(name)
        if "@removed" in one:
            removed.add(identifier)
            continue
        entry = read_entry(one)
        known = present.get(identifier)
        if known is None or entry.flags.version >= known.flags.version:
            present[identifier] = entry
    doubtful = {name: present.pop(name) for name in removed & present.keys()}
    return Page(present, frozenset(removed - doubtful.keys()), doubtful, link, is_last)


def read_entry(stored: Mapping[str, object]) -> Entry:
    """Return what a message's properties say; one that is missing or odd has its plainest value.

    `answered` is not among what Graph tells: it is false for all.
    """
    folder = stored.get("parentFolderId")
    flag = stored.get("flag")
    modified = instant(stored.get("lastModifiedDateTime"))
    return Entry(
        id=ProviderMessageId(str(stored.get("id", ""))),
        folder_id=FolderId(folder) if isinstance(folder, str) and folder else None,
        received_at=instant(stored.get("receivedDateTime")) or _LONG_AGO,
        flags=Flags(
            seen=stored.get("isRead") is True,
            flagged=isinstance(flag, dict) and flag.get("flagStatus") == "flagged",
            draft=stored.get("isDraft") is True,
            version=int(modified.timestamp() * 1000) if modified else 0,
        ),
        has_attachments=stored.get("hasAttachments") is True,
        thread=_thread_of(stored.get("conversationIndex")),
        blind=written_addresses(stored.get("bccRecipients")),
    )


def _thread_of(index: object) -> str | None:
    """Return the header of a conversation index, which every answer repeats and adds five bytes to.

    Not `conversationId`: without an index Exchange makes that of the subject alone, and mail that
    has nothing else in common gets the same (learn.microsoft.com/office/client-developer/outlook/
    mapi/tracking-conversations, MS-OXOMSG 2.2.1.2).
    """
    try:
        found = base64.b64decode(index, validate=True) if isinstance(index, str) else b""
    except ValueError:
        return None
    header = found[:_INDEX_HEADER_BYTES]
    return header.hex() if len(header) == _INDEX_HEADER_BYTES else None


def written_addresses(listed: object) -> str:
    """Return a list of recipients as a header writes it, on one line; "" for nobody."""
    written: list[str] = []
    for one in listed if isinstance(listed, list) else []:
        mail = one.get("emailAddress") if isinstance(one, dict) else None
        if isinstance(mail, dict) and mail.get("address"):
            name = str(mail.get("name") or "")
            written.append(f'"{quote(name)}" <{mail["address"]}>')
    return " ".join(", ".join(written).split())


def names_without_address(listed: object) -> bool:
    """Whether one of a list of recipients has no address, or one of Exchange's own directory.

    In the message itself it may have one.
    """
    for one in listed if isinstance(listed, list) else []:
        mail = one.get("emailAddress") if isinstance(one, dict) else None
        if isinstance(mail, dict) and any(mail.values()) and "@" not in str(mail.get("address")):
            return True
    return False


def instant(value: object) -> datetime | None:
    """Return an `Edm.DateTimeOffset`; what is no instant counts as none."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        return found.astimezone(UTC) if found and found.tzinfo else None
    except (ValueError, OverflowError):
        return None
