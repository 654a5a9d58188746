"""Which mails on their way out are handed to a worker because their time has come.

Most are queued when they are asked for, or put off. What waits longer than a queue's delay, whose
worker died, or whose place in the queue was lost, is found here, each minute, and oldest first. A
mail that is queued twice is taken once.
"""

from collections.abc import Callable
from datetime import datetime

from shared.domain.errors import RetryLaterError
from shared.domain.sending import SHARDS_OF_SENDS
from shared.ports.queues import SendRequest, WorkQueues
from shared.ports.sending import SendStore

MOST_SENDS = 1_000
"""Of one shard in one tick: a page of the index, and about a second of queueing."""
MARGIN_SECONDS = 15.0
"""What a shard may take when store and queue are slow."""


def sweep_sends(
    *,
    now: datetime,
    sends: SendStore,
    queues: WorkQueues,
    remaining_seconds: Callable[[], float],
    most: int = MOST_SENDS,
) -> int:
    """Queue every mail that somebody has to see to by `now`; return how many.

    What there is no time for, and what could not be read or queued, is found by the next tick.
    Raises `RetryLaterError` for the latter once all else is done.
    """
    queued = 0
    refusal: RetryLaterError | None = None
    for shard in range(SHARDS_OF_SENDS):
        if remaining_seconds() < MARGIN_SECONDS:
            break
        try:
            due = sends.due(shard, now=now, limit=most)
            if due:
                queues.send_sends(
                    [SendRequest(one.tenant_id, one.mailbox_id, one.send_id) for one in due]
                )
        except RetryLaterError as error:
            # One shard that cannot be read holds up no other.
            refusal = error
            continue
        queued += len(due)
    if refusal is not None:
        raise refusal
    return queued
