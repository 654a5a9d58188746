"""Decides what a cursor of an IMAP folder holds, and when a folder has moved on from it."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

from shared.domain.cursor import Cursor
from shared.domain.errors import CursorExpiredError, ErrorCode, RetryLaterError
from shared.providers.imap.grammar import Value, number, pairs

PROVIDER = "imap"
VERSION = 1
COMPARE_PLAIN = timedelta(minutes=15)
"""How often a folder without change numbers is compared whole: flags may change without a trace."""
COMPARE_ALWAYS = timedelta(hours=24)
"""How often every folder is, because change numbers have been known to lie."""
LARGEST_UID = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """A folder as STATUS shows it; 0 stands for what the server did not say."""

    uidvalidity: int
    uidnext: int
    messages: int
    unseen: int
    modseq: int

    @property
    def last_uid(self) -> int:
        """The highest UID given out so far, 0 where the server does not say."""
        return max(0, self.uidnext - 1)


def read_status(items: Value) -> FolderStatus:
    """Read the list of a STATUS response.

    Raises `RetryLaterError` (`folder_unavailable`) without a usable UIDVALIDITY: copies could not
    be told apart later.
    """
    found = pairs(items if isinstance(items, list) else [])
    uidvalidity = number(found.get(b"UIDVALIDITY")) or 0
    uidnext = number(found.get(b"UIDNEXT")) or 0
    if not 0 < uidvalidity <= LARGEST_UID or uidnext > LARGEST_UID + 1:
        raise RetryLaterError(ErrorCode.FOLDER_UNAVAILABLE, cause="no usable UIDVALIDITY")
    return FolderStatus(
        uidvalidity=uidvalidity,
        uidnext=uidnext,
        messages=number(found.get(b"MESSAGES")) or 0,
        unseen=number(found.get(b"UNSEEN")) or 0,
        modseq=number(found.get(b"HIGHESTMODSEQ")) or 0,
    )


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where a folder is taken in, and how it looked when it was last compared."""

    name: str
    """The server's spelling, one character per byte, so that a look can ask before it lists."""
    uidvalidity: int
    last_uid: int
    modseq: int = 0
    messages: int = 0
    uidnext: int = 0
    unseen: int = 0
    compared_at: int = 0
    """Seconds since 1970 of the last whole comparison."""
    catching_up: bool = False
    """More pages follow; what changed and went away is still to be told."""
    whole: bool = False
    """This listing began without a cursor."""

    @classmethod
    def of(cls, cursor: Cursor) -> "Position":
        """Read a cursor; raises `CursorExpiredError` for one this version did not write."""
        if cursor.provider == PROVIDER and cursor.version == VERSION:
            try:
                return cls(**json.loads(cursor.position))
            except (ValueError, TypeError):
                pass
        raise CursorExpiredError(ErrorCode.CURSOR_EXPIRED, cause="not a cursor of this version")

    def cursor(self) -> Cursor:
        """Return this position as a cursor."""
        known = {key: value for key, value in asdict(self).items() if value or key == "name"}
        known.setdefault("last_uid", 0)
        return Cursor(PROVIDER, VERSION, json.dumps(known, separators=(",", ":")))

    def reached(self, status: FolderStatus, *, last_uid: int, compared_at: int) -> "Position":
        """Return the position with all of `status` taken in."""
        return replace(
            self,
            uidvalidity=status.uidvalidity,
            last_uid=last_uid,
            modseq=status.modseq,
            messages=status.messages,
            uidnext=status.uidnext,
            unseen=status.unseen,
            compared_at=compared_at,
            catching_up=False,
            whole=False,
        )

    def differs(self, status: FolderStatus, now: datetime) -> bool:
        """Whether there is something to do: it looks different, or it is time to compare."""
        if self.catching_up or self.is_due(status, now):
            return True
        seen = (self.uidvalidity, self.uidnext, self.messages, self.modseq, self.unseen)
        return seen != (
            status.uidvalidity,
            status.uidnext,
            status.messages,
            status.modseq,
            status.unseen,
        )

    def is_due(self, status: FolderStatus, now: datetime) -> bool:
        """Whether it is time to compare the whole folder whatever its numbers say."""
        every = COMPARE_ALWAYS if status.modseq and self.modseq else COMPARE_PLAIN
        return now - datetime.fromtimestamp(self.compared_at, UTC) >= every
