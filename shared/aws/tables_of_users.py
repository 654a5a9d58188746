"""Under which keys what users chose for themselves is.

| to …                          | pk                  | sk          |
| ----------------------------- | ------------------- | ----------- |
| know what a user signs with   | `{t}#user#{user}`   | `signature` |
"""

from shared.aws.tables import Item, JsonAttribute, Key, escape
from shared.domain.ids import TenantId, UserId


def signature_key(tenant_id: TenantId, user_id: UserId) -> Key:
    """Key of a user's signature."""
    return Key(f"{escape(tenant_id)}#user#{escape(user_id)}", "signature")


class SignatureItem(Item):
    """A signature."""

    document = JsonAttribute()
