"""How the contents of messages are written, and under what they are found, before any is shown.

The first writer's content stays. Its item knows the copies that hold it: by them alone an erasure
tells who has it and what else goes with it. It has room for so many; further copies of the same
mail hold a message of their own, with the same content, under an id that follows from the first's.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared.aws.bodies import BodyObjects
from shared.aws.index_entries import entry_item, participants_named
from shared.aws.instants import from_microseconds, microseconds
from shared.aws.message_items import (
    MOST_COPIES,
    MOST_COPY_BYTES,
    MOST_PARTICIPANTS,
    PackedMessage,
    addresses_of,
    addresses_said,
    also_value,
    fitting_beside,
    pack_message,
)
from shared.aws.side_by_side import side_by_side
from shared.aws.table import Raw, Table, raw_key
from shared.aws.tables import Key, entry_keys, message_key
from shared.aws.tables_of_erasures import OTHERS_NOTE, packed_ids
from shared.domain.errors import StoreThrottledError
from shared.domain.identity import further_id
from shared.domain.ids import Address, MailboxId, MessageId, TenantId
from shared.domain.message import Copy, News, copy_ref, place_of
from shared.ports.stores import NewCopy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import WriteRequestTypeDef

_IN_BATCH = 25
_TRIES = 8


@dataclass(frozen=True, slots=True)
class Written:
    """A message whose content is there."""

    copy: Copy
    """What is to be added: a copy of this message or of one that follows from it."""
    received_at: datetime
    """When the message was first received."""
    addresses: Sequence[Address]
    """Under which it is found."""
    participants: Sequence[str]
    """What its index entries say of who takes part."""


@dataclass(frozen=True, slots=True)
class MessageContents:
    """The contents of a table's messages. `now`: in microseconds since 1970."""

    table: Table
    bodies: BodyObjects
    writers: ThreadPoolExecutor
    now: Callable[[], int]

    def write(self, tenant_id: TenantId, new: Sequence[NewCopy], *, note: Key) -> list[Written]:
        """Write contents, one `UpdateItem` each, and their index entries; return one for each.

        `note`: names the messages of `new`, and is told of those that follow from them before one
        is written. Raises `StoreThrottledError` for a message that is being erased, and where the
        note is gone.
        """
        left = dict(enumerate(new))
        noted = [item.message.id for item in new]
        found: dict[int, Written] = {}
        while left:
            # Packing holds the interpreter, sending does not: only the latter gains by threads.
            packed = [pack_message(item.message, item.body) for item in left.values()]
            answers = side_by_side(
                self.writers,
                lambda pair: self._write_one(tenant_id, *pair),
                zip(left.values(), packed, strict=True),
            )
            full: dict[int, NewCopy] = {}
            for (at, item), written in zip(left.items(), answers, strict=True):
                if written is None:
                    full[at] = _of_further_message(item)
                else:
                    found[at] = written
            if full:
                noted += [item.message.id for item in full.values()]
                self._note_further(note, noted)
            left = full
        self._write_index(tenant_id, list(found.values()))
        return [found[at] for at in range(len(new))]

    def _note_further(self, note: Key, ids: Sequence[MessageId]) -> None:
        # Changed and not put anew: who erases one of its messages may have marked it meanwhile.
        told = self.table.update_raw(
            {
                "Key": raw_key(note),
                "UpdateExpression": "SET i = :i",
                "ConditionExpression": "attribute_exists(pk)",
                "ExpressionAttributeValues": {":i": {"B": packed_ids(ids)}},
            }
        )
        if told is None:
            # What no note names would be found by nobody, were it to get no copy.
            raise StoreThrottledError(cause=OTHERS_NOTE)

    def _write_one(
        self, tenant_id: TenantId, new: NewCopy, packed: PackedMessage
    ) -> Written | None:
        """Write what is not there yet; None where as many copies as there is room for hold it."""
        message = new.message
        key = _key(tenant_id, message.id)
        digest = (
            self.bodies.put(tenant_id, message.id, packed.body) if packed.body is not None else None
        )
        ref = copy_ref(new.copy.mailbox_id, new.copy.provider_message_id)
        most = min(MOST_COPIES, MOST_COPY_BYTES // len(ref.encode()))
        received = microseconds(message.received_at)
        before = self.table.update_raw(
            {
                "Key": raw_key(key),
                "UpdateExpression": (
                    "SET d = if_not_exists(d, :d), r = if_not_exists(r, :r)"
                    + (", o = if_not_exists(o, :o)" if digest is not None else "")
                    + " ADD c :c REMOVE z, expires_at"
                ),
                "ConditionExpression": (
                    "(attribute_not_exists(c) OR size(c) < :most OR contains(c, :ref))"
                    " AND (attribute_not_exists(z) OR z < :now)"
                ),
                "ExpressionAttributeValues": {
                    ":d": {"B": packed.content},
                    ":r": {"N": str(received)},
                    ":c": {"SS": [ref]},
                    ":ref": {"S": ref},
                    ":most": {"N": str(most)},
                    ":now": {"N": str(self.now())},
                    **({":o": {"B": digest}} if digest is not None else {}),
                },
                "ReturnValues": "ALL_OLD",
            }
        )
        if before is None:
            stands = self.table.get_raw(key) or {}
            if int(stands.get("z", {"N": "0"})["N"]) >= self.now():
                raise StoreThrottledError(cause="this message is being erased")
            if len(stands.get("c", {}).get("SS", ())) < most:
                raise StoreThrottledError(cause="this message was being erased")
            return None
        named = addresses_of(before) if "d" in before else packed.named
        wanted = new.index_addresses[:MOST_PARTICIPANTS]
        unnamed = [one for one in wanted if one not in named]
        if unnamed:
            unnamed = self._name(key, before, unnamed)
        received = int(before["r"]["N"]) if "r" in before else received
        indexed = {one for one in wanted if one in named or one in unnamed}
        if "z" in before and "d" in before:
            # Who claimed it and died may have taken index entries already, whoever's they were.
            indexed |= named
        named_in_index = participants_named(message)
        copy = new.copy
        if copy.news is News.NEW and _has_had_it(copy.mailbox_id, before, but=ref):
            copy = replace(copy, news=News.AGAIN)
        return Written(copy, from_microseconds(received), sorted(indexed), named_in_index)

    def _name(self, key: Key, stands: Raw, unnamed: Sequence[Address]) -> list[Address]:
        """Have the item say under which addresses its content does not name it is found.

        Return those it says, of `unnamed`. A blind copy is named in its sender's own copy alone,
        and the content is the first's. What the item does not say, nobody who erases it would find.

        It has room for so many (`MOST_UNNAMED_BYTES`), so that it is written only where no other
        worker has added some since: together they would pass that, and at last what an item holds.
        """
        for _ in range(_TRIES):
            said = addresses_said(stands)
            fitting = fitting_beside(stands, (one for one in unnamed if one not in said))
            if fitting:
                unchanged = "size(a) = :said" if said else "attribute_not_exists(a)"
                values: Raw = {":a": also_value(fitting)}
                if said:
                    values[":said"] = {"N": str(len(said))}
                asked = {
                    "Key": raw_key(key),
                    "UpdateExpression": "ADD a :a",
                    "ConditionExpression": f"attribute_exists(d) AND {unchanged}",
                    "ExpressionAttributeValues": values,
                }
            if not fitting or self.table.update_raw(asked) is not None:
                return sorted(said.union(fitting).intersection(unnamed))
            stands = self.table.get_raw(key) or {}
            if "d" not in stands:
                raise StoreThrottledError(cause="this message was erased meanwhile")
        raise StoreThrottledError(cause="others are naming recipients of this message")

    def _write_index(self, tenant_id: TenantId, written: Sequence[Written]) -> None:
        entries: dict[Key, Raw] = {}
        for one in written:
            copy = one.copy
            ref = copy_ref(copy.mailbox_id, copy.provider_message_id)
            for address in one.addresses:
                for key in entry_keys(tenant_id, address, one.received_at, copy.message_id, ref):
                    entries[key] = entry_item(key, ref, one.participants)
        requests: list[WriteRequestTypeDef] = [
            {"PutRequest": {"Item": entries[key]}} for key in sorted(entries)
        ]
        batches = [
            requests[start : start + _IN_BATCH] for start in range(0, len(requests), _IN_BATCH)
        ]
        side_by_side(self.writers, self.table.write_many, batches)


def _has_had_it(mailbox_id: MailboxId, stands: Raw, *, but: str) -> bool:
    """Whether a mailbox has, or had, another copy of the message an item holds."""
    refs = stands.get("c", {}).get("SS", ())
    return any(ref != but and place_of(ref)[0] == mailbox_id for ref in refs)


def _of_further_message(item: NewCopy) -> NewCopy:
    further = further_id(item.message.id)
    return replace(
        item,
        message=replace(item.message, id=further),
        copy=replace(item.copy, message_id=further),
    )


def _key(tenant_id: TenantId, message_id: MessageId) -> Key:
    key = message_key(tenant_id, message_id)
    if key is None:
        raise ValueError(f"{message_id!r} is no message id")
    return key
