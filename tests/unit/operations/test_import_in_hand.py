"""Imports that people extend, pause, resume and cancel, at every moment and whoever dies then."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import pytest

from shared.domain.backfill import BackfillState
from shared.domain.errors import ConflictError, ErrorCode, RetryLaterError
from shared.domain.ids import RunId
from shared.domain.lease import Fence
from shared.domain.ledger import Counts
from shared.domain.run import Run, RunReason
from shared.operations.record_dead_letter import record_dead_letter
from shared.operations.start_backfill import BackfillAction, change_backfill, start_backfill
from tests.fakes.clock import FixedClock
from tests.fakes.provider import FakeSession
from tests.fakes.sends import InMemorySendStore
from tests.unit.operations.machine import ADA, TENANT, Death, Killer, Machine, busy_server

NOW = FixedClock().now()
PAUSE, RESUME, CANCEL = BackfillAction.PAUSE, BackfillAction.RESUME, BackfillAction.CANCEL
OVER = {BackfillState.DONE, BackfillState.CANCELLED}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr("shared.operations.plan_backfill.CHUNK_SIZE", 2)


def latest(machine):
    ((_place, stored),) = machine.world.backfills.items()
    return stored[max(stored)]


def box_of(machine):
    (box,) = machine.world.mailboxes.values()
    return box


def act(machine, action, *, guarded=True):
    mailboxes, backfills = machine.mailboxes, machine.backfills
    return change_backfill(
        ADA,
        box_of(machine).id,
        latest(machine).id,
        action,
        mailboxes=mailboxes if guarded else mailboxes.inner,
        backfills=backfills if guarded else backfills.inner,
        queues=machine.guarded_queues if guarded else machine.queues,
        clock=machine.clock,
    )


def extend(machine, days=60):
    return start_backfill(
        ADA,
        box_of(machine).id,
        days,
        mailboxes=machine.mailboxes,
        backfills=machine.backfills,
        queues=machine.guarded_queues,
        clock=machine.clock,
    )


def bury(machine, request):
    record_dead_letter(
        request,
        sent_at=NOW,
        mailboxes=machine.mailboxes,
        backfills=machine.backfills,
        letters=machine.letters,
        sends=InMemorySendStore(machine.world),
        clock=machine.clock,
    )


def within(machine, days):
    since = NOW - timedelta(days=days)
    return machine.server.ids("INBOX", since=since) | machine.server.ids("Sent", since=since)


def connected(killer=None, days=10):
    machine = Machine(busy_server(NOW), killer)
    machine.connect(days=days)
    machine.drain()
    machine.clock.advance(1)
    return machine


def assert_whole(machine, days=60):
    backfill = latest(machine)
    assert (backfill.state, backfill.code) == (BackfillState.DONE, None)
    assert backfill.counts.balances
    assert backfill.counts.listed == backfill.planned
    assert set(machine.live_copies(box_of(machine).id)) == within(machine, days)


# ---- extending ----


def test_a_larger_import_asks_for_nothing_that_is_held_and_counts_it():
    machine = connected()
    had = within(machine, 10)
    machine.server.fetched.clear()
    extend(machine)
    machine.drain()
    assert_whole(machine)
    assert set(machine.server.fetched) == within(machine, 60) - had
    counts = latest(machine).counts
    assert (counts.already_stored, counts.stored) == (len(had), len(within(machine, 60) - had))
    chunks = machine.world.chunks[TENANT, box_of(machine).id, latest(machine).id]
    assert not had & {name for chunk in chunks.values() for name in chunk.ids}


def test_the_same_import_again_is_done_at_once():
    machine = connected(days=60)
    machine.server.fetched.clear()
    extend(machine)
    machine.drain()
    assert_whole(machine)
    assert (latest(machine).chunks, machine.server.fetched) == (0, [])
    held = len(within(machine, 60))
    assert latest(machine).counts.already_stored == latest(machine).planned == held


def test_what_the_first_import_could_not_read_is_tried_again_by_the_next():
    machine = Machine(busy_server(NOW))
    unreadable = min(within(machine, 10))
    machine.server.unreadable.add(unreadable)
    machine.connect(days=10)
    machine.drain()
    machine.clock.advance(1)
    assert latest(machine).counts.unreadable == 1
    machine.server.unreadable.clear()
    extend(machine)
    machine.drain()
    assert_whole(machine)


def test_a_copy_marked_as_removed_that_is_listed_is_brought_back():
    machine = connected()
    box = box_of(machine)
    name = min(within(machine, 10))
    (folder_id,) = machine.world.copies[TENANT, box.id][name].folder_ids
    fence = Fence(TENANT, box.id, box.generation)
    machine.messages.remove_copies(fence, folder_id, [name], now=NOW)
    extend(machine)
    machine.drain()
    assert_whole(machine)


@pytest.mark.parametrize("ending", ["cancelled", "failed"])
@pytest.mark.parametrize("chunks", range(4))
def test_nothing_is_lost_where_the_first_import_ended_in_its_middle(ending, chunks):
    machine = Machine(busy_server(NOW))
    machine.connect(days=30)
    machine.plan(machine.queues.take_plans()[0])
    for _ in range(chunks):
        machine.run_chunk(machine.queues.chunks.pop(0))
    request = machine.queues.take_chunks()[0]
    if ending == "cancelled":
        act(machine, CANCEL)
    else:
        bury(machine, request)
    machine.drain()
    machine.server.fetched.clear()
    held = set(machine.live_copies(box_of(machine).id))
    machine.clock.advance(1)
    extend(machine)
    machine.drain()
    assert_whole(machine)
    assert not held & set(machine.server.fetched)


# ---- at every moment ----


@dataclass
class Meanwhile(Killer):
    """Has a person act right before side effect number `at`; nobody dies."""

    act: Callable[[], None] = lambda: None

    def guard(self, name, effect):
        def guarded(*args, **kwargs):
            self.count += 1
            if self.count - 1 == self.at:
                self.act()
            return effect(*args, **kwargs)

        return guarded


def effects_of_an_import():
    machine = connected()
    before = machine.killer.count
    extend(machine)
    machine.drain()
    return range(before, machine.killer.count + 1)


def interrupted(at, *actions):
    """A machine on which `actions` come right before side effect number `at`, and their results."""
    results = []

    def person():
        for action in actions:
            with suppress(ConflictError):
                results.append(act(machine, action, guarded=False).state)

    machine = connected(Meanwhile(at, act=person))
    return machine, results


def test_a_pause_at_any_moment_stops_it_and_a_resume_loses_nothing():
    paused = 0
    for at in effects_of_an_import():
        machine, results = interrupted(at, PAUSE)
        extend(machine)
        machine.drain()
        if results == [BackfillState.PAUSED]:
            paused += 1
            machine.tick(12)
            stands = latest(machine)
            # The last chunk at work may end it.
            assert stands.state in {BackfillState.PAUSED, BackfillState.DONE}
            assert stands.eta(machine.clock.now()) is None
            fetched = machine.server.fetched[:]
            machine.tick(12)
            assert machine.server.fetched == fetched
            if stands.state is BackfillState.PAUSED:
                act(machine, RESUME)
            machine.drain()
            machine.tick(12)
        assert_whole(machine)
    assert paused > 10


def test_pausing_and_resuming_within_one_moment_changes_nothing():
    for at in effects_of_an_import():
        machine, _results = interrupted(at, PAUSE, PAUSE, RESUME, RESUME, PAUSE, RESUME)
        extend(machine)
        machine.drain()
        machine.tick(20)
        assert_whole(machine)


def test_a_cancel_at_any_moment_is_for_good_and_another_import_loses_nothing():
    cancelled = 0
    for at in effects_of_an_import():
        machine, results = interrupted(at, CANCEL, CANCEL)
        extend(machine)
        machine.drain()
        machine.tick(12)
        stands = latest(machine)
        assert stands.state in OVER
        if results:
            assert results == [BackfillState.CANCELLED] * 2
            assert stands.state is BackfillState.CANCELLED
            cancelled += 1
        machine.clock.advance(1)
        extend(machine)
        machine.drain()
        machine.tick(6)
        assert_whole(machine)
    assert cancelled > 10


# ---- whoever dies ----


def person(doing):
    """Press the button again where the first time brought an error."""
    try:
        doing()
    except Death:
        with suppress(ConflictError):
            doing()


def work(consume, requests):
    """Have a worker consume requests; one that dies loses its request for good."""
    for request in requests:
        with suppress(Death):
            consume(request)


def pause_and_resume(machine):
    person(lambda: extend(machine))
    work(machine.plan, machine.queues.take_plans())
    person(lambda: act(machine, PAUSE))
    machine.drain()
    person(lambda: act(machine, RESUME))


def cancel_and_extend(machine):
    person(lambda: extend(machine, 30))
    work(machine.plan, machine.queues.take_plans())
    work(machine.run_chunk, machine.queues.take_chunks()[:1])
    person(lambda: act(machine, CANCEL))
    machine.clock.advance(1)
    person(lambda: extend(machine))


def fail_and_resume(machine):
    person(lambda: extend(machine))
    work(machine.plan, machine.queues.take_plans())
    for request in machine.queues.take_chunks()[:1]:
        person(partial(bury, machine, request))
    machine.drain()
    with suppress(ConflictError):
        person(lambda: act(machine, RESUME))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("flow", [pause_and_resume, cancel_and_extend, fail_and_resume])
def test_dying_at_any_side_effect_loses_and_doubles_nothing(flow, after):
    def lived(at):
        killer = Killer()
        machine = connected(killer)
        killer.at, killer.after = at, after
        begun = killer.count
        flow(machine)
        machine.drain()
        machine.tick(20)
        return machine, range(begun, killer.count)

    machine, effects = lived(None)
    assert_whole(machine)
    assert len(effects) > 20
    for at in effects:
        machine, _effects = lived(at)
        assert_whole(machine)


# ---- what used to hang ----


def finish(machine, chunk):
    box = box_of(machine)
    run = Run(
        TENANT,
        box.id,
        RunId(f"R{chunk.number}"),
        RunReason.BACKFILL,
        NOW,
        NOW,
        Counts(listed=len(chunk.ids), stored=len(chunk.ids)),
        backfill_id=chunk.backfill_id,
    )
    fence = Fence(TENANT, box.id, box.generation)
    machine.backfills.finish_chunk(fence, latest(machine), chunk, run, now=NOW)


def test_an_import_whose_last_chunks_end_after_it_failed_is_done_when_it_is_resumed():
    machine = connected()
    extend(machine)
    machine.plan(machine.queues.take_plans()[0])
    while latest(machine).chunks - latest(machine).done > 2:
        machine.run_chunk(machine.queues.chunks.pop(0))
    backfill = latest(machine)
    machine.backfills.set_backfill_state(
        backfill, BackfillState.FAILED, now=NOW, code=ErrorCode.INTERNAL
    )
    at_work = [
        machine.backfills.take_chunk(backfill, one.number, owner="o", now=NOW, seconds=60)
        for one in machine.backfills.open_chunks(backfill)
    ]
    assert len(at_work) == 2
    for chunk in at_work:
        finish(machine, chunk)
    assert latest(machine).state is BackfillState.FAILED
    resumed = act(machine, RESUME)
    assert (resumed.state, resumed.done) == (BackfillState.DONE, resumed.chunks)


def test_a_pause_meets_a_worker_that_changes_the_state_and_still_pauses(monkeypatch):
    machine = connected()
    extend(machine)
    machine.plan(machine.queues.take_plans()[0])
    change = machine.backfills.inner.set_backfill_state

    def after_a_worker(backfill, state, **given):
        monkeypatch.setattr(machine.backfills.inner, "set_backfill_state", change)
        machine.backfills.inner.set_waiting(
            backfill, NOW + timedelta(minutes=5), ErrorCode.RATE_LIMITED
        )
        return change(backfill, state, **given)

    monkeypatch.setattr(machine.backfills.inner, "set_backfill_state", after_a_worker)
    paused = act(machine, PAUSE)
    assert (paused.state, paused.waiting_until, paused.code) == (BackfillState.PAUSED, None, None)


def test_a_plan_paused_while_it_lists_is_made_at_once_when_it_is_resumed(monkeypatch):
    machine = connected()
    extend(machine)
    (request,) = machine.queues.take_plans()
    list_window = FakeSession.list_window

    def paused_meanwhile(*given, **named):
        monkeypatch.setattr(FakeSession, "list_window", list_window)
        act(machine, PAUSE)
        return list_window(*given, **named)

    monkeypatch.setattr(FakeSession, "list_window", paused_meanwhile)
    machine.plan(request)
    assert latest(machine).state is BackfillState.PAUSED
    assert act(machine, RESUME).state is BackfillState.PLANNING
    machine.drain()
    assert_whole(machine)


def test_a_chunk_that_fails_for_ever_does_not_stay_open_for_ever():
    machine = connected()
    extend(machine)
    machine.plan(machine.queues.take_plans()[0])
    machine.server.folders["Sent"].opens = False
    attempts = 0
    while latest(machine).state not in {BackfillState.FAILED, BackfillState.DONE}:
        machine.clock.advance(minutes=20)
        machine.tick(1)
        attempts += 1
        assert attempts < 1_000
    failed = latest(machine)
    assert (failed.state, failed.code) == (BackfillState.FAILED, ErrorCode.FOLDER_UNAVAILABLE)
    machine.server.folders["Sent"].opens = True
    act(machine, RESUME)
    machine.tick(70)
    assert_whole(machine)


def test_a_provider_that_is_gone_for_good_fails_the_plan_too():
    machine = connected()
    extend(machine)
    machine.server.failure = RetryLaterError(ErrorCode.HOST_NOT_FOUND)
    machine.tick(2)
    assert latest(machine).code is ErrorCode.HOST_NOT_FOUND
    machine.clock.advance(days=7)
    machine.tick(1)
    failed = latest(machine)
    assert (failed.state, failed.code) == (BackfillState.FAILED, ErrorCode.HOST_NOT_FOUND)
    machine.server.failure = None
    assert act(machine, RESUME).state is BackfillState.PLANNING
    machine.tick(12)
    assert_whole(machine)


def test_runs_of_an_import_tell_that_they_bring_old_mail():
    machine = connected()
    extend(machine)
    machine.drain()
    runs = machine.world.runs[TENANT, box_of(machine).id].values()
    old = {name for run in runs if run.backfill_id for name in run.ledger.get("stored", ())}
    assert old == within(machine, 60)
    assert {run.reason for run in runs if run.backfill_id} == {RunReason.BACKFILL}
    assert not [run for run in runs if not run.backfill_id and run.counts.stored]
