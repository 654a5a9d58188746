"""Under which keys it is known that copies are not as their provider has them.

| to …                                   | pk                | sk |
| -------------------------------------- | ----------------- | --- |
| know which of a mailbox's copies       | `{t}#mailbox#{id}` | `wish#{provider message id}` |
| have one worker at them at a time      | `{t}#mailbox#{id}` | `changes` |
| `due`: mailboxes somebody has to see to | `changes#{shard}` | `due_key`: `{instant}#{mailbox}` |

What is wanted is in the copy itself (`pending_items`); the pointer to it is there as long as that
is, written in one transaction. The mailbox's one item is there as long as a pointer may be.
"""

import hashlib
from datetime import datetime

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from shared.aws.instants import instant
from shared.aws.tables import Item, Key, escape, mailbox_pk
from shared.domain.change import SHARDS_OF_CHANGES
from shared.domain.ids import MailboxId, ProviderMessageId, TenantId

WISH_PREFIX = "wish#"


def wish_key(tenant_id: TenantId, mailbox_id: MailboxId, name: ProviderMessageId) -> Key:
    """Key of what says that something is pending of a copy."""
    return Key(mailbox_pk(tenant_id, mailbox_id), WISH_PREFIX + escape(name))


def changes_key(tenant_id: TenantId, mailbox_id: MailboxId) -> Key:
    """Key of what says that something is pending in a mailbox, and who is at it."""
    return Key(mailbox_pk(tenant_id, mailbox_id), "changes")


def changes_slot(shard: int) -> str:
    """Return a slot of `due` under which mailboxes with pending changes stand."""
    return f"changes#{shard}"


def slot_of_changes(tenant_id: TenantId, mailbox_id: MailboxId) -> str:
    """Return the slot of one mailbox."""
    name = f"{tenant_id}/{mailbox_id}".encode("utf-8", "surrogatepass")
    return changes_slot(hashlib.blake2b(name, digest_size=1).digest()[0] % SHARDS_OF_CHANGES)


def changes_due_key(at: datetime, mailbox_id: MailboxId) -> str:
    """Sort key of a mailbox in its slot."""
    return f"{instant(at)}#{escape(mailbox_id)}"


class ChangesItem(Item):
    """A mailbox's pending changes: whoever is at them, and when somebody has to look again."""

    tenant_id = UnicodeAttribute()
    mailbox_id = UnicodeAttribute()
    wishes = NumberAttribute()
    """Raised with every wish: whoever found nothing left must find it as it was."""
    fence = NumberAttribute(null=True)
    failures = NumberAttribute(null=True)
    held_until = UTCDateTimeAttribute(null=True)
    not_before = UTCDateTimeAttribute(null=True)
    due_slot = UnicodeAttribute(null=True)
    due_key = UnicodeAttribute(null=True)
