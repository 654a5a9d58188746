"""Decides what a page of a folder's delta means for what we hold: new, changed, moved or gone.

A message keeps its id when it is moved, and each folder tells its own half: removed here, present
there, in either order and from pages of different ages. So where an entry contradicts what we hold
(another folder, or removed), the message itself is asked where it is; that answer is newer than any
page, and what is later told will be told again. The content is never fetched for it.

A draft is not new before it is sent. It is the same message then, by the same id
(learn.microsoft.com/graph/outlook-immutable-id), and a message is fetched once: what was stored of
it half-written, without its recipients, would stay so. One that is held all the same stays as it
is.
"""

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.domain.cursor import Cursor
from shared.domain.errors import CursorExpiredError
from shared.domain.folders import Folder
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.message import Copy, Flags
from shared.ports.provider import ChangePage, KnownCopies
from shared.providers.outlook import comparing, errors
from shared.providers.outlook.baseline import is_news
from shared.providers.outlook.entries import Entry, Page
from shared.providers.outlook.graph import LARGEST_PAGE
from shared.providers.outlook.paths import first_link
from shared.providers.outlook.position import Position
from shared.providers.outlook.session import Session


def is_settled(cursor: Cursor) -> bool:
    """Whether a cursor is a place in the changes of a folder; see `MailSession.is_settled`."""
    try:
        return Position.of(cursor).is_settled
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
    if position.upto is not None:
        return _compared(session, folder, position, known)
    # Of a walk to a position next to nothing is added, however large its pages are.
    page_size = limit if position.begun is None else LARGEST_PAGE
    with errors.where_there_is_no_cursor() if cursor is None else nullcontext():
        page = session.page(position.link, page_size=page_size)
    news = _read(session, folder, page, known, since=since, begun=position.begun)
    upto = None
    if position.whole and page.is_last:
        gone, upto = comparing.step(session, folder, known, upto=None, told=set(news.removed))
        news.removed += gone
    news.added.sort(key=lambda one: one.received_at)
    added = [entry.id for entry in news.added]
    following = Position(
        page.link,
        _seconds(now),
        walking=not page.is_last,
        whole=(position.whole and not page.is_last) or upto is not None,
        left=tuple(added[limit:]),
        begun=None if page.is_last else position.begun,
        upto=upto,
    )
    session.meet(news.added[:limit])
    # A round of several pages ends where it began: what happened meanwhile is in the next one.
    comes_round = cursor is not None and position.walking and page.is_last
    return ChangePage(
        added=tuple(added[:limit]),
        flags=news.flags,
        removed=tuple(news.removed),
        next_cursor=following.cursor(),
        more=_goes_on(following) or comes_round,
        too_old=() if position.whole else tuple(news.too_old),
        placed=news.placed,
    )


def _goes_on(position: Position) -> bool:
    return position.walking or bool(position.left) or position.upto is not None


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
        more=_goes_on(rest),
    )


def _compared(
    session: Session, folder: Folder, position: Position, known: KnownCopies
) -> ChangePage:
    """Return more of what went unnoticed; at the end, what changed meanwhile is still to come."""
    gone, upto = comparing.step(session, folder, known, upto=position.upto)
    rest = replace(position, upto=upto, whole=upto is not None)
    return ChangePage(added=(), flags={}, removed=tuple(gone), next_cursor=rest.cursor(), more=True)


def _read(
    session: Session,
    folder: Folder,
    page: Page,
    known: KnownCopies,
    *,
    since: datetime | None,
    begun: int | None,
) -> _News:
    """Sort a page by what we hold of it; `begun` as in `Position`."""
    names = [*page.present, *page.removed, *page.doubtful]
    held = known.of(names) if names else {}
    here = {name for name, copy in held.items() if _is_here(copy, folder)}
    elsewhere = [name for name in page.present if name in held and name not in here]
    # Where a message does not say where it is, the page is believed.
    entries: dict[ProviderMessageId, Entry | None] = {**page.present, **page.doubtful}
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
        elif entry.flags.draft:
            # Told again when it is sent, here or where it goes then.
            continue
        elif begun is not None and not is_news(entry, begun):
            # There before the position: whether it is wanted is not for changes to say.
            continue
        elif since is not None and entry.received_at < since:
            news.too_old.append(name)
        else:
            news.added.append(entry)
    return news


def _is_here(copy: Copy, folder: Folder) -> bool:
    return copy.removed_at is None and folder.id in copy.folder_ids


def _differs(held: Flags, told: Flags) -> bool:
    return replace(held, version=0) != replace(told, version=0)


def _seconds(now: datetime) -> int:
    return int(now.timestamp())
