"""Under which keys what has no tenant is found: sign-ins under way, and who lives on a grant.

Two look-ups know no tenant. A provider's callback brings a `state` and nothing else that could be
trusted; and one account's grant may serve mailboxes of several tenants. Their partition keys are
therefore digests of what only the asker knows: nothing in them can be read, guessed or listed, and
what an item holds of its tenant is checked before anything is done with it.

| to …                              | pk                 | sk        |
| --------------------------------- | ------------------ | --------- |
| take up a sign-in                 | `attempt#{digest}` | `attempt` |
| know who else lives on a grant    | `grant#{digest}`   | `holders` |

No tenant has such a partition: one called `attempt` has `attempt#mailboxes`, which is no digest.
"""

import hashlib

from pynamodb.attributes import (
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
    UTCDateTimeAttribute,
)

from shared.aws.tables import Item, JsonAttribute, Key
from shared.domain.ids import MailboxId, TenantId
from shared.ports.attempts import AccountGrant


def attempt_key(state: str) -> Key:
    """Key of an attempt; whoever reads the table cannot make the callback's URL of it."""
    return Key(f"attempt#{_digest('state', state)}", "attempt")


def holders_key(grant: AccountGrant) -> Key:
    """Key of the mailboxes that live on a grant."""
    return Key(f"grant#{_digest(grant.provider, grant.client_id, grant.subject)}", "holders")


def holder(tenant_id: TenantId, mailbox_id: MailboxId) -> str:
    """Name one mailbox among the holders of a grant, and no tenant."""
    return _digest(tenant_id, mailbox_id)


def _digest(*parts: str) -> str:
    digest = hashlib.blake2b(digest_size=24)
    for part in parts:
        text = part.encode("utf-8", "surrogatepass")
        digest.update(len(text).to_bytes(4, "big") + text)
    return digest.hexdigest()


class AttemptItem(Item):
    """A sign-in under way, until `ends_at`.

    `expires_at` is the table's time to live. Both are in seconds since 1970.
    """

    document = JsonAttribute()
    kept = UnicodeAttribute(null=True)
    ends_at = NumberAttribute()
    expires_at = NumberAttribute()
    taken_by = UnicodeAttribute(null=True)
    taken_at = UTCDateTimeAttribute(null=True)
    outcome = JsonAttribute(null=True)


class HoldersItem(Item):
    """The mailboxes that live on one grant."""

    mailboxes = UnicodeSetAttribute(null=True)
