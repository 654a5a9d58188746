"""Under which keys it is known whom mail makes no contact of, and how many it made in a day.

| to …                                      | pk                     | sk |
| ----------------------------------------- | ---------------------- | --- |
| know that a sender's contact was deleted  | `{t}#contacts#deleted` | `deleted#{contact}` |
| bound the contacts made in a day          | `{t}#contacts#made`    | `made#{day}` |

The first are their keys alone, the ids that mail would give, and name nobody. The second goes by
the table's time to live.
"""

from datetime import date

from pynamodb.attributes import NumberAttribute

from shared.aws.tables import Item, Key, contacts_pk, escape
from shared.domain.ids import ContactId, TenantId


def deleted_key(tenant_id: TenantId, sender_id: ContactId) -> Key:
    """Key that says a person deleted the contact of a sender."""
    return Key(f"{contacts_pk(tenant_id)}#deleted", f"deleted#{escape(sender_id)}")


def made_key(tenant_id: TenantId, day: date) -> Key:
    """Key of the number of contacts made on a day."""
    return Key(f"{contacts_pk(tenant_id)}#made", f"made#{day.isoformat()}")


class MadeItem(Item):
    """How many contacts a tenant's mail made on a day."""

    made = NumberAttribute()
    expires_at = NumberAttribute()
