"""What an erasure is, when it may begin, and which mail it keeps out afterwards.

It waits before it deletes. A worker that was at work when the mailbox was closed, or that read the
list of erased people before this one stood on it, may write until its function's time is over; what
is deleted afterwards stays deleted.

A person's mail is still at the provider, so their addresses are kept out: what the provider
received up to the erasure, or all of it. Kept are hashes under a key of the tenant's own: nobody
who reads a receipt can find out an address by trying.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import reduce

from shared.domain.ids import Address, ErasureId, MailboxId, TenantId, UserId

SETTLE_SECONDS = 360
"""No worker lives this long: 300 seconds is the longest any function may run."""
BACKUP_DAYS = 35
"""So long the table can be restored to an earlier instant; after that no backup has it either."""
MOST_ADDRESSES = 20
MOST_KEPT_OUT = 5_000
"""Addresses a tenant's list holds: it is read whole, by every run that stores something."""


class ErasureKind(StrEnum):
    """Whose mail goes."""

    MAILBOX = "mailbox"
    PERSON = "person"


class ErasureState(StrEnum):
    """How far it is. `done` is said only when a last look has found nothing."""

    RUNNING = "running"
    DONE = "done"


class KeepsOut(StrEnum):
    """Which mail of an erased person is not stored again."""

    STORED_MAIL = "stored_mail"
    """What the provider received before the erasure; new mail is stored as ever."""
    ALL_MAIL = "all_mail"


@dataclass(frozen=True, slots=True)
class Erased:
    """How much was deleted; nothing of what it said."""

    messages: int = 0
    kept_for_others: int = 0
    """Messages that stay because another mailbox holds them too."""
    copies: int = 0
    attachments: int = 0
    bodies: int = 0
    """Texts that were objects of their own."""
    raw_messages: int = 0
    dead_letters: int = 0
    runs: int = 0
    contacts: int = 0
    sends: int = 0
    """Mails on their way out, or out, as they were asked for."""
    other: int = 0
    """Folders, backfills and their chunks, and whatever else stood under the mailbox."""

    def __add__(self, more: "Erased") -> "Erased":
        return Erased(
            self.messages + more.messages,
            self.kept_for_others + more.kept_for_others,
            self.copies + more.copies,
            self.attachments + more.attachments,
            self.bodies + more.bodies,
            self.raw_messages + more.raw_messages,
            self.dead_letters + more.dead_letters,
            self.runs + more.runs,
            self.contacts + more.contacts,
            self.sends + more.sends,
            self.other + more.other,
        )


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure, and its receipt once it is done."""

    tenant_id: TenantId
    id: ErasureId
    kind: ErasureKind
    requested_by: UserId
    requested_at: datetime
    settles_at: datetime
    """From when on nobody can write any more what is to be deleted."""
    state: ErasureState = ErasureState.RUNNING
    mailbox_id: MailboxId | None = None
    address_hashes: tuple[str, ...] = ()
    addresses: tuple[Address, ...] = ()
    """A person's, while it runs: what is to be found. Gone when it is done."""
    keeps_out: KeepsOut | None = None
    erased: Erased = field(default_factory=Erased)
    counted_to: str = ""
    """The last page that is in `erased` already, so that repeating it counts nothing twice."""
    looked_to: str = ""
    """Up to where nothing is left of what takes long to look through."""
    done_at: datetime | None = None

    def reaches(self, received_at: datetime | None) -> bool:
        """Whether a person's mail received then goes; with no time known, it may be of before.

        What comes after the request is let in where `stored_mail` is kept out, and it stays.
        """
        if self.keeps_out is KeepsOut.ALL_MAIL or received_at is None:
            return True
        return received_at <= self.requested_at


def ended(erasure: Erasure, now: datetime) -> Erasure:
    """Return the receipt of an erasure: it names nobody, and no place in what it looked through."""
    return replace(
        erasure,
        state=ErasureState.DONE,
        done_at=now,
        addresses=(),
        counted_to="",
        looked_to="",
    )


def hash_of(key: bytes, address: Address) -> str:
    """Return what is kept of an address."""
    text = address.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, key=key, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class KeptOut:
    """Whose mail a tenant does not store, and received until when (None: ever)."""

    key: bytes = b""
    until: Mapping[str, datetime | None] = field(default_factory=dict)

    def after(self, erasure: Erasure) -> "KeptOut":
        """Return the list once an erasure is on it; who is kept out further stays so."""
        if erasure.keeps_out is None:
            return self
        wanted = None if erasure.keeps_out is KeepsOut.ALL_MAIL else erasure.requested_at
        until = dict(self.until)
        for one in erasure.address_hashes:
            before = until.get(one, wanted)
            until[one] = None if before is None or wanted is None else max(before, wanted)
        return replace(self, until=until)

    def only(self, erasures: Iterable[Erasure]) -> "KeptOut":
        """Return the list as these erasures alone make it."""
        return reduce(KeptOut.after, erasures, replace(self, until={}))

    def is_for_ever(self, address: Address) -> bool:
        """Whether no mail of an address is stored, whenever it arrives."""
        one = hash_of(self.key, address)
        return one in self.until and self.until[one] is None

    def covers(self, addresses: Iterable[Address], received_at: datetime | None) -> bool:
        """Whether a message in which these take part stays at the provider.

        One of which nobody knows when it was received may be of the time before: it stays there.
        """
        if not self.until:
            return False
        hashes = {hash_of(self.key, address) for address in addresses}
        ends = [self.until[one] for one in hashes if one in self.until]
        return any(end is None or received_at is None or received_at <= end for end in ends)
