"""Under which keys it is kept how often something was asked for.

| to …                                  | pk          | sk |
| ------------------------------------- | ----------- | --- |
| count requests of a tenant            | `{t}#rates` | `{act}` |
| count requests of a user              | `{t}#rates` | `{act}#{user}` |

The table's time to live takes a bucket away that was not asked for a day.
"""

from pynamodb.attributes import NumberAttribute

from shared.aws.tables import Item, Key, escape
from shared.domain.ids import TenantId, UserId
from shared.domain.rate_limits import Act


def rate_key(tenant_id: TenantId, user_id: UserId | None, act: Act) -> Key:
    """Key of a bucket."""
    of_user = "" if user_id is None else f"#{escape(user_id)}"
    return Key(f"{escape(tenant_id)}#rates", f"{act}{of_user}")


class RateItem(Item):
    """A bucket: when it would be full again (µs since 1970)."""

    full_at = NumberAttribute()
    expires_at = NumberAttribute()
