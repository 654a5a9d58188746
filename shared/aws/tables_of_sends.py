"""Under which keys sends are found, with their idempotency keys and what is counted of them.

| to …                                 | pk                      | sk |
| ------------------------------------ | ----------------------- | --- |
| get a send, list them, newest first  | `{t}#mailbox#{id}`      | `send#{send}` |
| know which send a key has            | `{t}#send-key#{digest}` | `key` |
| count a mailbox's recipients of a day | `{t}#mailbox#{id}`     | `sent#{day}` |
| count a mailbox's sends of a minute  | `{t}#mailbox#{id}`      | `sent#{minute}` |
| count a tenant's recipients of a day | `{t}#sent`              | `{day}` |
| `due`: those somebody has to see to  | `sends#{shard}`         | `due_key`: `{instant}#{send}` |

A send has a place in `due` as long as somebody has to see to it, at the instant from which on. The
table's time to live takes away what ended long ago, its key, and what was counted.

The content is the object `outgoing/{tenant}/{mailbox}/{send}`: it goes with its mailbox.
"""

import hashlib
from datetime import datetime
from urllib.parse import unquote

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from shared.aws.instants import instant
from shared.aws.stored_objects import OUTGOING, object_part, of_mailbox
from shared.aws.tables import Item, JsonAttribute, Key, escape, mailbox_pk
from shared.domain.ids import MailboxId, SendId, TenantId
from shared.domain.sending import SHARDS_OF_SENDS
from shared.ports.sending import SendRef

SEND_PREFIX = "send#"
COUNTED_PREFIX = "sent#"


def send_key(ref: SendRef) -> Key:
    """Key of a send; they sort by when they were asked for."""
    return Key(mailbox_pk(ref.tenant_id, ref.mailbox_id), SEND_PREFIX + escape(ref.send_id))


def key_key(tenant_id: TenantId, digest: str) -> Key:
    """Key of what says which send an idempotency key has."""
    return Key(f"{escape(tenant_id)}#send-key#{escape(digest)}", "key")


def mailbox_count_key(tenant_id: TenantId, mailbox_id: MailboxId, window: str) -> Key:
    """Key of what a mailbox has sent in a day or a minute."""
    return Key(mailbox_pk(tenant_id, mailbox_id), COUNTED_PREFIX + window)


def tenant_count_key(tenant_id: TenantId, window: str) -> Key:
    """Key of what a tenant has sent in a day."""
    return Key(f"{escape(tenant_id)}#sent", window)


def send_slot(shard: int) -> str:
    """Return a slot of `due` under which sends stand."""
    return f"sends#{shard}"


def slot_of_sends(tenant_id: TenantId, mailbox_id: MailboxId) -> str:
    """Return the slot of a mailbox's sends."""
    name = f"{tenant_id}/{mailbox_id}".encode("utf-8", "surrogatepass")
    return send_slot(hashlib.blake2b(name, digest_size=1).digest()[0] % SHARDS_OF_SENDS)


def send_due_key(at: datetime, send_id: SendId) -> str:
    """Sort key of a send in its slot."""
    return f"{instant(at)}#{escape(send_id)}"


def content_object_key(ref: SendRef) -> str:
    """Key of the object that a send's content is."""
    return of_mailbox(OUTGOING, ref.tenant_id, ref.mailbox_id) + object_part(ref.send_id)


def send_of_content(tenant_id: TenantId, key: str) -> SendRef:
    """Return the send whose content is the object `key`."""
    mailbox_id, send_id = (unquote(part) for part in key.split("/")[2:])
    return SendRef(tenant_id, MailboxId(mailbox_id), SendId(send_id))


class SendItem(Item):
    """A send. `version` rises with each write: who read it before must read it again.

    But not with `arrived`, which is no worker's: sync notes it once, whoever has the send.
    """

    tenant_id = UnicodeAttribute()
    mailbox_id = UnicodeAttribute()
    send_id = UnicodeAttribute()
    key_digest = UnicodeAttribute()
    document = JsonAttribute()
    attempt = NumberAttribute()
    version = NumberAttribute()
    expires_at = NumberAttribute()
    due_slot = UnicodeAttribute(null=True)
    due_key = UnicodeAttribute(null=True)
    arrived = UnicodeAttribute(null=True)


class SendKeyItem(Item):
    """Which send an idempotency key has, and of what request."""

    mailbox_id = UnicodeAttribute()
    send_id = UnicodeAttribute()
    body_digest = UnicodeAttribute()
    expires_at = NumberAttribute()
