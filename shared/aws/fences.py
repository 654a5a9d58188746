"""What a protected write must still find in place, as a condition on the mailbox's state item."""

from pynamodb.expressions.condition import Condition

from shared.aws.tables import StateItem
from shared.domain.errors import ConflictError, ErrorCode
from shared.domain.lease import Fence


def still_holds(fence: Fence) -> Condition:
    """Return the condition that nobody has passed the fence; false for a mailbox not there."""
    condition = StateItem.generation == fence.generation
    if fence.fence is not None:
        condition &= StateItem.fence == fence.fence
    return condition


def stale(cause: str) -> ConflictError:
    """Return the refusal of a writer that was overtaken."""
    return ConflictError(ErrorCode.STALE_WRITE, cause=cause)
