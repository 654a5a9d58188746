"""Which mails on their way out, and which pending changes, are handed to a worker by the tick.

Most are queued when they are asked for, or put off. What waits longer than a queue's delay, whose
worker died, or whose place in the queue was lost, is found here, each minute, and oldest first.
What is queued twice is taken once.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from shared.domain.change import SHARDS_OF_CHANGES
from shared.domain.errors import RetryLaterError
from shared.domain.sending import SHARDS_OF_SENDS
from shared.ports.changing import ChangeStore
from shared.ports.queues import SendRequest, WorkQueues
from shared.ports.sending import SendRef, SendStore

MOST_OF_A_SHARD = 1_000
"""In one tick: a page of the index, and about a second of queueing."""
MARGIN_SECONDS = 15.0
"""What a shard may take when store and queue are slow."""

DueT = TypeVar("DueT")


def sweep_sends(
    *,
    now: datetime,
    sends: SendStore,
    queues: WorkQueues,
    remaining_seconds: Callable[[], float],
    most: int = MOST_OF_A_SHARD,
) -> int:
    """Queue every mail that somebody has to see to by `now`; return how many.

    What there is no time for, and what could not be read or queued, is found by the next tick.
    Raises `RetryLaterError` for the latter once all else is done.
    """

    def queue(due: Sequence[SendRef]) -> None:
        queues.send_sends([SendRequest(one.tenant_id, one.mailbox_id, one.send_id) for one in due])

    def look(shard: int) -> Sequence[SendRef]:
        return sends.due(shard, now=now, limit=most)

    return _sweep(SHARDS_OF_SENDS, look, queue, remaining_seconds)


def sweep_changes(
    *,
    now: datetime,
    changes: ChangeStore,
    queues: WorkQueues,
    remaining_seconds: Callable[[], float],
    most: int = MOST_OF_A_SHARD,
) -> int:
    """Queue every mailbox whose changes somebody has to see to by `now`; as `sweep_sends`."""
    return _sweep(
        SHARDS_OF_CHANGES,
        lambda shard: changes.due(shard, now=now, limit=most),
        queues.send_changes,
        remaining_seconds,
    )


def _sweep(
    shards: int,
    look: Callable[[int], Sequence[DueT]],
    queue: Callable[[Sequence[DueT]], None],
    remaining_seconds: Callable[[], float],
) -> int:
    queued = 0
    refusal: RetryLaterError | None = None
    for shard in range(shards):
        if remaining_seconds() < MARGIN_SECONDS:
            break
        try:
            due = look(shard)
            if due:
                queue(due)
        except RetryLaterError as error:
            # One shard that cannot be read holds up no other.
            refusal = error
            continue
        queued += len(due)
    if refusal is not None:
        raise refusal
    return queued
