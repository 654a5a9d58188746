"""By which instant a message is ordered."""

from datetime import datetime, timedelta

FIRST_YEAR_OF_MAIL = 1990
"""An earlier Date header is a clock that was never set."""


def sent_or_received_at(sent_at: datetime | None, received_at: datetime) -> datetime:
    """Return the header's instant where it can be true, else when the provider received it."""
    if (
        sent_at is None
        or sent_at.year < FIRST_YEAR_OF_MAIL
        or sent_at > received_at + timedelta(days=1)
    ):
        return received_at
    return sent_at
