"""Which contacts an address has: one item, a set, changed with the contacts in their transaction.

A set is never left empty: its key names the address. So who takes the last one off has to know that
it is the last, and reads the set before; who adds one reads nothing and is in nobody's way.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shared.aws.table import Raw, Table, raw_key
from shared.aws.tables import Key, contacts_of_address_key
from shared.domain.contact import MOST_CONTACTS_NAMED, MOST_CONTACTS_OF_AN_ADDRESS
from shared.domain.ids import Address, ContactId, TenantId

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

Holders = frozenset[ContactId]


@dataclass(frozen=True, slots=True)
class SetChange:
    """What a transaction does to the set of one address."""

    address: Address
    operation: "TransactWriteItemTypeDef"
    is_full_if_refused: bool = False
    """Whether its condition fails only where the address has as many contacts as it may have."""


@dataclass(frozen=True, slots=True)
class AddressContacts:
    """The sets of a table."""

    table: Table

    def read(
        self, tenant_id: TenantId, addresses: Iterable[Address]
    ) -> dict[Address, list[ContactId]]:
        """Return all contacts of those addresses that have any, by id, consistently read."""
        keys = {contacts_of_address_key(tenant_id, one): one for one in addresses}
        found = self.table.get_many(list(keys))
        return {keys[Key(raw["pk"]["S"], raw["sk"]["S"])]: contacts_in(raw) for raw in found}

    def first(self, tenant_id: TenantId, address: Address, one: ContactId) -> SetChange:
        """Return what gives an address that has no contact its first one."""
        asked = self._asked(tenant_id, address, "attribute_not_exists(c)", {":set": {"SS": [one]}})
        return SetChange(address, _update("ADD c :set", asked))

    def changes(
        self,
        tenant_id: TenantId,
        *,
        gone: Mapping[Address, ContactId],
        added: Mapping[Address, ContactId],
    ) -> list[SetChange]:
        """Return what takes a contact off each address in `gone`, and puts one to each in `added`.

        An address may be in both. What is refused for any other reason than a full set was changed
        since it was read here, and is to be asked for again.
        """
        stands = self.read(tenant_id, gone) if gone else {}
        found = [
            self._addition(tenant_id, address, contact_id)
            for address, contact_id in sorted(added.items())
            if address not in gone
        ]
        for address, contact_id in sorted(gone.items()):
            before = frozenset(stands.get(address, ()))
            if address in added:
                after = before - {contact_id} | {added[address]}
                found.append(self._replacement(tenant_id, address, before, after))
            elif contact_id in before:
                found.append(self._removal(tenant_id, address, before, contact_id))
        return found

    def _addition(self, tenant_id: TenantId, address: Address, one: ContactId) -> SetChange:
        asked = self._asked(
            tenant_id,
            address,
            "attribute_not_exists(c) OR size(c) < :most OR contains(c, :one)",
            {
                ":set": {"SS": [one]},
                ":one": {"S": one},
                ":most": {"N": str(MOST_CONTACTS_OF_AN_ADDRESS)},
            },
        )
        update = _update("ADD c :set", asked)
        return SetChange(address, update, is_full_if_refused=True)

    def _removal(
        self, tenant_id: TenantId, address: Address, before: Holders, one: ContactId
    ) -> SetChange:
        if before == {one}:
            asked = self._asked(tenant_id, address, "c = :set", {":set": {"SS": [one]}})
            return SetChange(address, cast("TransactWriteItemTypeDef", {"Delete": asked}))
        asked = self._asked(
            tenant_id,
            address,
            "contains(c, :one) AND size(c) > :last",
            {":set": {"SS": [one]}, ":one": {"S": one}, ":last": {"N": "1"}},
        )
        return SetChange(address, _update("DELETE c :set", asked))

    def _replacement(
        self, tenant_id: TenantId, address: Address, before: Holders, after: Holders
    ) -> SetChange:
        values = {":after": {"SS": sorted(after)}}
        condition = "attribute_not_exists(c)"
        if before:
            condition, values = "c = :before", {**values, ":before": {"SS": sorted(before)}}
        asked = self._asked(tenant_id, address, condition, values)
        return SetChange(address, _update("SET c = :after", asked))

    def _asked(self, tenant_id: TenantId, address: Address, condition: str, values: Raw) -> Raw:
        return {
            "TableName": self.table.name,
            "Key": raw_key(contacts_of_address_key(tenant_id, address)),
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }


def _update(expression: str, asked: Raw) -> "TransactWriteItemTypeDef":
    return cast("TransactWriteItemTypeDef", {"Update": {**asked, "UpdateExpression": expression}})


def contacts_in(raw: Raw) -> list[ContactId]:
    """Return the contacts that an item names, by id."""
    return [ContactId(one) for one in sorted(raw["c"]["SS"])]


def named(contacts: Sequence[ContactId]) -> list[ContactId]:
    """Return those of an address's contacts that are named."""
    return list(contacts[:MOST_CONTACTS_NAMED])
