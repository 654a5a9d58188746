"""Which contacts an address has: one item, a set, changed with the contacts in their transaction.

All addresses with one base form share an item, which says for each contact by which of them it is
known: so what a tenant takes for one address is decided when it is read, in the one request.

A set is never left empty: its key names an address. So who takes the last one off has to know that
it is the last, and reads the set before; who adds one reads nothing and is in nobody's way.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shared.aws.table import Raw, Table, raw_key
from shared.aws.tables import Key, contacts_of_address_key
from shared.domain.addresses import base_form
from shared.domain.contact import MOST_CONTACTS_OF_AN_ADDRESS, KnownBy
from shared.domain.errors import AddressFullError
from shared.domain.ids import Address, ContactId, TenantId

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

Names = frozenset[str]
"""What a set holds: see `_name`."""


@dataclass(frozen=True, slots=True)
class SetChange:
    """What a transaction does to the set of one address and its other spellings."""

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
    ) -> dict[Address, list[KnownBy]]:
        """Return who is known by each address or another spelling of it, by id, consistently."""
        bases = {one: base_form(one) for one in addresses}
        sets = self.sets(tenant_id, set(bases.values()))
        return {one: known_in(sets[base]) for one, base in bases.items() if base in sets}

    def changes(
        self, tenant_id: TenantId, *, gone: Iterable[KnownBy], added: Iterable[KnownBy]
    ) -> list[SetChange]:
        """Return what makes contacts known no longer by what is `gone`, and by what is `added`.

        An address may be in both. What is refused for any other reason than a full set was changed
        since it was read here, and is to be asked for again. Raises `AddressFullError` where an
        address would have too many once what is gone of it has gone.
        """
        away, new = _by_base(gone), _by_base(added)
        stands = self.sets(tenant_id, away) if away else {}
        found = []
        for base in sorted(away.keys() | new.keys()):
            coming = frozenset(map(_name, new.get(base, ())))
            going = frozenset(map(_name, away.get(base, ()))) - coming
            before = frozenset(stands[base]["c"]["SS"]) if base in stands else frozenset[str]()
            if not going:
                found.append(self._addition(tenant_id, min(new[base]).address, coming))
            elif coming:
                after = before - going | coming
                if len(after) > max(len(before), MOST_CONTACTS_OF_AN_ADDRESS):
                    raise AddressFullError(min(new[base]).address, MOST_CONTACTS_OF_AN_ADDRESS)
                found.append(self._replacement(tenant_id, base, before, after))
            elif going := going & before:
                found.append(self._removal(tenant_id, base, before, going))
        return found

    def beside(self, tenant_id: TenantId, new: KnownBy, stands: Raw | None) -> SetChange:
        """Return what makes a contact known, where the set is still the one that was read."""
        before = frozenset(stands["c"]["SS"]) if stands else frozenset[str]()
        return self._replacement(tenant_id, base_form(new.address), before, before | {_name(new)})

    def sets(self, tenant_id: TenantId, bases: Iterable[Address]) -> dict[Address, Raw]:
        """Return the items of those base forms that have any, consistently read."""
        keys = {contacts_of_address_key(tenant_id, one): one for one in bases}
        found = self.table.get_many(list(keys))
        return {keys[Key(raw["pk"]["S"], raw["sk"]["S"])]: raw for raw in found}

    def _addition(self, tenant_id: TenantId, address: Address, names: Names) -> SetChange:
        # Its own write, whose answer was lost, finds its names there, however full it is by now.
        given = {f":n{at}": {"S": name} for at, name in enumerate(sorted(names))}
        has_all = " AND ".join(f"contains(c, {name})" for name in given)
        room = MOST_CONTACTS_OF_AN_ADDRESS - len(names)
        asked = self._asked(
            tenant_id,
            base_form(address),
            f"attribute_not_exists(c) OR size(c) <= :room OR ({has_all})",
            {":set": {"SS": sorted(names)}, ":room": {"N": str(room)}, **given},
        )
        update = _update("ADD c :set", asked)
        return SetChange(address, update, is_full_if_refused=True)

    def _removal(
        self, tenant_id: TenantId, base: Address, before: Names, names: Names
    ) -> SetChange:
        if before == names:
            asked = self._asked(tenant_id, base, "c = :set", {":set": {"SS": sorted(names)}})
            return SetChange(base, cast("TransactWriteItemTypeDef", {"Delete": asked}))
        stays = min(before - names)
        asked = self._asked(
            tenant_id,
            base,
            "contains(c, :stays)",
            {":set": {"SS": sorted(names)}, ":stays": {"S": stays}},
        )
        return SetChange(base, _update("DELETE c :set", asked))

    def _replacement(
        self, tenant_id: TenantId, base: Address, before: Names, after: Names
    ) -> SetChange:
        values = {":after": {"SS": sorted(after)}}
        condition = "attribute_not_exists(c)"
        if before:
            condition, values = "c = :before", {**values, ":before": {"SS": sorted(before)}}
        asked = self._asked(tenant_id, base, condition, values)
        return SetChange(base, _update("SET c = :after", asked))

    def _asked(self, tenant_id: TenantId, base: Address, condition: str, values: Raw) -> Raw:
        return {
            "TableName": self.table.name,
            "Key": raw_key(contacts_of_address_key(tenant_id, base)),
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }


def _update(expression: str, asked: Raw) -> "TransactWriteItemTypeDef":
    return cast("TransactWriteItemTypeDef", {"Update": {**asked, "UpdateExpression": expression}})


def _by_base(known: Iterable[KnownBy]) -> dict[Address, list[KnownBy]]:
    found: dict[Address, list[KnownBy]] = {}
    for one in known:
        found.setdefault(base_form(one.address), []).append(one)
    return found


def _name(known: KnownBy) -> str:
    # No address has a space in it.
    return f"{known.contact_id} {known.address}"


def known_in(raw: Raw) -> list[KnownBy]:
    """Return who is named in an item, by id."""
    parts = (name.rpartition(" ") for name in raw["c"]["SS"])
    return sorted(KnownBy(ContactId(one), Address(address)) for one, _, address in parts)
