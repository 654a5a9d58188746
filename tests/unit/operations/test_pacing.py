"""How a backfill keeps to a provider's quota by the minute without a worker that waits."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.backfill import BackfillState
from shared.domain.mailbox import Provider
from shared.domain.run import RunReason
from shared.operations.maintain_mailboxes import release_lost_chunks
from shared.operations.start_backfill import BackfillAction, change_backfill
from shared.ports.queues import SyncRequest
from tests.fakes.clock import FixedClock
from tests.fakes.provider import FakeMailServer, FakeSession
from tests.unit.operations.machine import ADA, TENANT, Death, Machine, mail

NOW = FixedClock().now()
MAILS = 12
CHUNK = 3


@pytest.fixture
def machine(monkeypatch):
    monkeypatch.setattr("shared.operations.plan_backfill.CHUNK_SIZE", CHUNK)
    server = FakeMailServer.with_folders("INBOX")
    for number in range(MAILS):
        at = NOW - timedelta(days=1, minutes=number)
        server.deliver("INBOX", mail(number, at), at)
    made = Machine(server)
    # Sixty units for a chunk, of which a backfill may spend forty a minute: a chunk every 90 s.
    made.gmail_units_per_minute = 50
    made.box = made.connect(days=30)
    place = (TENANT, made.box.id)
    made.world.mailboxes[place] = replace(made.world.mailboxes[place], provider=Provider.GMAIL)
    made.plan(made.queues.take_plans()[0])
    return made


def backfill_of(machine):
    (backfill,) = machine.world.backfills[TENANT, machine.box.id].values()
    return backfill


def change(machine, action):
    change_backfill(
        ADA,
        machine.box.id,
        backfill_of(machine).id,
        action,
        mailboxes=machine.mailboxes,
        backfills=machine.backfills,
        queues=machine.queues,
        clock=machine.clock,
    )


def test_one_chunk_is_at_work_at_once_and_the_next_waits_in_the_queue(machine):
    assert len(machine.queues.chunks) == 1
    spans = []
    while machine.queues.chunks:
        delay = machine.queues.delays[0]
        spans.append(delay)
        machine.clock.advance(seconds=delay)
        (request,) = machine.queues.take_chunks()
        machine.run_chunk(request)
    assert spans == [0, 90, 90, 90]
    assert backfill_of(machine).state is BackfillState.DONE


def test_a_chunk_sent_again_before_its_turn_is_left_to_the_one_that_waits(machine):
    (first,) = machine.queues.take_chunks()
    machine.run_chunk(first)
    (second,) = machine.queues.chunks
    machine.clock.advance(seconds=80)
    machine.run_chunk(second)
    assert machine.reports[-1].kind == "dropped"
    machine.clock.advance(seconds=6)
    machine.run_chunk(second)
    assert machine.reports[-1].kind == "done"


def test_a_waiting_chunk_that_got_lost_is_found_and_the_import_ends(machine):
    (first,) = machine.queues.take_chunks()
    machine.run_chunk(first)
    machine.queues.take_chunks()
    machine.tick(40)
    assert backfill_of(machine).state is BackfillState.DONE
    assert len(machine.live_copies(machine.box.id)) == MAILS


def test_what_was_stored_already_costs_no_quota_and_no_wait(machine):
    request = machine.queues.chunks[0]
    chunk = machine.world.chunks[TENANT, machine.box.id, request.backfill_id][request.chunk]
    first = machine.queues.take_chunks()[0]
    machine.run_chunk(first)
    stored = machine.world.chunks[TENANT, machine.box.id, request.backfill_id]
    stored[1] = replace(stored[1], ids=chunk.ids)
    machine.clock.advance(seconds=90)
    (second,) = machine.queues.take_chunks()
    machine.run_chunk(second)
    assert machine.queues.delays == [0]


def test_a_rest_is_owed_though_the_import_was_paused_when_its_chunk_ended(machine, monkeypatch):
    (first,) = machine.queues.take_chunks()
    fetch = FakeSession.fetch

    def meanwhile(*given, **named):
        change(machine, BackfillAction.PAUSE)
        return fetch(*given, **named)

    monkeypatch.setattr(FakeSession, "fetch", meanwhile)
    machine.run_chunk(first)
    monkeypatch.setattr(FakeSession, "fetch", fetch)
    machine.clock.advance(seconds=30)
    change(machine, BackfillAction.RESUME)
    assert machine.queues.delays == [60]


def test_a_rest_is_owed_though_the_worker_died_before_it_released_the_next_chunk(
    machine, monkeypatch
):
    (first,) = machine.queues.take_chunks()
    store = type(machine.backfills.inner)

    def dies(*_given, **_named):
        raise Death

    with monkeypatch.context() as patched, pytest.raises(Death):
        patched.setattr(store, "raise_released", dies)
        machine.run_chunk(first)
    machine.clock.advance(seconds=30)
    release_lost_chunks(
        mailboxes=machine.mailboxes,
        backfills=machine.backfills,
        queues=machine.queues,
        clock=machine.clock,
    )
    assert machine.queues.delays == [60]
    machine.clock.advance(seconds=60)
    (second,) = machine.queues.take_chunks()
    machine.run_chunk(second)
    assert machine.reports[-1].kind == "done"


# ---- live sync ----


@pytest.fixture
def flooded():
    """A mailbox without history that got a dozen messages at once, where a minute allows four."""
    machine = Machine(FakeMailServer.with_folders("INBOX"))
    machine.box = machine.connect(days=0)
    machine.drain()
    place = (TENANT, machine.box.id)
    machine.world.mailboxes[place] = replace(
        machine.world.mailboxes[place], provider=Provider.GMAIL
    )
    machine.gmail_units_per_minute = 100
    for number in range(MAILS):
        machine.server.deliver("INBOX", mail(number, NOW), NOW)
    return machine


def scheduled(machine):
    machine.sync(SyncRequest(TENANT, machine.box.id, RunReason.SCHEDULE))
    return machine.reports[-1]


def test_a_run_takes_in_what_a_minute_allows_and_the_next_one_waits_in_the_queue(flooded):
    assert scheduled(flooded).run.counts.stored == 4
    assert flooded.queues.sync_delays == [55]
    assert len(flooded.live_copies(flooded.box.id)) == 4
    delays = []
    while flooded.queues.syncs:
        delays.append(flooded.queues.sync_delays[0])
        flooded.clock.advance(seconds=flooded.queues.sync_delays[0])
        (request,) = flooded.queues.take_syncs()
        flooded.sync(request)
    assert len(flooded.live_copies(flooded.box.id)) == MAILS
    assert delays == [55, 55]


def test_the_schedule_does_not_outrun_the_quota(flooded):
    scheduled(flooded)
    flooded.clock.advance(seconds=30)
    assert scheduled(flooded).kind == "dropped"
    flooded.clock.advance(seconds=30)
    assert scheduled(flooded).run.counts.stored == 4


def test_a_mailbox_without_such_a_quota_is_taken_in_at_once(flooded):
    place = (TENANT, flooded.box.id)
    boxes = flooded.world.mailboxes
    boxes[place] = replace(boxes[place], provider=Provider.OUTLOOK)
    assert scheduled(flooded).run.counts.stored == MAILS
    assert flooded.queues.syncs == []
