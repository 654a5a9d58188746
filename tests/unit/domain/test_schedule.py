from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ids import MailboxId
from shared.domain.schedule import (
    CADENCES_MINUTES,
    SHARDS,
    Cadence,
    cadence_of,
    how_late,
    next_run_at,
    polled_every,
    rest_until,
    slot_of,
    slots_at,
)

ids = st.text(min_size=1).map(MailboxId)
instants = st.integers(1_767_225_600, 1_900_000_000).map(lambda at: datetime.fromtimestamp(at, UTC))


@given(ids, st.sampled_from(CADENCES_MINUTES), instants)
def test_a_mailbox_is_due_once_in_each_cycle(mailbox_id, every, start):
    slot = slot_of(mailbox_id, every)
    due = [
        minute
        for minute in range(every * 3)
        if slot in set(slots_at(start + timedelta(minutes=minute)))
    ]
    assert len(due) == 3
    assert due[1] - due[0] == due[2] - due[1] == every


@given(ids, st.sampled_from(CADENCES_MINUTES), instants, st.none() | st.integers(-100, 500))
def test_the_next_run_told_is_the_next_slot_that_counts(mailbox_id, every, now, wait):
    not_before = None if wait is None else now + timedelta(minutes=wait)
    at = next_run_at(mailbox_id, every, now=now, not_before=not_before)
    earliest = max(now, not_before) if not_before else now
    assert earliest <= at <= earliest + timedelta(minutes=every + 1)
    assert slot_of(mailbox_id, every) in set(slots_at(at))


def polls_of(mailbox_id, every, *, first, last_news_at, count, late_seconds=0):
    """Return the ticks at which a mailbox without news is polled from `first` on."""
    ticks = [first]
    for _ in range(count):
        polled = ticks[-1] + timedelta(seconds=late_seconds)
        rest = rest_until(mailbox_id, every, now=polled, last_news_at=last_news_at)
        ticks.append(next_run_at(mailbox_id, every, now=polled, not_before=rest))
    return ticks


@given(ids, st.sampled_from(CADENCES_MINUTES[1:]), st.integers(0, 400), st.integers(0, 50))
def test_a_quiet_mailbox_rests_for_whole_cycles(mailbox_id, every, cycles, late_seconds):
    news = datetime(2026, 3, 1, tzinfo=UTC)
    first = next_run_at(
        mailbox_id, every, now=news + timedelta(minutes=every * cycles), not_before=None
    )
    ticks = polls_of(
        mailbox_id, every, first=first, last_news_at=news, count=3, late_seconds=late_seconds
    )
    for tick, following in pairwise(ticks):
        quiet = (tick + timedelta(seconds=late_seconds) - news) // timedelta(minutes=every)
        longest = 1 + (quiet >= 100) + (quiet >= 150)
        skipped = (following - tick) / timedelta(minutes=every)
        assert skipped in range(1, longest + 1)
        # Once it polls in its own turn, it keeps to it.
        if tick != first and (quiet < 100 or 102 < quiet < 150 or quiet > 153):
            assert skipped == longest


@given(
    ids,
    st.sampled_from(CADENCES_MINUTES),
    instants,
    st.none() | st.integers(1, 500),
    st.integers(0),
)
def test_late_is_what_lies_beyond_the_next_slot_that_counts(mailbox_id, every, at, rest, seconds):
    rests_until = None if rest is None else at + timedelta(minutes=rest)
    due = next_run_at(mailbox_id, every, now=at, not_before=rests_until)
    beyond = timedelta(seconds=seconds % 1_000_000)
    asked = {"last_synced_at": at, "rests_until": rests_until}
    assert how_late(mailbox_id, every, now=due + beyond, **asked) == beyond
    assert how_late(mailbox_id, every, now=at, **asked) == timedelta()


@pytest.mark.parametrize(("quiet_cycles", "of"), [(110, 2), (200, 3)])
def test_mailboxes_that_were_polled_together_do_not_stay_together(quiet_cycles, of):
    every = 5
    outage_ended = datetime(2026, 3, 1, tzinfo=UTC)
    news = outage_ended - timedelta(minutes=every * quiet_cycles)
    by_cycle = Counter()
    for number in range(1200):
        name = MailboxId(f"mailbox-{number}")
        first = next_run_at(name, every, now=outage_ended, not_before=None)
        second = polls_of(name, every, first=first, last_news_at=news, count=1)[1]
        by_cycle[(second - outage_ended) // timedelta(minutes=every)] += 1
    assert len(by_cycle) in {of, of + 1}
    assert max(by_cycle.values()) < 1.2 * 1200 / of


def test_a_mailbox_with_news_does_not_rest():
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    for number in range(50):
        name = MailboxId(f"mailbox-{number}")
        recent = now - timedelta(minutes=5 * 100 - 1)
        assert rest_until(name, 5, now=now, last_news_at=recent) is None


def test_mailboxes_spread_over_the_minutes_and_shards():
    slots = {slot_of(MailboxId(f"mailbox-{number}"), 15) for number in range(2000)}
    assert len(slots) == 15 * SHARDS


def test_a_cadence_that_no_scheduler_asks_for_is_refused():
    with pytest.raises(ValueError, match="cadence"):
        slot_of(MailboxId("m"), 7)


@given(ids, st.sampled_from(CADENCES_MINUTES))
def test_a_slot_says_how_often_its_mailboxes_are_polled(mailbox_id, every):
    assert cadence_of(slot_of(mailbox_id, every)) == every
    assert polled_every(slot_of(mailbox_id, every), 7) == every
    assert polled_every(None, 7) == 7


@pytest.mark.parametrize(
    ("wanted", "is_pushed", "minutes"),
    [(5, False, 5), (5, True, 30), (60, True, 60), (1, False, 2), (1, True, 30)],
)
def test_how_often_a_mailbox_is_polled_is_bounded_by_the_operator(wanted, is_pushed, minutes):
    assert Cadence(least=2, pushed=30).minutes(wanted, is_pushed=is_pushed) == minutes
