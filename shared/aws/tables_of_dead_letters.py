"""Under which keys dead letters are found, and where what is kept of them is.

| to …                               | pk                      | sk |
| ---------------------------------- | ----------------------- | --- |
| get a letter, read all             | `{t}#mailbox#{id}`      | `letter#{letter}` |
| `mailbox_date`: list, newest first | `{t}#letters#{mailbox}` | `{instant}#{letter}` |

Letters stand in `mailbox_date` under a partition of their own, where no search for mail looks. A
raw message is the object `letters/{tenant}/{mailbox}/{letter}`: what is under a mailbox's name goes
with the mailbox.
"""

from datetime import datetime
from urllib.parse import unquote

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from shared.aws.instants import instant
from shared.aws.stored_objects import LETTERS, object_part, of_mailbox
from shared.aws.tables import Item, Key, escape, mailbox_pk
from shared.domain.ids import LetterId, MailboxId, TenantId

LETTER_PREFIX = "letter#"


def letter_key(tenant_id: TenantId, mailbox_id: MailboxId, letter_id: LetterId) -> Key:
    """Key of a dead letter."""
    return Key(mailbox_pk(tenant_id, mailbox_id), LETTER_PREFIX + escape(letter_id))


def letters_pk(tenant_id: TenantId, mailbox_id: MailboxId) -> str:
    """Where a mailbox's letters are in `mailbox_date`."""
    return f"{escape(tenant_id)}#letters#{escape(mailbox_id)}"


def letter_date_sk(first_seen_at: datetime, letter_id: LetterId) -> str:
    """Sort key of a letter in `mailbox_date`."""
    return f"{instant(first_seen_at)}#{escape(letter_id)}"


def raw_object_key(tenant_id: TenantId, mailbox_id: MailboxId, letter_id: LetterId) -> str:
    """Key of the object that a letter's raw message is."""
    return of_mailbox(LETTERS, tenant_id, mailbox_id) + object_part(letter_id)


def letter_of_raw_object(tenant_id: TenantId, key: str) -> Key:
    """Key of the dead letter whose raw message is the object `key`."""
    mailbox_id, letter_id = (unquote(part) for part in key.split("/")[2:])
    return letter_key(tenant_id, MailboxId(mailbox_id), LetterId(letter_id))


class DeadLetterItem(Item):
    """A dead letter; nothing of what the message says."""

    letter_id = UnicodeAttribute()
    kind = UnicodeAttribute()
    code = UnicodeAttribute()
    generation = NumberAttribute()
    first_seen_at = UTCDateTimeAttribute()
    last_seen_at = UTCDateTimeAttribute()
    attempts = NumberAttribute()
    run_id = UnicodeAttribute(null=True)
    folder_id = UnicodeAttribute(null=True)
    provider_message_id = UnicodeAttribute(null=True)
    received_at = UTCDateTimeAttribute(null=True)
    size = NumberAttribute(null=True)
    raw_size = NumberAttribute(null=True)
    raw_missing = UnicodeAttribute(null=True)
    backfill_id = UnicodeAttribute(null=True)
    chunk = NumberAttribute(null=True)
    replay_id = UnicodeAttribute(null=True)
    replayed_at = UTCDateTimeAttribute(null=True)
    mailbox_pk = UnicodeAttribute()
    date_sk = UnicodeAttribute()
