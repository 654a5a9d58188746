"""Decides how long a session waits when Microsoft asks for time: seconds, never minutes.

A wish that is short is granted within the session; a long one ends it and is handed on, so that no
function is paid for sleeping and the mailbox is not touched before. Graph names its wish in
`Retry-After`, also for each part of a batch (learn.microsoft.com/graph/throttling).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.providers.http import Requests

TRIES = 4
"""How often one request is sent at most."""
LONGEST_WAIT_SECONDS = 15.0
WAITS_SECONDS = 60.0
"""What all waits of a session take together at most."""
FIRST_WAIT_SECONDS = 1.0
"""Without a wish of theirs; doubled at each try."""
_ROOM_SECONDS = 5.0
"""What has to be left of a session after a wait, for the wait to be worth it."""
PASSING = frozenset({408, 423, 429, 500, 502, 503, 504, 509})
"""Answers after which the same request may be sent again."""


class Patience:
    """What is left of a session's waiting. Not thread-safe."""

    def __init__(self, requests: "Requests") -> None:
        self._requests = requests
        self._left = WAITS_SECONDS

    def waited(self, tries: int, wish: float | None) -> bool:
        """Wait before the next try and return True, or return False where that is not sensible.

        `tries`: how often the request was sent. `wish`: seconds the provider asked for.
        """
        seconds = FIRST_WAIT_SECONDS * 2 ** (tries - 1) if wish is None else wish
        if tries >= TRIES or seconds > min(LONGEST_WAIT_SECONDS, self._left):
            return False
        if seconds + _ROOM_SECONDS > self._requests.seconds_left:
            return False
        self._left -= seconds
        self._requests.wait(seconds)
        return True


def wish_of(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of `Retry-After`, as a number or a date; None where it says nothing.

    `headers`: by lower-case names, or found by any case.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        # Only their own clock says how far away a date of theirs is.
        return max(
            0.0,
            (
                parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("date", ""))
            ).total_seconds(),
        )
    except (ValueError, TypeError):
        return None


def answered_at(headers: Mapping[str, str]) -> datetime | None:
    """Return when an answer was made, by the clock of who made it; None where it says nothing."""
    try:
        return parsedate_to_datetime(headers.get("date", "")).astimezone(UTC)
    except (ValueError, TypeError):
        return None
