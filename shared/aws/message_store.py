"""In which order a message becomes visible, and which writes each step costs.

1. a note of the messages that are about to be written, by a worker whose fence still holds
2. its content: one `UpdateItem` each, the first writer's content stays (an object first where it is
   large), side by side
3. its index entries: keys alone, in batches
4. what it shows to be one thread (see `thread_joins`)
5. its copies: in transactions that also check the fence, so that a worker that was overtaken shows
   nothing, and that the note is still its own and no message of it has been claimed by who erases
   it: then what was written in step 2 is gone. A message is shown only where a copy of it exists
6. the note goes: by it alone what a worker that died left half written can be found

The index entry bears the time the message was first received at, read back in step 2, so that a
second copy received later makes no second entry.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice

from shared.aws.bodies import BodyObjects
from shared.aws.clients import Clients, clients_of_process
from shared.aws.copies import CopyItems, name_of_copy
from shared.aws.fences import require
from shared.aws.index_entries import most_entries, page_of
from shared.aws.instants import from_microseconds, instant
from shared.aws.kept_out import read_kept_out
from shared.aws.message_contents import MessageContents
from shared.aws.message_items import body_of, inline_body
from shared.aws.side_by_side import side_by_side
from shared.aws.table import Raw, Table, raw_key
from shared.aws.tables import (
    ALSO_PREFIX,
    AT_PREFIX,
    MAILBOX_DATE_INDEX,
    MESSAGE_PREFIX,
    address_pk,
    at_sk,
    date_sk,
    mailbox_pk,
    message_key,
    thread_pk,
    unescape,
)
from shared.aws.tables_of_erasures import new_note, writing_note
from shared.aws.thread_joins import ThreadJoins
from shared.aws.thread_store import DynamoThreadStore
from shared.domain.erasure import KeptOut
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
from shared.domain.message import Body, Copy, Flags, copy_ref
from shared.ports.stores import IndexPage, NewCopy, TimelineEntry

_WORKERS = 8
_FIRST, _LAST = " ", "\U0010ffff"


@dataclass(frozen=True, slots=True)
class DynamoMessageStore:
    """The port `MessageStore`."""

    table: Table
    bucket: str
    clients: Clients = field(default_factory=clients_of_process)
    seconds_now: Callable[[], float] = time.time
    _workers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_WORKERS, thread_name_prefix="messages")
    )

    # ---- storing ----

    def save(self, fence: Fence, new: Sequence[NewCopy]) -> frozenset[ProviderMessageId]:
        """Write a note, contents, index entries, records of threads, then copies."""
        if not new:
            return frozenset()
        require(self.table, fence)
        ids = [item.message.id for item in new]
        note = new_note(fence.tenant_id, fence.mailbox_id, ids)
        self.table.write_many([{"PutRequest": {"Item": writing_note(note, ids, self._now())}}])
        contents = MessageContents(self.table, self._bodies, self._workers, self._now)
        written = contents.write(fence.tenant_id, new, note=note.key)
        joins = ThreadJoins(self.table, self._workers, fence.tenant_id)
        joins.join(fence.mailbox_id, new)
        added = self._copies.add(fence, [one.copy for one in written], note=note)
        self.table.write_many([{"DeleteRequest": {"Key": raw_key(note.key)}}])
        return added

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
        self,
        fence: Fence,
        folder_id: FolderId,
        ids: Iterable[ProviderMessageId],
        *,
        now: datetime,
        silently: bool = False,
    ) -> int:
        """Place them in the folders they are in without this one."""
        return self._copies.remove(fence, folder_id, list(ids), now, silently=silently)

    # ---- reading ----

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

    def thread(self, tenant_id: TenantId, thread_id: ThreadId) -> list[TimelineEntry]:
        """Read the partitions of all that are one with it: only the whole has an order."""
        threads = DynamoThreadStore(self.table)
        known = threads.get_threads(tenant_id, [thread_id])[thread_id]
        if known.root != thread_id:
            known = threads.get_threads(tenant_id, [known.root])[known.root]
        parts = side_by_side(
            self._workers,
            lambda one: self._entries_under(tenant_id, one),
            {thread_id, known.thread_id, *known.members},
        )
        return sorted(chain.from_iterable(parts), key=lambda entry: (entry.at, entry.message_id))

    def _entries_under(self, tenant_id: TenantId, thread_id: ThreadId) -> list[TimelineEntry]:
        found = self.table.query(
            thread_pk(tenant_id, thread_id),
            prefix=MESSAGE_PREFIX,
            consistent=False,
            attributes="sk, r, c",
        )
        return [
            TimelineEntry(
                from_microseconds(int(raw["r"]["N"])),
                MessageId(raw["sk"]["S"].removeprefix(MESSAGE_PREFIX)),
                copies=frozenset(raw.get("c", {}).get("SS", ())),
            )
            for raw in found
            if "r" in raw
        ]

    def by_address(
        self,
        tenant_id: TenantId,
        addresses: Sequence[Address],
        *,
        before: TimelineEntry | None,
        limit: int,
        since: datetime | None = None,
        until: datetime | None = None,
        also_of: Sequence[Address] = (),
    ) -> list[IndexPage]:
        """Read each address's partition backwards, or the part of it that is others'."""
        end = _LAST
        if before:
            # An entry of a folder comes after one of none, so the one of none is still to come.
            behind = f"#{_LAST}" if before.folder_id else ""
            end = at_sk(before.at, before.message_id, "") + behind
        upper = min(end, instant(until)) if until else end
        lower = instant(since) if since else _FIRST
        most = most_entries(limit)

        def page(index: tuple[str, Address]) -> IndexPage:
            prefix, address = index
            found = self.table.query(
                address_pk(tenant_id, address),
                between=(prefix + lower, prefix + upper),
                newest_first=True,
                consistent=False,
                page=most,
            )
            entries = list(islice(found, most))
            return page_of(entries, limit, cut=len(entries) == most)

        indexes = [(AT_PREFIX, one) for one in addresses]
        indexes += [(ALSO_PREFIX, one) for one in also_of]
        return side_by_side(self._workers, page, indexes)

    def by_mailbox(
        self,
        tenant_id: TenantId,
        mailbox_ids: Sequence[MailboxId],
        *,
        before: TimelineEntry | None,
        limit: int,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[IndexPage]:
        """Read the index by date backwards."""
        end = date_sk(before.at, before.message_id, before.folder_id or "") if before else _LAST
        upper = min(end, instant(until)) if until else end

        def page(mailbox_id: MailboxId) -> IndexPage:
            found = self.table.query(
                mailbox_pk(tenant_id, mailbox_id),
                index=(MAILBOX_DATE_INDEX, "mailbox_pk", "date_sk"),
                between=(instant(since) if since else _FIRST, upper),
                newest_first=True,
                # Beside those asked for: the one `before`, and one that says whether it goes on.
                page=limit + 2,
                attributes="sk, date_sk",
            )
            entries = [
                _entry_of_copy(mailbox_id, raw)
                for raw in islice(found, limit + 2)
                if before is None or raw["date_sk"]["S"] != end
            ]
            return IndexPage(entries[:limit], more=len(entries) > limit)

        return side_by_side(self._workers, page, mailbox_ids)


def _entry_of_copy(mailbox_id: MailboxId, raw: Raw) -> TimelineEntry:
    at, message_id, folder = raw["date_sk"]["S"].split("#")
    return TimelineEntry(
        datetime.fromisoformat(at),
        MessageId(message_id),
        FolderId(unescape(folder)),
        copies=frozenset({copy_ref(mailbox_id, name_of_copy(raw["sk"]["S"]))}),
    )
