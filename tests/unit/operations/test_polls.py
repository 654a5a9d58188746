"""What each look at a mailbox tells of the fleet: how old its people's mail is, and what came of it."""

from datetime import timedelta

import pytest

from shared.domain import schedule
from shared.domain.errors import ErrorCode, ReconnectRequiredError, RetryLaterError
from shared.domain.mailbox import Provider
from shared.domain.run import RunReason
from shared.ports.queues import SyncRequest
from tests.fakes.clock import FixedClock
from tests.unit.operations.machine import TENANT, Machine, busy_server

SOON = timedelta(minutes=1)


def late_since(machine, mailbox):
    record = machine.mailboxes.get(TENANT, mailbox.id)
    return schedule.late_since(record.mailbox, record.run_state, now=machine.clock.now())


@pytest.fixture
def machine():
    return Machine(busy_server(FixedClock().now()))


@pytest.fixture
def mailbox(machine):
    mailbox = machine.connect(days=0)
    machine.drain()
    return mailbox


def polls(machine, minutes):
    """Every look of these minutes, by the schedule."""
    looks = []
    for _ in range(minutes):
        before = len(machine.reports)
        machine.tick(1)
        looks += [report.poll(machine.clock.now()) for report in machine.reports[before:]]
    return [look for look in looks if look is not None]


def test_a_mailbox_that_is_polled_as_it_should_is_never_late(machine, mailbox):
    looks = polls(machine, 60)
    assert len(looks) == 12
    for look in looks:
        assert (look.provider, look.failed, look.parked) == (Provider.IMAP, False, False)
        assert look.late <= SOON
    assert looks[-1].age >= timedelta(minutes=5)
    assert late_since(machine, mailbox) is None


def test_a_quiet_mailbox_that_rests_is_not_late(machine, mailbox):
    machine.tick(14 * 60)
    for look in polls(machine, 60):
        assert look.age >= timedelta(minutes=15)
        assert look.late <= SOON
        assert late_since(machine, mailbox) is None


def test_looks_that_fail_tell_of_older_and_older_mail(machine, mailbox):
    machine.tick(5)
    machine.server.failure = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
    looks = polls(machine, 120)
    assert len(looks) > 5
    assert all(look.failed and not look.parked for look in looks)
    assert sorted(looks, key=lambda look: look.late) == looks
    assert looks[-1].late > timedelta(minutes=90)
    assert machine.clock.now() - late_since(machine, mailbox) > timedelta(minutes=90)
    machine.server.failure = None
    (mended, *later) = polls(machine, 30)
    assert not mended.failed
    assert mended.late > timedelta(minutes=90)
    assert all(look.late <= SOON for look in later)
    assert late_since(machine, mailbox) is None


def test_schedules_that_stood_still_make_the_first_look_late(machine, mailbox):
    machine.clock.advance(minutes=180)
    due = late_since(machine, mailbox)
    assert timedelta(hours=2, minutes=50) < machine.clock.now() - due < timedelta(hours=3)
    (first, *_) = polls(machine, 5)
    assert not first.failed
    assert first.late > timedelta(hours=2, minutes=50)


def test_a_mailbox_that_has_to_sign_in_again_is_parked_once_and_asked_no_more(machine, mailbox):
    machine.server.failure = ReconnectRequiredError(ErrorCode.GRANT_REVOKED)
    (look,) = polls(machine, 60)
    assert (look.failed, look.parked) == (True, True)
    assert late_since(machine, mailbox) is None


def test_what_asks_no_provider_is_no_look(machine, mailbox):
    machine.server.failure = RetryLaterError(
        ErrorCode.PROVIDER_UNAVAILABLE, retry_after_seconds=999
    )
    assert machine.sync(SyncRequest(TENANT, mailbox.id, RunReason.SCHEDULE)).poll(
        machine.clock.now()
    )
    dropped = machine.sync(SyncRequest(TENANT, mailbox.id, RunReason.SCHEDULE))
    assert (dropped.kind, dropped.poll(machine.clock.now())) == ("dropped", None)
