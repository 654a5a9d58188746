"""How messages that are missing are brought in: a backfill of their own, beside whatever goes on.

It goes the path of every chunk (lease, strikes, fence, ledger, sweeper), and is written with its
chunks at once: whoever dies before the queue is told has the sweeper tell it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from shared.domain.backfill import (
    CHUNK_SIZE,
    Backfill,
    BackfillKind,
    BackfillState,
    plan_chunks,
)
from shared.domain.ids import BackfillId, FolderId, ProviderMessageId
from shared.domain.mailbox import Mailbox
from shared.operations.release_chunks import release_chunks
from shared.ports.backfills import BackfillStore
from shared.ports.queues import WorkQueues

MOST_CHUNKS = 90
"""They are written in one transaction with their backfill."""
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


def start_repair(
    mailbox: Mailbox,
    repair_id: BackfillId,
    ids_by_folder: Mapping[FolderId, Sequence[ProviderMessageId]],
    *,
    backfills: BackfillStore,
    queues: WorkQueues,
    now: datetime,
) -> Backfill:
    """Have these messages of an active mailbox brought in; return the repair as it stands.

    One that was begun under this id before goes on as it is. What does not fit into `MOST_CHUNKS`
    is left out: the repair's `planned` says how many it takes.
    """
    chunks = plan_chunks(repair_id, ids_by_folder.items(), size=CHUNK_SIZE)[:MOST_CHUNKS]
    repair = Backfill(
        tenant_id=mailbox.tenant_id,
        mailbox_id=mailbox.id,
        id=repair_id,
        days=0,
        since=mailbox.history_from or _ALWAYS,
        state=BackfillState.RUNNING,
        created_at=now,
        generation=mailbox.generation,
        chunks=len(chunks),
        planned=sum(len(chunk.ids) for chunk in chunks),
        started_at=now,
        kind=BackfillKind.REPAIR,
    )
    backfills.create_repair(repair, chunks)
    stands = backfills.get_backfill(repair.tenant_id, repair.mailbox_id, repair.id) or repair
    return release_chunks(stands, mailbox.provider, backfills=backfills, queues=queues)
