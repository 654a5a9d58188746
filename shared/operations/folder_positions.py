"""From where a sync run follows each folder, when it lets go of a position, and how often."""

from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain.capabilities import CAPABILITIES
from shared.domain.cursor import Cursor
from shared.domain.folders import Folder, scope_of
from shared.domain.ids import FolderId
from shared.domain.mailbox import FolderState, Mailbox
from shared.ports.provider import Look
from shared.ports.stores import MailboxRecord

MOST_RESETS = 3
"""So often in a row an expired position is replaced by a comparison at once."""
RESET_AGAIN_AFTER = timedelta(hours=6)
NEWS_MARGIN = timedelta(minutes=5)
RESETS_FORGOTTEN_AFTER = timedelta(days=1)
"""A position that lasted so long had no part in a loop."""


def left_alone(look: Look, states: dict[FolderId, FolderState]) -> list[Folder]:
    """Return the folders that have a position and are not followed any more.

    Sync lets go of it. Chosen again, such a folder is compared: an import that ran without it may
    have reached further back.
    """
    return [
        folder
        for folder in look.folders
        if folder.id not in look.followed
        and (state := states.get(folder.id)) is not None
        and state.cursor is not None
    ]


def cursors(mailbox: Mailbox, states: dict[FolderId, FolderState]) -> dict[FolderId, Cursor | None]:
    """Return `cursor_of` each folder that is still there."""
    return {
        folder_id: cursor_of(mailbox, state)
        for folder_id, state in states.items()
        if not state.gone_at
    }


def cursor_of(mailbox: Mailbox, state: FolderState) -> Cursor | None:
    """Return from where a folder's changes are followed; None has it listed and compared.

    Where one cursor stands for the whole mailbox, a folder that is chosen later has none of its own
    that would be missing: what it holds already is found by comparing.
    """
    whole = CAPABILITIES[mailbox.provider].follows_whole_mailbox
    if state.cursor is None or (whole and state.scope != scope_of(mailbox.active_folders)):
        return None
    return Cursor.decode(state.cursor)


def reset(state: FolderState, now: datetime) -> FolderState | None:
    """Return the state of a folder whose position has expired, to be compared; None: not yet.

    A server that numbers its messages anew each time has us fetch all of them each time.
    """
    since = None if state.reset_at is None else now - state.reset_at
    if since is None or since >= RESETS_FORGOTTEN_AFTER:
        return replace(state, resets=1, reset_at=now)
    if state.resets >= MOST_RESETS and since < RESET_AGAIN_AFTER:
        return None
    return replace(state, resets=state.resets + 1, reset_at=now)


def news_since(record: MailboxRecord) -> datetime:
    """Return from when on mail is news that a comparison finds, and not a change that was told.

    A provider's clock is not ours, and mail may have come while the last run was ending.
    """
    connected_at, synced_at = record.mailbox.connected_at, record.run_state.last_synced_at
    return max(connected_at, synced_at - NEWS_MARGIN) if synced_at else connected_at


def reached(
    mailbox: Mailbox,
    folder: Folder,
    cursor: Cursor,
    before: FolderState | None = None,
    *,
    news_from: datetime | None = None,
) -> FolderState:
    """Return the state of a folder that is taken in up to `cursor`, and was as `before`."""
    return replace(
        before or FolderState(folder),
        folder=folder,
        cursor=cursor.encode(),
        gone_at=None,
        scope=scope_of(mailbox.active_folders),
        news_from=news_from,
    )


def listing_changed(look: Look, states: dict[FolderId, FolderState]) -> bool:
    """Whether folders were made, renamed or deleted since they were stored."""
    known = {folder_id: state.folder for folder_id, state in states.items() if not state.gone_at}
    return {folder.id: folder for folder in look.folders} != known
