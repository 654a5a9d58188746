"""Under which key a tenant's policy is.

| to …                                 | pk                       | sk         |
| ------------------------------------ | ------------------------ | ---------- |
| know what a tenant keeps out         | `{t}#policy`             | `policy`   |
"""

from pynamodb.attributes import NumberAttribute

from shared.aws.tables import Item, JsonAttribute, Key, escape
from shared.domain.ids import TenantId


def policy_key(tenant_id: TenantId) -> Key:
    """Key of a tenant's policy."""
    return Key(f"{escape(tenant_id)}#policy", "policy")


class PolicyItem(Item):
    """A policy."""

    document = JsonAttribute()
    version = NumberAttribute()
