"""Decides what a page of a folder's delta means for what we hold: new, changed, moved or gone.

A message keeps its id when it is moved, and each folder tells its own half: removed here, present
there, in either order and from pages of different ages. So where an entry contradicts what we hold
(another folder, or removed), the message itself is asked where it is; that answer is newer than any
page, and what is later told will be told again. The content is never fetched for it.
"""

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.domain.cursor import Cursor
from shared.domain.errors import CursorExpiredError
from shared.domain.folders import Folder
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.message import Copy, Flags
from shared.ports.provider import ChangePage, KnownCopies
from shared.providers.outlook import errors
from shared.providers.outlook.entries import Entry, Page
from shared.providers.outlook.position import Position
from shared.providers.outlook.session import (
    LARGEST_PAGE,
    Session,
    first_link,
    folder_path,
)


def baseline(session: Session, folder: Folder, *, now: datetime) -> Cursor:
    """Return the folder's position at this instant: the link at the end of a whole round.

    A cheaper one there is not: Graph gives no latest token for messages, and a filtered round
    watches only what passes its filter.
    """
    link, is_last = first_link(folder), False
    while not is_last:
        page = session.page(link, page_size=LARGEST_PAGE)
        link, is_last = page.link, page.is_last
    return Position(link, _seconds(now)).cursor()


def is_settled(cursor: Cursor) -> bool:
    """Whether a cursor is a position: the walk over a folder that is new to us is none yet."""
    try:
        return not Position.of(cursor).whole
    except CursorExpiredError:
        return True


def changes(
    session: Session,
    folder: Folder,
    cursor: Cursor | None,
    known: KnownCopies,
    *,
    since: datetime | None,
    limit: int,
    now: datetime,
) -> ChangePage:
    """Return what changed after `cursor`; see `MailSession.changes`."""
    position = Position.of(cursor) if cursor else None
    if position is None:
        position = Position(first_link(folder), _seconds(now), walking=True, whole=True)
    if position.left:
        return _left_over(position, limit)
    with errors.where_there_is_no_cursor() if cursor is None else nullcontext():
        page = session.page(position.link, page_size=limit)
    news = _read(session, folder, page, known, since=since)
    if position.whole and page.is_last:
        _compare(session, folder, known, news)
    news.added.sort(key=lambda one: one.received_at)
    added = [entry.id for entry in news.added]
    following = Position(
        page.link,
        _seconds(now),
        walking=not page.is_last,
        whole=position.whole and not page.is_last,
        left=tuple(added[limit:]),
    )
    session.meet(news.added[:limit])
    # A round of several pages ends where it began: what happened meanwhile is in the next one.
    comes_round = cursor is not None and position.walking and page.is_last
    return ChangePage(
        added=tuple(added[:limit]),
        flags=news.flags,
        removed=tuple(news.removed),
        next_cursor=following.cursor(),
        more=following.walking or bool(following.left) or comes_round,
        too_old=() if position.whole else tuple(news.too_old),
        placed=news.placed,
    )


@dataclass(slots=True)
class _News:
    """What a page brought, sorted."""

    added: list[Entry] = field(default_factory=list)
    flags: dict[ProviderMessageId, Flags] = field(default_factory=dict)
    removed: list[ProviderMessageId] = field(default_factory=list)
    too_old: list[ProviderMessageId] = field(default_factory=list)
    placed: dict[ProviderMessageId, frozenset[FolderId]] = field(default_factory=dict)


def _left_over(position: Position, limit: int) -> ChangePage:
    """Return more of a page that was larger than what was asked for."""
    rest = replace(position, left=position.left[limit:])
    return ChangePage(
        added=tuple(map(ProviderMessageId, position.left[:limit])),
        flags={},
        removed=(),
        next_cursor=rest.cursor(),
        more=rest.walking or bool(rest.left),
    )


def _read(
    session: Session,
    folder: Folder,
    page: Page,
    known: KnownCopies,
    *,
    since: datetime | None,
) -> _News:
    """Sort a page by what we hold of it."""
    names = [*page.present, *page.removed, *page.doubtful]
    held = known.of(names) if names else {}
    here = {name for name, copy in held.items() if _is_here(copy, folder)}
    elsewhere = [name for name in page.present if name in held and name not in here]
    entries: dict[ProviderMessageId, Entry | None] = dict(page.present)
    entries |= session.ask([*elsewhere, *sorted(page.doubtful)])
    news = _News(removed=[name for name in page.removed if name in here])
    for name, entry in entries.items():
        is_ours = entry is not None and entry.folder_id in {folder.id, None}
        if entry is None or not is_ours:
            # In another folder by now: that one tells it, or it is not one we follow.
            if name in here:
                news.removed.append(name)
        elif name in held:
            if name not in here:
                news.placed[name] = frozenset({folder.id})
            if _differs(held[name].flags, entry.flags):
                news.flags[name] = entry.flags
        elif since is not None and entry.received_at < since:
            news.too_old.append(name)
        else:
            news.added.append(entry)
    return news


def _compare(session: Session, folder: Folder, known: KnownCopies, news: _News) -> None:
    """Name what we hold of this folder and it no longer holds.

    A list that left something out is not proof: lists are paged by number, and shift when something
    is deleted meanwhile. The message itself has the last word.
    """
    held = set(known.in_folder()) - news.placed.keys() - set(news.removed)
    if not held:
        return
    url = f"{folder_path(folder)}/messages?$select=id&$top={LARGEST_PAGE}"
    held -= {ProviderMessageId(str(one.get("id"))) for one in session.listed(url)}
    news.removed += _no_longer_in(folder, session.ask(sorted(held)))


def _no_longer_in(
    folder: Folder, asked: Mapping[ProviderMessageId, Entry | None]
) -> Iterable[ProviderMessageId]:
    return [name for name, entry in asked.items() if entry is None or entry.folder_id != folder.id]


def _is_here(copy: Copy, folder: Folder) -> bool:
    return copy.removed_at is None and folder.id in copy.folder_ids


def _differs(held: Flags, told: Flags) -> bool:
    return replace(held, version=0) != replace(told, version=0)


def _seconds(now: datetime) -> int:
    return int(now.timestamp())
