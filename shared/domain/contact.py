"""What a contact is: a CRM record found by its addresses."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from shared.domain.addresses import canonical_address
from shared.domain.ids import Address, ContactId, TenantId
from shared.domain.policy import TenantPolicy

MAX_ADDRESSES = 20
MOST_CONTACTS_OF_AN_ADDRESS = 500
"""Bounds what it costs to read and to change one shared address, in all its spellings together.

With ids as long as UUIDs and addresses of 25 characters these are 31 KB, of the 400 that an item
may have. Mail adds no further than half of it: `new_contacts.has_room_for_sender`.
"""
MOST_CONTACTS_NAMED = 25
"""So many are named where an address is ambiguous."""
MAX_MERGED = 40
"""How many others one may have taken in: all of them change with it in one transaction."""


class KnownBy(NamedTuple):
    """A contact, and one of the addresses it has."""

    contact_id: ContactId
    address: Address


@dataclass(frozen=True, slots=True)
class Contact:
    """A person or company of the tenant's CRM. The id is the CRM's own."""

    tenant_id: TenantId
    id: ContactId
    name: str
    addresses: tuple[Address, ...]
    updated_at: datetime
    attributes: Mapping[str, str] = field(default_factory=dict)
    version: int = 1
    merged: tuple[ContactId, ...] = ()
    """The ids of those it has taken in: whoever asks for one is told this contact's."""
    made_from_mail: bool = False
    """Nobody put it: a mailbox with `create_contacts` met its sender. That stays what it was."""

    def without(self, addresses: Sequence[Address]) -> "Contact | None":
        """Return what is left of it without addresses that are to be erased, or None.

        An id is the CRM's own to choose and may be such an address: one that was taken in goes.
        """
        left = tuple(one for one in self.addresses if one not in addresses)
        if left == self.addresses:
            return self
        merged = tuple(one for one in self.merged if canonical_address(one) not in addresses)
        if not left:
            return None
        return replace(self, addresses=left, merged=merged, version=self.version + 1)


def contacts_of(
    known: Iterable[KnownBy], address: Address, policy: TenantPolicy
) -> list[ContactId]:
    """Return who of `known` has the address, or one that the tenant takes for it; the first 25."""
    found = dict.fromkeys(one.contact_id for one in known if policy.is_same(one.address, address))
    return list(found)[:MOST_CONTACTS_NAMED]
