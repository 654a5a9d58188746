"""Under which keys mailboxes, mail and contacts are found, and the shapes of their items.

One table has everything; what is not here has a `tables_of_…` of its own, and keys are spelled
nowhere else. Each access pattern and the key that serves it; `t` is the tenant, which leads every
partition key and that of `mailbox_date`, but for what `tables_of_sign_ins` has. Whatever a caller
or a mail server chose is escaped, so that no `#` can be smuggled into a key.

| to …                                 | pk                       | sk |
| ------------------------------------ | ------------------------ | --- |
| get a mailbox; list a tenant's | `{t}#mailboxes` | `mailbox#{id}#settings`, `mailbox#{id}#state` |
| keep an account connected once       | `{t}#mailboxes`          | `identity#{hash}` |
| know a user's primary mailbox        | `{t}#mailboxes`          | `primary#{user}` |
| list the folders of a mailbox        | `{t}#mailbox#{id}`       | `folder#{folder}` |
| recognise copies, compare a folder   | `{t}#mailbox#{id}`       | `copy#{provider message id}` |
| read runs, newest first              | `{t}#mailbox#{id}`       | `run#{run}` |
| read a message, its whole thread     | `{t}#thread#{thread}`    | `message#{message}` |
| know which thread one is part of     | `{t}#thread#{thread}`    | `thread` |
| know a provider's thread             | `{t}#mailbox#{id}`       | `thread#{provider thread id}` |
| read an address's mail, newest first | `{t}#address#{address}` | `at#{instant}#{message}#{copy}` |
| … of all with its base form but it | `{t}#address#{base}` | `also#{instant}#{message}#{copy}` |
| find the contacts of an address      | `{t}#address#{address}`  | `contacts` |
| get a contact, list them             | `{t}#contacts`           | `{contact}` |
| know which one a merged contact is   | `{t}#contacts`           | `{contact}` |
| `due`: mailboxes of a minute         | `due_slot`: the slot     | `due_key`: the mailbox |
| `mailbox_date`: live copies by date  | `{t}#mailbox#{id}`       | `{instant}#{message}#{folder}` |

`due` is sparse: only a scheduled mailbox and an open backfill have a slot; it holds `tenant_id`,
`mailbox_id` and `not_before` and nothing readable. `mailbox_date` holds live copies only: a removed
copy has neither attribute. Where ids begin with their folder's, its copies are one query, else all.

Items of which there are millions are written with short names, because a name is paid for in every
item:

| item | attributes |
| --- | --- |
| message | `d` content, `r` received (µs), `c` copies, `o` digest of a body in S3, `a` addresses, |
| … | `e` that the index has entries of it that are of no copy |
| copy | `m` message id, `f` folders, `r` received, `g` flag bits, `n` flags version, `x` removed, |
| … | `h` what is to be told of its coming or going |
| thread | `j` root, `k` members, `a` and `b` what replies say: `thread_joins`; `l` levels |
| provider's thread | `t` a thread of ours with messages of it |
| at | `c` the copy it is of, `p` who takes part (see `index_entries`) |
| contacts | `c` their ids, and by which spelling of the address each is known |
"""

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from pynamodb.attributes import (
    Attribute,
    BinaryAttribute,
    BooleanAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
    UTCDateTimeAttribute,
)
from pynamodb.constants import STRING
from pynamodb.models import Model

from shared.aws.instants import instant
from shared.domain.addresses import base_form
from shared.domain.identity import thread_of
from shared.domain.ids import (
    Address,
    ContactId,
    FolderId,
    MailboxId,
    MessageId,
    ProviderMessageId,
    RunId,
    TenantId,
    ThreadId,
    UserId,
)

DUE_INDEX = "due"
MAILBOX_DATE_INDEX = "mailbox_date"

MAILBOX_PREFIX = "mailbox#"
IDENTITY_PREFIX = "identity#"
SETTINGS_SUFFIX = "#settings"
STATE_SUFFIX = "#state"
PRIMARY_PREFIX = "primary#"
FOLDER_PREFIX = "folder#"
COPY_PREFIX = "copy#"
RUN_PREFIX = "run#"
PROVIDER_THREAD_PREFIX = "thread#"
MESSAGE_PREFIX = "message#"
AT_PREFIX = "at#"
ALSO_PREFIX = "also#"

_UNSAFE = re.compile("[%#\x00-\x1f\x7f\ud800-\udfff]")
_ESCAPED = re.compile("((?:%[0-9A-F]{2})+)")


class Key(NamedTuple):
    """The primary key of an item."""

    pk: str
    sk: str


def escape(text: str) -> str:
    """Return `text` as a part of a key: it holds no `#`, and two texts never become one."""
    return _UNSAFE.sub(
        lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass")),
        text,
    )


def unescape(part: str) -> str:
    """Return the text that `escape` made `part` of."""
    return _ESCAPED.sub(
        lambda found: bytes.fromhex(found[0].replace("%", "")).decode("utf-8", "surrogatepass"),
        part,
    )


# ---- keys ----


def mailboxes_pk(tenant_id: TenantId) -> str:
    """Where a tenant's mailboxes, identities and primaries are."""
    return f"{escape(tenant_id)}#mailboxes"


def mailbox_pk(tenant_id: TenantId, mailbox_id: MailboxId) -> str:
    """Where what belongs to one mailbox is; also the partition key in `mailbox_date`."""
    return f"{escape(tenant_id)}#mailbox#{escape(mailbox_id)}"


def place_in(pk: str) -> tuple[TenantId, MailboxId]:
    """Return what `mailbox_pk` made `pk` of."""
    tenant, _, mailbox = pk.split("#")
    return TenantId(unescape(tenant)), MailboxId(unescape(mailbox))


def mailbox_sk(mailbox_id: MailboxId) -> str:
    """What the sort keys of a mailbox's two items start with."""
    return f"{MAILBOX_PREFIX}{escape(mailbox_id)}#"


def settings_key(tenant_id: TenantId, mailbox_id: MailboxId) -> Key:
    """Key of what people set."""
    return Key(mailboxes_pk(tenant_id), f"{MAILBOX_PREFIX}{escape(mailbox_id)}{SETTINGS_SUFFIX}")


def state_key(tenant_id: TenantId, mailbox_id: MailboxId) -> Key:
    """Key of what runs change."""
    return Key(mailboxes_pk(tenant_id), f"{MAILBOX_PREFIX}{escape(mailbox_id)}{STATE_SUFFIX}")


def identity_key(tenant_id: TenantId, identity: str) -> Key:
    """Key that makes an account's identity unique; a hash, so that no address is readable."""
    digest = hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return Key(mailboxes_pk(tenant_id), IDENTITY_PREFIX + digest)


def primary_key(tenant_id: TenantId, user_id: UserId) -> Key:
    """Key of a user's primary mailbox."""
    return Key(mailboxes_pk(tenant_id), PRIMARY_PREFIX + escape(user_id))


def folder_key(tenant_id: TenantId, mailbox_id: MailboxId, folder_id: FolderId) -> Key:
    """Key of a folder's state."""
    return Key(mailbox_pk(tenant_id, mailbox_id), FOLDER_PREFIX + escape(folder_id))


def copy_key(tenant_id: TenantId, mailbox_id: MailboxId, name: ProviderMessageId) -> Key:
    """Key of a copy."""
    return Key(mailbox_pk(tenant_id, mailbox_id), copy_sk(name))


def copy_sk(start: str) -> str:
    """Sort key of a copy, or of all whose ids start with `start`."""
    return COPY_PREFIX + escape(start)


def run_key(tenant_id: TenantId, mailbox_id: MailboxId, run_id: RunId) -> Key:
    """Key of an ended run."""
    return Key(mailbox_pk(tenant_id, mailbox_id), RUN_PREFIX + escape(run_id))


def thread_pk(tenant_id: TenantId, thread_id: ThreadId) -> str:
    """Where a thread's messages are."""
    return f"{escape(tenant_id)}#thread#{escape(thread_id)}"


def thread_key(tenant_id: TenantId, thread_id: ThreadId) -> Key:
    """Key of what is known of a thread beside its messages."""
    return Key(thread_pk(tenant_id, thread_id), "thread")


def provider_thread_key(tenant_id: TenantId, mailbox_id: MailboxId, name: str) -> Key:
    """Key of what the provider of a mailbox calls one thread."""
    return Key(mailbox_pk(tenant_id, mailbox_id), PROVIDER_THREAD_PREFIX + escape(name))


def message_key(tenant_id: TenantId, message_id: MessageId) -> Key | None:
    """Key of a message, or None for a text that is no message id."""
    thread_id = thread_of(message_id)
    return Key(thread_pk(tenant_id, thread_id), MESSAGE_PREFIX + message_id) if thread_id else None


def address_pk(tenant_id: TenantId, address: Address) -> str:
    """Where an address's messages and contacts are."""
    return f"{escape(tenant_id)}#address#{escape(address)}"


def at_sk(at: datetime, message_id: MessageId, prefix: str = AT_PREFIX) -> str:
    """What the sort keys of a message's entries in the index of an address begin with."""
    return f"{prefix}{instant(at)}#{message_id}"


def entry_keys(
    tenant_id: TenantId, address: Address, at: datetime, message_id: MessageId, ref: str
) -> Iterator[Key]:
    """Yield the keys of what says that a copy (its `copy_ref`) of a message is found under it.

    One, and another below its base form where it is not that itself: apart from the base form's own
    mail, so that who takes the two for different addresses never reads it.
    """
    digest = hashlib.blake2b(ref.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    yield Key(address_pk(tenant_id, address), f"{at_sk(at, message_id)}#{digest}")
    base = base_form(address)
    if base != address:
        sk = f"{at_sk(at, message_id, ALSO_PREFIX)}#{digest}"
        yield Key(address_pk(tenant_id, base), sk)


def date_sk(at: datetime, message_id: MessageId, folder_id: str) -> str:
    """Sort key of a live copy in `mailbox_date`."""
    return f"{instant(at)}#{message_id}#{escape(folder_id)}"


def contacts_of_address_key(tenant_id: TenantId, address: Address) -> Key:
    """Key of what says which contacts have an address."""
    return Key(address_pk(tenant_id, address), "contacts")


def contacts_pk(tenant_id: TenantId) -> str:
    """Where a tenant's contacts are."""
    return f"{escape(tenant_id)}#contacts"


def contact_key(tenant_id: TenantId, contact_id: ContactId) -> Key:
    """Key of a contact."""
    return Key(contacts_pk(tenant_id), escape(contact_id))


# ---- items ----


class JsonAttribute(Attribute[Any]):
    """A small JSON value, kept as text."""

    attr_type = STRING

    def serialize(self, value: Any) -> str:
        """Return the compact text."""
        return orjson.dumps(value).decode()

    def deserialize(self, value: str) -> Any:
        """Read the text."""
        return orjson.loads(value)


class Item(Model):
    """What every item has."""

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class SettingsItem(Item):
    """A mailbox's settings: changed by people, guarded by `version`."""

    document = JsonAttribute()
    version = NumberAttribute()
    generation = NumberAttribute()
    identity = UnicodeAttribute()


class StateItem(Item):
    """A mailbox's status, lease and errors: under 1 KB, so that an idle poll writes one unit."""

    tenant_id = UnicodeAttribute()
    mailbox_id = UnicodeAttribute()
    status = UnicodeAttribute()
    generation = NumberAttribute()
    fence = NumberAttribute()
    failures = NumberAttribute()
    lease_owner = UnicodeAttribute(null=True)
    lease_expires_at = UTCDateTimeAttribute(null=True)
    suspect = UnicodeAttribute(null=True)
    suspect_fence = NumberAttribute(null=True)
    strikes = JsonAttribute(null=True)
    due_slot = UnicodeAttribute(null=True)
    due_key = UnicodeAttribute(null=True)
    not_before = UTCDateTimeAttribute(null=True)
    last_synced_at = UTCDateTimeAttribute(null=True)
    last_news_at = UTCDateTimeAttribute(null=True)
    waited_for = UnicodeSetAttribute(null=True)
    contacts_to = UTCDateTimeAttribute(null=True)
    history_id = UnicodeAttribute(null=True)
    history_again = BooleanAttribute(null=True)
    first_generation = NumberAttribute(null=True)
    """That of the latest disconnect: what was asked for in an earlier one is over."""
    work_hour = NumberAttribute(null=True)
    work_times = NumberAttribute(null=True)
    watch = JsonAttribute(null=True)
    watch_at = NumberAttribute(null=True)
    """When it is to be renewed; this and `heard_at` in seconds since 1970."""
    heard_at = NumberAttribute(null=True)
    inbound_error = JsonAttribute(null=True)
    outbound_error = JsonAttribute(null=True)
    of_note = BooleanAttribute(null=True)
    """Written with what is rare and told to others, and dropped by the next poll: the stream's
    filters see one state at a time, and let no poll through that found nothing."""


class PointerItem(Item):
    """An identity or a primary: names a mailbox."""

    mailbox_id = UnicodeAttribute()


class FolderItem(Item):
    """A folder's state."""

    folder_id = UnicodeAttribute()
    name = UnicodeAttribute()
    role = UnicodeAttribute()
    selectable = BooleanAttribute()
    cursor = UnicodeAttribute(null=True)
    scope = UnicodeAttribute(null=True)
    gone_at = UTCDateTimeAttribute(null=True)
    resets = NumberAttribute(null=True)
    reset_at = UTCDateTimeAttribute(null=True)
    news_from = UTCDateTimeAttribute(null=True)


class RunItem(Item):
    """An ended run; `ledger` is packed."""

    run_id = UnicodeAttribute()
    reason = UnicodeAttribute()
    started_at = UTCDateTimeAttribute()
    ended_at = UTCDateTimeAttribute()
    counts = JsonAttribute()
    code = UnicodeAttribute(null=True)
    backfill_id = UnicodeAttribute(null=True)
    ledger = BinaryAttribute(legacy_encoding=False, null=True)


class ContactItem(Item):
    """A contact."""

    contact_id = UnicodeAttribute()
    name = UnicodeAttribute()
    addresses = JsonAttribute()
    attributes = JsonAttribute()
    updated_at = UTCDateTimeAttribute()
    version = NumberAttribute()
    merged = JsonAttribute(null=True)
    made_from_mail = BooleanAttribute(null=True)


class MergedItem(Item):
    """In the place of a contact that was merged. Its version, 0, is none a contact ever had."""

    merged_into = UnicodeAttribute()
    version = NumberAttribute()
