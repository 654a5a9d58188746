"""The contract of `BackfillStore`."""

from dataclasses import replace

import pytest

from shared.domain.backfill import BackfillKind, BackfillState, ChunkState
from shared.domain.errors import ConflictError, ErrorCode
from shared.domain.lease import Fence
from shared.domain.ledger import Counts
from shared.domain.run import RunReason
from tests.fakes.values import (
    BOX,
    OTHER_BOX,
    OTHER_TENANT,
    TENANT,
    a_backfill,
    a_run,
    connected,
    identity_of,
    later,
    name,
    some_chunks,
)


def refusal(call, *arguments, **named) -> ErrorCode:
    with pytest.raises(ConflictError) as caught:
        call(*arguments, **named)
    return caught.value.code


def running(stores, count=3, **changes):
    """A planned backfill with `count` chunks of two ids each, and all but the last released."""
    connected(stores.mailboxes)
    backfill = a_backfill(**changes)
    stores.backfills.create_backfill(backfill)
    stores.backfills.put_chunks(backfill, some_chunks(backfill, count))
    planned = replace(backfill, chunks=count, planned=2 * count, started_at=later(1))
    started = stores.backfills.start_backfill(planned)
    return stores.backfills.raise_released(started, max(0, count - 1))


def taken(stores, backfill, number=0, owner="w", at=0, position=None):
    return stores.backfills.take_chunk(
        backfill, number, owner=owner, now=later(at), seconds=60, position=position
    )


def fence() -> Fence:
    return Fence(TENANT, BOX, 2)


def finish(stores, backfill, chunk, run_id="01RUN", *, paced_until=None, **counts):
    sums = Counts(listed=2, stored=1, skipped={"before_floor": 1}, **counts)
    run = a_run(run_id, reason=RunReason.BACKFILL, backfill_id=backfill.id, counts=sums)
    return stores.backfills.finish_chunk(
        fence(), backfill, chunk, run, now=later(10), paced_until=paced_until
    )


def read(stores, backfill):
    return stores.backfills.get_backfill(TENANT, BOX, backfill.id)


# ---- backfills ----


def test_what_is_created_is_read_back_whole(stores):
    backfill = a_backfill(waiting_until=later(9), code=ErrorCode.RATE_LIMITED)
    stores.backfills.create_backfill(backfill)
    assert read(stores, backfill) == backfill
    assert stores.backfills.get_backfill(OTHER_TENANT, BOX, backfill.id) is None
    stores.backfills.create_backfill(backfill)
    assert stores.backfills.list_backfills(TENANT, BOX) == [backfill]


def test_a_mailbox_has_one_open_backfill(stores):
    first, second = a_backfill("01A"), a_backfill("01B")
    stores.backfills.create_backfill(first)
    assert refusal(stores.backfills.create_backfill, second) is ErrorCode.WRONG_STATE
    stores.backfills.create_backfill(replace(second, mailbox_id=OTHER_BOX))
    stores.backfills.set_backfill_state(first, BackfillState.CANCELLED, now=later(1))
    stores.backfills.create_backfill(second)
    assert [one.id for one in stores.backfills.list_backfills(TENANT, BOX)] == ["01B", "01A"]


def test_replays_are_as_many_as_wanted_beside_an_open_import(stores):
    connected(stores.mailboxes)
    imported = a_backfill("01A")
    stores.backfills.create_backfill(imported)
    replays = [
        a_backfill(
            f"01R{number}",
            kind=BackfillKind.REPLAY,
            state=BackfillState.RUNNING,
            chunks=2,
            planned=4,
            started_at=later(0),
            progressed_at=later(0),
        )
        for number in range(2)
    ]
    for replay in replays:
        for _ in range(2):
            stores.backfills.create_running(replay, some_chunks(replay, 2))
        assert read(stores, replay) == replay
    # Its chunks are handed out, found and counted as any backfill's.
    released = stores.backfills.raise_released(replays[0], 1)
    assert [chunk.number for chunk in stores.backfills.open_chunks(released)] == [0]
    # Its end opens nothing and closes nothing: the import is still the open one.
    for state in (BackfillState.FAILED, BackfillState.RUNNING, BackfillState.CANCELLED):
        replay = read(stores, replays[0])
        stores.backfills.set_backfill_state(replay, state, now=later(1))
    assert refusal(stores.backfills.create_backfill, a_backfill("01B")) is ErrorCode.WRONG_STATE
    stores.backfills.set_backfill_state(imported, BackfillState.CANCELLED, now=later(2))
    stores.backfills.create_backfill(a_backfill("01B"))


def test_open_backfills_of_all_tenants_are_found_until_they_are_over(stores):
    made = [
        a_backfill("01A"),
        a_backfill("01B", tenant_id=OTHER_TENANT),
        a_backfill("01C", mailbox_id=OTHER_BOX),
    ]
    for backfill in made:
        stores.backfills.create_backfill(backfill)
    stores.backfills.set_backfill_state(made[2], BackfillState.CANCELLED, now=later(1))
    found = sorted(stores.backfills.open_backfills(), key=lambda one: one.id)
    assert found == made[:2]


def test_starting_writes_the_plans_sums_once(stores):
    started = running(stores, 3)
    assert (started.state, started.chunks, started.planned) == (BackfillState.RUNNING, 3, 6)
    assert (started.started_at, started.released) == (later(1), 2)
    again = replace(a_backfill(), chunks=9, planned=99, started_at=later(7))
    assert stores.backfills.start_backfill(again) == started
    assert read(stores, started) == started


def test_a_plan_of_nothing_is_done_at_once(stores):
    stores.backfills.create_backfill(a_backfill())
    done = stores.backfills.start_backfill(replace(a_backfill(), started_at=later(1)))
    assert (done.state, done.ended_at) == (BackfillState.DONE, later(1))
    assert list(stores.backfills.open_backfills()) == []
    stores.backfills.create_backfill(a_backfill("01NEXT"))


def test_chunks_are_written_while_planning_goes_on_and_replaced_by_a_second_attempt(stores):
    backfill = a_backfill()
    stores.backfills.create_backfill(backfill)
    stores.backfills.put_chunks(backfill, some_chunks(backfill, 120))
    changed = replace(some_chunks(backfill, 1)[0], ids=(name("new"),))
    stores.backfills.put_chunks(backfill, [changed])
    assert stores.backfills.get_chunk(TENANT, BOX, backfill.id, 0) == changed
    last = some_chunks(backfill, 120)[119]
    assert stores.backfills.get_chunk(TENANT, BOX, backfill.id, 119) == last
    assert stores.backfills.get_chunk(TENANT, BOX, backfill.id, 120) is None


def test_a_late_planner_writes_no_chunk(stores):
    backfill = running(stores)
    late = replace(some_chunks(backfill, 1)[0], ids=(name("late"),))
    assert refusal(stores.backfills.put_chunks, backfill, [late]) is ErrorCode.WRONG_STATE
    assert stores.backfills.get_chunk(TENANT, BOX, backfill.id, 0) == some_chunks(backfill, 1)[0]


def test_state_changes_only_from_the_state_that_was_read(stores):
    backfill = running(stores)
    paused = stores.backfills.set_backfill_state(backfill, BackfillState.PAUSED, now=later(5))
    assert paused == replace(backfill, state=BackfillState.PAUSED)
    change = stores.backfills.set_backfill_state
    code = refusal(change, backfill, BackfillState.CANCELLED, now=later(6))
    assert code is ErrorCode.WRONG_STATE
    assert read(stores, backfill) == paused
    failed = change(paused, BackfillState.FAILED, now=later(7), code=ErrorCode.INTERNAL)
    assert (failed.ended_at, failed.code) == (later(7), ErrorCode.INTERNAL)
    cancelled = change(failed, BackfillState.CANCELLED, now=later(8))
    assert (cancelled.ended_at, cancelled.code) == (later(8), None)
    nowhere = refusal(change, a_backfill("01Z"), BackfillState.PAUSED, now=later(9))
    assert nowhere is ErrorCode.WRONG_STATE


def test_a_backfill_reopens_only_where_no_other_is_open(stores):
    backfill = running(stores)
    change = stores.backfills.set_backfill_state
    failed = change(backfill, BackfillState.FAILED, now=later(5), code=ErrorCode.INTERNAL)
    other = a_backfill("01OTHER")
    stores.backfills.create_backfill(other)
    code = refusal(change, failed, BackfillState.RUNNING, now=later(6))
    assert code is ErrorCode.WRONG_STATE
    assert read(stores, backfill) == failed
    change(other, BackfillState.CANCELLED, now=later(7))
    again = change(failed, BackfillState.RUNNING, now=later(8))
    assert again == replace(backfill, progressed_at=later(8))
    assert list(stores.backfills.open_backfills()) == [again]


def test_cancelling_a_closed_one_leaves_the_open_one_open(stores):
    backfill = running(stores)
    change = stores.backfills.set_backfill_state
    failed = change(backfill, BackfillState.FAILED, now=later(5))
    stores.backfills.create_backfill(a_backfill("01OTHER"))
    change(failed, BackfillState.CANCELLED, now=later(6))
    third = refusal(stores.backfills.create_backfill, a_backfill("01THIRD"))
    assert third is ErrorCode.WRONG_STATE


def test_waiting_is_noted_and_ended(stores):
    backfill = running(stores)
    stores.backfills.set_waiting(backfill, later(60), ErrorCode.RATE_LIMITED)
    waiting = read(stores, backfill)
    assert (waiting.state, waiting.waiting_until) == (BackfillState.WAITING, later(60))
    assert waiting.code is ErrorCode.RATE_LIMITED
    stores.backfills.set_waiting(waiting, later(90))
    assert read(stores, backfill).waiting_until == later(90)
    stores.backfills.set_waiting(waiting, None)
    assert read(stores, backfill) == backfill


def test_a_wait_that_nobody_knows_the_end_of_has_a_reason(stores):
    backfill = running(stores)
    stores.backfills.set_waiting(backfill, None, ErrorCode.LOGIN_REJECTED)
    waiting = read(stores, backfill)
    assert (waiting.state, waiting.waiting_until) == (BackfillState.WAITING, None)
    assert waiting.code is ErrorCode.LOGIN_REJECTED
    after = finish(stores, waiting, taken(stores, waiting))
    assert (after.state, after.code) == (BackfillState.RUNNING, None)
    assert read(stores, backfill) == after


def test_a_backfill_is_planned_by_one_at_a_time(stores):
    backfill = a_backfill()
    stores.backfills.create_backfill(backfill)
    take = stores.backfills.take_plan
    take(backfill, now=later(0), seconds=60)
    assert refusal(take, backfill, now=later(59), seconds=60) is ErrorCode.LEASE_HELD
    take(backfill, now=later(60), seconds=60)
    stores.backfills.set_waiting(backfill, later(90), ErrorCode.CONNECTION_DROPPED)
    take(backfill, now=later(91), seconds=60)
    started = replace(backfill, chunks=0, started_at=later(92))
    assert stores.backfills.start_backfill(started).code is None
    assert refusal(take, backfill, now=later(999), seconds=60) is ErrorCode.WRONG_STATE


def test_a_chunk_put_back_is_not_taken_before_its_time(stores):
    backfill = running(stores)
    chunk = taken(stores, backfill)
    stores.backfills.give_back_chunk(backfill, chunk, not_before=later(2_000))
    assert refusal(taken, stores, backfill, at=1_999) is ErrorCode.LEASE_HELD
    assert taken(stores, backfill, at=2_000).attempts == 2


def test_a_chunk_knows_how_often_a_message_was_not_handed_over(stores):
    backfill = running(stores)
    give_back = stores.backfills.give_back_chunk
    give_back(backfill, replace(taken(stores, backfill), not_handed_over=1), not_before=None)
    again = taken(stores, backfill)
    assert again.not_handed_over == 1
    give_back(backfill, replace(again, not_handed_over=2), not_before=None)
    give_back(backfill, again, not_before=None)
    assert stores.backfills.get_chunk(TENANT, BOX, backfill.id, 0).not_handed_over == 2


def test_a_plan_that_waits_is_still_a_plan_and_what_is_over_does_not_wait(stores):
    planning = a_backfill()
    stores.backfills.create_backfill(planning)
    stores.backfills.set_waiting(planning, later(60))
    assert read(stores, planning) == replace(planning, waiting_until=later(60))
    over = stores.backfills.set_backfill_state(planning, BackfillState.CANCELLED, now=later(1))
    stores.backfills.set_waiting(over, later(60))
    assert read(stores, planning) == over
    assert over.waiting_until is None


@pytest.mark.parametrize("is_planned", [False, True])
def test_what_is_paused_waits_for_nobody_whatever_a_late_worker_notes(stores, is_planned):
    stores.backfills.create_backfill(a_backfill())
    stores.backfills.take_plan(a_backfill(), now=later(0), seconds=600)
    backfill = read(stores, a_backfill())
    if is_planned:
        backfill = stores.backfills.start_backfill(replace(a_backfill(), chunks=1, planned=2))
    paused = stores.backfills.set_backfill_state(backfill, BackfillState.PAUSED, now=later(5))
    stores.backfills.set_waiting(backfill, later(60), ErrorCode.WAITING_FOR_TURN)
    assert read(stores, backfill) == paused
    if not is_planned:
        # The planner that noted it is at it no longer.
        stores.backfills.set_backfill_state(paused, BackfillState.PLANNING, now=later(6))
        stores.backfills.take_plan(backfill, now=later(7), seconds=60)


def test_released_is_raised_by_one_and_known_to_all(stores):
    backfill = running(stores, 5)
    raised = stores.backfills.raise_released(backfill, 5)
    assert raised == replace(backfill, released=5)
    assert stores.backfills.raise_released(backfill, 4) == raised
    assert read(stores, backfill) == raised


def test_what_was_held_already_is_among_the_plans_sums(stores):
    held = Counts(listed=4, already_stored=4)
    stores.backfills.create_backfill(a_backfill())
    planned = replace(a_backfill(), chunks=1, planned=6, counts=held, started_at=later(1))
    started = stores.backfills.start_backfill(planned)
    assert (started.counts, started.planned, started.percent) == (held, 6, 66)
    assert (read(stores, started), started.progressed_at) == (started, later(1))


def test_the_pace_is_that_of_the_last_chunks_and_a_resume_begins_anew(stores):
    backfill = running(stores, 4)
    first = finish(stores, backfill, taken(stores, backfill, 0))
    assert (first.progressed_at, first.seconds_a_message) == (later(10), 4.5)
    assert read(stores, backfill) == first
    change = stores.backfills.set_backfill_state
    paused = change(first, BackfillState.PAUSED, now=later(500))
    assert paused.progressed_at == later(10)
    resumed = change(paused, BackfillState.RUNNING, now=later(1_000))
    assert (resumed.progressed_at, resumed.seconds_a_message) == (later(1_000), 4.5)


def test_sums_that_do_not_balance_are_no_success(stores):
    backfill = running(stores, 1)
    run = a_run("01RUN", reason=RunReason.BACKFILL, counts=Counts(listed=2, stored=1))
    chunk = taken(stores, backfill)
    failed = stores.backfills.finish_chunk(fence(), backfill, chunk, run, now=later(10))
    assert (failed.state, failed.code) == (BackfillState.FAILED, ErrorCode.INTERNAL)
    assert read(stores, backfill) == failed
    assert list(stores.backfills.open_backfills()) == []
    stores.backfills.create_backfill(a_backfill("01NEXT"))


# ---- chunks ----


def test_open_chunks_are_those_released_and_not_done(stores):
    backfill = running(stores, 4)
    assert [chunk.number for chunk in stores.backfills.open_chunks(backfill)] == [0, 1, 2]
    finish(stores, backfill, taken(stores, backfill, 1))
    assert [chunk.number for chunk in stores.backfills.open_chunks(backfill)] == [0, 2]
    assert stores.backfills.open_chunks(replace(backfill, released=0)) == []


def test_an_open_chunk_is_found_however_many_after_it_are_done(stores):
    backfill = running(stores, 40)
    for number in range(1, 39):
        backfill = finish(stores, backfill, taken(stores, backfill, number), f"01R{number:02}")
    assert [chunk.number for chunk in stores.backfills.open_chunks(backfill)] == [0]


def test_a_chunk_is_leased_once_and_every_attempt_counts(stores):
    backfill = running(stores)
    chunk = taken(stores, backfill, owner="one")
    assert (chunk.attempts, chunk.lease_owner, chunk.lease_expires_at) == (1, "one", later(60))
    assert not chunk.previous_run_died
    assert chunk.ids == some_chunks(backfill, 1)[0].ids
    assert refusal(taken, stores, backfill, owner="two", at=59) is ErrorCode.LEASE_HELD
    over = taken(stores, backfill, owner="two", at=60)
    assert (over.attempts, over.previous_run_died) == (2, True)
    stored = stores.backfills.get_chunk(TENANT, BOX, backfill.id, 0)
    assert stored == replace(over, previous_run_died=False)


def test_a_chunk_that_is_done_or_not_there_cannot_be_taken(stores):
    backfill = running(stores)
    finish(stores, backfill, taken(stores, backfill))
    assert refusal(taken, stores, backfill, owner="two") is ErrorCode.WRONG_STATE
    assert refusal(taken, stores, backfill, 99) is ErrorCode.WRONG_STATE


def test_a_chunk_given_back_waits_and_its_run_did_not_die(stores):
    backfill = running(stores)
    chunk = taken(stores, backfill, owner="one")
    stores.backfills.give_back_chunk(backfill, chunk, not_before=later(300))
    stored = stores.backfills.get_chunk(TENANT, BOX, backfill.id, 0)
    assert (stored.lease_owner, stored.not_before, stored.attempts) == (None, later(300), 1)
    assert not taken(stores, backfill, owner="two", at=300).previous_run_died


def test_only_the_holder_gives_a_chunk_back_or_marks_in_it(stores):
    backfill = running(stores)
    old = taken(stores, backfill, owner="one")
    new = taken(stores, backfill, owner="two", at=60)
    stores.backfills.give_back_chunk(backfill, old, not_before=None)
    code = refusal(stores.backfills.mark_chunk_suspect, backfill, old, name("x"))
    assert code is ErrorCode.STALE_WRITE
    stored = stores.backfills.get_chunk(TENANT, BOX, backfill.id, 0)
    assert (stored.lease_owner, stored.suspect) == (new.lease_owner, None)


def test_suspects_of_a_chunk_are_counted_over_deaths(stores):
    backfill = running(stores)
    mark = stores.backfills.mark_chunk_suspect
    first = taken(stores, backfill, owner="one")
    assert mark(backfill, first, name("killer")) == 0
    second = taken(stores, backfill, owner="two", at=60)
    assert second.suspect == name("killer")
    assert [mark(backfill, second, name(text)) for text in ("fine", "killer")] == [0, 1]
    third = taken(stores, backfill, owner="three", at=120)
    assert [mark(backfill, third, name(text)) for text in ("fine", "killer")] == [0, 2]


def test_a_finished_chunk_counts_exactly_once(stores):
    backfill = running(stores)
    chunk = taken(stores, backfill)
    after = finish(stores, backfill, chunk, flags_changed=1)
    assert after.done == 1
    assert after.counts == Counts(listed=2, stored=1, skipped={"before_floor": 1}, flags_changed=1)
    assert after.state is BackfillState.RUNNING
    assert read(stores, backfill) == after
    assert stores.backfills.get_chunk(TENANT, BOX, backfill.id, 0).state is ChunkState.DONE
    code = refusal(finish, stores, backfill, chunk, "01AGAIN")
    assert code is ErrorCode.WRONG_STATE
    assert read(stores, backfill) == after
    runs = stores.runs.list_runs(TENANT, BOX, limit=9, before=None)
    assert [(run.id, run.backfill_id) for run in runs] == [("01RUN", backfill.id)]


def test_the_last_chunk_ends_the_backfill(stores):
    backfill = running(stores, 2)
    stores.backfills.set_waiting(backfill, later(30))
    for number in (1, 0):
        after = finish(stores, backfill, taken(stores, backfill, number), f"01R{number}")
    assert (after.state, after.done, after.ended_at) == (BackfillState.DONE, 2, later(10))
    assert after.counts == Counts(listed=4, stored=2, skipped={"before_floor": 2})
    assert after.waiting_until is None
    assert read(stores, backfill) == after
    assert list(stores.backfills.open_backfills()) == []
    stores.backfills.create_backfill(a_backfill("01NEXT"))


def test_a_chunk_that_ends_after_a_pause_or_cancel_is_counted_and_the_choice_stays(stores):
    backfill = running(stores, 3)
    chunks = [taken(stores, backfill, number) for number in (0, 1)]
    paused = stores.backfills.set_backfill_state(backfill, BackfillState.PAUSED, now=later(5))
    after = finish(stores, backfill, chunks[0])
    assert (after.state, after.done) == (BackfillState.PAUSED, 1)
    stores.backfills.set_backfill_state(paused, BackfillState.CANCELLED, now=later(6))
    last = finish(stores, backfill, chunks[1], "01R2")
    assert (last.state, last.done, last.ended_at) == (BackfillState.CANCELLED, 2, later(6))


def test_a_chunk_is_not_finished_after_a_disconnect(stores):
    backfill = running(stores)
    chunk = taken(stores, backfill)
    record = stores.mailboxes.get(TENANT, BOX)
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(record.mailbox))
    assert refusal(finish, stores, backfill, chunk) is ErrorCode.STALE_WRITE
    assert read(stores, backfill) == backfill
    assert stores.runs.list_runs(TENANT, BOX, limit=9, before=None) == []


def test_a_chunk_is_not_finished_by_who_lost_its_lease(stores):
    backfill = running(stores)
    old = taken(stores, backfill, owner="one")
    new = taken(stores, backfill, owner="two", at=60)
    assert refusal(finish, stores, backfill, old) is ErrorCode.STALE_WRITE
    assert read(stores, backfill) == backfill
    assert finish(stores, backfill, new).done == 1


def test_a_chunk_keeps_the_position_of_its_first_attempt(stores):
    backfill = running(stores)
    assert taken(stores, backfill, position="gmail:1:7").position == "gmail:1:7"
    again = taken(stores, backfill, at=2_000, position="gmail:1:9")
    assert (again.position, again.attempts) == ("gmail:1:7", 2)
    assert stores.backfills.get_chunk(TENANT, BOX, backfill.id, 0).position == "gmail:1:7"
    assert taken(stores, backfill, 1).position is None


@pytest.mark.parametrize("state", [BackfillState.RUNNING, BackfillState.PAUSED])
def test_a_rest_is_noted_with_the_end_of_its_chunk_and_stays_until_a_longer_one(stores, state):
    backfill = running(stores)
    chunks = [taken(stores, backfill, number) for number in (0, 1)]
    stands = backfill
    if state is not backfill.state:
        stands = stores.backfills.set_backfill_state(backfill, state, now=later(5))
    rested = finish(stores, stands, chunks[0], paced_until=later(60))
    assert (rested.state, rested.paced_until) == (state, later(60))
    assert finish(stores, rested, chunks[1], "01R2").paced_until == later(60)
    assert read(stores, backfill).paced_until == later(60)
    # A chunk that is handed out later owes it too.
    assert stores.backfills.raise_released(read(stores, backfill), 3).paced_until == later(60)


# ---- waiting for a turn ----


def test_a_chunk_put_off_waits_without_an_attempt(stores):
    backfill = running(stores)
    assert stores.backfills.put_off_chunk(backfill, 0, now=later(0), to=later(60))
    assert refusal(taken, stores, backfill, at=59) is ErrorCode.LEASE_HELD
    (waiting, other) = stores.backfills.open_chunks(backfill)
    assert (waiting.not_before, other.not_before) == (later(60), None)
    chunk = taken(stores, backfill, at=60)
    assert (chunk.attempts, chunk.previous_run_died) == (1, False)


def test_only_what_could_be_taken_is_put_off(stores):
    backfill = running(stores)
    assert stores.backfills.put_off_chunk(backfill, 0, now=later(0), to=later(60))
    assert not stores.backfills.put_off_chunk(backfill, 0, now=later(59), to=later(119))
    assert stores.backfills.put_off_chunk(backfill, 0, now=later(60), to=later(120))
    chunk = taken(stores, backfill, 1)
    assert not stores.backfills.put_off_chunk(backfill, 1, now=later(0), to=later(60))
    finish(stores, backfill, chunk)
    assert not stores.backfills.put_off_chunk(backfill, 1, now=later(0), to=later(60))
    assert not stores.backfills.put_off_chunk(backfill, 9, now=later(0), to=later(60))
