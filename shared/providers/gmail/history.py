"""Decides what the records of a mailbox's history come to, for what we hold and what we do not.

Records are applied in order, and only where a message stands after the last of them counts: several
records about one message, or a record that comes twice, end where the mailbox does. Source:
developers.google.com/workspace/gmail/api/guides/sync and …/reference/rest/v1/users.history/list.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from shared.domain.errors import CursorExpiredError, ErrorCode, RetryLaterError
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.message import Copy, Flags
from shared.ports.provider import ChangePage, KnownCopies
from shared.providers.gmail import labels, units
from shared.providers.gmail.api import GmailApi, objects, texts, whole_number
from shared.providers.gmail.position import Position

PAGE_RECORDS = 500
"""The most there are in one page."""
_NEWS = "history(id,messagesAdded,messagesDeleted,labelsAdded,labelsRemoved)"
_MOST_EMPTY_PAGES = 100
EXPIRED = "history 404"

InScope = Callable[[Collection[FolderId]], bool]
"""Whether a message in these folders is to be synced."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: what happened at `id`, in the order its lists name it."""

    id: int
    entries: tuple["Entry", ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened to one message."""

    version: int
    """Its record's id, which was the message's history id right after."""
    kind: str
    name: ProviderMessageId
    now: frozenset[str] | None
    """All its labels, where the record says so."""
    changed: frozenset[str] = frozenset()
    """The labels that were added or removed."""


@dataclass(frozen=True, slots=True)
class News:
    """A page of history after a position, oldest record first."""

    records: tuple[Record, ...]
    history_id: int
    """Where the mailbox is now."""
    more: bool


def read_news(api: GmailApi, position: Position) -> News:
    """Ask what happened after a position: one request where nothing did.

    Raises `CursorExpiredError` where Gmail no longer knows.
    """
    parameters = {
        "startHistoryId": str(position.history_id),
        "maxResults": str(PAGE_RECORDS),
        "fields": f"{_NEWS},nextPageToken,historyId",
    }
    expired = CursorExpiredError(ErrorCode.CURSOR_EXPIRED, cause=EXPIRED)
    for _ in range(_MOST_EMPTY_PAGES):
        found = api.get("history", parameters, cost=units.HISTORY_LIST, unless={404: expired})
        records = sorted(
            (_record(one) for one in objects(found, "history")), key=lambda one: one.id
        )
        now = max(position.history_id, whole_number(found.get("historyId", 0)))
        token = found.get("nextPageToken")
        if records or not token:
            return News(tuple(records), now, bool(token))
        parameters["pageToken"] = str(token)
    raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="endless pages without a record")


def apply(
    news: News,
    position: Position,
    known: KnownCopies,
    in_scope: InScope,
    *,
    limit: int,
    now: datetime,
) -> ChangePage:
    """Return what a page of history comes to, with at most `limit` ids to fetch."""
    entries = list(_entries_after(news.records, position))
    held = known.of(list(dict.fromkeys(entry.name for _at, entry in entries)))
    tally = _Tally(held, in_scope)
    reached, more = Position.at(news.history_id, now), news.more
    if news.more:
        last = max(record.id for record in news.records)
        reached = Position.at(last, now)
    for at, entry in entries:
        if not tally.take(entry, limit):
            reached, more = replace(at, taken_at=reached.taken_at), True
            break
    return ChangePage(
        added=tally.added(),
        flags=tally.flags(),
        removed=(),
        next_cursor=reached.cursor(),
        more=more,
        placed=tally.placed(),
    )


def _record(found: Mapping[str, Any]) -> Record:
    record_id = whole_number(found.get("id"))
    entries = [
        _entry(record_id, kind, change)
        for kind in ("messagesAdded", "labelsAdded", "labelsRemoved", "messagesDeleted")
        for change in objects(found, kind)
    ]
    return Record(record_id, tuple(entries))


def _entry(record_id: int, kind: str, change: Mapping[str, Any]) -> Entry:
    message = change.get("message")
    if not isinstance(message, dict) or not isinstance(message.get("id"), str):
        raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="a record without its message")
    # Labels are left out where there are none, and also where a record just does not tell.
    now = frozenset(texts(message, "labelIds")) or None
    changed = frozenset(texts(change, "labelIds"))
    return Entry(record_id, kind, ProviderMessageId(message["id"]), now, changed)


def _entries_after(
    records: Sequence[Record], position: Position
) -> Iterator[tuple[Position, Entry]]:
    """Yield what is not worked through yet, each with the position right before it.

    Records with the same id are one: their entries are counted on.
    """
    done, skip = position.history_id, position.entries
    current, count = 0, 0
    for record in records:
        if record.id <= position.history_id:
            continue
        if record.id != current:
            if current:
                done, skip = current, 0
            current, count = record.id, 0
        for entry in record.entries:
            if count >= skip:
                yield Position(done, position.taken_at, count), entry
            count += 1


class _Tally:
    """Where each message named in a page stands at its end."""

    def __init__(self, held: Mapping[ProviderMessageId, Copy], in_scope: InScope) -> None:
        self._held = held
        self._in_scope = in_scope
        self._state: dict[ProviderMessageId, frozenset[str] | None] = {}
        """Labels of what is still there; None where nothing told them."""
        self._gone: dict[ProviderMessageId, None] = {}
        self._wanted: dict[ProviderMessageId, None] = {}
        self._versions: dict[ProviderMessageId, int] = {}

    def take(self, entry: Entry, limit: int) -> bool:
        """Apply an entry, or return False where it would name one id too many to fetch."""
        name = entry.name
        if name not in self._wanted and not self._is_live(name) and self._calls_for(entry):
            if len(self._wanted) >= limit:
                return False
            self._wanted[name] = None
        if entry.kind == "messagesDeleted":
            self._gone[name] = None
        else:
            self._gone.pop(name, None)
            self._state[name] = self._after(entry)
        self._versions[name] = entry.version
        return True

    def added(self) -> tuple[ProviderMessageId, ...]:
        return tuple(name for name in self._wanted if self._is_to_fetch(name))

    def placed(self) -> dict[ProviderMessageId, frozenset[FolderId]]:
        found: dict[ProviderMessageId, frozenset[FolderId]] = {}
        for name, copy in self._held.items():
            if name in self._gone:
                if copy.removed_at is None:
                    found[name] = frozenset()
                continue
            state = self._state.get(name)
            if state is None:
                continue
            folders = labels.folder_ids(state)
            if not self._in_scope(folders):
                if copy.removed_at is None:
                    found[name] = frozenset()
            elif copy.removed_at is not None or folders != copy.folder_ids:
                found[name] = folders
        return found

    def flags(self) -> dict[ProviderMessageId, Flags]:
        found: dict[ProviderMessageId, Flags] = {}
        for name, copy in self._held.items():
            state = self._state.get(name)
            if state is None or name in self._gone:
                continue
            flags = labels.flags_of(state, self._versions[name])
            if self._in_scope(labels.folder_ids(state)) and labels.marks(flags) != labels.marks(
                copy.flags
            ):
                found[name] = flags
        return found

    def _is_live(self, name: ProviderMessageId) -> bool:
        copy = self._held.get(name)
        return copy is not None and copy.removed_at is None

    def _calls_for(self, entry: Entry) -> bool:
        """Whether what we hold no live copy of comes into what is synced by this entry."""
        if entry.kind == "messagesDeleted":
            return False
        after = self._after(entry)
        if after is None:
            return True
        if entry.name in self._held:
            return False  # its content is here: it is placed again, not fetched
        if not self._in_scope(labels.folder_ids(after)):
            return False
        if entry.kind == "messagesAdded":
            return True
        before = after - entry.changed
        if entry.kind == "labelsRemoved":
            before = after | entry.changed
        return not self._in_scope(labels.folder_ids(before))

    def _after(self, entry: Entry) -> frozenset[str] | None:
        """Return all labels after an entry, as it says or as we know; None where neither tells.

        What we noted of a removed copy is where it was before.
        """
        if entry.now is not None:
            return entry.now
        before = self._state.get(entry.name)
        copy = self._held.get(entry.name)
        if before is None and copy is not None:
            if copy.removed_at is not None:
                return None
            before = labels.labels_of(copy.folder_ids, copy.flags)
        if entry.kind == "labelsAdded":
            return (before or frozenset()) | entry.changed
        if entry.kind == "labelsRemoved":
            return (before or frozenset()) - entry.changed
        return before

    def _is_to_fetch(self, name: ProviderMessageId) -> bool:
        if name in self._gone:
            return False
        state = self._state.get(name)
        return state is None or (
            name not in self._held and self._in_scope(labels.folder_ids(state))
        )
