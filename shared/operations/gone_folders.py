"""What becomes of what was in a folder that its provider no longer lists, or no longer opens."""

from shared.domain.capabilities import CAPABILITIES
from shared.domain.ids import FolderId
from shared.domain.lease import Lease
from shared.domain.mailbox import FolderState
from shared.operations.held_copies import HeldCopies
from shared.operations.outcomes import SyncRun
from shared.ports.provider import Look


def forget_gone_folders(
    run: SyncRun, lease: Lease, look: Look, states: dict[FolderId, FolderState]
) -> None:
    """Mark what was in a deleted or renamed folder as removed from it; the messages stay.

    A folder that is listed but can no longer be selected (a deleted parent) holds nothing either.
    """
    listed = {folder.id: folder for folder in look.folders}
    for folder_id, state in states.items():
        folder = listed.get(folder_id)
        is_gone = folder is None and not state.gone_at
        is_closed = folder is not None and state.folder.selectable and not folder.selectable
        if not (is_gone or is_closed):
            continue
        now = run.clock.now()
        if not CAPABILITIES[run.mailbox.provider].follows_whole_mailbox:
            # Else what it holds is told by the changes of the one that stands for all.
            held = HeldCopies(run.mailbox, state.folder, run.messages).in_folder()
            # In silence: a folder with another name has them all again.
            run.ledger.removed += run.messages.remove_copies(
                lease.fence, folder_id, held, now=now, silently=True
            )
        run.cursors[folder_id] = (
            FolderState(folder) if folder else FolderState(state.folder, gone_at=now)
        )
