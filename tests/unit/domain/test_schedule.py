from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ids import MailboxId
from shared.domain.schedule import (
    CADENCES_MINUTES,
    SHARDS,
    next_run_at,
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


@given(ids, st.sampled_from(CADENCES_MINUTES[1:]), st.integers(0, 400), st.integers(0, 50))
def test_a_quiet_mailbox_rests_for_whole_cycles(mailbox_id, every, cycles, late_seconds):
    news = datetime(2026, 3, 1, tzinfo=UTC)
    tick = next_run_at(
        mailbox_id, every, now=news + timedelta(minutes=every * cycles), not_before=None
    )
    polled = tick + timedelta(seconds=late_seconds)
    rest = rest_until(every, now=polled, last_news_at=news)
    following = next_run_at(mailbox_id, every, now=polled, not_before=rest)
    quiet = (polled - news) // timedelta(minutes=every)
    expected = 1 + (quiet >= 100) + (quiet >= 150)
    assert following - tick == timedelta(minutes=every * expected)


def test_mailboxes_spread_over_the_minutes_and_shards():
    slots = {slot_of(MailboxId(f"mailbox-{number}"), 15) for number in range(2000)}
    assert len(slots) == 15 * SHARDS


def test_a_cadence_that_no_scheduler_asks_for_is_refused():
    with pytest.raises(ValueError, match="cadence"):
        slot_of(MailboxId("m"), 7)
