"""How work that got lost between a store and a queue is found again."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.backfill import RELEASING, Backfill, BackfillState, Chunk
from shared.domain.errors import ConflictError, ErrorCode
from shared.domain.mailbox import Mailbox, MailboxStatus
from shared.operations.release_chunks import chunk_request, end_when_done, release_chunks
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.queues import ChunkRequest, PlanRequest, WorkQueues
from shared.ports.stores import MailboxStore

PLANNING_TAKES = timedelta(minutes=6)
"""A plan older than its function may run has lost its request, or its mailbox had to be reconnected
first; one that waits says itself until when.
"""
SENT_AGAIN_EVERY_MINUTES = 5
"""Requests that only wait in a long queue must not become more with every sweep."""
GETS_NOWHERE_AFTER = timedelta(days=7)
"""So long without a chunk, an import has failed; somebody has to resume it."""
SWEEP_TAKES = timedelta(seconds=50)
"""At most, so that one sweep is over before the next begins; it begins elsewhere each time."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one sweep did."""

    sent: int
    left: int
    """Open backfills it had no time for."""


def release_lost_chunks(
    *, mailboxes: MailboxStore, backfills: BackfillStore, queues: WorkQueues, clock: Clock
) -> Sweep:
    """Send again what open backfills wait for; fail what gets nowhere.

    To be called every minute. What a worker held is sent again in the minute after its lease ended,
    and all else every few minutes. Sending what was not lost is harmless: a plan is made once, a
    chunk is leased once.
    """
    began = clock.now()
    waiting = _each_first_in_turn(list(backfills.open_backfills()), began)
    sweeper = _Sweeper(mailboxes, backfills, queues)
    sent = 0
    for seen, backfill in enumerate(waiting):
        now = clock.now()
        if now - began >= SWEEP_TAKES:
            return Sweep(sent, len(waiting) - seen)
        try:
            sent += sweeper.look_after(backfill, now)
        except ConflictError:
            # Somebody changed it meanwhile: it is looked after.
            continue
    return Sweep(sent, 0)


def _each_first_in_turn(backfills: list[Backfill], now: datetime) -> list[Backfill]:
    """Begin with another one each minute, so that a sweep cut short passes over nobody for long."""
    start = int(now.timestamp()) // 60 * 997 % len(backfills) if backfills else 0
    return backfills[start:] + backfills[:start]


@dataclass(frozen=True, slots=True)
class _Sweeper:
    """Looks after one backfill after another."""

    mailboxes: MailboxStore
    backfills: BackfillStore
    queues: WorkQueues

    def look_after(self, backfill: Backfill, now: datetime) -> int:
        """Return how many requests were sent for it."""
        if backfill.state is BackfillState.PAUSED:
            return 0
        record = self.mailboxes.get(backfill.tenant_id, backfill.mailbox_id)
        mailbox = record.mailbox if record else None
        if mailbox is None or mailbox.status is MailboxStatus.DISCONNECTED:
            self.backfills.set_backfill_state(backfill, BackfillState.CANCELLED, now=now)
            return 0
        if now - (backfill.progressed_at or backfill.created_at) >= GETS_NOWHERE_AFTER:
            code = backfill.code or ErrorCode.INTERNAL
            self.backfills.set_backfill_state(backfill, BackfillState.FAILED, now=now, code=code)
            return 0
        if mailbox.status is not MailboxStatus.ACTIVE:
            self._say_why(backfill, mailbox, now)
            return 0
        if backfill.state is BackfillState.PLANNING:
            return self._plan_again(backfill, now)
        return self._send_lost(backfill, mailbox, now) if backfill.state in RELEASING else 0

    def _say_why(self, backfill: Backfill, mailbox: Mailbox, now: datetime) -> None:
        """Name what its mailbox waits for as the reason, once."""
        code = mailbox.inbound_error.code if mailbox.inbound_error else None
        begun = backfill.progressed_at or backfill.created_at
        # It would end the lease of a planner, which may still be at it.
        may_be_planned = backfill.state is BackfillState.PLANNING and now < begun + PLANNING_TAKES
        if code is not None and code is not backfill.code and not may_be_planned:
            self.backfills.set_waiting(backfill, None, code)

    def _plan_again(self, backfill: Backfill, now: datetime) -> int:
        begun = backfill.progressed_at or backfill.created_at
        if not _is_lost(backfill.waiting_until or begun + PLANNING_TAKES, now):
            return 0
        request = PlanRequest(backfill.tenant_id, backfill.mailbox_id, backfill.id)
        self.queues.send_plan(request)
        return 1

    def _send_lost(self, backfill: Backfill, mailbox: Mailbox, now: datetime) -> int:
        if backfill.done >= backfill.chunks:
            end_when_done(backfill, backfills=self.backfills, now=now)
            return 0
        stands = release_chunks(
            backfill, mailbox.provider, backfills=self.backfills, queues=self.queues, now=now
        )
        lost = list(self._lost(stands, now))
        self.queues.send_chunks(lost)
        return len(lost)

    def _lost(self, backfill: Backfill, now: datetime) -> Iterator[ChunkRequest]:
        taken_up = backfill.paced_until or backfill.started_at or backfill.created_at
        for chunk in self.backfills.open_chunks(backfill):
            if _is_lost(_idle_since(chunk, taken_up), now):
                yield chunk_request(backfill, chunk.number)


def _idle_since(chunk: Chunk, taken_up: datetime) -> datetime:
    """When its worker was lost or its wait is over; without either, it should have begun by now."""
    ended = [at for at in (chunk.lease_expires_at, chunk.not_before) if at is not None]
    return max(ended, default=taken_up + timedelta(minutes=SENT_AGAIN_EVERY_MINUTES))


def _is_lost(since: datetime, now: datetime) -> bool:
    minutes = (now - since) // timedelta(minutes=1)
    return minutes >= 0 and minutes % SENT_AGAIN_EVERY_MINUTES == 0
