"""How folders get their first cursors, all at once so that none is found new, and lose one."""

from collections.abc import Sequence

from shared.aws.fences import stale, still_holds
from shared.aws.mailbox_items import folder_item, folder_state
from shared.aws.table import MOST_IN_TRANSACTION, Table
from shared.aws.tables import FolderItem, folder_key, state_key
from shared.domain.lease import Fence
from shared.domain.mailbox import FolderState

_AT_ONCE = MOST_IN_TRANSACTION - 1


def add(table: Table, fence: Fence, states: Sequence[FolderState]) -> list[FolderState]:
    """Write the states of folders without a cursor; return what stands, for each.

    Raises `ConflictError(STALE_WRITE)` for a fence that holds no longer.
    """
    stand: list[FolderState] = []
    for start in range(0, len(states), _AT_ONCE):
        batch = states[start : start + _AT_ONCE]
        if _together(table, fence, batch):
            stand += batch
        else:
            # One has a cursor already.
            stand += [_alone(table, fence, state) for state in batch]
    return stand


def give_up_cursor(table: Table, fence: Fence, state: FolderState) -> None:
    """Take a folder's cursor away, where it is that of `state`.

    Raises `ConflictError(STALE_WRITE)` for a fence that holds no longer.
    """
    holds = table.check_operation(state_key(fence.tenant_id, fence.mailbox_id), still_holds(fence))
    key = folder_key(fence.tenant_id, fence.mailbox_id, state.folder.id)
    is_it = FolderItem.cursor == state.cursor
    taken = table.update_operation(key, [FolderItem.cursor.remove()], is_it)
    if 0 in table.transact([holds, taken]):
        raise stale("fence")


def _alone(table: Table, fence: Fence, state: FolderState) -> FolderState:
    if _together(table, fence, [state]):
        return state
    item = table.get(FolderItem, folder_key(fence.tenant_id, fence.mailbox_id, state.folder.id))
    return folder_state(item) if item else state


def _together(table: Table, fence: Fence, states: Sequence[FolderState]) -> bool:
    holds = table.check_operation(state_key(fence.tenant_id, fence.mailbox_id), still_holds(fence))
    puts = [
        table.put_operation(
            folder_item(fence.tenant_id, fence.mailbox_id, state),
            FolderItem.cursor.does_not_exist(),
        )
        for state in states
    ]
    failed = table.transact([holds, *puts])
    if 0 in failed:
        raise stale("fence")
    return not failed
