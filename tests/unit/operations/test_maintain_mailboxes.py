"""What the sweeper sends again, and when: at once what a dead worker held, seldom what only waits."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import ConflictError, ErrorCode
from shared.domain.ids import MailboxId
from shared.domain.mailbox import MailboxStatus
from shared.operations.maintain_mailboxes import release_lost_chunks
from tests.fakes.clock import FixedClock
from tests.fakes.queues import RecordingWorkQueues
from tests.fakes.stores import InMemoryBackfillStore, InMemoryMailboxStore, World
from tests.fakes.values import NOW, a_backfill, connected, later, some_chunks


class Sweeper:
    def __init__(self):
        world = World()
        self.mailboxes, self.backfills = InMemoryMailboxStore(world), InMemoryBackfillStore(world)
        self.queues = RecordingWorkQueues()
        connected(self.mailboxes)
        self.backfills.create_backfill(a_backfill())

    def start(self, *, released):
        chunks = some_chunks(a_backfill(), 4)
        self.backfills.put_chunks(a_backfill(), chunks)
        begun = self.backfills.start_backfill(
            replace(a_backfill(), chunks=4, planned=8, started_at=NOW)
        )
        return self.backfills.raise_released(begun, released)

    def minutes_of_sending(self, until):
        """The minutes, of those up to `until`, in which a sweep sent something."""
        return [minute for minute in range(until) if self.at(60 * minute)]

    def at(self, seconds):
        clock = FixedClock(later(seconds))
        return release_lost_chunks(
            mailboxes=self.mailboxes, backfills=self.backfills, queues=self.queues, clock=clock
        ).sent


@pytest.fixture
def sweeper():
    return Sweeper()


def test_a_chunk_whose_worker_died_is_sent_in_the_minute_after_its_lease(sweeper):
    backfill = sweeper.start(released=2)
    for number in (0, 1):
        sweeper.backfills.take_chunk(backfill, number, owner="dead", now=NOW, seconds=150)
    assert sweeper.minutes_of_sending(10) == [3, 8]
    assert [one.chunk for one in sweeper.queues.take_chunks()] == [0, 1] * 2


def test_chunks_waiting_in_a_long_queue_are_not_doubled_every_minute(sweeper):
    sweeper.start(released=2)
    assert sweeper.minutes_of_sending(12) == [5, 10]


def test_a_chunk_put_back_for_later_is_sent_when_its_time_has_come(sweeper):
    backfill = sweeper.start(released=2)
    for number in (0, 1):
        chunk = sweeper.backfills.take_chunk(backfill, number, owner="w", now=NOW, seconds=150)
        sweeper.backfills.give_back_chunk(backfill, chunk, not_before=later(60 * 60))
    assert sweeper.minutes_of_sending(62) == [60]


def test_a_plan_that_got_lost_is_asked_for_again(sweeper):
    assert sweeper.minutes_of_sending(13) == [6, 11]


@pytest.mark.parametrize("minutes", [2, 60])
def test_a_plan_that_waits_is_asked_for_when_its_wait_is_over(sweeper, minutes):
    sweeper.backfills.set_waiting(a_backfill(), later(60 * minutes), ErrorCode.CONNECTION_FAILED)
    assert sweeper.minutes_of_sending(minutes + 6) == [minutes, minutes + 5]


# ---- many ----


class TickingClock(FixedClock):
    """A clock on which every question takes a second."""

    def now(self):
        return self.advance(1)


def many(count):
    sweeper = Sweeper()
    for number in range(count):
        mailbox_id = MailboxId(f"M{number:03}")
        connected(sweeper.mailboxes, id=mailbox_id, address=f"m{number}@acme.example")
        backfill = a_backfill(f"01M{number:03}", mailbox_id=mailbox_id, created_at=later(-360))
        sweeper.backfills.create_backfill(backfill)
    return sweeper


def test_a_sweep_ends_in_time_and_nobody_is_passed_over_for_long():
    sweeper = many(120)
    planned = set()
    for minute in range(0, 60, 5):
        clock = TickingClock(later(60 * minute))
        sweep = release_lost_chunks(
            mailboxes=sweeper.mailboxes,
            backfills=sweeper.backfills,
            queues=sweeper.queues,
            clock=clock,
        )
        assert clock.at - later(60 * minute) < timedelta(seconds=60)
        assert 60 < sweep.left < 80
        planned |= {one.mailbox_id for one in sweeper.queues.take_plans()}
    assert planned >= {f"M{number:03}" for number in range(120)}


def test_what_somebody_changes_meanwhile_stops_no_sweep(monkeypatch):
    sweeper = many(2)
    for box in list(sweeper.mailboxes.world.mailboxes.values()):
        sweeper.mailboxes.world.mailboxes[box.tenant_id, box.id] = replace(
            box, status=MailboxStatus.DISCONNECTED
        )
    change, calls = sweeper.backfills.set_backfill_state, []

    def refused_once(backfill, state, **given):
        calls.append(backfill.id)
        if len(calls) == 1:
            raise ConflictError(ErrorCode.WRONG_STATE)
        return change(backfill, state, **given)

    monkeypatch.setattr(sweeper.backfills, "set_backfill_state", refused_once)
    assert sweeper.at(60) == 0
    assert len(calls) == 3
    assert [one.id for one in sweeper.backfills.open_backfills()] == calls[:1]
