"""How a page is filled from indexes that hold more than the viewer may see.

Several indexes, each newest first, are read as one. Entries are looked at in order until the page
is full, the indexes end, or one of the budgets of a page is spent, of entries and of requests;
`next` is then the last entry shown, or the last one looked at where none is: its token can be read,
and is to tell as little as can be of what is hidden. It is None only at the very end, so a page may
be empty and still have a next one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import NamedTuple, Protocol

from shared.domain.ids import FolderId, MessageId
from shared.operations.show_messages import MessageView
from shared.ports.stores import IndexPage, TimelineEntry

MOST_ENTRIES_LOOKED_AT = 1_000
"""Index entries one request looks at: bounds its time however little of them the viewer may see."""
MOST_REQUESTS = 40
"""Requests for mail after which a page ends, however many people and copies there are.

The one that is spent last may take more: as many as a single message does.
"""
_FEWEST_PER_READ = 25
_MOST_PER_READ = 100


class Indexes(Protocol):
    """Some indexes, read newest first."""

    def __call__(self, *, before: TimelineEntry | None, limit: int) -> Sequence[IndexPage]:
        """Return of each up to `limit` entries that come after `before` in its order."""
        ...


Views = Mapping[MessageId, MessageView]


class Judged(NamedTuple):
    """What a look at some entries gave."""

    views: Views
    """Those messages of the first entries that belong on the page."""
    number: int
    """How many entries were judged: one at least, where there is one."""
    requests: int
    """How many it took."""


Judge = Callable[[Sequence[TimelineEntry]], Judged]

Read = Callable[[TimelineEntry | None, int], tuple[Sequence[TimelineEntry], bool]]
"""Gives so many entries that come after one, in the list's order, and whether there are more."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some messages in the list's order, and where the next page goes on (None: nowhere)."""

    items: tuple[MessageView, ...]
    next: TimelineEntry | None


def page_through(
    indexes: Indexes,
    judge: Judge,
    *,
    before: TimelineEntry | None,
    limit: int,
    budget: int = MOST_ENTRIES_LOOKED_AT,
    looks: int | None = None,
) -> Page:
    """Return up to `limit` of the messages that `judge` lets through, each once.

    `looks`: after so many judgements a page on which there is anything ends.
    """
    read = partial(_read, indexes)
    return fill_page(read, judge, before=before, limit=limit, budget=budget, looks=looks)


def fill_page(
    read: Read,
    judge: Judge,
    *,
    before: TimelineEntry | None,
    limit: int,
    budget: int = MOST_ENTRIES_LOOKED_AT,
    looks: int | None = None,
) -> Page:
    """Return a page of a list that `read` reads, in whatever order it is; as `page_through`."""
    items: list[MessageView] = []
    done: set[MessageId] = {before.message_id} if before else set()
    last_shown: TimelineEntry | None = None
    looked_at = looked = spent = 0
    entries: Sequence[TimelineEntry] = ()
    more = True
    while True:
        if not entries:
            size = min(max(limit - len(items), _FEWEST_PER_READ), _MOST_PER_READ)
            entries, more = read(before, size)
        fresh = [entry for entry in entries if entry.message_id not in done]
        views, judged, requests = judge(fresh)
        looked += 1
        spent += requests
        unjudged = fresh[judged] if judged < len(fresh) else None
        for position, entry in enumerate(entries):
            if entry is unjudged:
                entries = entries[position:]
                break
            before = entry
            looked_at += 1
            if entry.message_id in done:
                continue
            done.add(entry.message_id)
            if entry.message_id in views:
                items.append(views[entry.message_id])
                last_shown = entry
            if len(items) == limit:
                rest = {left.message_id for left in entries[position + 1 :]} - done
                return Page(tuple(items), before if more or rest else None)
        else:
            entries = ()
        if not entries and not more:
            return Page(tuple(items), None)
        is_spent = looked_at >= budget or spent >= MOST_REQUESTS
        if is_spent or (looks is not None and items and looked >= looks):
            return Page(tuple(items), last_shown or before)


def entry_to_position(entry: TimelineEntry) -> list[str | int | None]:
    """Return what a page token keeps of an entry."""
    return [entry.at.isoformat(), entry.message_id, entry.folder_id]


def entry_at_position(position: Sequence[str | int | None] | None) -> TimelineEntry | None:
    """Read what `entry_to_position` gave; raises ValueError for anything else."""
    if position is None:
        return None
    match position:
        case [str(at), str(message_id), None | str() as folder_id]:
            instant = datetime.fromisoformat(at)
            if instant.tzinfo is None:
                raise ValueError("an instant without a zone")
            return TimelineEntry(
                instant, MessageId(message_id), None if folder_id is None else FolderId(folder_id)
            )
        case _:
            raise ValueError("not a position in an index")


def _read(
    indexes: Indexes, before: TimelineEntry | None, size: int
) -> tuple[Sequence[TimelineEntry], bool]:
    """Read the next `size` entries of all indexes taken as one; also say whether there are more."""
    pages = indexes(before=before, limit=size)
    # Behind the last entry of an index that goes on there may be others of its own.
    known_to = max((_order(page.entries[-1]) for page in pages if page.more), default=None)
    together: dict[TimelineEntry, TimelineEntry] = {}
    for entry in (entry for page in pages for entry in page.entries):
        same = together.get(entry, entry)
        together[entry] = replace(
            entry,
            copies=entry.copies | same.copies,
            addresses=entry.addresses | same.addresses,
        )
    ordered = sorted(together.values(), key=_order, reverse=True)
    known = [entry for entry in ordered if known_to is None or _order(entry) >= known_to]
    return known[:size], known_to is not None or len(known) > size


def _order(entry: TimelineEntry) -> tuple[datetime, MessageId, str]:
    return entry.at, entry.message_id, entry.folder_id or ""
