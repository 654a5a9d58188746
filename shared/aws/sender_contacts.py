"""How a contact is made of a sender once, whoever else meets them or decides about them meanwhile.

Its id follows from the address. One transaction writes it where nothing stands under that id, no
contact has the address, and none that had it was deleted. So of two workers the second finds what
the first wrote, and so does a worker who comes after a person who added the address, deleted or
merged.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from shared.aws.address_contacts import AddressContacts, known_in
from shared.aws.table import Raw, Table, raw_key
from shared.aws.tables import Item, Key, contact_key, contacts_of_address_key
from shared.aws.tables_of_new_contacts import MadeItem, deleted_key, made_key
from shared.domain.addresses import base_form
from shared.domain.contact import Contact, KnownBy, contacts_of
from shared.domain.errors import AddressFullError
from shared.domain.ids import Address, ContactId, TenantId
from shared.domain.new_contacts import (
    MOST_MAIL_ADDS_TO,
    has_room_for_sender,
    id_of_sender,
    sender_ids_of,
)
from shared.domain.policy import TenantPolicy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef, WriteRequestTypeDef

_COUNT_LASTS = timedelta(days=3)


def unknown_senders(
    table: Table, tenant_id: TenantId, senders: Mapping[ContactId, Address], policy: TenantPolicy
) -> frozenset[ContactId]:
    """Read what is known of their addresses together, eventually consistent."""
    keys = {
        name: {
            # Of a contact that was made of it once, whatever addresses that has by now.
            contact_key(tenant_id, name),
            *_deleted(tenant_id, name, address),
        }
        for name, address in senders.items()
    }
    sets = {
        name: contacts_of_address_key(tenant_id, base_form(address))
        for name, address in senders.items()
    }
    asked = set(sets.values()).union(*keys.values())
    found = table.get_many(sorted(asked), consistent=False, attributes="pk, sk, c")
    items = {Key(raw["pk"]["S"], raw["sk"]["S"]): raw for raw in found}
    return frozenset(
        name
        for name, address in senders.items()
        if keys[name].isdisjoint(items) and not _has(items.get(sets[name]), address, policy)
    )


def address_of_sender(
    table: Table, contact: Contact, policy: TenantPolicy
) -> "list[TransactWriteItemTypeDef] | None":
    """Return what gives a new contact its address, where that is free; None where it is not.

    Of the operations the first is refused where another spelling of it was given or taken
    meanwhile: then it is to be asked for again. Raises `AddressFullError`.
    """
    tenant_id, (address,) = contact.tenant_id, contact.addresses
    sets = AddressContacts(table)
    base = base_form(address)
    stands = sets.sets(tenant_id, [base]).get(base)
    if _has(stands, address, policy):
        return None
    new = KnownBy(contact.id, address)
    if not has_room_for_sender(known_in(stands) if stands else (), new):
        raise AddressFullError(address, MOST_MAIL_ADDS_TO)
    link = sets.beside(tenant_id, new, stands)
    missing = Item.pk.does_not_exist()
    free = sorted(_deleted(tenant_id, contact.id, address))
    return [link.operation, *(table.check_operation(key, missing) for key in free)]


def remember_deleted(table: Table, contact: Contact) -> None:
    """Note that mail makes nothing of a contact's addresses again.

    Before it goes: as long as it stands they have a contact, and a note says nothing new.
    """
    keys = sorted(deleted_key(contact.tenant_id, one) for one in sender_ids_of(contact))
    requests: list[WriteRequestTypeDef] = [{"PutRequest": {"Item": raw_key(key)}} for key in keys]
    table.write_many(requests)


def reserve_made(table: Table, tenant_id: TenantId, number: int, *, day: date, most: int) -> bool:
    """Count in one write, on condition of the limit."""
    ends = datetime(day.year, day.month, day.day, tzinfo=UTC) + _COUNT_LASTS
    counted = table.update(
        made_key(tenant_id, day),
        [MadeItem.made.add(number), MadeItem.expires_at.set(int(ends.timestamp()))],
        MadeItem.made.does_not_exist() | (MadeItem.made <= most - number),
    )
    return counted is not None


def _has(stands: Raw | None, address: Address, policy: TenantPolicy) -> bool:
    return stands is not None and bool(contacts_of(known_in(stands), address, policy))


def _deleted(tenant_id: TenantId, name: ContactId, address: Address) -> frozenset[Key]:
    names = {name, id_of_sender(tenant_id, address)}
    return frozenset(deleted_key(tenant_id, one) for one in names)
