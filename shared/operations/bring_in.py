"""How messages that are named are brought in: a backfill of their own, beside whatever goes on.

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
from shared.domain.pace import times_asked
from shared.operations.release_chunks import release_chunks
from shared.ports.backfills import BackfillStore
from shared.ports.queues import WorkQueues

MOST_CHUNKS = 90
"""They are written in one transaction with their backfill; a folder has at least one."""
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


def bring_in(
    mailbox: Mailbox,
    backfill_id: BackfillId,
    kind: BackfillKind,
    ids_by_folder: Mapping[FolderId, Sequence[ProviderMessageId]],
    *,
    backfills: BackfillStore,
    queues: WorkQueues,
    now: datetime,
) -> tuple[Backfill, frozenset[ProviderMessageId]]:
    """Have these messages of an active mailbox brought in.

    Return the backfill as it stands, and which of the messages `MOST_CHUNKS` have room for. One
    that was begun under this id before goes on as it is. Raises `ConflictError(STALE_WRITE)` where
    the mailbox was disconnected or reconnected meanwhile.
    """
    size = max(1, CHUNK_SIZE // times_asked(mailbox.provider, mailbox.store))
    chunks = plan_chunks(backfill_id, ids_by_folder.items(), size=size)[:MOST_CHUNKS]
    fresh = Backfill(
        tenant_id=mailbox.tenant_id,
        mailbox_id=mailbox.id,
        id=backfill_id,
        days=0,
        since=mailbox.history_from or _ALWAYS,
        state=BackfillState.RUNNING,
        created_at=now,
        generation=mailbox.generation,
        chunks=len(chunks),
        planned=sum(len(chunk.ids) for chunk in chunks),
        started_at=now,
        progressed_at=now,
        kind=kind,
    )
    backfills.create_running(fresh, chunks)
    stands = backfills.get_backfill(fresh.tenant_id, fresh.mailbox_id, fresh.id) or fresh
    stands = release_chunks(stands, mailbox.provider, backfills=backfills, queues=queues, now=now)
    return stands, frozenset(name for chunk in chunks for name in chunk.ids)
