"""How work that got lost between a store and a queue is found again."""

from datetime import datetime, timedelta

from shared.domain.backfill import RELEASING, Backfill, BackfillState, Chunk
from shared.domain.errors import ConflictError
from shared.domain.mailbox import MailboxStatus
from shared.operations.release_chunks import chunk_request, release_chunks
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.queues import PlanRequest, WorkQueues
from shared.ports.stores import MailboxStore

PLANNING_TAKES = timedelta(minutes=6)
"""A plan older than its function may run has lost its request, or its mailbox had to be reconnected
first.
"""


def release_lost_chunks(
    *, mailboxes: MailboxStore, backfills: BackfillStore, queues: WorkQueues, clock: Clock
) -> int:
    """Send again what open backfills wait for; return how many requests were sent.

    Sending what was not lost is harmless: a plan is made once, a chunk is leased once.
    """
    now = clock.now()
    sent = 0
    for backfill in backfills.open_backfills():
        record = mailboxes.get(backfill.tenant_id, backfill.mailbox_id)
        status = record.mailbox.status if record else MailboxStatus.DISCONNECTED
        if status is MailboxStatus.DISCONNECTED:
            _cancel(backfill, now, backfills)
        elif status is not MailboxStatus.ACTIVE:
            continue
        elif backfill.state is BackfillState.PLANNING:
            if max(backfill.created_at + PLANNING_TAKES, backfill.waiting_until or now) <= now:
                queues.send_plan(PlanRequest(backfill.tenant_id, backfill.mailbox_id, backfill.id))
                sent += 1
        elif backfill.state in RELEASING:
            stands = release_chunks(backfill, backfills=backfills, queues=queues)
            lost = [chunk for chunk in backfills.open_chunks(stands) if _is_idle(chunk, now)]
            queues.send_chunks([chunk_request(stands, chunk.number) for chunk in lost])
            sent += len(lost)
    return sent


def _is_idle(chunk: Chunk, now: datetime) -> bool:
    is_held = chunk.lease_expires_at is not None and chunk.lease_expires_at > now
    waits = chunk.not_before is not None and chunk.not_before > now
    return not is_held and not waits


def _cancel(backfill: Backfill, now: datetime, backfills: BackfillStore) -> None:
    try:
        backfills.set_backfill_state(backfill, BackfillState.CANCELLED, now=now)
    except ConflictError:
        return
