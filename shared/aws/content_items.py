"""How what a content was seen to be is written: a letter for what it is, then its fields."""

from dataclasses import astuple
from typing import Any

from shared.domain.contents import (
    AttachedMail,
    Delivery,
    DeliveryReport,
    Invite,
    Moment,
    Picture,
    Sealed,
    SeenContent,
)


def content_value(seen: SeenContent) -> list[Any]:
    """Return a JSON value that `content_of` reads again."""
    return [_LETTERS[type(seen)], *astuple(seen)]


def content_of(value: list[Any] | None) -> SeenContent | None:
    """Return what `content_value` was given; None also for what only a newer version knows."""
    if value is None:
        return None
    letter, *fields = value
    match letter:
        case "p" | "s" | "m":
            return _PLAIN[letter](*fields)
        case "i":
            *words, starts, ends, repeats = fields
            method, uid, summary, location, organizer = words
            return Invite(
                method,
                uid,
                summary,
                location,
                organizer,
                _moment(starts),
                _moment(ends),
                repeats=repeats,
            )
        case "d":
            return DeliveryReport(tuple(Delivery(*one) for one in fields[0]))
    return None


_PLAIN: dict[str, type[Picture | Sealed | AttachedMail]] = {
    "p": Picture,
    "s": Sealed,
    "m": AttachedMail,
}
"""Those whose fields are values of JSON."""
_LETTERS = {Picture: "p", Invite: "i", DeliveryReport: "d", Sealed: "s", AttachedMail: "m"}


def _moment(value: list[Any] | None) -> Moment | None:
    return None if value is None else Moment(*value)
