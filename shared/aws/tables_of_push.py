"""Under which keys a provider's word of changes finds the mailboxes it is about.

A word knows no tenant. It brings an address (Gmail), which several mailboxes and tenants may have,
or an id of ours (Outlook). The partition key is a digest of that: nothing in it can be read.

| to …                                     | pk               | sk          |
| ---------------------------------------- | ---------------- | ----------- |
| know whom a provider's word is about     | `#push#{digest}` | `{mailbox}` |

No tenant's partition begins with `#`: the function that anybody may call is let in to these alone.
The time to live takes away what was not renewed.
"""

import hashlib

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from shared.aws.tables import Item, Key, escape
from shared.aws.tables_of_sign_ins import holder
from shared.domain.ids import MailboxId, TenantId
from shared.domain.mailbox import Provider


def listeners_pk(provider: Provider, key: str) -> str:
    """Where those are that a word with `key` is about."""
    text = f"{provider}:{key}".encode("utf-8", "surrogatepass")
    return f"#push#{hashlib.blake2b(text, digest_size=24).hexdigest()}"


def listener_key(provider: Provider, key: str, tenant_id: TenantId, mailbox_id: MailboxId) -> Key:
    """Key of one of them."""
    return Key(listeners_pk(provider, key), escape(holder(tenant_id, mailbox_id)))


class ListenerItem(Item):
    """A mailbox that a provider tells of. Instants in µs since 1970, `expires_at` in seconds."""

    tenant_id = UnicodeAttribute()
    mailbox_id = UnicodeAttribute()
    proof = UnicodeAttribute(null=True)
    watch = UnicodeAttribute(null=True)
    run_at = NumberAttribute(null=True)
    renewal_at = NumberAttribute(null=True)
    expires_at = NumberAttribute()
