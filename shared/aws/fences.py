"""What a protected write must still find in place, as a condition on the mailbox's state item."""

from pynamodb.expressions.condition import Condition

from shared.aws.table import Table
from shared.aws.tables import StateItem, state_key
from shared.domain.errors import ConflictError, ErrorCode
from shared.domain.lease import Fence
from shared.domain.mailbox import MailboxStatus


def still_holds(fence: Fence) -> Condition:
    """Return the condition that nobody has passed the fence; false for a mailbox not there."""
    condition = StateItem.generation == fence.generation
    if fence.fence is not None:
        condition &= StateItem.fence == fence.fence
    return condition


def goes_on(fence: Fence) -> Condition:
    """Return the condition that, besides, nobody has stopped the mailbox.

    Of two runs at the same time one may have met a grant that is dead: what it says is to stand.
    """
    condition: Condition = still_holds(fence) & (StateItem.status == MailboxStatus.ACTIVE)
    return condition


def require(table: Table, fence: Fence) -> None:
    """Refuse a worker that was overtaken before it writes anything: one read of the state.

    It may be overtaken in the next moment; what is shown is written beside a condition.
    """
    item = table.get(StateItem, state_key(fence.tenant_id, fence.mailbox_id))
    if item is None or item.generation != fence.generation:
        raise stale("generation")
    if fence.fence is not None and item.fence != fence.fence:
        raise stale("fence")


def stale(cause: str) -> ConflictError:
    """Return the refusal of a writer that was overtaken."""
    return ConflictError(ErrorCode.STALE_WRITE, cause=cause)
