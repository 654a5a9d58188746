"""What becomes of a backfill's work that a reconnect or a disconnect overtakes."""

import pytest

from shared.domain.backfill import BackfillState
from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.mailbox import MailboxStatus
from tests.fakes.clock import FixedClock
from tests.fakes.provider import FakeSession
from tests.unit.operations.machine import TENANT, Machine, busy_server

NOW = FixedClock().now()


@pytest.fixture
def machine():
    return Machine(busy_server(NOW))


def backfill_of(machine, mailbox):
    (backfill,) = machine.world.backfills[(TENANT, mailbox.id)].values()
    return backfill


def during(monkeypatch, ask, act):
    """Have `act` happen while the server answers the first `ask`."""
    answer = getattr(FakeSession, ask)

    def act_and_answer(*given, **named):
        monkeypatch.setattr(FakeSession, ask, answer)
        act()
        return answer(*given, **named)

    monkeypatch.setattr(FakeSession, ask, act_and_answer)


def work_off(machine):
    """Run what the queues hold without syncing, and without letting any time pass."""
    machine.queues.take_syncs()
    while chunks := machine.queues.take_chunks():
        for request in chunks:
            machine.run_chunk(request)


def test_a_chunk_that_a_reconnect_overtakes_is_run_again_at_once(machine, monkeypatch):
    mailbox = machine.connect(days=60)
    machine.plan(machine.queues.take_plans()[0])
    during(monkeypatch, "fetch", lambda: machine.reconnect(mailbox.id))
    work_off(machine)
    assert backfill_of(machine, mailbox).state is BackfillState.DONE
    assert [report.kind for report in machine.reports] == ["continued", "done", "done"]


def test_a_chunk_that_a_disconnect_overtakes_is_left(machine, monkeypatch):
    mailbox = machine.connect(days=60)
    machine.plan(machine.queues.take_plans()[0])
    during(monkeypatch, "fetch", lambda: machine.disconnect(mailbox.id))
    work_off(machine)
    assert machine.reports[-1].kind == "dropped"
    assert machine.live_copies(mailbox.id) == {}


def test_a_worker_that_lost_its_chunk_takes_it_from_nobody(machine, monkeypatch):
    mailbox = machine.connect(days=60)
    machine.plan(machine.queues.take_plans()[0])
    request, other = machine.queues.take_chunks()

    def another_takes_it():
        machine.clock.advance(minutes=10)
        machine.run_chunk(request)

    during(monkeypatch, "fetch", another_takes_it)
    machine.run_chunk(request)
    machine.run_chunk(other)
    work_off(machine)
    backfill = backfill_of(machine, mailbox)
    assert (backfill.state, backfill.done) == (BackfillState.DONE, backfill.chunks)
    assert backfill.counts.settled == backfill.planned


def test_a_plan_that_a_reconnect_overtakes_is_made_again_at_once(machine, monkeypatch):
    mailbox = machine.connect(days=60)
    (request,) = machine.queues.take_plans()
    during(monkeypatch, "list_window", lambda: machine.reconnect(mailbox.id))
    machine.plan(request)
    assert backfill_of(machine, mailbox).code is None
    (again,) = machine.queues.take_plans()
    machine.plan(again)
    assert backfill_of(machine, mailbox).state is BackfillState.RUNNING
    assert machine.world.mailboxes[(TENANT, mailbox.id)].status is MailboxStatus.ACTIVE


def test_a_message_that_takes_longer_than_a_function_lives_does_not_hold_up_its_import(
    machine, monkeypatch
):
    mailbox = machine.connect(days=60)
    machine.plan(machine.queues.take_plans()[0])
    (request, *_) = machine.queues.take_chunks()
    chunk = machine.world.chunks[(TENANT, mailbox.id, backfill_of(machine, mailbox).id)][0]
    endless = chunk.ids[0]
    fetch = FakeSession.fetch

    def slow(self, folder, ids):
        for fetched in fetch(self, folder, ids):
            if fetched.provider_message_id == endless:
                machine.seconds_left = 5.0
                raise RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT)
            yield fetched

    monkeypatch.setattr(FakeSession, "fetch", slow)
    for _ in range(3):
        with pytest.raises(RetryLaterError):
            machine.run_chunk(request)
        machine.seconds_left = 100.0
        machine.clock.advance(minutes=7)
    machine.run_chunk(request)
    report = machine.reports[-1]
    assert report.kind == "done"
    assert report.run.ledger["unreadable:killed_its_reader"] == (endless,)
    assert set(chunk.ids) - {endless} <= set(machine.live_copies(mailbox.id))


def test_a_chunk_that_runs_out_of_time_keeps_what_it_has_and_goes_on(machine, monkeypatch):
    mailbox = machine.connect(days=60)
    machine.plan(machine.queues.take_plans()[0])
    (request, *_) = machine.queues.take_chunks()
    fetch = FakeSession.fetch

    def slow(session, folder, ids):
        for fetched in fetch(session, folder, ids):
            machine.seconds_left -= 45.0
            yield fetched

    monkeypatch.setattr(FakeSession, "fetch", slow)
    held = []
    while not machine.reports or machine.reports[-1].kind == "continued":
        machine.seconds_left = 100.0
        machine.run_chunk(request)
        held.append(len(machine.live_copies(mailbox.id)))
    assert machine.reports[-1].kind == "done"
    assert held[0] < held[-1]
    assert held == sorted(held)
    assert machine.reports[-1].run.counts.balances
    assert len(machine.server.fetched) == len(set(machine.server.fetched)), "fetched again"
