"""What is noted of a simulated fleet, and how it is asked about."""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from shared.domain.schedule import QUIET_AFTER


@dataclass(slots=True)
class Ages:
    """How long mailboxes had to wait from one success to the next, in seconds."""

    seen: Counter[int] = field(default_factory=Counter)

    def add(self, seconds: float) -> None:
        self.seen[math.ceil(seconds)] += 1

    def at(self, part: float) -> int:
        """Return the age that this part of them does not exceed."""
        left = math.ceil(sum(self.seen.values()) * part)
        for seconds in sorted(self.seen):
            left -= self.seen[seconds]
            if left <= 0:
                return seconds
        return 0

    @property
    def longest(self) -> int:
        return max(self.seen, default=0)


@dataclass(slots=True)
class Seen:
    """What came of it."""

    ages: dict[tuple[bool, int, bool], Ages] = field(default_factory=lambda: defaultdict(Ages))
    """By: the big tenant's, cadence, quiet."""
    waits: dict[bool, Ages] = field(default_factory=lambda: defaultdict(Ages))
    """How long requests waited in the queue; by: the big tenant's."""
    polls: Counter[int] = field(default_factory=Counter)
    """By minute."""
    dropped: int = 0
    failed: int = 0
    at_once: Counter[int] = field(default_factory=Counter)
    """The most invocations at once, by minute."""
    oldest: Counter[int] = field(default_factory=Counter)
    """The longest wait of a message still in the queue, by minute."""
    hand_overs: int = 0
    lost_ticks: int = 0
    overdue: dict[int, Counter[int]] = field(default_factory=dict)
    """How many mailboxes are overdue at the beginning of a minute, by cadence."""
    invocations: int = 0
    busy_seconds: int = 0
    """What all invocations of the workers lasted."""

    def age(self, part: float, *, big: bool | None = None, every: int, quiet: bool) -> int:
        found = Ages()
        for (is_big, cadence, is_quiet), ages in self.ages.items():
            if big in {None, is_big} and (cadence, is_quiet) == (every, quiet):
                found.seen += ages.seen
        return found.at(part)

    def normal_after(self, fault_ended: int, every: int) -> int:
        """Return for how many minutes after the fault a mailbox of this cadence was overdue."""
        minutes = [minute for minute, found in self.overdue.items() if found[every]]
        return max(0, max(minutes, default=-1) + 1 - fault_ended // 60)

    def ever_overdue(self) -> int:
        """Return how many were overdue in the worst minute."""
        return max(found.total() for found in self.overdue.values())

    def most_cycles(self) -> float:
        """Return the longest age in cycles; those a mailbox rests for are one."""
        return max(
            ages.longest / (every * 60 * (QUIET_AFTER[0][1] if quiet else 1))
            for (_, every, quiet), ages in self.ages.items()
        )

    def worst(self, counter: Counter[int], since_minute: int) -> int:
        """Return the highest value from a minute on."""
        return max(
            (value for minute, value in counter.items() if minute >= since_minute), default=0
        )
