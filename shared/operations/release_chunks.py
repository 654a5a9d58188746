"""How many chunks of a backfill are at work at once, and who hands out the next ones.

Whoever ends a chunk releases the next. The number released is raised first, the queue told after:
dying between the two loses messages in the queue, which the sweeper sends again; a chunk handed out
twice is taken once.
"""

from datetime import datetime
from math import ceil

from shared.domain.backfill import RELEASING, Backfill, release_up_to
from shared.domain.capabilities import CAPABILITIES
from shared.domain.mailbox import Provider
from shared.ports.backfills import BackfillStore
from shared.ports.queues import ChunkRequest, WorkQueues


def release_chunks(
    backfill: Backfill,
    provider: Provider,
    *,
    backfills: BackfillStore,
    queues: WorkQueues,
    now: datetime,
) -> Backfill:
    """Hand out chunks up to the limit in flight; return the backfill as it stands.

    Workers get them after the rest it owes its provider.
    """
    target = release_up_to(backfill, CAPABILITIES[provider].chunks_in_flight)
    if target == backfill.released:
        return backfill
    stands = backfills.raise_released(backfill, target)
    queues.send_chunks(
        [chunk_request(backfill, number) for number in range(backfill.released, target)],
        delay_seconds=rest_owed(backfill, now),
    )
    return stands


def rest_owed(backfill: Backfill, now: datetime) -> int:
    """Return for how many seconds no chunk begins, so that live sync keeps its part of a quota."""
    rest = (backfill.paced_until or now) - now
    return max(0, ceil(rest.total_seconds()))


def end_when_done(backfill: Backfill, *, backfills: BackfillStore, now: datetime) -> Backfill:
    """End a backfill all of whose chunks were done while it counted as failed."""
    if backfill.state not in RELEASING or backfill.done < backfill.chunks:
        return backfill
    state, code = backfill.ending()
    return backfills.set_backfill_state(backfill, state, now=now, code=code)


def chunk_request(backfill: Backfill, number: int) -> ChunkRequest:
    """Return the request that has chunk `number` run."""
    return ChunkRequest(backfill.tenant_id, backfill.mailbox_id, backfill.id, number)
