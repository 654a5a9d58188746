"""How many chunks of a backfill are at work at once, and who hands out the next ones.

Whoever ends a chunk releases the next. The number released is raised first, the queue told after:
dying between the two loses messages in the queue, which the sweeper sends again; a chunk handed out
twice is taken once.
"""

from shared.domain.backfill import Backfill, release_up_to
from shared.ports.backfills import BackfillStore
from shared.ports.queues import ChunkRequest, WorkQueues

IN_FLIGHT = 2
"""Sessions a backfill holds beside the one of live sync.

Many servers allow few for each mailbox.
"""


def release_chunks(backfill: Backfill, *, backfills: BackfillStore, queues: WorkQueues) -> Backfill:
    """Hand out chunks up to the limit in flight; return the backfill as it stands."""
    target = release_up_to(backfill, IN_FLIGHT)
    if target == backfill.released:
        return backfill
    stands = backfills.raise_released(backfill, target)
    queues.send_chunks(
        [chunk_request(backfill, number) for number in range(backfill.released, target)]
    )
    return stands


def chunk_request(backfill: Backfill, number: int) -> ChunkRequest:
    """Return the request that has chunk `number` run."""
    return ChunkRequest(backfill.tenant_id, backfill.mailbox_id, backfill.id, number)
