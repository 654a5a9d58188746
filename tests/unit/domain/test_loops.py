"""Work is counted by the hour, and an hour that has had enough of it has no more."""

from datetime import UTC, datetime, timedelta

from shared.domain.loops import NOT_YET, Worked

AT = datetime(2026, 3, 1, 12, 59, 58, tzinfo=UTC)
NEXT = datetime(2026, 3, 1, 13, tzinfo=UTC)


def worked(times, at=AT):
    done = NOT_YET
    for _ in range(times):
        done = done.again(at)
    return done


def test_an_hour_that_has_had_enough_rests_to_its_end_and_no_longer():
    assert worked(2).rests_until(AT, 3) is None
    assert worked(3).rests_until(AT, 3) == NEXT
    assert worked(9).rests_until(AT, 3) == NEXT
    assert worked(9).rests_until(NEXT, 3) is None
    assert worked(9).rests_until(AT - timedelta(hours=1), 3) is None


def test_each_hour_is_counted_anew():
    assert worked(9).again(NEXT) == Worked(NEXT.timestamp() // 3600, 1)
    assert worked(9).again(NEXT).again(NEXT).times == 2


def test_tries_in_a_row_are_counted_across_hours():
    done = NOT_YET
    for hours in range(3):
        done = done.in_a_row(AT + timedelta(hours=hours))
    assert done.rests_until(AT + timedelta(hours=2), 3) == NEXT + timedelta(hours=2)
    # One each hour from then on, as each is one too many.
    assert done.rests_until(NEXT + timedelta(hours=2), 3) is None
    again = done.in_a_row(NEXT + timedelta(hours=2))
    assert again.rests_until(NEXT + timedelta(hours=2), 3) == NEXT + timedelta(hours=3)


def test_who_never_worked_never_rests():
    assert NOT_YET.rests_until(AT, 1) is None
