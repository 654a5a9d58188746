"""Who was let in to a mailbox by an administrator, themselves or others: by whom, why, how long."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.ids import OpeningId, UserId

LONGEST = timedelta(minutes=60)
MOST_OPEN = 20
"""Openings of one mailbox that have not ended; they are read with it wherever mail is shown."""


@dataclass(frozen=True, slots=True)
class Opening:
    """One time that an administrator let themselves in, or anybody by the mailbox's settings."""

    id: OpeningId
    opened_by: UserId
    reason: str
    """In their own words; or which settings they changed, and who sees more by that."""
    opened_at: datetime
    ends_at: datetime | None
    """None: by its settings, so for as long as those say so."""

    def is_open(self, at: datetime) -> bool:
        """Whether it has not ended at an instant."""
        return self.ends_at is None or at < self.ends_at
