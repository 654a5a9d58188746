"""When a mailbox is polled: its slot, its next run, its cadence.

A mailbox polled every N minutes sits in one slot (N, phase, shard). Each minute the scheduler asks
for the slots of that minute. Nothing has to be written after a poll, so an idle mailbox costs no
index write, and a tick that was missed costs one cycle and no mailbox. The phase spreads mailboxes
over the minutes: the jitter. A mailbox without news rests for some of its cycles.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.domain.ids import MailboxId
from shared.domain.mailbox import Mailbox, MailboxStatus, RunState

CADENCES_MINUTES = (1, 2, 5, 10, 15, 30, 60)
SHARDS = 4
_SLOT = "every-"
LATE_AFTER = timedelta(minutes=5)
"""What a queue and a look may take before anybody is told that a mailbox is late."""
QUIET_AFTER = ((150, 3), (100, 2))
"""After so many cycles without news, a mailbox is polled only every second or third cycle."""


@dataclass(frozen=True, slots=True)
class SlotRange:
    """Those of a slot's mailboxes whose ids are not before `start` and before `end`."""

    slot: str
    start: MailboxId | None = None
    end: MailboxId | None = None


@dataclass(frozen=True, slots=True)
class Cadence:
    """How the operator bounds what mailboxes wish, in minutes."""

    least: int = 1
    pushed: int = 30
    """While the provider tells of changes, polls are for what it may forget to tell."""

    def minutes(self, wanted: int, *, is_pushed: bool = False) -> int:
        """Return how often a mailbox is polled whose settings say `wanted`."""
        return max(wanted, self.least, self.pushed if is_pushed else 0)


AS_WISHED = Cadence()


def slot_of(mailbox_id: MailboxId, every_minutes: int) -> str:
    """Return the slot of a mailbox polled every `every_minutes`, one of `CADENCES_MINUTES`."""
    if every_minutes not in CADENCES_MINUTES:
        message = f"cadence must be one of {CADENCES_MINUTES}, not {every_minutes}"
        raise ValueError(message)
    spread = _spread(mailbox_id)
    return _slot(every_minutes, spread % every_minutes, (spread >> 16) % SHARDS)


def cadence_of(slot: str) -> int:
    """Return how often the mailboxes of a slot are polled, in minutes; the inverse of `slot_of`."""
    return int(slot.removeprefix(_SLOT).partition("#")[0])


def polled_every(due_slot: str | None, wanted: int) -> int:
    """Return how often a mailbox is polled: its slot's cadence, or what it wishes while in none."""
    return cadence_of(due_slot) if due_slot else wanted


def slots_at(now: datetime) -> Iterator[str]:
    """Yield every slot that is due in the minute of `now`."""
    minute = int(now.timestamp()) // 60
    for every in CADENCES_MINUTES:
        for shard in range(SHARDS):
            yield _slot(every, minute % every, shard)


def next_run_at(
    mailbox_id: MailboxId, every_minutes: int, *, now: datetime, not_before: datetime | None
) -> datetime:
    """Return the start of the minute in which the mailbox is next due.

    It lies after `now` and not before `not_before`.
    """
    earliest = max(now, not_before) if not_before else now
    minute = int(earliest.timestamp()) // 60 + (0 if not_before and not_before > now else 1)
    phase = _spread(mailbox_id) % every_minutes
    minute += (phase - minute) % every_minutes
    at = datetime.fromtimestamp(minute * 60, UTC)
    return at if at >= earliest else at + timedelta(minutes=every_minutes)


def rest_until(
    mailbox_id: MailboxId, every_minutes: int, *, now: datetime, last_news_at: datetime
) -> datetime | None:
    """Return until when a mailbox that found nothing at `now` is left alone, or None: no longer.

    It rests for whole cycles, so that it is polled in a minute of its slot; up to a turn of its
    own, so that mailboxes that were all polled at once, as after an outage, do not stay together.
    """
    quiet_cycles = (now - last_news_at) // timedelta(minutes=every_minutes)
    for quiet, of in QUIET_AFTER:
        if quiet_cycles < quiet:
            continue
        phase, turn = _spread(mailbox_id) % every_minutes, (_spread(mailbox_id) >> 32) % of
        cycle = (int(now.timestamp()) // 60 - phase) // every_minutes
        skipped = of - 1 - (cycle + turn) % of
        if not skipped:
            return None
        after = (cycle + skipped) * every_minutes + phase + 1
        return datetime.fromtimestamp(after * 60, UTC)
    return None


def how_late(
    mailbox_id: MailboxId,
    every_minutes: int,
    *,
    now: datetime,
    last_synced_at: datetime,
    rests_until: datetime | None,
) -> timedelta:
    """Return how much longer ago than was meant a mailbox was in sync; zero where it is in time.

    `rests_until`: until when it was left alone on purpose, being quiet.
    """
    due = next_run_at(mailbox_id, every_minutes, now=last_synced_at, not_before=rests_until)
    return max(now - due, timedelta())


def lateness(mailbox: Mailbox, state: RunState, *, now: datetime) -> timedelta:
    """Return `how_late` a mailbox is; one that never was in sync, since it was connected."""
    return how_late(
        mailbox.id,
        polled_every(state.due_slot, mailbox.sync_minutes),
        now=now,
        last_synced_at=state.last_synced_at or mailbox.connected_at,
        # What a failure has it wait is no rest: its people see old mail.
        rests_until=None if state.failures else state.not_before,
    )


def late_since(mailbox: Mailbox, state: RunState, *, now: datetime) -> datetime | None:
    """Return when an active mailbox was to be looked at and was not; None where it is in time."""
    if mailbox.status is not MailboxStatus.ACTIVE:
        return None
    late = lateness(mailbox, state, now=now)
    return now - late if late > LATE_AFTER else None


def is_answered(asked_at: datetime, last_synced_at: datetime | None) -> bool:
    """Whether a poll the schedule asked for was done by another one meanwhile.

    While a queue is long, a mailbox has a request in it from each cycle, and one poll serves all.
    """
    return last_synced_at is not None and last_synced_at > asked_at


def is_audit_minute(mailbox_id: MailboxId, now: datetime) -> bool:
    """Whether the mailbox is audited in the minute of `now`: one of each day.

    Every cadence divides the day, so it is one of those in which the mailbox is due.
    """
    minutes_a_day = 24 * 60
    return _spread(mailbox_id) % minutes_a_day == int(now.timestamp()) // 60 % minutes_a_day


def _slot(every: int, phase: int, shard: int) -> str:
    return f"{_SLOT}{every}#{phase}#{shard}"


def _spread(mailbox_id: MailboxId) -> int:
    return int.from_bytes(hashlib.blake2b(mailbox_id.encode(), digest_size=8).digest(), "big")
