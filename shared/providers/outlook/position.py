"""Decides what an Outlook cursor holds: the link Graph gave, and what is still to do before it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.cursor import Cursor
from shared.domain.errors import CursorExpiredError, ErrorCode

PROVIDER = "outlook"
VERSION = 1
RENEW_EVERY = timedelta(days=2)
"""A link of a quiet folder is exchanged for a fresh one this often: how long Graph knows one is
not fixed (learn.microsoft.com/graph/delta-query-overview), and forgetting costs a whole listing."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in what Graph tells of one folder."""

    link: str
    """Begins after the version: what a `deltaLink` or a `nextLink` says."""
    at: int
    """When it was given out, in seconds since 1970."""
    walking: bool = False
    """It leads to another page of the same round."""
    whole: bool = False
    """The round lists the whole folder and is compared with what we hold at its end."""
    left: tuple[str, ...] = ()
    """Message ids of the page before that did not fit into what was asked for."""
    begun: int | None = None
    """Set while a position is being taken: since when what arrives is news; seconds since 1970."""
    upto: int | None = None
    """Set while what we hold is compared: whatever arrived later than this is; seconds."""

    @classmethod
    def of(cls, cursor: Cursor) -> "Position":
        """Read a cursor; raises `CursorExpiredError` for one this version did not write."""
        if cursor.provider == PROVIDER and cursor.version == VERSION:
            try:
                return cls._read(json.loads(cursor.position))
            except (ValueError, TypeError, KeyError):
                pass
        raise CursorExpiredError(ErrorCode.CURSOR_EXPIRED, cause="not a cursor of this version")

    @classmethod
    def _read(cls, stored: dict[str, object]) -> "Position":
        link, at, left = stored["link"], stored["at"], stored.get("left", [])
        if not isinstance(link, str) or not link.startswith("/") or not isinstance(at, int):
            raise TypeError("not a position")
        if not isinstance(left, list) or not all(isinstance(one, str) for one in left):
            raise TypeError("not ids")
        return cls(
            link,
            at,
            walking=bool(stored.get("walking")),
            whole=bool(stored.get("whole")),
            left=tuple(left),
            begun=_number(stored, "begun"),
            upto=_number(stored, "upto"),
        )

    def cursor(self) -> Cursor:
        """Return this position as a cursor."""
        stored: dict[str, object] = {"link": self.link, "at": self.at}
        stored |= {name: True for name in ("walking", "whole") if getattr(self, name)}
        if self.left:
            stored["left"] = self.left
        numbers = {"begun": self.begun, "upto": self.upto}
        stored |= {name: number for name, number in numbers.items() if number is not None}
        return Cursor(PROVIDER, VERSION, json.dumps(stored, separators=(",", ":")))

    @property
    def is_settled(self) -> bool:
        """Whether it is a place in the changes of a folder, and no walk over what it holds."""
        return not self.whole and self.begun is None

    def is_due(self, now: datetime) -> bool:
        """Whether there is something to do without asking: more pages, or a link grown old."""
        renew_at = self.at + RENEW_EVERY.total_seconds()
        is_amid = self.walking or bool(self.left) or not self.is_settled
        return is_amid or now.timestamp() >= renew_at


def _number(stored: Mapping[str, object], name: str) -> int | None:
    number = stored.get(name)
    if number is not None and not isinstance(number, int):
        raise TypeError("not a number")
    return number
