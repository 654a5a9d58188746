"""Workers that were frozen past their lease, or whose clock is wrong, and those that took over from them."""

from datetime import timedelta

import pytest

from shared.domain.errors import RetryLaterError
from shared.domain.run import RunReason
from shared.ports.queues import SyncRequest
from tests.fakes.clock import FixedClock
from tests.fakes.provider import FakeSession
from tests.unit.operations.machine import TENANT, Machine, busy_server, mail

NOW = FixedClock().now()
FROZEN = timedelta(minutes=20)


@pytest.fixture
def machine():
    return Machine(busy_server(NOW))


def amid_the_fetch(monkeypatch, act):
    """Have `act` happen once, when a worker holds messages it has fetched and not stored."""
    fetch = FakeSession.fetch

    def interrupted(session, folder, ids):
        messages = list(fetch(session, folder, ids))
        yield messages[0]
        monkeypatch.setattr(FakeSession, "fetch", fetch)
        act()
        yield from messages[1:]

    monkeypatch.setattr(FakeSession, "fetch", interrupted)


def synced(machine, mailbox):
    return machine.sync(SyncRequest(TENANT, mailbox.id, RunReason.SCHEDULE))


def news(machine):
    at = machine.clock.now()
    for number in (500, 501, 502):
        machine.server.deliver("INBOX", mail(number, at), at)
    machine.server.mark_seen("INBOX", 2)
    machine.server.delete("INBOX", 3)


def as_undisturbed(days, act=lambda machine: None):
    machine = Machine(busy_server(NOW))
    machine.connect(days=days)
    machine.drain()
    act(machine)
    machine.tick(12)
    return machine.fingerprint()


def test_a_sync_frozen_past_its_lease_writes_nothing_when_it_goes_on(machine, monkeypatch):
    mailbox = machine.connect(days=30)
    machine.drain()
    news(machine)
    after = []

    def another_takes_over():
        machine.clock.at += FROZEN
        assert synced(machine, mailbox).kind == "done"
        machine.server.delete("INBOX", 4)
        machine.clock.advance(minutes=5)
        assert synced(machine, mailbox).kind == "done"
        after.append((machine.fingerprint(), dict(machine.world.run_states)))

    amid_the_fetch(monkeypatch, another_takes_over)
    assert synced(machine, mailbox).kind == "dropped"
    assert after == [(machine.fingerprint(), machine.world.run_states)]
    assert "f-inbox.1.4" not in machine.live_copies(mailbox.id)


def test_a_chunk_frozen_past_its_function_stores_nothing_when_it_goes_on(machine, monkeypatch):
    mailbox = machine.connect(days=60)
    machine.plan(machine.queues.take_plans()[0])
    synced(machine, mailbox)
    (request, *_) = machine.queues.take_chunks()
    after, victims = [], []

    def another_takes_over():
        machine.clock.at += FROZEN
        machine.run_chunk(request)
        assert machine.reports[-1].kind == "done"
        victims.append(min(machine.live_copies(mailbox.id)))
        machine.server.delete("INBOX", int(victims[0].rsplit(".", 1)[1]))
        assert synced(machine, mailbox).kind == "done"
        after.append(machine.fingerprint())
        machine.seconds_left = 100.0 - FROZEN.total_seconds()

    amid_the_fetch(monkeypatch, another_takes_over)
    with pytest.raises(RetryLaterError):
        machine.run_chunk(request)
    assert [machine.fingerprint()] == after
    assert victims[0] not in machine.live_copies(mailbox.id)


@pytest.mark.parametrize("minutes", [10, -10])
def test_two_syncs_whose_clocks_are_ten_minutes_apart_end_as_one(machine, monkeypatch, minutes):
    """A lease that only looks as if it were over is taken, and whoever had it is told by its number."""
    mailbox = machine.connect(days=30)
    machine.drain()
    news(machine)
    kinds = []

    def another_whose_clock_is_wrong():
        right = machine.clock.at
        machine.clock.at += timedelta(minutes=minutes)
        requested = SyncRequest(TENANT, mailbox.id, RunReason.REQUESTED)
        kinds.append(machine.sync(requested).kind)
        machine.clock.at = right

    amid_the_fetch(monkeypatch, another_whose_clock_is_wrong)
    kinds.append(synced(machine, mailbox).kind)
    assert kinds == (["done", "dropped"] if minutes > 0 else ["dropped", "done"])
    machine.tick(20)
    assert machine.fingerprint() == as_undisturbed(30, news)


@pytest.mark.parametrize("minutes", [10, -10])
def test_two_workers_of_a_chunk_whose_clocks_are_ten_minutes_apart_end_as_one(
    machine, monkeypatch, minutes
):
    machine.connect(days=60)
    machine.plan(machine.queues.take_plans()[0])
    (request, *_) = machine.queues.take_chunks()

    def another_whose_clock_is_wrong():
        right = machine.clock.at
        machine.clock.at += timedelta(minutes=minutes)
        machine.run_chunk(request)
        machine.clock.at = right

    amid_the_fetch(monkeypatch, another_whose_clock_is_wrong)
    machine.run_chunk(request)
    machine.drain()
    machine.tick(20)
    assert machine.fingerprint() == as_undisturbed(60)
