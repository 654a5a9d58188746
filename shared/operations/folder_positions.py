"""From where a sync run follows each folder, and when it lets go of a position."""

from shared.domain.capabilities import CAPABILITIES
from shared.domain.cursor import Cursor
from shared.domain.folders import Folder, scope_of
from shared.domain.ids import FolderId
from shared.domain.mailbox import FolderState, Mailbox
from shared.ports.provider import Look


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


def reached(mailbox: Mailbox, folder: Folder, cursor: Cursor) -> FolderState:
    """Return the state of a folder that is taken in up to `cursor`."""
    return FolderState(folder, cursor.encode(), scope=scope_of(mailbox.active_folders))


def listing_changed(look: Look, states: dict[FolderId, FolderState]) -> bool:
    """Whether folders were made, renamed or deleted since they were stored."""
    known = {folder_id: state.folder for folder_id, state in states.items() if not state.gone_at}
    return {folder.id: folder for folder in look.folders} != known
