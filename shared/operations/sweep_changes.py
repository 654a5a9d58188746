"""Which mailboxes' pending changes are handed to a worker because nobody has seen to them in time.

Most are queued when they are asked for. What waits for its provider, whose worker died, or whose
place in the queue was lost, is found here, each minute, and oldest first. A mailbox that is queued
twice is taken once.
"""

from collections.abc import Callable
from datetime import datetime

from shared.domain.change import SHARDS_OF_CHANGES
from shared.domain.errors import RetryLaterError
from shared.ports.changing import ChangeStore
from shared.ports.queues import WorkQueues

MOST_MAILBOXES = 1_000
"""Of one shard in one tick: a page of the index, and about a second of queueing."""
MARGIN_SECONDS = 15.0
"""What a shard may take when store and queue are slow."""


def sweep_changes(
    *,
    now: datetime,
    changes: ChangeStore,
    queues: WorkQueues,
    remaining_seconds: Callable[[], float],
    most: int = MOST_MAILBOXES,
) -> int:
    """Queue every mailbox whose changes somebody has to see to by `now`; return how many.

    What there is no time for, and what could not be read or queued, is found by the next tick.
    Raises `RetryLaterError` for the latter once all else is done.
    """
    queued = 0
    refusal: RetryLaterError | None = None
    for shard in range(SHARDS_OF_CHANGES):
        if remaining_seconds() < MARGIN_SECONDS:
            break
        try:
            due = changes.due(shard, now=now, limit=most)
            if due:
                queues.send_changes(due)
        except RetryLaterError as error:
            # One shard that cannot be read holds up no other.
            refusal = error
            continue
        queued += len(due)
    if refusal is not None:
        raise refusal
    return queued
