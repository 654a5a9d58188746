"""How an instant is written: as text that sorts, and as a number that is small."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(at: datetime) -> str:
    """Return `at` so that texts sort as instants do: UTC, microseconds, fixed width."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def microseconds(at: datetime) -> int:
    """Return `at` in whole microseconds since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def from_microseconds(number: int) -> datetime:
    """Return the instant `microseconds` gave `number` for."""
    return _EPOCH + timedelta(microseconds=number)


def seconds(at: datetime) -> int:
    """Return `at` in whole seconds since 1970: where that is fine enough, and small matters."""
    return (at - _EPOCH) // timedelta(seconds=1)


def from_seconds(number: int) -> datetime:
    """Return the instant `seconds` gave `number` for."""
    return _EPOCH + timedelta(seconds=number)
