"""Under which keys sealed logins are, and what they are sealed with.

| to …                                   | pk                 | sk      |
| -------------------------------------- | ------------------ | ------- |
| open, or seal, the login of a mailbox  | `{t}#login#{id}`   | `login` |
| seal for a tenant, open what is sealed | `{t}#login-keys`   | `pair`  |

In partitions of their own, so that no query for anything else brings one along.
"""

from pynamodb.attributes import (
    BinaryAttribute,
    BooleanAttribute,
    NumberAttribute,
    UnicodeAttribute,
)

from shared.aws.tables import Item, Key, escape
from shared.domain.ids import MailboxId, TenantId


def login_key(tenant_id: TenantId, mailbox_id: MailboxId) -> Key:
    """Key of a mailbox's sealed login."""
    return Key(f"{escape(tenant_id)}#login#{escape(mailbox_id)}", "login")


def pair_key(tenant_id: TenantId) -> Key:
    """Key of the pair a tenant's logins are sealed with."""
    return Key(f"{escape(tenant_id)}#login-keys", "pair")


class LoginItem(Item):
    """A sealed login; what the marks mean stands in `sealed_secrets.SealedLogin`."""

    sealed = BinaryAttribute(legacy_encoding=False)
    version = UnicodeAttribute()
    is_copy = BooleanAttribute(null=True)
    has_other = BooleanAttribute(null=True)
    busy_until = NumberAttribute(null=True)


class PairItem(Item):
    """A tenant's pair: the public key as it is, the private one wrapped by KMS."""

    public = BinaryAttribute(legacy_encoding=False)
    wrapped = BinaryAttribute(legacy_encoding=False)
