"""When work for one mailbox is a loop: more of it in an hour than its mail can need.

Work asks for more work: a run that leaves something to do for the next one, a chunk for its own
rest, a provider that tells of changes, a person who presses a button. Where one of them never ends,
by a mistake here or there, nothing else would end it, and we would pay. So it is counted by the
hour of UTC, in what the work writes anyway, and rests for the rest of an hour that has had enough.
Work at the same time may be counted as one: the bound is a few times the number at the worst.

A chunk that never ends is slow: each try uses its worker's whole time, and no hour has many. So its
tries are counted in a row, and past the bound it has one an hour. Runs are counted by the hour
alone: a mailbox whose runs are long and never end their work is not seen here.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

RUNS_OF_A_MAILBOX = 1_000
"""Sync runs in an hour, if the operator sets no other: one each 3.6 s. The schedule asks for 60 at
most, and a run takes in up to a thousand messages."""
TRIES_OF_A_CHUNK = 30
"""In a row. Each takes in what its worker has time for, and leaves the rest of a few hundred."""

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Worked:
    """How often was worked in which hour, counted since 1970."""

    hour: int = 0
    times: int = 0

    def again(self, now: datetime) -> "Worked":
        """Return this after work has been done at `now` once more."""
        hour = _hour_of(now)
        return Worked(hour, self.times + 1 if hour == self.hour else 1)

    def in_a_row(self, now: datetime) -> "Worked":
        """As `again`, whichever hour the times before were in."""
        return Worked(_hour_of(now), self.times + 1)

    def rests_until(self, now: datetime, most: int) -> datetime | None:
        """Return the end of the hour of `now` if it has had `most`, else None."""
        if self.hour != _hour_of(now) or self.times < most:
            return None
        return datetime.fromtimestamp((self.hour + 1) * _HOUR.total_seconds(), UTC)


NOT_YET = Worked()


def _hour_of(at: datetime) -> int:
    return int(at.timestamp() // _HOUR.total_seconds())
