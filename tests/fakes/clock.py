"""A clock that stands still until it is told to move."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


@dataclass
class FixedClock:
    """The port `Clock`; `at` may be set, `advance` moves it on."""

    at: datetime = field(default_factory=lambda: datetime(2026, 3, 1, 12, 0, tzinfo=UTC))

    def now(self) -> datetime:
        return self.at

    def advance(self, seconds: float = 0, *, minutes: float = 0, days: float = 0) -> datetime:
        self.at += timedelta(seconds=seconds, minutes=minutes, days=days)
        return self.at
