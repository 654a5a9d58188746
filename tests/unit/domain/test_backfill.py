from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.backfill import Backfill, BackfillState, plan_chunks, release_up_to, window_start
from shared.domain.errors import ErrorCode
from shared.domain.ids import BackfillId, FolderId, MailboxId, ProviderMessageId, TenantId
from shared.domain.ledger import Counts

NOW = datetime(2026, 3, 1, tzinfo=UTC)
RUNNING = Backfill(
    TenantId("t"),
    MailboxId("m"),
    BackfillId("b"),
    30,
    NOW,
    BackfillState.RUNNING,
    NOW,
    1,
    chunks=10,
    planned=100,
    started_at=NOW,
)

listings = st.lists(st.integers(0, 40), max_size=6).map(
    lambda sizes: [
        (FolderId(f"f{n}"), [ProviderMessageId(f"{n}.{i}") for i in range(size, 0, -1)])
        for n, size in enumerate(sizes)
    ]
)


@given(listings, st.integers(1, 10))
def test_every_listed_id_is_in_exactly_one_chunk(listed, size):
    chunks = plan_chunks(RUNNING.id, listed, size=size)
    assert sorted(name for chunk in chunks for name in chunk.ids) == sorted(
        n for _, ids in listed for n in ids
    )
    assert all(1 <= len(chunk.ids) <= size for chunk in chunks)
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))


@given(listings, st.integers(1, 10))
def test_planning_the_same_listing_again_gives_the_same_chunks(listed, size):
    assert plan_chunks(RUNNING.id, listed, size=size) == plan_chunks(RUNNING.id, listed, size=size)


def test_the_newest_of_every_folder_comes_first():
    listed = [(FolderId("a"), list("9876")), (FolderId("b"), list("54"))]
    assert [chunk.ids for chunk in plan_chunks(RUNNING.id, listed, size=2)] == [
        ("9", "8"),
        ("5", "4"),
        ("7", "6"),
    ]


def test_no_more_than_the_limit_is_in_flight():
    assert release_up_to(RUNNING, 2) == 2
    assert release_up_to(replace(RUNNING, done=3, released=5), 2) == 5
    assert release_up_to(replace(RUNNING, done=9, released=9), 2) == 10


@pytest.mark.parametrize(
    "state",
    [BackfillState.PAUSED, BackfillState.CANCELLED, BackfillState.DONE, BackfillState.PLANNING],
)
def test_nothing_is_released_that_does_not_run(state):
    assert release_up_to(replace(RUNNING, state=state, released=4, done=4), 2) == 4


def test_percent_is_100_only_when_it_is_done():
    counts = Counts(listed=100, stored=100)
    assert replace(RUNNING, counts=counts).percent == 99
    assert replace(RUNNING, counts=counts, state=BackfillState.DONE).percent == 100
    assert RUNNING.percent == 0


def after(backfill, minutes, messages=10):
    counts = Counts(listed=messages, stored=messages)
    return backfill.with_chunk(counts, NOW + timedelta(minutes=minutes))


BEGUN = replace(RUNNING, progressed_at=NOW)


def test_the_eta_follows_the_pace_and_the_wait():
    assert BEGUN.eta(NOW) is None
    half = after(BEGUN, 10, messages=50)
    later = NOW + timedelta(minutes=10)
    assert half.eta(later) == later + timedelta(minutes=10)
    assert half.eta(later + timedelta(minutes=3)) == later + timedelta(minutes=10)
    waiting = replace(half, state=BackfillState.WAITING, waiting_until=later + timedelta(minutes=5))
    assert waiting.eta(later) == later + timedelta(minutes=15)


def test_the_eta_is_never_past():
    half = after(BEGUN, 10, messages=50)
    overdue = NOW + timedelta(hours=2)
    assert half.eta(overdue) == overdue + timedelta(minutes=10)


@pytest.mark.parametrize("state", [BackfillState.PAUSED, BackfillState.WAITING])
def test_there_is_no_eta_while_nobody_knows_when_it_goes_on(state):
    half = replace(after(BEGUN, 10), state=state)
    assert half.eta(NOW + timedelta(minutes=11)) is None


def test_the_pace_is_the_recent_one():
    slow = BEGUN
    for minutes in (10, 20):
        slow = after(slow, minutes)
    fast = slow
    for minutes in range(21, 27):
        fast = after(fast, minutes)
    assert slow.seconds_a_message == 60
    assert 6 < fast.seconds_a_message < 15


def test_neither_a_pause_nor_a_wait_slows_the_pace():
    paused = replace(after(BEGUN, 10), progressed_at=NOW + timedelta(days=2))
    waited = replace(after(BEGUN, 10), waiting_until=NOW + timedelta(days=2))
    for backfill in (paused, waited):
        assert after(backfill, 2 * 24 * 60 + 10).seconds_a_message == 60


def test_what_was_held_when_it_was_planned_counts_for_no_pace():
    held = replace(BEGUN, counts=Counts(listed=90, already_stored=90))
    assert held.percent == 90
    assert after(held, 5, messages=5).seconds_a_message == 60


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 600)), max_size=10))
def test_percent_never_goes_back(steps):
    backfill, now, percents = BEGUN, NOW, [0]
    for messages, seconds in steps:
        now += timedelta(seconds=seconds)
        backfill = backfill.with_chunk(Counts(listed=messages, stored=messages), now)
        percents.append(backfill.percent)
    assert percents == sorted(percents)


LAST = replace(BEGUN, chunks=2, done=1, planned=20, counts=Counts(listed=10, stored=10))


def test_the_last_chunk_ends_it_where_its_sums_balance():
    done = after(LAST, 1)
    assert (done.state, done.code, done.percent) == (BackfillState.DONE, None, 100)
    assert done.ended_at == NOW + timedelta(minutes=1)


@pytest.mark.parametrize(
    "counts",
    [
        Counts(listed=9, stored=9),
        Counts(listed=10, stored=9),
        Counts(listed=11, stored=9, failed=2),
    ],
)
def test_sums_that_do_not_balance_are_no_success(counts):
    failed = LAST.with_chunk(counts, NOW)
    assert (failed.state, failed.code) == (BackfillState.FAILED, ErrorCode.INTERNAL)
    assert failed.percent < 100


@pytest.mark.parametrize("state", [BackfillState.CANCELLED, BackfillState.FAILED])
def test_a_chunk_that_ends_late_opens_nothing_again(state):
    over = replace(LAST, state=state, ended_at=NOW)
    late = after(over, 1)
    assert (late.state, late.ended_at, late.done) == (state, NOW, 2)


@pytest.mark.parametrize("days", [0, -1, 366])
def test_a_window_is_from_one_day_to_a_year(days):
    with pytest.raises(ValueError, match="days"):
        window_start(NOW, days)
