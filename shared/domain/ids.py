"""What each kind of id is called, so that the type checker stops a swap."""

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
Address = NewType("Address", str)
"""A canonical e-mail address, as `addresses.canonical_address` returns it."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_ulid(now: datetime) -> str:
    """Return a fresh ULID (26 characters, ordered by `now` to the millisecond, 80 random bits)."""
    number = int(now.timestamp() * 1000) << 80 | secrets.randbits(80)
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))
