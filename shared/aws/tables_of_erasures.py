"""Under which keys erasures are found, and what stays of a message that was erased.

| to …                              | pk                 | sk |
| --------------------------------- | ------------------ | --- |
| get a receipt, list newest first  | `{t}#erasures`     | `erasure#{erasure}` |
| find the erasure of a mailbox     | `{t}#erasures`     | `mailbox#{mailbox}` |
| know whose mail is kept out       | `{t}#erasures`     | `kept-out` |
| find messages left half written   | `{t}#mailbox#{id}` | `writing#{digest}` |

Of an erased message its keys stay, which say nothing, and `z`: until then (µs) nobody writes it
again, so that a worker that has put its body there before cannot point to it afterwards. It is set
before anything of the message goes, and outlives whoever erases. The table's time to live takes the
item away.

A note of what is about to be written (`i`) says when it was left (`t`, µs). `z` in it says that one
of its messages has been claimed by who erases it: no copy is added beside such a note. Two workers
of a mailbox that write the same messages share a key, so a note also says whose it is (`w`): who
put it last adds copies, and the other, whose note may have been marked, does not.
"""

import base64
import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from pynamodb.attributes import (
    BinaryAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UTCDateTimeAttribute,
)

from shared.aws.instants import microseconds
from shared.aws.table import Raw, raw_key
from shared.aws.tables import Item, JsonAttribute, Key, escape, mailbox_pk
from shared.domain.ids import ErasureId, MailboxId, MessageId, TenantId

ERASURE_PREFIX = "erasure#"
WRITING_PREFIX = "writing#"
OTHERS_NOTE = "another worker of this mailbox is storing these messages"
"""The cause of a failure where a note is gone, or not the worker's own any more."""
_ID_BYTES = 30
_WRITER_BYTES = 8


def erasures_pk(tenant_id: TenantId) -> str:
    """Where a tenant's erasures are."""
    return f"{escape(tenant_id)}#erasures"


def erasure_key(tenant_id: TenantId, erasure_id: ErasureId) -> Key:
    """Key of an erasure; they sort by time."""
    return Key(erasures_pk(tenant_id), ERASURE_PREFIX + escape(erasure_id))


def erasure_of_key(tenant_id: TenantId, mailbox_id: MailboxId) -> Key:
    """Key that says which erasure a mailbox has; a mailbox has one."""
    return Key(erasures_pk(tenant_id), f"mailbox#{escape(mailbox_id)}")


def kept_out_key(tenant_id: TenantId) -> Key:
    """Key of the list of hashes, with the key they are made with."""
    return Key(erasures_pk(tenant_id), "kept-out")


def writing_key(tenant_id: TenantId, mailbox_id: MailboxId, ids: Iterable[MessageId]) -> Key:
    """Key of the note of what is about to be written; the same messages have the same."""
    digest = hashlib.blake2b("".join(sorted(ids)).encode(), digest_size=12).hexdigest()
    return Key(mailbox_pk(tenant_id, mailbox_id), WRITING_PREFIX + digest)


class Note(NamedTuple):
    """What a worker is about to write is noted there; `writer` tells it from another's."""

    key: Key
    writer: bytes


def new_note(tenant_id: TenantId, mailbox_id: MailboxId, ids: Iterable[MessageId]) -> Note:
    """Return a note of these messages, as nobody else has one."""
    return Note(writing_key(tenant_id, mailbox_id, ids), secrets.token_bytes(_WRITER_BYTES))


def writing_note(note: Note, ids: Iterable[MessageId], now: int) -> Raw:
    """Return the item of a note left now (µs)."""
    parts: Raw = {"i": {"B": packed_ids(ids)}, "t": {"N": str(now)}, "w": {"B": note.writer}}
    return {**raw_key(note.key), **parts}


def is_noted_before(raw: Raw, at: datetime) -> bool:
    """Whether a note was left before then."""
    return int(raw.get("t", {"N": "0"})["N"]) < microseconds(at)


def packed_ids(ids: Iterable[MessageId]) -> bytes:
    """Return message ids as the bytes their letters stand for: a note is paid for by its size."""
    return b"".join(base64.b32decode(one[1:].upper()) for one in ids)


def unpacked_ids(packed: bytes) -> list[MessageId]:
    """Return the ids `packed_ids` was given."""
    names = (packed[start : start + _ID_BYTES] for start in range(0, len(packed), _ID_BYTES))
    return [MessageId("m" + base64.b32encode(one).decode("ascii").lower()) for one in names]


class ErasureItem(Item):
    """An erasure; `addresses` are there while it runs alone."""

    erasure_id = UnicodeAttribute()
    kind = UnicodeAttribute()
    state = UnicodeAttribute()
    requested_by = UnicodeAttribute()
    requested_at = UTCDateTimeAttribute()
    settles_at = UTCDateTimeAttribute()
    mailbox_id = UnicodeAttribute(null=True)
    address_hashes = JsonAttribute()
    addresses = JsonAttribute(null=True)
    keeps_out = UnicodeAttribute(null=True)
    erased = JsonAttribute()
    counted_to = UnicodeAttribute(null=True)
    looked_to = UnicodeAttribute(null=True)
    done_at = UTCDateTimeAttribute(null=True)
    lease_owner = UnicodeAttribute(null=True)
    lease_expires_at = UTCDateTimeAttribute(null=True)


class ErasureOfItem(Item):
    """Names the erasure of a mailbox."""

    erasure_id = UnicodeAttribute()


class KeptOutItem(Item):
    """Whose mail is kept out: hash → until when it was received (µs), 0 for ever."""

    key = BinaryAttribute(legacy_encoding=False)
    until = JsonAttribute()
    version = NumberAttribute()
    begun = NumberAttribute(null=True)
    """How often a mailbox began since there is the list: who writes it has seen them all."""
