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
first; one that waits says itself until when.
"""
SENT_AGAIN_EVERY_MINUTES = 5
"""Requests that only wait in a long queue must not become more with every sweep."""


def release_lost_chunks(
    *, mailboxes: MailboxStore, backfills: BackfillStore, queues: WorkQueues, clock: Clock
) -> int:
    """Send again what open backfills wait for; return how many requests were sent.

    To be called every minute. What a worker held is sent again in the minute after its lease ended,
    and all else every few minutes. Sending what was not lost is harmless: a plan is made once, a
    chunk is leased once.
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
            since = backfill.waiting_until or backfill.created_at + PLANNING_TAKES
            if _is_lost(since, now):
                queues.send_plan(PlanRequest(backfill.tenant_id, backfill.mailbox_id, backfill.id))
                sent += 1
        elif record and backfill.state in RELEASING:
            provider = record.mailbox.provider
            stands = release_chunks(backfill, provider, backfills=backfills, queues=queues)
            taken_up = stands.paced_until or stands.started_at or stands.created_at
            lost = [
                chunk
                for chunk in backfills.open_chunks(stands)
                if _is_lost(_idle_since(chunk, taken_up), now)
            ]
            queues.send_chunks([chunk_request(stands, chunk.number) for chunk in lost])
            sent += len(lost)
    return sent


def _idle_since(chunk: Chunk, taken_up: datetime) -> datetime:
    """When its worker was lost or its wait is over; without either, it should have begun by now."""
    ended = [at for at in (chunk.lease_expires_at, chunk.not_before) if at is not None]
    return max(ended, default=taken_up + timedelta(minutes=SENT_AGAIN_EVERY_MINUTES))


def _is_lost(since: datetime, now: datetime) -> bool:
    minutes = (now - since) // timedelta(minutes=1)
    return minutes >= 0 and minutes % SENT_AGAIN_EVERY_MINUTES == 0


def _cancel(backfill: Backfill, now: datetime, backfills: BackfillStore) -> None:
    try:
        backfills.set_backfill_state(backfill, BackfillState.CANCELLED, now=now)
    except ConflictError:
        return
