"""Decides what a Gmail cursor holds: a place in the mailbox's history, and a listing under way.

History ids are unsigned 64-bit numbers that only grow; ours are Python's, compared as numbers.
"""

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from shared.domain.cursor import Cursor
from shared.domain.errors import CursorExpiredError, ErrorCode
from shared.domain.mailbox import Provider

FORMAT = 1
RENEW_AFTER = timedelta(days=1)
"""A history id is valid for a week typically, "in some rare circumstances" for hours: in a mailbox
without news the cursor is moved on this often, so that it never grows old in a quiet one."""


@dataclass(frozen=True, slots=True)
class Walk:
    """How far a listing of the whole mailbox has come, window by window, oldest first."""

    begin: int = 0
    """Where the window under way begins, in seconds since 1970; 0 at the floor."""
    end: int = 0
    """Where it ends; 0 for one that is open."""
    after: int = 0
    """The id of the last message handed out of it, as a number."""
    judged: int = 0
    """The id of the last copy of ours compared in it, as a number."""


@dataclass(frozen=True, slots=True)
class Position:
    """What was worked through: every record up to `history_id`, and `entries` of the next."""

    history_id: int
    taken_at: int
    """Seconds since 1970."""
    entries: int = 0
    walk: Walk | None = None

    @classmethod
    def at(cls, history_id: int, now: datetime) -> Self:
        """Return the position that a history id is, taken `now`."""
        return cls(history_id, int(now.timestamp()))

    def is_old(self, now: datetime) -> bool:
        """Whether it is time to move on without news."""
        return now.timestamp() - self.taken_at >= RENEW_AFTER.total_seconds()

    def walking(self, walk: Walk | None) -> "Position":
        """Return the same place in history with the listing further on."""
        return replace(self, walk=walk)

    def cursor(self) -> Cursor:
        """Return the stored form."""
        # A walk at its very beginning is all zeros, and still one.
        left_out: tuple[object, ...] = (None, 0)
        fields = {name: value for name, value in asdict(self).items() if value not in left_out}
        return Cursor(Provider.GMAIL, FORMAT, json.dumps(fields, separators=(",", ":")))


def read(cursor: Cursor) -> Position:
    """Read a cursor; raises `CursorExpiredError` for any that `Position.cursor` did not make."""
    try:
        if (cursor.provider, cursor.version) != (Provider.GMAIL, FORMAT):
            raise ValueError("a cursor of another provider or format")
        fields: dict[str, Any] = json.loads(cursor.position)
        walk = fields.pop("walk", None)
        position = Position(**fields, walk=None if walk is None else Walk(**walk))
        numbers = [position.history_id, position.taken_at, position.entries]
        if position.walk is not None:
            numbers += asdict(position.walk).values()
        if not all(isinstance(number, int) for number in numbers):
            raise ValueError("not numbers")
    except (ValueError, TypeError, AttributeError) as error:
        raise CursorExpiredError(ErrorCode.CURSOR_EXPIRED, cause="not our cursor") from error
    return position
