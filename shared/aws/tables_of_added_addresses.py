"""Under which keys the log of addresses that contacts were given is found, and its items' shape.

| to …                              | pk                   | sk |
| --------------------------------- | -------------------- | --- |
| read what was added since, in order | `{t}#added-addresses` | `{instant}#{ulid}` |

Nothing in a key names anybody; an erasure of a person looks through the whole log.
"""

from datetime import datetime

from pynamodb.attributes import NumberAttribute, UnicodeSetAttribute

from shared.aws.instants import instant
from shared.aws.tables import Item, Key, escape
from shared.domain.ids import TenantId, new_ulid

_LAST = "#\U0010ffff"


def added_pk(tenant_id: TenantId) -> str:
    """Where a tenant's log is."""
    return f"{escape(tenant_id)}#added-addresses"


def added_key(tenant_id: TenantId, at: datetime) -> Key:
    """Key of a new entry."""
    return Key(added_pk(tenant_id), f"{instant(at)}#{new_ulid(at)}")


def added_between(after: datetime, upto: datetime) -> tuple[str, str]:
    """Return the range of sort keys later than `after` and not later than `upto`."""
    return instant(after) + _LAST, instant(upto) + _LAST


class AddedItem(Item):
    """The addresses that one write gave a contact; an erased one is taken out of the set."""

    addresses = UnicodeSetAttribute(null=True)
    expires_at = NumberAttribute()
