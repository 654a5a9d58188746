"""How contacts and the addresses they are found by change together.

An address knows its contacts (`address_contacts`); a contact's addresses are written with it in one
transaction, on condition that the contact is still the one that was read.
In the place of a merged contact stands which one it is now, never another merged one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import islice
from typing import TYPE_CHECKING

from pynamodb.expressions.condition import Condition

from shared.aws.address_contacts import AddressContacts, SetChange
from shared.aws.sender_contacts import (
    address_of_sender,
    remember_deleted,
    reserve_made,
    unknown_senders,
)
from shared.aws.table import Raw, Table
from shared.aws.tables import ContactItem, MergedItem, contact_key, contacts_pk, escape
from shared.aws.tables_of_added_addresses import AddedItem, added_between, added_key, added_pk
from shared.domain.contact import MOST_CONTACTS_OF_AN_ADDRESS, Contact, KnownBy, contacts_of
from shared.domain.contact_history import LOG_LASTS
from shared.domain.errors import (
    AddressFullError,
    ConflictError,
    ContactMergedError,
    ErrorCode,
    StoreThrottledError,
)
from shared.domain.ids import Address, ContactId, TenantId
from shared.domain.policy import KEEPING, TenantPolicy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_TRIES = 5


@dataclass(frozen=True, slots=True)
class DynamoContactStore:
    """The port `ContactStore`."""

    table: Table

    def put_contact(self, contact: Contact, *, expected_version: int | None) -> Contact:
        """Write the contact and what changed of its addresses, together."""
        for _ in range(_TRIES):
            stands = self.get_contact(contact.tenant_id, contact.id)
            version = stands.version if stands else 0
            if expected_version not in {None, version}:
                ours = replace(contact, version=(expected_version or 0) + 1)
                if stands and stands == _with_past_of(stands, ours):
                    # Our own write, whose answer was lost.
                    return stands
                raise ConflictError(ErrorCode.VERSION_CONFLICT)
            new = _with_past_of(stands, replace(contact, version=version + 1))
            sets = self._sets(contact.tenant_id, (stands, new))
            put = self.table.put_operation(_item(new), _unchanged(stands))
            if self._is_written([put, *self._added(stands, new)], sets):
                return new
        raise StoreThrottledError(cause="contact changes too fast to be written")

    def merge_contacts(self, into: Contact, other: Contact, merged: Contact) -> bool:
        """Write both items, what changed of their addresses, and where older ids lead, together."""
        pointer = _pointer(other.tenant_id, other.id, into.id)
        # No condition: where an older id leads changes with the contact it leads to alone.
        older = [_pointer(other.tenant_id, one, into.id) for one in other.merged]
        contacts = [
            self.table.put_operation(_item(merged), _unchanged(into)),
            self.table.put_operation(pointer, _unchanged(other)),
            *(self.table.put_operation(one) for one in older),
        ]
        for _ in range(_TRIES):
            sets = self._sets(into.tenant_id, (into, merged), (other, None))
            if self._is_written(contacts, sets):
                return True
            if any(not self._stands(one) for one in (into, other)):
                return False
        raise StoreThrottledError(cause="contacts change too fast to be merged")

    def get_contact(self, tenant_id: TenantId, contact_id: ContactId) -> Contact | None:
        """Read its item."""
        raw = self.table.get_raw(contact_key(tenant_id, contact_id))
        return contact_of(tenant_id, raw) if raw else None

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
            remember_deleted(self.table, stands)
            delete = self.table.delete_operation(
                contact_key(tenant_id, contact_id), _unchanged(stands)
            )
            pointers = self._pointers_gone(tenant_id, stands.merged)
            if self._is_written([delete, *pointers], self._sets(tenant_id, (stands, None))):
                return True
        raise StoreThrottledError(cause="contact changes too fast to be deleted")

    def take_off(
        self, tenant_id: TenantId, contact_id: ContactId, addresses: Sequence[Address]
    ) -> None:
        """Take addresses from a contact, and delete one that has no other.

        The addresses forget it in the same transaction, also where it has not the address: one who
        is given it meanwhile is found by it. So do the ids that were merged into it, where it goes
        or they are such an address themselves.
        """
        key = contact_key(tenant_id, contact_id)
        for _ in range(_TRIES):
            gone = self._addresses.changes(
                tenant_id, gone=[KnownBy(contact_id, one) for one in addresses], added=()
            )
            try:
                stands = self.get_contact(tenant_id, contact_id)
            except ContactMergedError:
                # Its addresses are the other's, which the next look finds.
                if not gone or self._is_written([], gone):
                    return
                continue
            left = stands.without(addresses) if stands else None
            if stands is None or left == stands:
                change = self.table.check_operation(key, _unchanged(stands))
            elif left is not None:
                change = self.table.put_operation(_item(left), _unchanged(stands))
            else:
                change = self.table.delete_operation(key, _unchanged(stands))
            kept = left.merged if left else ()
            ids = [one for one in stands.merged if one not in kept] if stands else []
            if self._is_written([change, *self._pointers_gone(tenant_id, ids)], gone):
                return
        raise StoreThrottledError(cause="contact changes too fast to be written")

    def contacts_by_address(
        self, tenant_id: TenantId, addresses: Sequence[Address], *, policy: TenantPolicy = KEEPING
    ) -> dict[Address, list[ContactId]]:
        """Read each address's item, consistently."""
        known = self._addresses.read(tenant_id, addresses)
        found = {one: contacts_of(known[one], one, policy) for one in known}
        return {address: contacts for address, contacts in found.items() if contacts}

    def unknown_senders(
        self, tenant_id: TenantId, senders: Mapping[ContactId, Address], policy: TenantPolicy
    ) -> frozenset[ContactId]:
        """Read what is known of their addresses together."""
        return unknown_senders(self.table, tenant_id, senders, policy)

    def create_for_sender(self, contact: Contact, policy: TenantPolicy) -> bool:
        """Write contact and address in one transaction, on condition that all of it is free."""
        new = replace(contact, version=1)
        put = self.table.put_operation(_item(new), _unchanged(None))
        for _ in range(_TRIES):
            address = address_of_sender(self.table, new, policy)
            if address is None:
                return False
            failed = self.table.transact([*address, put, *self._added(None, new)])
            if failed != {0}:
                return not failed
        return False

    def reserve_made(self, tenant_id: TenantId, number: int, *, day: date, most: int) -> bool:
        """Count them before they are made."""
        return reserve_made(self.table, tenant_id, number, day=day, most=most)

    def all_contacts_of(self, tenant_id: TenantId, address: Address) -> list[ContactId]:
        """Return every contact of an address as it is written, by id, consistently read."""
        known = self._addresses.read(tenant_id, [address]).get(address, ())
        return [one.contact_id for one in known if one.address == address]

    def added_addresses(
        self, tenant_id: TenantId, *, after: datetime, upto: datetime, limit: int
    ) -> list[Address]:
        """Read the log's partition."""
        found = self.table.query(
            added_pk(tenant_id), between=added_between(after, upto), page=limit
        )
        unique: dict[Address, None] = {}
        for raw in found:
            addresses = AddedItem.from_raw_data(raw).addresses or ()
            unique |= dict.fromkeys(Address(one) for one in sorted(addresses))
            if len(unique) >= limit:
                break
        return list(unique)

    @property
    def _addresses(self) -> AddressContacts:
        return AddressContacts(self.table)

    def _pointers_gone(
        self, tenant_id: TenantId, ids: Iterable[ContactId]
    ) -> "list[TransactWriteItemTypeDef]":
        return [self.table.delete_operation(contact_key(tenant_id, one)) for one in ids]

    def _added(self, before: Contact | None, after: Contact) -> "list[TransactWriteItemTypeDef]":
        """Return what says in the log which addresses are new, where any are."""
        added = set(after.addresses) - set(before.addresses if before else ())
        if not added:
            return []
        key = added_key(after.tenant_id, after.updated_at)
        expires_at = int((after.updated_at + LOG_LASTS).timestamp())
        item = AddedItem(key.pk, key.sk, addresses=added, expires_at=expires_at)
        return [self.table.put_operation(item)]

    def _sets(
        self, tenant_id: TenantId, *changed: tuple[Contact | None, Contact | None]
    ) -> list[SetChange]:
        """Return what makes the addresses' sets those of contacts after each change."""
        gone: set[KnownBy] = set()
        added: set[KnownBy] = set()
        for before, after in changed:
            had = {KnownBy(before.id, one) for one in before.addresses} if before else set()
            has = {KnownBy(after.id, one) for one in after.addresses} if after else set()
            gone |= had - has
            added |= has - had
        return self._addresses.changes(tenant_id, gone=gone, added=added)

    def _is_written(
        self, contacts: "list[TransactWriteItemTypeDef]", sets: Sequence[SetChange]
    ) -> bool:
        """Write all or nothing; return whether it was.

        Raises `AddressFullError` where that alone is in the way.
        """
        failed = self.table.transact([*contacts, *(one.operation for one in sets)])
        refused = [one for at, one in enumerate(sets, len(contacts)) if at in failed]
        if len(refused) == len(failed):
            for one in refused:
                if one.is_full_if_refused:
                    raise AddressFullError(one.address, MOST_CONTACTS_OF_AN_ADDRESS)
        return not failed

    def _stands(self, contact: Contact) -> bool:
        try:
            stands = self.get_contact(contact.tenant_id, contact.id)
        except ContactMergedError:
            return False
        return stands is not None and stands.version == contact.version


def _with_past_of(stands: Contact | None, new: Contact) -> Contact:
    """Return what replaces a contact: whom it took in, and what it was made of, stay."""
    if stands is None:
        return new
    return replace(new, merged=stands.merged, made_from_mail=stands.made_from_mail)


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
        made_from_mail=contact.made_from_mail or None,
    )


def _pointer(tenant_id: TenantId, contact_id: ContactId, into: ContactId) -> MergedItem:
    key = contact_key(tenant_id, contact_id)
    return MergedItem(key.pk, key.sk, merged_into=into, version=0)


def _is_pointer(raw: Raw) -> bool:
    return "merged_into" in raw


def contact_of(tenant_id: TenantId, raw: Raw) -> Contact:
    """Return the contact an item holds; raises `ContactMergedError` for one that was merged."""
    if _is_pointer(raw):
        raise ContactMergedError(ContactId(MergedItem.from_raw_data(raw).merged_into))
    return _contact(tenant_id, ContactItem.from_raw_data(raw))


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
        made_from_mail=bool(item.made_from_mail),
    )
