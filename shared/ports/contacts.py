"""What operations need to have kept of contacts; rules as in `stores`."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from shared.domain.contact import Contact
from shared.domain.ids import Address, ContactId, TenantId
from shared.domain.policy import KEEPING, TenantPolicy


class ContactStore(Protocol):
    """Contacts and which addresses are theirs."""

    def put_contact(self, contact: Contact, *, expected_version: int | None) -> Contact:
        """Create or replace; returns it with its new version. `expected_version` None.

        Whatever stands is replaced, but for those it has taken in, and whether it was made from
        mail; 0: only create. Addresses it did not have stand in the log of added ones from the same
        instant on, under `updated_at`, which is to be the present.

        Raises `ConflictError(VERSION_CONFLICT)`, `ContactMergedError`, `AddressFullError`.
        """
        ...

    def merge_contacts(self, into: Contact, other: Contact, merged: Contact) -> bool:
        """Write `merged` in place of `into`, and that `other` and all it has taken in are it now.

        All or nothing; returns whether both still were as given.
        """
        ...

    def get_contact(self, tenant_id: TenantId, contact_id: ContactId) -> Contact | None:
        """Return one, consistently read; raises `ContactMergedError`."""
        ...

    def list_contacts(
        self, tenant_id: TenantId, *, after: ContactId | None, limit: int
    ) -> list[Contact]:
        """Return contacts in order of id."""
        ...

    def delete_contact(self, tenant_id: TenantId, contact_id: ContactId) -> bool:
        """Delete it, with the ids it has taken in; returns whether it was there.

        Messages are not touched; mail makes no contact of its addresses again. Raises
        `ContactMergedError`.
        """
        ...

    def contacts_by_address(
        self, tenant_id: TenantId, addresses: Sequence[Address], *, policy: TenantPolicy = KEEPING
    ) -> dict[Address, list[ContactId]]:
        """Return which contacts have each address, or one that `policy` takes for it.

        Several where it is ambiguous. By id, the first 25 of each, consistently read.
        """
        ...

    def unknown_senders(
        self,
        tenant_id: TenantId,
        senders: Mapping[ContactId, Address],
        policy: TenantPolicy,
    ) -> frozenset[ContactId]:
        """Return which of up to 50 senders no contact has the address of, by the ids given.

        Nor did one have it that a person deleted or merged. It may be a moment old.
        """
        ...

    def create_for_sender(self, contact: Contact, policy: TenantPolicy) -> bool:
        """Create the contact of one address; return whether it was.

        Only where no contact has the address, or one that the policy takes for the same, none that
        had it was deleted, and none was merged that was made of it: all of that in the transaction
        that creates it, and its entry in the log of added addresses. Raises `AddressFullError`
        where all spellings of it have as many contacts as mail adds to.
        """
        ...

    def reserve_made(self, tenant_id: TenantId, number: int, *, day: date, most: int) -> bool:
        """Count `number` more contacts made on a day, unless they are more than `most` then."""
        ...

    def added_addresses(
        self, tenant_id: TenantId, *, after: datetime, upto: datetime, limit: int
    ) -> list[Address]:
        """Return addresses that contacts were given later than `after` and not later than `upto`.

        Consistently read, oldest first, each once; at least `limit` of them if there are as many.
        The log knows of them for `contact_history.LOG_LASTS`.
        """
        ...
