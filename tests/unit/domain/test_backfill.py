from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.backfill import Backfill, BackfillState, plan_chunks, release_up_to, window_start
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


def test_the_eta_follows_the_pace_and_the_wait():
    half = replace(RUNNING, counts=Counts(listed=50, stored=50))
    later = NOW + timedelta(minutes=10)
    assert half.eta(later) == later + timedelta(minutes=10)
    waiting = replace(half, waiting_until=later + timedelta(minutes=5))
    assert waiting.eta(later) == later + timedelta(minutes=15)
    assert RUNNING.eta(later) is None


@pytest.mark.parametrize("days", [0, -1, 366])
def test_a_window_is_from_one_day_to_a_year(days):
    with pytest.raises(ValueError, match="days"):
        window_start(NOW, days)
