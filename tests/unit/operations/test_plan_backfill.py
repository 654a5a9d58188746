"""What a plan makes of folders that do not open, and of a second planner."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.backfill import BackfillState
from shared.domain.errors import ErrorCode, RetryLaterError
from shared.operations.start_backfill import start_backfill
from tests.fakes.clock import FixedClock
from tests.fakes.provider import FakeSession
from tests.fakes.stores import InMemoryBackfillStore
from tests.unit.operations.machine import ADA, TENANT, Machine, busy_server

NOW = FixedClock().now()


@pytest.fixture
def machine():
    return Machine(busy_server(NOW))


@pytest.fixture
def closed_windows(monkeypatch):
    """How often each folder still refuses to be listed."""
    refusals = {}
    list_window = FakeSession.list_window

    def refusing(session, folder, **given):
        if refusals.get(folder.id, 0):
            refusals[folder.id] -= 1
            raise RetryLaterError(ErrorCode.FOLDER_UNAVAILABLE)
        return list_window(session, folder, **given)

    monkeypatch.setattr(FakeSession, "list_window", refusing)
    return refusals


def backfill_of(machine, mailbox):
    return InMemoryBackfillStore(machine.world).list_backfills(TENANT, mailbox.id)[0]


def wanted(machine, mailbox):
    floor = mailbox.history_from
    return {
        name
        for folder in machine.server.folders
        if folder in {"INBOX", "Sent"}
        for name in machine.server.ids(folder, since=floor)
    }


def test_a_folder_that_cannot_be_listed_yet_is_brought_in_whole_later(machine, closed_windows):
    closed_windows["f-sent"] = 1
    mailbox = machine.connect(days=30)
    machine.drain()
    machine.tick(6)
    assert backfill_of(machine, mailbox).state is BackfillState.DONE
    assert wanted(machine, mailbox) <= set(machine.live_copies(mailbox.id))


def test_a_folder_that_sync_already_follows_makes_the_plan_wait_and_say_why(
    machine, closed_windows
):
    mailbox = machine.connect(days=30)
    machine.drain()
    machine.clock.advance(minutes=1)
    closed_windows["f-sent"] = 1
    start_backfill(
        ADA,
        mailbox.id,
        60,
        mailboxes=machine.mailboxes,
        backfills=machine.backfills,
        queues=machine.queues,
        clock=machine.clock,
    )
    machine.plan(machine.queues.take_plans()[0])
    waiting = backfill_of(machine, mailbox)
    assert (waiting.state, waiting.code) == (
        BackfillState.PLANNING,
        ErrorCode.FOLDER_UNAVAILABLE,
    )
    assert waiting.waiting_until
    machine.tick(30)
    done = backfill_of(machine, mailbox)
    assert (done.state, done.code) == (BackfillState.DONE, None)


def test_a_second_planner_leaves_the_first_alone(machine):
    mailbox = machine.connect(days=30)
    (request,) = machine.queues.take_plans()
    machine.backfills.take_plan(backfill_of(machine, mailbox), now=machine.clock.now(), seconds=330)
    machine.plan(request)
    assert backfill_of(machine, mailbox).state is BackfillState.PLANNING
    assert not machine.queues.take_chunks()
    machine.tick(12)
    assert backfill_of(machine, mailbox).state is BackfillState.DONE


def test_a_plan_that_keeps_failing_is_tried_less_often(machine):
    mailbox = machine.connect(days=30)
    machine.server.failure = RetryLaterError(ErrorCode.CONNECTION_DROPPED)
    (request,) = machine.queues.take_plans()
    waits = []
    for minutes in (0, 5, 10, 60, 600):
        machine.clock.at = NOW + timedelta(minutes=minutes)
        machine.plan(request)
        waiting = backfill_of(machine, mailbox)
        assert waiting.code is ErrorCode.CONNECTION_DROPPED
        waits.append((waiting.waiting_until - machine.clock.now()).total_seconds() / 60)
    assert waits[0] <= 1 < waits[2] < waits[3] <= 10
    assert waits[4] <= 10


def test_a_plan_waits_until_every_position_is_taken_and_sync_goes_on_taking_them(
    machine, monkeypatch
):
    baseline, unsettled = FakeSession.baseline, {"INBOX"}

    def begun(session, folder, *, now):
        cursor = baseline(session, folder, now=now)
        return replace(cursor, version=99) if folder.name in unsettled else cursor

    monkeypatch.setattr(FakeSession, "baseline", begun)
    monkeypatch.setattr(FakeSession, "is_settled", lambda _session, cursor: cursor.version != 99)
    mailbox = machine.connect(days=60)
    request = machine.queues.take_plans()[0]
    machine.queues.take_syncs()
    machine.plan(request)
    backfill = machine.world.backfills[TENANT, mailbox.id][request.backfill_id]
    assert (backfill.state, backfill.code) == (BackfillState.PLANNING, ErrorCode.TAKING_STOCK)
    states = machine.world.folders[TENANT, mailbox.id]
    assert {state.cursor is not None for state in states.values()} == {True}
    unsettled.clear()
    for name, state in states.items():
        states[name] = replace(state, cursor=state.cursor.replace(":99:", ":1:"))
    machine.tick(10)
    (backfill,) = machine.world.backfills[TENANT, mailbox.id].values()
    assert backfill.state is BackfillState.DONE
    assert backfill.planned == backfill.counts.settled > 0
