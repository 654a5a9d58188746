"""Decides, in one round trip, which folders differ from their cursors."""

from collections.abc import Callable, Mapping
from datetime import datetime

from shared.domain.cursor import Cursor
from shared.domain.errors import CursorExpiredError, ErrorCode, RetryLaterError
from shared.domain.folders import Folder
from shared.domain.ids import FolderId
from shared.ports.provider import Look
from shared.providers.imap import grammar
from shared.providers.imap.listing import highest_uid
from shared.providers.imap.position import Position, read_status
from shared.providers.imap.session import OpenFolders
from shared.providers.imap.wire import Answer

_COMMANDS_PER_WRITE = 100
"""More could fill both sides' buffers before either reads."""


def look(
    open_folders: OpenFolders,
    cursors: Mapping[FolderId, Cursor | None],
    is_active: Callable[[Folder], bool],
    *,
    now: datetime,
) -> Look:
    """List the folders and compare the active ones with their cursors; one round trip.

    The names are in the cursors, so every status is asked for together with the list.
    """
    positions = {key: _readable(cursor) for key, cursor in cursors.items() if cursor}
    expected = [one.name.encode("latin-1") for one in positions.values() if one]
    commands = [open_folders.list_command(), *map(open_folders.status_command, expected)]
    answers = list[Answer]()
    for start in range(0, len(commands), _COMMANDS_PER_WRITE):
        answers += open_folders.wire.exchange(commands[start : start + _COMMANDS_PER_WRITE])
    listed = open_folders.take_listing(answers)
    statuses = open_folders.read_statuses(answers)
    active = [one for one in listed if one.folder.selectable and is_active(one.folder)]
    asked = [one.raw for one in active if one.raw in expected]
    if asked and not statuses:
        # One refusal is a folder's trouble; all of them are the server's, and not an idle mailbox.
        answers[1 + expected.index(asked[0])].require_ok()
        raise RetryLaterError(ErrorCode.PROTOCOL_VIOLATION, cause="no status came")
    changed: set[FolderId] = set()
    unavailable: set[FolderId] = set()
    for one in active:
        position = positions.get(one.folder.id)
        name = b"INBOX" if one.raw.upper() == b"INBOX" else one.raw
        if position is not None and name not in statuses:
            # Listed and refused at once. It is asked again next time, and is not up to date.
            unavailable.add(one.folder.id)
        elif position is None or _has_changed(position, statuses[name], now):
            changed.add(one.folder.id)
    return Look(
        folders=tuple(one.folder for one in listed),
        followed=frozenset(one.folder.id for one in active),
        changed=frozenset(changed),
        unavailable=frozenset(unavailable),
    )


def _readable(cursor: Cursor) -> Position | None:
    try:
        return Position.of(cursor)
    except CursorExpiredError:
        return None


def _has_changed(position: Position, status: grammar.Value, now: datetime) -> bool:
    try:
        return position.differs(read_status(status), now)
    except RetryLaterError:
        return True


def baseline(open_folders: OpenFolders, folder: Folder, *, now: datetime) -> Cursor:
    """Return the folder's position at this instant."""
    raw = open_folders.name_of(folder)
    status = open_folders.status(raw)
    last_uid = status.last_uid
    if not last_uid and status.messages:
        open_folders.select(raw)
        last_uid = highest_uid(open_folders)
    begun = Position(raw.decode("latin-1"), status.uidvalidity, last_uid)
    return begun.reached(status, last_uid=last_uid, compared_at=int(now.timestamp())).cursor()
