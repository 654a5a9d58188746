"""In which order a message becomes visible, and which writes each step costs.

1. a note of the messages that are about to be written, by a worker whose fence still holds
2. its content: one `UpdateItem` each, the first writer's content stays (an object first where it is
   large), side by side
3. its index entries: keys alone, in batches
4. its copies: in transactions that also check the fence, so that a worker that was overtaken shows
   nothing, and that no message of the note has been claimed by who erases it: then what was written
   in step 2 is gone. A message is shown only where a copy of it exists
5. the note goes: by it alone what a worker that died left half written can be found

The index entry bears the time the message was first received at, read back in step 2, so that a
second copy received later makes no second entry.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, cast

from shared.aws.bodies import BodyObjects
from shared.aws.clients import Clients, clients_of_process
from shared.aws.copies import CopyItems
from shared.aws.fences import require
from shared.aws.instants import from_microseconds, instant, microseconds
from shared.aws.kept_out import read_kept_out
from shared.aws.message_items import (
    MOST_COPIES,
    MOST_PARTICIPANTS,
    MOST_UNNAMED,
    PackedMessage,
    addresses_of,
    also_value,
    body_of,
    copy_of,
    inline_body,
    message_of,
    pack_message,
)
from shared.aws.side_by_side import side_by_side
from shared.aws.table import Table, raw_key
from shared.aws.tables import (
    AT_PREFIX,
    MAILBOX_DATE_INDEX,
    MESSAGE_PREFIX,
    Key,
    address_pk,
    at_sk,
    copy_key,
    date_sk,
    mailbox_pk,
    message_key,
    thread_pk,
    unescape,
)
from shared.aws.tables_of_erasures import writing_key, writing_note
from shared.domain.erasure import KeptOut
from shared.domain.errors import StoreThrottledError
from shared.domain.ids import (
    Address,
    FolderId,
    MailboxId,
    MessageId,
    ProviderMessageId,
    TenantId,
    ThreadId,
)
from shared.domain.lease import Fence
from shared.domain.message import Body, Copy, Flags, Message, copy_ref
from shared.ports.stores import NewCopy, TimelineEntry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import WriteRequestTypeDef

_WRITERS = 8
_MOST_MESSAGES_AT_ONCE = 100
_FIRST, _LAST = " ", "\U0010ffff"


_Written = tuple[datetime, Sequence[Address]]
"""When a message was first received, and the addresses it is found under."""


@dataclass(frozen=True, slots=True)
class DynamoMessageStore:
    """The port `MessageStore`."""

    table: Table
    bucket: str
    clients: Clients = field(default_factory=clients_of_process)
    seconds_now: Callable[[], float] = time.time
    _writers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_WRITERS, thread_name_prefix="messages")
    )

    # ---- storing ----

    def save(self, fence: Fence, new: Sequence[NewCopy]) -> frozenset[ProviderMessageId]:
        """Write a note, contents, index entries, then copies."""
        if not new:
            return frozenset()
        require(self.table, fence)
        note = self._note(fence, [item.message.id for item in new])
        # Packing holds the interpreter, sending does not: only the latter gains by threads.
        packed = [pack_message(item.message, item.body) for item in new]
        written = side_by_side(
            self._writers,
            lambda pair: self._write_content(fence.tenant_id, *pair),
            zip(new, packed, strict=True),
        )
        self._write_index(fence.tenant_id, zip(new, written, strict=True))
        added = self._copies.add(fence, [item.copy for item in new], note=note)
        self.table.write_many([{"DeleteRequest": {"Key": raw_key(note)}}])
        return added

    def _note(self, fence: Fence, ids: Sequence[MessageId]) -> Key:
        key = writing_key(fence.tenant_id, fence.mailbox_id, ids)
        note = writing_note(key, ids, self._now())
        self.table.write_many([{"PutRequest": {"Item": note}}])
        return key

    def _write_content(self, tenant_id: TenantId, new: NewCopy, packed: PackedMessage) -> _Written:
        """Write what is not there yet.

        Return when the message was first received, and the addresses to find it under.
        """
        message = new.message
        key = _key(tenant_id, message.id)
        digest = (
            self._bodies.put(tenant_id, message.id, packed.body)
            if packed.body is not None
            else None
        )
        ref = copy_ref(new.copy.mailbox_id, new.copy.provider_message_id)
        received = microseconds(message.received_at)
        before = self.table.update_raw(
            {
                "Key": {"pk": {"S": key.pk}, "sk": {"S": key.sk}},
                "UpdateExpression": (
                    "SET d = if_not_exists(d, :d), r = if_not_exists(r, :r)"
                    + (", o = if_not_exists(o, :o)" if digest is not None else "")
                    + " ADD c :c REMOVE z, expires_at"
                ),
                "ConditionExpression": (
                    "(attribute_not_exists(c) OR size(c) < :most)"
                    " AND (attribute_not_exists(z) OR z < :now)"
                ),
                "ExpressionAttributeValues": {
                    ":d": {"B": packed.content},
                    ":r": {"N": str(received)},
                    ":c": {"SS": [ref]},
                    ":most": {"N": str(MOST_COPIES)},
                    ":now": {"N": str(self._now())},
                    **({":o": {"B": digest}} if digest is not None else {}),
                },
                "ReturnValues": "ALL_OLD",
            }
        )
        if before is None:
            before = self.table.get_raw(key) or {}
            if int(before.get("z", {"N": "0"})["N"]) >= self._now():
                raise StoreThrottledError(cause="this message is being erased")
        named = addresses_of(before) if "d" in before else packed.named
        wanted = new.index_addresses[:MOST_PARTICIPANTS]
        unnamed = [one for one in wanted if one not in named][:MOST_UNNAMED]
        if unnamed:
            self._name(key, unnamed)
        received = int(before["r"]["N"]) if "r" in before else received
        indexed = [one for one in wanted if one in named or one in unnamed]
        return from_microseconds(received), indexed

    def _name(self, key: Key, unnamed: Sequence[Address]) -> None:
        """Have the item say under which addresses its content does not name it is found.

        A blind copy is named in its sender's own copy alone, and the content is the first's. What
        the item does not say, nobody who erases it would find.
        """
        named = self.table.update_raw(
            {
                "Key": raw_key(key),
                "UpdateExpression": "ADD a :a",
                "ConditionExpression": "attribute_exists(d)",
                "ExpressionAttributeValues": {":a": also_value(unnamed)},
            }
        )
        if named is None:
            raise StoreThrottledError(cause="this message was erased meanwhile")

    def _write_index(self, tenant_id: TenantId, new: Iterable[tuple[NewCopy, _Written]]) -> None:
        keys = {
            Key(address_pk(tenant_id, address), at_sk(received, item.message.id))
            for item, (received, addresses) in new
            for address in addresses
        }
        requests: list[WriteRequestTypeDef] = [
            {"PutRequest": {"Item": {"pk": {"S": key.pk}, "sk": {"S": key.sk}}}}
            for key in sorted(keys)
        ]
        batches = [requests[start : start + 25] for start in range(0, len(requests), 25)]
        side_by_side(self._writers, self.table.write_many, batches)

    def _now(self) -> int:
        return int(self.seconds_now() * 1_000_000)

    # ---- copies ----

    @property
    def _bodies(self) -> BodyObjects:
        return BodyObjects(self.bucket, self.clients)

    @property
    def _copies(self) -> CopyItems:
        return CopyItems(self.table)

    def kept_out(self, tenant_id: TenantId) -> KeptOut:
        """Read the one item."""
        return read_kept_out(self.table, tenant_id)

    def live_copies(
        self, tenant_id: TenantId, mailbox_id: MailboxId, *, ids_begin_with: str = ""
    ) -> dict[ProviderMessageId, Copy]:
        """Read them in one query."""
        return self._copies.live(tenant_id, mailbox_id, ids_begin_with)

    def live_ids(self, tenant_id: TenantId, mailbox_id: MailboxId) -> frozenset[ProviderMessageId]:
        """Read them in one query."""
        return self._copies.live_ids(tenant_id, mailbox_id)

    def copies_by_id(
        self, tenant_id: TenantId, mailbox_id: MailboxId, ids: Sequence[ProviderMessageId]
    ) -> dict[ProviderMessageId, Copy]:
        """Read the copies' items, consistently."""
        return self._copies.read(tenant_id, mailbox_id, ids)

    def set_flags(self, fence: Fence, flags: Mapping[ProviderMessageId, Flags]) -> int:
        """Write what differs and is not older."""
        return self._copies.set_flags(fence, flags)

    def place_copies(
        self,
        fence: Fence,
        placed: Mapping[ProviderMessageId, frozenset[FolderId]],
        *,
        now: datetime,
    ) -> int:
        """Write what differs; the index by date holds what is live."""
        return self._copies.place(fence, placed, now)

    def remove_copies(
        self, fence: Fence, folder_id: FolderId, ids: Iterable[ProviderMessageId], *, now: datetime
    ) -> int:
        """Place them in the folders they are in without this one."""
        return self._copies.remove(fence, folder_id, list(ids), now)

    # ---- reading ----

    def get_messages(
        self, tenant_id: TenantId, ids: Sequence[MessageId]
    ) -> dict[MessageId, Message]:
        """Read items by key; a text that is no message id names none."""
        if len(ids) > _MOST_MESSAGES_AT_ONCE:
            raise ValueError(f"at most {_MOST_MESSAGES_AT_ONCE} messages at once")
        keys = [key for name in ids if (key := message_key(tenant_id, name))]
        items = self.table.get_many(keys, consistent=False)
        found = (message_of(raw) for raw in items if "d" in raw)
        return {message.id: message for message in found}

    def get_body(self, tenant_id: TenantId, message_id: MessageId) -> Body | None:
        """Read the item, then the object where the body is one."""
        key = message_key(tenant_id, message_id)
        raw = self.table.get_raw(key, consistent=False) if key else None
        if raw is None or "d" not in raw:
            return None
        body = inline_body(raw)
        if body is None:
            body = body_of(self._bodies.get(tenant_id, message_id, raw["o"]["B"]))
        return body

    def copies_of(
        self, tenant_id: TenantId, messages: Sequence[Message]
    ) -> dict[MessageId, list[Copy]]:
        """Read the copies the messages remember."""
        asked: dict[Key, tuple[MailboxId, ProviderMessageId]] = {}
        for message in messages:
            for ref in message.copies:
                mailbox_id, _, name = ref.partition("/")
                place = MailboxId(mailbox_id), ProviderMessageId(name)
                asked[copy_key(tenant_id, *place)] = place
        found: dict[str, Copy] = {}
        for raw in self.table.get_many(list(asked), consistent=False):
            mailbox_id, name = asked[Key(raw["pk"]["S"], raw["sk"]["S"])]
            found[copy_ref(mailbox_id, name)] = copy_of(mailbox_id, name, raw)
        return {
            message.id: [found[ref] for ref in sorted(message.copies) if ref in found]
            for message in messages
        }

    def thread(self, tenant_id: TenantId, thread_id: ThreadId) -> list[TimelineEntry]:
        """Read the thread's partition, which is in order of id: only the whole has an order."""
        found = self.table.query(
            thread_pk(tenant_id, thread_id),
            prefix=MESSAGE_PREFIX,
            consistent=False,
            attributes="sk, r",
        )
        entries = [
            TimelineEntry(
                from_microseconds(int(raw["r"]["N"])),
                MessageId(raw["sk"]["S"].removeprefix(MESSAGE_PREFIX)),
            )
            for raw in found
            if "r" in raw
        ]
        return sorted(entries, key=lambda entry: (entry.at, entry.message_id))

    def by_address(
        self,
        tenant_id: TenantId,
        address: Address,
        *,
        before: TimelineEntry | None,
        limit: int,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[TimelineEntry]:
        """Read the address's partition backwards."""
        # An entry of a folder comes after one of none, so the one of none is still to come.
        end = at_sk(before.at, before.message_id) if before else AT_PREFIX + _LAST
        excluded = end if before and not before.folder_id else None
        upper = min(end, AT_PREFIX + instant(until)) if until else end
        found = self.table.query(
            address_pk(tenant_id, address),
            between=(AT_PREFIX + (instant(since) if since else _FIRST), upper),
            newest_first=True,
            consistent=False,
            page=limit + 1,
            attributes="sk",
        )
        sort_keys = (cast("str", raw["sk"]["S"]) for raw in found)
        entries = (_entry(sk.removeprefix(AT_PREFIX)) for sk in sort_keys if sk != excluded)
        return list(islice(entries, limit))

    def by_mailbox(
        self,
        tenant_id: TenantId,
        mailbox_id: MailboxId,
        *,
        before: TimelineEntry | None,
        limit: int,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[TimelineEntry]:
        """Read the index by date backwards."""
        end = date_sk(before.at, before.message_id, before.folder_id or "") if before else _LAST
        upper = min(end, instant(until)) if until else end
        found = self.table.query(
            mailbox_pk(tenant_id, mailbox_id),
            index=(MAILBOX_DATE_INDEX, "mailbox_pk", "date_sk"),
            between=(instant(since) if since else _FIRST, upper),
            newest_first=True,
            page=limit + 1,
            attributes="date_sk",
        )
        sort_keys = (cast("str", raw["date_sk"]["S"]) for raw in found)
        entries = (_entry(sk) for sk in sort_keys if before is None or sk != end)
        return list(islice(entries, limit))


def _key(tenant_id: TenantId, message_id: MessageId) -> Key:
    key = message_key(tenant_id, message_id)
    if key is None:
        raise ValueError(f"{message_id!r} is no message id")
    return key


def _entry(text: str) -> TimelineEntry:
    at, message_id, *folder = text.split("#")
    return TimelineEntry(
        datetime.fromisoformat(at),
        MessageId(message_id),
        FolderId(unescape(folder[0])) if folder else None,
    )
