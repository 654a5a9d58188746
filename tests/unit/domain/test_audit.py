"""Whatever days audits fall on, the whole of a mailbox is seen, again and again."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.audit import (
    LINE_IS_DRAWN_WITHIN,
    LONGEST_NEWEST,
    MOST_IN_PART,
    MOST_PARTS,
    OLDER_WINDOWS,
    OVERLAP,
    Walk,
    Window,
    audited_from,
    narrower,
    parts_of,
    walk_on,
    windows_of,
)
from shared.domain.backfill import BackfillKind, BackfillState
from tests.fakes.values import a_backfill, a_mailbox

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def covered(windows: list[Window], since: datetime, upto: datetime) -> bool:
    """Whether every instant from `since` to `upto` lies in one of them."""
    reached = since
    for window in sorted(windows, key=lambda one: one.since):
        if window.since > reached or reached >= upto:
            break
        reached = max(reached, window.before or upto)
    return reached >= upto


@given(
    age=st.integers(1, 4_000),
    pauses=st.lists(st.integers(1, 29), min_size=OLDER_WINDOWS + 3, max_size=OLDER_WINDOWS + 3),
)
def test_a_walk_sees_every_date_and_ends(age, pauses):
    floor, now, walk = NOW - timedelta(days=age), NOW, Walk()
    seen: list[Window] = []
    walks = 0
    for pause in pauses:
        windows = windows_of(walk, floor=floor, now=now)
        seen += [replace(one, before=one.before or now) for one in windows]
        walk, is_over = walk_on(walk, windows, windows, floor=floor, now=now, is_whole=True)
        walks += is_over
        if is_over:
            assert covered(seen, floor, now)
        now += timedelta(days=pause)
    assert walks >= 1


@given(age=st.integers(4, 4_000), seed=st.integers(0, 10_000))
def test_a_walk_that_has_time_for_some_parts_only_sees_every_date_too(age, seed):
    rng = random.Random(seed)
    floor, now, walk = NOW - timedelta(days=age), NOW, Walk()
    seen: list[Window] = []
    for _ in range(400):
        windows = windows_of(walk, floor=floor, now=now)
        had_time_for: list[Window] = []
        for window, at_least in zip(windows, (1, 0), strict=False):
            parts = parts_of(window, held=0, at_least=4, now=now)
            if taken := parts[: rng.randint(at_least, 4)]:
                had_time_for.append(Window(taken[-1].since, window.before))
        seen += [replace(one, before=one.before or now) for one in had_time_for]
        walk, is_over = walk_on(walk, windows, had_time_for, floor=floor, now=now, is_whole=True)
        assert not is_over or covered(seen, floor, now)
        if covered(seen, floor, NOW):
            return
        now += DAY
    raise AssertionError("never at the end")


@given(
    days=st.floats(0.01, 400),
    held=st.integers(0, 30 * MOST_IN_PART),
    at_least=st.integers(1, MOST_PARTS),
    is_newest=st.booleans(),
)
def test_parts_make_up_their_window(days, held, at_least, is_newest):
    window = Window(NOW - days * DAY, None if is_newest else NOW)
    parts = parts_of(window, held=held, at_least=at_least, now=NOW)
    assert (parts[0].before, parts[-1].since) == (window.before, window.since)
    assert all(newer.since == older.before for newer, older in pairwise(parts))
    assert len(parts) >= at_least
    assert len(parts) * MOST_IN_PART >= held
    assert len(parts_of(window, held=MOST_IN_PART, at_least=1, now=NOW)) == 1


def test_what_took_too_long_is_halved_until_the_walk_is_over():
    walk = Walk(NOW - DAY, NOW - 3 * DAY)
    assert [narrower(walk).parts, narrower(narrower(walk)).parts] == [2, 4]
    for _ in range(20):
        walk = narrower(walk)
    assert walk == Walk(NOW - DAY, NOW - 3 * DAY, parts=MOST_PARTS)
    windows = windows_of(walk, floor=NOW - 9 * DAY, now=NOW)
    after, is_over = walk_on(walk, windows, windows, floor=NOW - 9 * DAY, now=NOW, is_whole=True)
    assert (after.parts, is_over) == (MOST_PARTS, False)
    windows = (windows[0], Window(NOW - 9 * DAY, NOW - 3 * DAY))
    after, is_over = walk_on(walk, windows, windows, floor=NOW - 9 * DAY, now=NOW, is_whole=True)
    assert (after.parts, is_over) == (1, True)


@pytest.mark.parametrize("days", [30, 365, 3_650])
def test_daily_audits_see_the_whole_within_a_month(days):
    floor, walk = NOW - timedelta(days=days), Walk()
    for day in range(30):
        now = NOW + day * DAY
        windows = windows_of(walk, floor=floor, now=now)
        assert len(windows) == 2
        assert windows[1].before - windows[1].since <= max(DAY, (now - floor) / OLDER_WINDOWS)
        walk, is_over = walk_on(walk, windows, windows, floor=floor, now=now, is_whole=True)
        if is_over:
            return
    raise AssertionError("never at the end")


def test_a_young_mailbox_is_seen_whole_each_day():
    windows = windows_of(Walk(), floor=NOW - DAY, now=NOW)
    assert windows == (Window(NOW - DAY),)
    assert walk_on(Walk(), windows, windows, floor=NOW - DAY, now=NOW, is_whole=True) == (
        Walk(NOW),
        True,
    )
    assert windows_of(Walk(), floor=NOW, now=NOW) == ()


def test_the_newest_window_reaches_back_beyond_the_last_audit():
    floor = NOW - 400 * DAY
    walk = Walk(NOW - 10 * DAY, NOW - 100 * DAY)
    newest, older = windows_of(walk, floor=floor, now=NOW)
    assert newest == Window(NOW - 10 * DAY - OVERLAP)
    assert older.before == NOW - 100 * DAY
    walk = replace(walk, audited_at=NOW - LONGEST_NEWEST - DAY)
    newest, older = windows_of(walk, floor=floor, now=NOW)
    assert (newest, older.before) == (Window(NOW - OVERLAP), newest.since)


def test_a_walk_that_left_something_out_is_not_whole_until_the_next_one():
    floor, now = NOW - 4 * DAY, NOW
    walk, ends = Walk(), []
    for day in range(9):
        windows = windows_of(walk, floor=floor, now=now)
        walk, is_over = walk_on(walk, windows, windows, floor=floor, now=now, is_whole=day != 1)
        ends.append(is_over)
        now += DAY
    # A walk of two days, of which the second left something out; then whole ones.
    assert ends[:2] == [False, False]
    assert True in ends[2:]


def test_what_an_import_has_not_finished_is_not_missing():
    mailbox = a_mailbox(connected_at=NOW, backfill_days=30)
    done = a_backfill(since=NOW - 30 * DAY, state=BackfillState.DONE)
    open_states = set(BackfillState) - {BackfillState.DONE}
    others = [a_backfill(since=NOW - 365 * DAY, state=state) for state in open_states]
    repair = replace(done, since=NOW - 300 * DAY, kind=BackfillKind.REPAIR)
    assert audited_from(mailbox, [*others, repair]) == NOW + LINE_IS_DRAWN_WITHIN
    assert audited_from(mailbox, [*others, done, repair]) == NOW - 30 * DAY
    assert audited_from(replace(mailbox, backfill_days=0), []) == NOW
