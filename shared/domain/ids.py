"""What each kind of id is called, so that the type checker stops a swap."""

import hashlib
import secrets
from datetime import datetime
from typing import NewType

TenantId = NewType("TenantId", str)
UserId = NewType("UserId", str)
MailboxId = NewType("MailboxId", str)
FolderId = NewType("FolderId", str)
ProviderMessageId = NewType("ProviderMessageId", str)
"""The provider's name for one copy of a message; opaque outside its adapter."""
MessageId = NewType("MessageId", str)
ThreadId = NewType("ThreadId", str)
ContactId = NewType("ContactId", str)
RunId = NewType("RunId", str)
BackfillId = NewType("BackfillId", str)
LetterId = NewType("LetterId", str)
ErasureId = NewType("ErasureId", str)
OpeningId = NewType("OpeningId", str)
SendId = NewType("SendId", str)
UploadId = NewType("UploadId", str)
Address = NewType("Address", str)
"""A canonical e-mail address, as `addresses.canonical_address` returns it."""

_TIME_LETTERS = 10
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_ulid(now: datetime) -> str:
    """Return a fresh ULID (26 characters, ordered by `now` to the millisecond, 80 random bits)."""
    return _ulid(now, secrets.randbits(80))


def named_ulid(at: datetime, name: str) -> str:
    """Return the ULID that `name` has at an instant: work that is done again finds the first."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=10).digest()
    return _ulid(at, int.from_bytes(digest, "big"))


def is_made_by(name: str, at: datetime) -> bool:
    """Whether an id that begins with a ULID was made at `at` or before, to the millisecond."""
    return name[:_TIME_LETTERS] <= first_made_at(at)


def first_made_at(at: datetime) -> str:
    """Return what every id sorts behind that begins with a ULID made at `at` or later."""
    return _ulid(at, 0)[:_TIME_LETTERS]


def _ulid(at: datetime, low: int) -> str:
    number = int(at.timestamp() * 1000) << 80 | low
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))
