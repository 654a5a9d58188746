"""What reading mail needs of the table: everything that decides what is shown, in one request.

Which messages there are is told by an index (`MessageStore.by_address`); what an entry says beside
that, the copies that hold the message and who takes part in it, only lets them be read together
with it. What counts is the message's own item, and what is then missing is asked for as well.

Consistency: everything here is read consistently, so that a right that was taken away, a contact
that was changed and mail that was erased are no longer shown with the next request. The indexes
are not: what was stored a moment ago may be listed a moment later.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shared.domain.contact import Contact, KnownBy, contacts_of
from shared.domain.ids import Address, ContactId, MailboxId, MessageId, TenantId, ThreadId
from shared.domain.mailbox import Mailbox
from shared.domain.message import Copy, Message
from shared.domain.policy import TenantPolicy
from shared.domain.threads import ThreadRecord, without_record

READ_AT_ONCE = 100
"""What one request reads at most."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read; each is one key."""

    messages: frozenset[MessageId] = frozenset()
    copies: frozenset[str] = frozenset()
    """Their `copy_ref`s."""
    mailboxes: frozenset[MailboxId] = frozenset()
    addresses: frozenset[Address] = frozenset()
    """Whose contacts are asked for."""
    threads: frozenset[ThreadId] = frozenset()
    """Of which what is recorded is asked for."""
    policy: bool = False
    """Whether the tenant's policy is asked for."""

    def __or__(self, other: "Wanted") -> "Wanted":
        """Return both."""
        return Wanted(
            self.messages | other.messages,
            self.copies | other.copies,
            self.mailboxes | other.mailboxes,
            self.addresses | other.addresses,
            self.threads | other.threads,
            self.policy or other.policy,
        )

    def __sub__(self, other: "Wanted") -> "Wanted":
        """Return what is wanted beside the other."""
        return Wanted(
            self.messages - other.messages,
            self.copies - other.copies,
            self.mailboxes - other.mailboxes,
            self.addresses - other.addresses,
            self.threads - other.threads,
            self.policy and not other.policy,
        )

    def __len__(self) -> int:
        """Return how many keys they are."""
        parts = (self.messages, self.copies, self.mailboxes, self.addresses, self.threads)
        return sum(map(len, parts)) + self.policy


@dataclass(frozen=True, slots=True)
class Found:
    """What was read of what was wanted; what is in `asked` and nowhere else does not exist."""

    asked: Wanted = field(default_factory=Wanted)
    messages: Mapping[MessageId, Message] = field(default_factory=dict)
    copies: Mapping[str, Copy] = field(default_factory=dict)
    """Live and removed, by `copy_ref`."""
    mailboxes: Mapping[MailboxId, Mailbox] = field(default_factory=dict)
    """To judge by, not to be shown: as their settings say, without status and errors."""
    known: Mapping[Address, Sequence[KnownBy]] = field(default_factory=dict)
    """By whom an address or another spelling of it is had: see `contacts_of`."""
    threads: Mapping[ThreadId, ThreadRecord] = field(default_factory=dict)
    """Of most threads nothing is recorded: see `thread`."""
    policy: TenantPolicy = field(default_factory=TenantPolicy)
    """Only where it was asked for."""

    def __post_init__(self) -> None:
        """Refuse a policy that was not asked for: what is read later would be put in its place."""
        if self.policy != TenantPolicy() and not self.asked.policy:
            raise ValueError("a policy that was not asked for")

    def contacts_of(self, address: Address) -> list[ContactId]:
        """Return who has an address as the policy has it, by id, at most 25."""
        return contacts_of(self.known.get(address, ()), address, self.policy)

    def thread(self, thread_id: ThreadId) -> ThreadRecord:
        """Return what holds of a thread."""
        return self.threads.get(thread_id) or without_record(thread_id)

    def copies_in_mailboxes(self, message: Message) -> list[Copy]:
        """Return the message's copies in mailboxes that still exist, in order of their names.

        A copy is of one message: where two workers read it otherwise at once, of the first one's.
        """
        copies = (self.copies[ref] for ref in sorted(message.copies) if ref in self.copies)
        its_own = (copy for copy in copies if copy.message_id == message.id)
        return [copy for copy in its_own if copy.mailbox_id in self.mailboxes]

    def __or__(self, other: "Found") -> "Found":
        """Return both."""
        return Found(
            self.asked | other.asked,
            {**self.messages, **other.messages},
            {**self.copies, **other.copies},
            {**self.mailboxes, **other.mailboxes},
            {**self.known, **other.known},
            {**self.threads, **other.threads},
            self.policy if self.asked.policy else other.policy,
        )


class MailReader(Protocol):
    """Reads what decides over what is shown; rules as in `stores`."""

    def contact(
        self, tenant_id: TenantId, contact_id: ContactId
    ) -> tuple[Contact | None, TenantPolicy]:
        """Return one contact and the tenant's policy, in one request.

        Raises `ContactMergedError`.
        """
        ...

    def read(self, tenant_id: TenantId, wanted: Wanted) -> Found:
        """Return what there is of `wanted`, in a request for each `READ_AT_ONCE` of it.

        A text that is no message id names none.
        """
        ...
