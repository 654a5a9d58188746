"""How contacts and the addresses they are found by change together.

An address knows its contacts by an item each in its own partition; a contact's addresses are
written with it in one transaction, on condition that the contact is still the one that was read.
In the place of a merged contact stands which one it is now, never another merged one.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from pynamodb.expressions.condition import Condition

from shared.aws.table import Raw, Table
from shared.aws.tables import (
    CONTACT_PREFIX,
    ContactItem,
    Item,
    MergedItem,
    address_pk,
    contact_key,
    contact_link_key,
    contacts_pk,
    escape,
    unescape,
)
from shared.domain.contact import Contact
from shared.domain.errors import ConflictError, ContactMergedError, ErrorCode, StoreThrottledError
from shared.domain.ids import Address, ContactId, TenantId

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_TRIES = 5
_READERS = 8
MOST_CONTACTS_OF_AN_ADDRESS = 25
"""So many are named where an address is ambiguous; bounds what one shared address can cost."""


@dataclass(frozen=True, slots=True)
class DynamoContactStore:
    """The port `ContactStore`."""

    table: Table
    _readers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_READERS, thread_name_prefix="contacts")
    )

    def put_contact(self, contact: Contact, *, expected_version: int | None) -> Contact:
        """Write the contact and what changed of its addresses, together."""
        for _ in range(_TRIES):
            stands = self.get_contact(contact.tenant_id, contact.id)
            version = stands.version if stands else 0
            if expected_version not in {None, version}:
                ours = replace(contact, version=(expected_version or 0) + 1)
                if stands and stands == replace(ours, merged=stands.merged):
                    # Our own write, whose answer was lost.
                    return stands
                raise ConflictError(ErrorCode.VERSION_CONFLICT)
            new = replace(contact, version=version + 1, merged=stands.merged if stands else ())
            if not self.table.transact(
                [
                    self.table.put_operation(_item(new), _unchanged(stands)),
                    *self._links(stands, new),
                ]
            ):
                return new
        raise StoreThrottledError(cause="contact changes too fast to be written")

    def merge_contacts(self, into: Contact, other: Contact, merged: Contact) -> bool:
        """Write both items, what changed of their addresses, and where older ids lead, together."""
        pointer = _pointer(other.tenant_id, other.id, into.id)
        # No condition: where an older id leads changes with the contact it leads to alone.
        older = [_pointer(other.tenant_id, one, into.id) for one in other.merged]
        return not self.table.transact(
            [
                self.table.put_operation(_item(merged), _unchanged(into)),
                self.table.put_operation(pointer, _unchanged(other)),
                *(self.table.put_operation(one) for one in older),
                *self._links(into, merged),
                *self._links(other, None),
            ]
        )

    def get_contact(self, tenant_id: TenantId, contact_id: ContactId) -> Contact | None:
        """Read its item."""
        raw = self.table.get_raw(contact_key(tenant_id, contact_id))
        if raw is None:
            return None
        if _is_pointer(raw):
            raise ContactMergedError(ContactId(MergedItem.from_raw_data(raw).merged_into))
        return _contact(tenant_id, ContactItem.from_raw_data(raw))

    def list_contacts(
        self, tenant_id: TenantId, *, after: ContactId | None, limit: int
    ) -> list[Contact]:
        """Read the tenant's partition from `after` on."""
        start = escape(after) if after else " "
        found = self.table.query(
            contacts_pk(tenant_id), between=(start, "\U0010ffff"), page=limit + 1
        )
        items = (ContactItem.from_raw_data(raw) for raw in found if not _is_pointer(raw))
        contacts = (_contact(tenant_id, item) for item in items if item.contact_id != after)
        return list(islice(contacts, limit))

    def delete_contact(self, tenant_id: TenantId, contact_id: ContactId) -> bool:
        """Delete the contact, its addresses' items and what leads to it, together."""
        for _ in range(_TRIES):
            stands = self.get_contact(tenant_id, contact_id)
            if stands is None:
                return False
            delete = self.table.delete_operation(
                contact_key(tenant_id, contact_id), _unchanged(stands)
            )
            pointers = self._pointers_gone(tenant_id, stands.merged)
            if not self.table.transact([delete, *pointers, *self._links(stands, None)]):
                return True
        raise StoreThrottledError(cause="contact changes too fast to be deleted")

    def take_off(
        self, tenant_id: TenantId, contact_id: ContactId, addresses: Sequence[Address]
    ) -> None:
        """Take addresses from a contact, and delete one that has no other.

        Their items go in the same transaction, also where the contact has not the address: one who
        is given it meanwhile is found by it. So do the ids that were merged into it, where it goes
        or they are such an address themselves.
        """
        gone = [
            self.table.delete_operation(contact_link_key(tenant_id, address, contact_id))
            for address in addresses
        ]
        key = contact_key(tenant_id, contact_id)
        for _ in range(_TRIES):
            try:
                stands = self.get_contact(tenant_id, contact_id)
            except ContactMergedError:
                # Its addresses are the other's, which the next look finds.
                self.table.transact(gone)
                return
            left = stands.without(addresses) if stands else None
            if stands is None or left == stands:
                change = self.table.check_operation(key, _unchanged(stands))
            elif left is not None:
                change = self.table.put_operation(_item(left), _unchanged(stands))
            else:
                change = self.table.delete_operation(key, _unchanged(stands))
            kept = left.merged if left else ()
            ids = [one for one in stands.merged if one not in kept] if stands else []
            if not self.table.transact([change, *self._pointers_gone(tenant_id, ids), *gone]):
                return
        raise StoreThrottledError(cause="contact changes too fast to be written")

    def contacts_by_address(
        self, tenant_id: TenantId, addresses: Sequence[Address]
    ) -> dict[Address, list[ContactId]]:
        """Read each address's partition, side by side."""
        unique = list(dict.fromkeys(addresses))
        found = self._readers.map(lambda address: self._contacts_of(tenant_id, address), unique)
        return {
            address: contacts for address, contacts in zip(unique, found, strict=True) if contacts
        }

    def _contacts_of(self, tenant_id: TenantId, address: Address) -> list[ContactId]:
        found = self.table.query(
            address_pk(tenant_id, address),
            prefix=CONTACT_PREFIX,
            consistent=False,
            page=MOST_CONTACTS_OF_AN_ADDRESS,
            attributes="sk",
        )
        return [
            ContactId(unescape(raw["sk"]["S"].removeprefix(CONTACT_PREFIX)))
            for raw in islice(found, MOST_CONTACTS_OF_AN_ADDRESS)
        ]

    def _pointers_gone(
        self, tenant_id: TenantId, ids: Iterable[ContactId]
    ) -> "list[TransactWriteItemTypeDef]":
        return [self.table.delete_operation(contact_key(tenant_id, one)) for one in ids]

    def _links(
        self, before: Contact | None, after: Contact | None
    ) -> "list[TransactWriteItemTypeDef]":
        """Return what makes the addresses' items those of `after`."""
        had = set(before.addresses) if before else set()
        has = set(after.addresses) if after else set()
        contact = after or before
        if contact is None:
            return []
        added = [contact_link_key(contact.tenant_id, address, contact.id) for address in has - had]
        gone = [contact_link_key(contact.tenant_id, address, contact.id) for address in had - has]
        return [
            *(self.table.put_operation(Item(key.pk, key.sk)) for key in added),
            *(self.table.delete_operation(key) for key in gone),
        ]


def _unchanged(stands: Contact | None) -> Condition:
    if stands is None:
        return ContactItem.version.does_not_exist()
    same: Condition = ContactItem.version == stands.version
    return same


def _item(contact: Contact) -> ContactItem:
    key = contact_key(contact.tenant_id, contact.id)
    return ContactItem(
        key.pk,
        key.sk,
        contact_id=contact.id,
        name=contact.name,
        addresses=contact.addresses,
        attributes=dict(contact.attributes),
        updated_at=contact.updated_at,
        version=contact.version,
        merged=contact.merged or None,
    )


def _pointer(tenant_id: TenantId, contact_id: ContactId, into: ContactId) -> MergedItem:
    key = contact_key(tenant_id, contact_id)
    return MergedItem(key.pk, key.sk, merged_into=into, version=0)


def _is_pointer(raw: Raw) -> bool:
    return "merged_into" in raw


def _contact(tenant_id: TenantId, item: ContactItem) -> Contact:
    return Contact(
        tenant_id=tenant_id,
        id=ContactId(item.contact_id),
        name=item.name,
        addresses=tuple(Address(one) for one in item.addresses),
        updated_at=item.updated_at,
        attributes=dict(item.attributes),
        version=int(item.version),
        merged=tuple(ContactId(one) for one in item.merged or ()),
    )
