"""Under which keys it is counted what a tenant has and begins.

| to …                                   | pk              | sk |
| -------------------------------------- | --------------- | --- |
| know that another mailbox was connected meanwhile | `{t}#mailboxes` | `places` |
| count the imports a tenant begins in a day | `{t}#imports` | `{day}` |

How many mailboxes there are is counted by their identities, in the same partition. What is counted
of sends is in `tables_of_sends`. The table's time to live takes away what was counted in a window.
"""

from pynamodb.attributes import NumberAttribute

from shared.aws.tables import Item, Key, escape, mailboxes_pk
from shared.domain.ids import TenantId


def places_key(tenant_id: TenantId) -> Key:
    """Key of what every mailbox changes that takes one of its tenant's places."""
    return Key(mailboxes_pk(tenant_id), "places")


def imports_key(tenant_id: TenantId, day: str) -> Key:
    """Key of how many imports a tenant began in a day."""
    return Key(f"{escape(tenant_id)}#imports", day)


class PlacesItem(Item):
    """How often a place was taken; never how many are."""

    taken = NumberAttribute()


class CountItem(Item):
    """How much was asked for in a window of time."""

    number = NumberAttribute()
    expires_at = NumberAttribute()
