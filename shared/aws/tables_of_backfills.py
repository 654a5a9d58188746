"""Under which keys backfills and their chunks are found, and the shapes of their items.

| to …                             | pk                       | sk |
| -------------------------------- | ------------------------ | --- |
| read backfills, newest first     | `{t}#mailbox#{id}`       | `backfill#{backfill}` |
| allow one open backfill          | `{t}#mailbox#{id}`       | `open-backfill` |
| take a chunk, list released ones | `{t}#mailbox#{id}`       | `chunk#{backfill}#{number:06}` |
| `due`: open backfills            | `open-backfills#{shard}` | `due_key`: the backfill |
"""

import hashlib

from pynamodb.attributes import (
    BinaryAttribute,
    NumberAttribute,
    NumberSetAttribute,
    UnicodeAttribute,
    UTCDateTimeAttribute,
)

from shared.aws.tables import Item, JsonAttribute, Key, escape, mailbox_pk
from shared.domain.ids import BackfillId, MailboxId, TenantId

BACKFILL_SHARDS = 4
BACKFILL_PREFIX = "backfill#"


def backfill_key(tenant_id: TenantId, mailbox_id: MailboxId, backfill_id: BackfillId) -> Key:
    """Key of a backfill."""
    return Key(mailbox_pk(tenant_id, mailbox_id), BACKFILL_PREFIX + escape(backfill_id))


def open_backfill_key(tenant_id: TenantId, mailbox_id: MailboxId) -> Key:
    """Key of the one item that says which backfill is open."""
    return Key(mailbox_pk(tenant_id, mailbox_id), "open-backfill")


def chunk_key(
    tenant_id: TenantId, mailbox_id: MailboxId, backfill_id: BackfillId, number: int
) -> Key:
    """Key of a chunk; sorts by number."""
    return Key(mailbox_pk(tenant_id, mailbox_id), f"chunk#{escape(backfill_id)}#{number:06}")


def backfill_slots() -> list[str]:
    """Return the slots of `due` under which open backfills stand."""
    return [f"open-backfills#{shard}" for shard in range(BACKFILL_SHARDS)]


def backfill_slot(backfill_id: BackfillId) -> str:
    """Return the slot of one backfill."""
    digest = hashlib.blake2b(backfill_id.encode("utf-8", "surrogatepass"), digest_size=2).digest()
    return backfill_slots()[int.from_bytes(digest, "big") % BACKFILL_SHARDS]


class BackfillItem(Item):
    """A backfill. `changed_at` tells our own repeated change of state from somebody else's.

    `in_flight` holds the numbers of released chunks that are not done.
    """

    tenant_id = UnicodeAttribute()
    mailbox_id = UnicodeAttribute()
    backfill_id = UnicodeAttribute()
    days = NumberAttribute()
    since = UTCDateTimeAttribute()
    state = UnicodeAttribute()
    created_at = UTCDateTimeAttribute()
    generation = NumberAttribute()
    chunks = NumberAttribute()
    released = NumberAttribute()
    done = NumberAttribute()
    planned = NumberAttribute()
    counts = JsonAttribute()
    started_at = UTCDateTimeAttribute(null=True)
    ended_at = UTCDateTimeAttribute(null=True)
    waiting_until = UTCDateTimeAttribute(null=True)
    paced_until = UTCDateTimeAttribute(null=True)
    plan_lease_expires_at = UTCDateTimeAttribute(null=True)
    progressed_at = UTCDateTimeAttribute(null=True)
    seconds_a_message = NumberAttribute(null=True)
    in_flight = NumberSetAttribute(null=True)
    changed_at = UTCDateTimeAttribute(null=True)
    kind = UnicodeAttribute(null=True)
    added_after = UTCDateTimeAttribute(null=True)
    added_upto = UTCDateTimeAttribute(null=True)
    expires_at = NumberAttribute(null=True)
    code = UnicodeAttribute(null=True)
    due_slot = UnicodeAttribute(null=True)
    due_key = UnicodeAttribute(null=True)


class OpenBackfillItem(Item):
    """Says which backfill of a mailbox is open."""

    backfill_id = UnicodeAttribute()


class ChunkItem(Item):
    """A chunk; `ids` is packed."""

    number = NumberAttribute()
    folder_id = UnicodeAttribute()
    ids = BinaryAttribute(legacy_encoding=False)
    state = UnicodeAttribute()
    attempts = NumberAttribute()
    lease_owner = UnicodeAttribute(null=True)
    lease_expires_at = UTCDateTimeAttribute(null=True)
    not_before = UTCDateTimeAttribute(null=True)
    suspect = UnicodeAttribute(null=True)
    suspect_attempt = NumberAttribute(null=True)
    position = UnicodeAttribute(null=True)
    strikes = JsonAttribute(null=True)
    not_handed_over = NumberAttribute(null=True)
    work_hour = NumberAttribute(null=True)
    work_times = NumberAttribute(null=True)
    expires_at = NumberAttribute(null=True)
