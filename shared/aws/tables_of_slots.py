"""Under which keys the slots are that a tenant's chunks at work hold.

| to …                                 | pk                       | sk         |
| ------------------------------------ | ------------------------ | ---------- |
| know how many of a tenant are held   | `{t}#chunk-slots`        | `{number}` |
"""

from pynamodb.attributes import UnicodeAttribute, UTCDateTimeAttribute

from shared.aws.tables import Item, Key, escape
from shared.domain.ids import TenantId


def slots_pk(tenant_id: TenantId) -> str:
    """Where a tenant's slots are."""
    return f"{escape(tenant_id)}#chunk-slots"


def slot_key(tenant_id: TenantId, number: int) -> Key:
    """Key of one of them."""
    return Key(slots_pk(tenant_id), str(number))


class SlotItem(Item):
    """A slot; one that is free has neither attribute, or a lease that is over."""

    lease_owner = UnicodeAttribute(null=True)
    lease_expires_at = UTCDateTimeAttribute(null=True)
