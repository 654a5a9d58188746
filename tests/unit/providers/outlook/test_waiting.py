"""How long a session waits, and what it reads of Retry-After."""

import pytest

from shared.providers.outlook.throttling import (
    FIRST_WAIT_SECONDS,
    LONGEST_WAIT_SECONDS,
    TRIES,
    WAITS_SECONDS,
    Patience,
    wish_of,
)


class Clock:
    def __init__(self, seconds_left=870.0) -> None:
        self.seconds_left = seconds_left
        self.waits = []

    def wait(self, seconds):
        self.waits.append(seconds)
        self.seconds_left -= seconds


def test_without_a_wish_waits_double_and_end():
    clock = Clock()
    patience = Patience(clock)
    assert [patience.waited(tries, None) for tries in range(1, TRIES + 1)] == [True] * (
        TRIES - 1
    ) + [False]
    assert clock.waits == [FIRST_WAIT_SECONDS * 2**n for n in range(TRIES - 1)]


def test_a_short_wish_is_granted_and_a_long_one_is_not():
    clock = Clock()
    patience = Patience(clock)
    assert patience.waited(1, LONGEST_WAIT_SECONDS)
    assert not patience.waited(1, LONGEST_WAIT_SECONDS + 1)
    assert clock.waits == [LONGEST_WAIT_SECONDS]


def test_all_waits_of_a_session_have_an_end():
    clock = Clock()
    patience = Patience(clock)
    while patience.waited(1, 10.0):
        pass
    assert sum(clock.waits) <= WAITS_SECONDS


def test_no_wait_takes_the_sessions_last_seconds():
    clock = Clock(seconds_left=6.0)
    assert not Patience(clock).waited(1, 2.0)
    assert clock.waits == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1", 1.0),
        (" 3600 ", 3600.0),
        ("0", 0.0),
        ("", None),
        ("-1", None),
        ("soon", None),
        ("1.5", None),
        ("9" * 400, 999_999_999.0),
        ("¹", None),
        ("Sat, 21 Nov 2026 10:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 09:00:00 GMT", 0.0),
    ],
)
def test_a_wish_is_read_as_seconds(text, seconds):
    assert wish_of({"retry-after": text, "date": "Sat, 21 Nov 2026 10:00:00 GMT"}) == seconds


def test_a_date_without_their_clock_says_nothing():
    assert wish_of({"retry-after": "Sat, 21 Nov 2026 10:00:30 GMT"}) is None
    assert wish_of({}) is None
