"""Work that no retry could finish leaves a letter, once, and none where there is nothing to mend."""

from datetime import timedelta

import pytest

from shared.domain.backfill import BackfillState
from shared.domain.dead_letter import LetterKind
from shared.domain.errors import ErrorCode
from shared.domain.run import RunReason
from shared.operations.record_dead_letter import record_dead_letter
from shared.ports.queues import ChunkRequest, PlanRequest, SyncRequest
from tests.fakes.clock import FixedClock
from tests.unit.operations.machine import TENANT, Machine, busy_server

NOW = FixedClock().now()


@pytest.fixture
def machine():
    return Machine(busy_server(NOW))


def bury(machine, request, *, sent_at=None):
    record_dead_letter(
        request,
        sent_at=sent_at or machine.clock.now(),
        mailboxes=machine.mailboxes,
        backfills=machine.backfills,
        letters=machine.letters,
        clock=machine.clock,
    )


def poll(box):
    return SyncRequest(TENANT, box.id, RunReason.SCHEDULE)


def backfill_of(machine, box):
    (backfill,) = machine.world.backfills[TENANT, box.id].values()
    return backfill


def test_a_poll_that_is_lost_again_is_the_same_letter(machine):
    box = machine.connect(days=0)
    for _ in range(2):
        bury(machine, poll(box))
        machine.clock.advance(minutes=5)
    (letter,) = machine.letters_of(box.id)
    assert (letter.kind, letter.code, letter.attempts) == (
        LetterKind.SYNC,
        ErrorCode.WORK_GIVEN_UP,
        2,
    )
    assert letter.last_seen_at - letter.first_seen_at == timedelta(minutes=5)
    # The letter names the run that people see among the mailbox's own.
    assert letter.run_id in machine.world.runs[TENANT, box.id]
    assert machine.world.mailboxes[TENANT, box.id].inbound_error.code is ErrorCode.INTERNAL


def test_a_plan_and_a_chunk_have_letters_of_their_own(machine):
    box = machine.connect(days=40)
    backfill = backfill_of(machine, box)
    bury(machine, PlanRequest(TENANT, box.id, backfill.id))
    for number in (0, 1, 1):
        bury(machine, ChunkRequest(TENANT, box.id, backfill.id, number))
    found = [(one.kind, one.backfill_id, one.chunk) for one in machine.letters_of(box.id)]
    assert sorted(found, key=repr) == [
        (LetterKind.CHUNK, backfill.id, 0),
        (LetterKind.CHUNK, backfill.id, 1),
        (LetterKind.PLAN, backfill.id, None),
    ]
    assert backfill_of(machine, box).state is BackfillState.FAILED


def test_nothing_is_noted_of_what_was_made_good_or_is_over(machine):
    box = machine.connect(days=40)
    machine.drain()
    backfill = backfill_of(machine, box)
    assert backfill.state is BackfillState.DONE
    bury(machine, poll(box), sent_at=machine.clock.now() - timedelta(hours=1))
    bury(machine, ChunkRequest(TENANT, box.id, backfill.id, 0))
    machine.disconnect(box.id)
    bury(machine, poll(box))
    assert machine.letters_of(box.id) == []


def test_a_disconnect_in_the_middle_leaves_no_letter(machine, monkeypatch):
    box = machine.connect(days=40)
    backfill = backfill_of(machine, box)
    get = machine.backfills.inner.get_backfill

    def overtaken(*named):
        found = get(*named)
        monkeypatch.undo()
        machine.disconnect(box.id)
        return found

    monkeypatch.setattr(machine.backfills.inner, "get_backfill", overtaken)
    bury(machine, PlanRequest(TENANT, box.id, backfill.id))
    assert machine.letters_of(box.id) == []
