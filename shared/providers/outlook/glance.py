"""Decides how a poll finds out what changed: a batch of the followed folders' own links.

Each part is the next page of a folder, so what it brings is not asked for again. The folders are
listed when something has changed, when we do not know them, and in each quarter of an hour once:
a rule of the owner's may fill a new folder that no other one tells of.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.cursor import Cursor
from shared.domain.errors import CursorExpiredError, ErrorCode, MailroomError, RetryLaterError
from shared.domain.folders import Folder
from shared.domain.ids import FolderId
from shared.ports.provider import Look
from shared.providers.outlook import folders as folder_list
from shared.providers.outlook.graph import Part, Reply
from shared.providers.outlook.position import Position
from shared.providers.outlook.session import Session

PAGE = 100
"""Entries a poll asks for at once: more than a few are rare."""
LIST_EVERY_SECONDS = 15 * 60
"""The first poll after each multiple of it lists the folders though nothing has changed.

Counted from midnight and not from the last listing, which nobody keeps.
"""


@dataclass(slots=True)
class _Told:
    """What the links of the folders said."""

    asked: set[FolderId] = field(default_factory=set)
    changed: set[FolderId] = field(default_factory=set)
    missing: set[FolderId] = field(default_factory=set)
    failures: dict[FolderId, MailroomError] = field(default_factory=dict)

    @property
    def unavailable(self) -> set[FolderId]:
        """Those of which nothing was told, without a reason that ends the look."""
        return self.missing | set(self.failures)


def look(
    session: Session,
    cursors: Mapping[FolderId, Cursor | None],
    is_active: Callable[[Folder], bool],
    *,
    folders: Sequence[Folder],
    last_look_at: datetime | None,
    now: datetime,
) -> Look:
    """Return what changed; see `MailSession.look`."""
    positions = {
        key: position
        for key, cursor in cursors.items()
        if cursor and (position := _readable(cursor)) and not position.is_due(now)
    }
    active = {one.id for one in folders if one.selectable and is_active(one)}
    first = {key: one for key, one in positions.items() if key in active or not folders}
    told = _Told()
    lists = not folders or _is_time_to_list(last_look_at, now)
    replies = session.graph.batch(_parts(first, lists=lists))
    _tell(session, first, replies[: len(first)], told)
    if lists:
        listed = folder_list.read(session, replies[len(first) :])
    elif told.changed or told.missing or active - first.keys():
        listed = folder_list.listing(session)
    else:
        listed = tuple(folders)
    followed = {one.id for one in listed if one.selectable and is_active(one)}
    later = {
        key: one for key, one in positions.items() if key in followed and key not in told.asked
    }
    if later:
        replies = session.graph.batch(_parts(later, lists=False))
        _tell(session, later, replies, told)
    if told.failures and told.failures.keys() >= told.asked & followed:
        # One refusal may be a folder's trouble; all of them are the mailbox's.
        raise next(iter(told.failures.values()))
    changed = followed & (told.changed | (followed - positions.keys()))
    return Look(
        folders=listed,
        followed=frozenset(followed),
        changed=frozenset(changed),
        unavailable=frozenset(followed & told.unavailable - changed),
    )


def _is_time_to_list(last_look_at: datetime | None, now: datetime) -> bool:
    """Whether another quarter of an hour has begun since the last look, however rare looks are."""
    if last_look_at is None:
        return True
    before, after = last_look_at.timestamp(), now.timestamp()
    return before // LIST_EVERY_SECONDS != after // LIST_EVERY_SECONDS


def _parts(positions: Mapping[FolderId, Position], *, lists: bool) -> list[Part]:
    parts = [Part(one.link, page_size=PAGE) for one in positions.values()]
    return [*parts, *folder_list.PARTS] if lists else parts


def _tell(
    session: Session,
    positions: Mapping[FolderId, Position],
    replies: Sequence[Reply],
    told: _Told,
) -> None:
    """Note what each folder's reply says, and keep those that `changes` will want."""
    for (key, position), reply in zip(positions.items(), replies, strict=True):
        told.asked.add(key)
        try:
            page = session.read(position.link, reply)
        except CursorExpiredError:
            told.changed.add(key)
        except RetryLaterError as error:
            if error.code is ErrorCode.FOLDER_UNAVAILABLE:
                told.missing.add(key)
            elif error.code is ErrorCode.RATE_LIMITED:
                # It is the mailbox that is throttled: asking on would make it worse.
                raise
            else:
                told.failures[key] = error
            continue
        else:
            if page.is_empty and page.is_last:
                continue
            told.changed.add(key)
        session.keep(position.link, reply)


def _readable(cursor: Cursor) -> Position | None:
    try:
        return Position.of(cursor)
    except CursorExpiredError:
        return None
