"""When a message says it was sent, as far as its Date header can be understood."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz

_MAX_DATE_CHARACTERS = 200


def sent_at(value: str) -> datetime | None:
    """Return a Date header as aware UTC, or None; believing it is the caller's question."""
    fields = parsedate_tz(value[:_MAX_DATE_CHARACTERS])
    if fields is None:
        return None
    try:
        offset = timezone(timedelta(seconds=fields[9] or 0))
        return datetime(*fields[:6], tzinfo=offset).astimezone(UTC)
    except (ValueError, OverflowError, TypeError):
        return None
