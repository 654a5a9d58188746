"""A tick asks for every mailbox of its minute, whole or in parts, and forgets none."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import ErrorCode, RetryLaterError, StoreThrottledError
from shared.domain.ids import MailboxId
from shared.domain.mailbox import RunState
from shared.domain.quotas import Quotas
from shared.domain.run import RunReason
from shared.domain.schedule import (
    CADENCES_MINUTES,
    SlotRange,
    is_audit_minute,
    next_run_at,
    slot_of,
    slots_at,
)
from shared.operations.schedule_sync import PIECE, schedule_sync
from tests.fakes.clock import FixedClock
from tests.fakes.queues import RecordingTickRelay, RecordingWorkQueues
from tests.fakes.stores import InMemoryMailboxStore
from tests.fakes.values import NOW, TENANT, a_mailbox

MINUTE = timedelta(minutes=1)


class Schedule:
    """Mailboxes of one tenant, and ticks over them."""

    def __init__(self) -> None:
        self.mailboxes = InMemoryMailboxStore(quotas=Quotas(mailboxes=10_000))
        self.queues = RecordingWorkQueues()
        self.relay = RecordingTickRelay()
        self.clock = FixedClock()
        self.seconds_left = 50.0

    def add(self, number: int, every: int = 5, *, not_before=None) -> MailboxId:
        name = MailboxId(f"M{number:06}")
        state = RunState(due_slot=slot_of(name, every), not_before=not_before)
        mailbox = a_mailbox(id=name, address=f"{name}@acme.example", sync_minutes=every)
        self.mailboxes.create(mailbox, state, name)
        return name

    def add_to(self, slot: str, count: int) -> list[MailboxId]:
        names = [MailboxId(f"M{number:06}") for number in range(count)]
        for name in names:
            state = RunState(due_slot=slot)
            self.mailboxes.create(a_mailbox(id=name, address=name), state, name)
        return names

    def tick(self, at=NOW, **changes) -> int:
        ports = {
            "mailboxes": self.mailboxes,
            "queues": self.queues,
            "relay": self.relay,
            "remaining_seconds": lambda: self.seconds_left,
        }
        return schedule_sync(at=at, **ports | changes)

    def asked(self) -> list[MailboxId]:
        return [request.mailbox_id for request in self.queues.take_syncs()]

    def finish_tick(self, **changes) -> int:
        """Do what was handed on, until nothing is; return how many invocations that took."""
        invocations = 0
        while self.relay.handed_on:
            at, ranges = self.relay.handed_on.pop()
            self.tick(at, ranges=ranges, **changes)
            invocations += 1
        return invocations


@pytest.fixture
def schedule() -> Schedule:
    return Schedule()


def slot_now() -> str:
    (*_, slot) = slots_at(NOW)
    return slot


# ---- when ticks come ----


def test_a_tick_asks_for_the_mailboxes_of_its_minute_and_no_others(schedule):
    names = [schedule.add(number, 5) for number in range(200)]
    due = {name for name in names if slot_of(name, 5) in set(slots_at(NOW))}
    assert schedule.tick() == len(due)
    assert {(sync.tenant_id, sync.reason) for sync in schedule.queues.syncs} == {
        (TENANT, RunReason.SCHEDULE)
    }
    assert set(schedule.asked()) == due


def test_a_mailbox_that_waits_is_not_asked_for_and_one_that_waited_is(schedule):
    names = schedule.add_to(slot_now(), 2)
    states = schedule.mailboxes.world.run_states
    states[TENANT, names[0]] = RunState(due_slot=slot_now(), not_before=NOW + timedelta(seconds=1))
    states[TENANT, names[1]] = RunState(due_slot=slot_now(), not_before=NOW)
    schedule.tick()
    assert schedule.asked() == [names[1]]


@pytest.mark.parametrize("every", CADENCES_MINUTES)
def test_after_a_day_without_ticks_each_mailbox_is_asked_for_within_its_cycle(schedule, every):
    names = {schedule.add(number, every) for number in range(40)}
    schedule.tick()
    schedule.asked()
    again = NOW + timedelta(days=1)
    asked = []
    for minute in range(every):
        schedule.tick(again + minute * MINUTE)
        asked += schedule.asked()
    assert sorted(asked) == sorted(names)


def test_a_tick_an_hour_late_asks_for_the_minute_it_was_planned_for(schedule):
    names = [schedule.add(number, 5) for number in range(100)]
    planned = next_run_at(names[7], 5, now=NOW, not_before=None)
    schedule.tick(planned)
    on_time = schedule.asked()
    schedule.clock.at = planned + timedelta(hours=1)
    schedule.tick(planned)
    assert schedule.asked() == on_time
    assert names[7] in on_time


# ---- large minutes ----


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=4),
    st.integers(1, 25),
)
def test_what_one_invocation_does_not_take_others_do_and_each_mailbox_once(sizes, most):
    schedule = Schedule()
    expected, read = [], []
    for number, (slot, size) in enumerate(zip(slots_at(NOW), sizes, strict=False)):
        for one in range(size):
            name = MailboxId(f"M{number}{one:04}")
            state = RunState(due_slot=slot)
            schedule.mailboxes.create(a_mailbox(id=name, address=name), state, name)
            expected.append(name)

    class Counting(InMemoryMailboxStore):
        def due(self, slot, **bounds):
            for due in super().due(slot, **bounds):
                read[-1] += 1
                yield due

    counting = Counting(schedule.mailboxes.world)
    read.append(0)
    schedule.tick(mailboxes=counting, most=most)
    invocations = 1
    while schedule.relay.handed_on:
        at, ranges = schedule.relay.handed_on.pop()
        assert at == NOW
        read.append(0)
        schedule.tick(mailboxes=counting, most=most, ranges=ranges)
        invocations += 1
    assert sorted(schedule.asked()) == expected
    assert max(read) <= most + 1
    # One for each full share and what is left of a slot after it.
    assert invocations <= 1 + 2 * (len(expected) // most)


def test_what_others_take_over_is_handed_on_before_anything_is_sent(schedule):
    schedule.add_to(slot_now(), 30)
    schedule.queues.failure = RetryLaterError(ErrorCode.STORE_THROTTLED)
    with pytest.raises(RetryLaterError):
        schedule.tick(most=10)
    assert schedule.relay.handed_on == [(NOW, [SlotRange(slot_now(), MailboxId("M000010"))])]


def test_a_few_thousand_mailboxes_need_one_invocation(schedule):
    schedule.add_to(slot_now(), 2 * PIECE + 1)
    assert schedule.tick() == 2 * PIECE + 1
    assert schedule.relay.handed_on == []


def test_a_relay_that_refuses_has_the_tick_done_again_and_its_own_share_first(schedule):
    schedule.add_to(slot_now(), 30)
    schedule.relay.failure = RetryLaterError(ErrorCode.STORE_THROTTLED)
    with pytest.raises(RetryLaterError):
        schedule.tick(most=10)
    assert len(schedule.asked()) == 10


# ---- half done ----


class Refusing(RecordingWorkQueues):
    """Refuses the calls whose numbers are in `refuses`, as after entries that failed five times."""

    def __init__(self, *refuses: int) -> None:
        super().__init__()
        self.refuses = set(refuses)
        self.calls = 0

    def send_syncs(self, requests, *, delay_seconds=0):
        self.calls += 1
        if self.calls - 1 in self.refuses:
            super().send_syncs(requests[: len(requests) // 2])
            raise RetryLaterError(ErrorCode.STORE_THROTTLED)
        super().send_syncs(requests)


def test_a_piece_the_queue_refuses_holds_up_no_other_and_is_asked_for_again(schedule):
    names = schedule.add_to(slot_now(), 3 * PIECE)
    schedule.queues = Refusing(1)
    assert schedule.tick() == 2 * PIECE
    refused = SlotRange(slot_now(), names[PIECE], names[2 * PIECE])
    assert schedule.relay.handed_on == [(NOW, [refused])]
    schedule.finish_tick()
    assert set(schedule.asked()) == set(names)


def test_a_queue_that_takes_nothing_ends_the_tick_and_hands_on_nothing(schedule):
    schedule.add_to(slot_now(), 2 * PIECE)
    schedule.queues = Refusing(0, 1)
    with pytest.raises(RetryLaterError):
        schedule.tick()
    assert schedule.relay.handed_on == []


def test_a_tick_out_of_time_hands_on_what_it_has_not_sent(schedule):
    names = schedule.add_to(slot_now(), 4 * PIECE)
    schedule.seconds_left = 14.9
    assert schedule.tick() == PIECE
    assert schedule.finish_tick() == 3
    assert sorted(schedule.asked()) == names


def test_a_slot_that_cannot_be_read_holds_up_no_other(schedule):
    (busy, other) = list(slots_at(NOW))[:2]
    names = [MailboxId("A"), MailboxId("B")]
    for name, slot in zip(names, (busy, other), strict=True):
        schedule.mailboxes.create(a_mailbox(id=name, address=name), RunState(due_slot=slot), name)

    class Busy(InMemoryMailboxStore):
        def due(self, slot, **bounds):
            if slot == busy:
                raise StoreThrottledError
            return super().due(slot, **bounds)

    assert schedule.tick(mailboxes=Busy(schedule.mailboxes.world)) == 1
    assert schedule.relay.handed_on == [(NOW, [SlotRange(busy)])]
    schedule.finish_tick()
    assert sorted(schedule.asked()) == names


def test_a_minute_of_which_nothing_can_be_read_is_tried_again_as_a_whole(schedule):
    class Busy(InMemoryMailboxStore):
        def due(self, slot, **bounds):
            raise StoreThrottledError

    with pytest.raises(StoreThrottledError):
        schedule.tick(mailboxes=Busy())
    assert schedule.relay.handed_on == []


# ---- audits ----


class RefusingAudits(RecordingWorkQueues):
    """Takes syncs and no audit."""

    def send_audits(self, requests):
        raise RetryLaterError(ErrorCode.STORE_THROTTLED)


def test_each_mailbox_s_audit_is_asked_for_once_a_day_however_a_minute_is_divided(schedule):
    names = {schedule.add(number) for number in range(100)}
    asked, invocations = [], 0
    for minute in range(24 * 60):
        schedule.tick(NOW + minute * MINUTE, most=7)
        invocations += schedule.finish_tick(most=7)
        found = schedule.queues.take_audits()
        assert {one.asked_at for one in found} <= {NOW + minute * MINUTE}
        asked += found
    assert sorted(one.mailbox_id for one in asked) == sorted(names)
    assert invocations > 24 * 60


def test_audits_that_are_refused_hold_up_no_sync_and_end_the_tick_as_failed(schedule):
    names = {schedule.add(number) for number in range(3_000)}
    due = {name for name in names if slot_of(name, 5) in set(slots_at(NOW))}
    assert any(is_audit_minute(name, NOW) for name in due)
    schedule.queues = RefusingAudits()
    with pytest.raises(RetryLaterError):
        schedule.tick()
    assert set(schedule.asked()) == due
    assert schedule.relay.handed_on == []
