"""Which condition guards each change of a backfill and of its chunks.

A mailbox has one open import: an item of its own says which. Whoever closes or reopens an import
writes that item in the same transaction. Sums are written as read plus one chunk, on condition that
nobody counted meanwhile, so that they are exact without a counter for each reason.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.aws import chunk_changes
from shared.aws.backfill_items import backfill_item, backfill_of, chunk_item, chunk_of
from shared.aws.chunk_changes import still_leased
from shared.aws.fences import stale, still_holds
from shared.aws.open_backfill import (
    closed,
    closes,
    counts_today,
    forgotten_at,
    no_more_today,
    opens,
)
from shared.aws.run_items import counts_document, items_of_run
from shared.aws.state_changes import set_or_remove
from shared.aws.table import MOST_IN_TRANSACTION, Table
from shared.aws.tables import DUE_INDEX, Key, escape, mailbox_pk, state_key
from shared.aws.tables_of_backfills import (
    BACKFILL_PREFIX,
    BackfillItem,
    ChunkItem,
    backfill_key,
    backfill_slot,
    backfill_slots,
    chunk_key,
)
from shared.domain.backfill import OPEN, RELEASING, Backfill, BackfillState, Chunk, ChunkState
from shared.domain.errors import ConflictError, ErrorCode, StoreThrottledError
from shared.domain.ids import BackfillId, MailboxId, ProviderMessageId, TenantId
from shared.domain.lease import Fence
from shared.domain.quotas import USUAL, Quotas
from shared.domain.run import Run

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef
    from pynamodb.expressions.update import Action

_TRIES = 10
_CHUNKS_IN_TRANSACTION = MOST_IN_TRANSACTION // 2
"""A chunk's ids take a few kilobytes; half a transaction keeps well under its 4 MB."""


@dataclass(frozen=True, slots=True)
class DynamoBackfillStore:
    """The port `BackfillStore`."""

    table: Table
    quotas: Quotas = USUAL

    # ---- backfills ----

    def create_backfill(self, backfill: Backfill) -> None:
        """Write it, the item that says it is the open one, and the day's count, together."""
        is_new = BackfillItem.backfill_id.does_not_exist()
        parts = [self.table.put_operation(backfill_item(backfill), is_new)]
        parts += opens(self.table, backfill)
        counted = counts_today(self.table, backfill, self.quotas.imports_a_day)
        failed = self.table.transact([*parts, *counted])
        if not failed or self._read(backfill) is not None:
            return
        if failed == {len(parts)}:
            raise no_more_today(backfill)
        raise _wrong_state("another backfill is open")

    def create_running(self, backfill: Backfill, chunks: Sequence[Chunk]) -> None:
        """Write it with its chunks in one transaction."""
        put = self.table.put_operation
        fence = Fence(backfill.tenant_id, backfill.mailbox_id, backfill.generation)
        lives = self.table.check_operation(
            state_key(fence.tenant_id, fence.mailbox_id), still_holds(fence)
        )
        is_new = BackfillItem.backfill_id.does_not_exist()
        puts = [put(chunk_item(backfill, chunk)) for chunk in chunks]
        if 0 in self.table.transact([lives, put(backfill_item(backfill), is_new), *puts]):
            raise stale("generation")

    def get_backfill(
        self, tenant_id: TenantId, mailbox_id: MailboxId, backfill_id: BackfillId
    ) -> Backfill | None:
        """Read its item."""
        item = self.table.get(BackfillItem, backfill_key(tenant_id, mailbox_id, backfill_id))
        return backfill_of(item) if item else None

    def list_backfills(self, tenant_id: TenantId, mailbox_id: MailboxId) -> list[Backfill]:
        """Read backwards: backfill ids sort by time."""
        found = self.table.query(
            mailbox_pk(tenant_id, mailbox_id), prefix=BACKFILL_PREFIX, newest_first=True
        )
        return [backfill_of(BackfillItem.from_raw_data(raw)) for raw in found]

    def open_backfills(self) -> Iterator[Backfill]:
        """Read the sparse index, then the items, a hundred at once: the index may lag."""
        for slot in backfill_slots():
            found = self.table.query(slot, index=(DUE_INDEX, "due_slot", "due_key"))
            keys = [Key(raw["pk"]["S"], raw["sk"]["S"]) for raw in found]
            items = (BackfillItem.from_raw_data(raw) for raw in self.table.get_many(keys))
            yield from (backfill_of(item) for item in items if item.state in OPEN)

    def take_plan(self, backfill: Backfill, *, now: datetime, seconds: int) -> None:
        """Set the time until which nobody else plans."""
        lease = BackfillItem.plan_lease_expires_at
        is_free = lease.does_not_exist() | (lease <= now)
        taken = self.table.update(
            _key(backfill),
            [lease.set(now + timedelta(seconds=seconds))],
            (BackfillItem.state == BackfillState.PLANNING) & is_free,
        )
        if taken is None:
            if self._stands(backfill).state is BackfillState.PLANNING:
                raise ConflictError(ErrorCode.LEASE_HELD)
            raise _wrong_state("no longer planning")

    def put_chunks(self, backfill: Backfill, chunks: Sequence[Chunk]) -> None:
        """Write chunks, each batch on condition that planning goes on."""
        planning = self.table.check_operation(
            _key(backfill), BackfillItem.state == BackfillState.PLANNING
        )
        for start in range(0, len(chunks), _CHUNKS_IN_TRANSACTION):
            batch = chunks[start : start + _CHUNKS_IN_TRANSACTION]
            puts = [self.table.put_operation(chunk_item(backfill, chunk)) for chunk in batch]
            if self.table.transact([planning, *puts]):
                raise _wrong_state("no longer planning")

    def start_backfill(self, backfill: Backfill) -> Backfill:
        """Write the plan's sums where it is still planning."""
        is_done = backfill.chunks == 0
        ended = replace(backfill, state=BackfillState.DONE)
        update = self.table.update_operation(
            _key(backfill),
            [
                BackfillItem.state.set(BackfillState.DONE if is_done else BackfillState.RUNNING),
                BackfillItem.chunks.set(backfill.chunks),
                BackfillItem.planned.set(backfill.planned),
                BackfillItem.counts.set(counts_document(backfill.counts)),
                set_or_remove(BackfillItem.started_at, backfill.started_at),
                set_or_remove(BackfillItem.progressed_at, backfill.started_at),
                BackfillItem.waiting_until.remove(),
                BackfillItem.code.remove(),
                *(closed(ended, backfill.ended_at or backfill.started_at) if is_done else ()),
            ],
            BackfillItem.state == BackfillState.PLANNING,
        )
        self.table.transact([update, *(closes(self.table, backfill) if is_done else [])])
        return self._stands(backfill)

    def set_backfill_state(
        self,
        backfill: Backfill,
        state: BackfillState,
        *,
        now: datetime,
        code: ErrorCode | None = None,
    ) -> Backfill:
        """Change the state it was read in, opening or closing it with that."""
        actions = [
            BackfillItem.state.set(state),
            BackfillItem.changed_at.set(now),
            set_or_remove(BackfillItem.code, code),
        ]
        if state is not BackfillState.WAITING:
            actions.append(BackfillItem.waiting_until.remove())
        if state in OPEN - {BackfillState.PAUSED}:
            actions.append(BackfillItem.progressed_at.set(now))
        if state in OPEN:
            actions += [
                BackfillItem.ended_at.remove(),
                BackfillItem.expires_at.remove(),
                BackfillItem.due_slot.set(backfill_slot(backfill.id)),
                BackfillItem.due_key.set(escape(backfill.id)),
            ]
        else:
            actions += closed(replace(backfill, state=state), now)
        operations = [
            self.table.update_operation(
                _key(backfill), actions, BackfillItem.state == backfill.state
            )
        ]
        if (state in OPEN) is not (backfill.state in OPEN):
            toggles = opens if state in OPEN else closes
            operations += toggles(self.table, backfill)
        failed = self.table.transact(operations)
        item = self._read(backfill)
        if item is None or (failed and (item.state, item.changed_at) != (state, now)):
            # A change of the very same instant is our own, whose answer was lost.
            raise _wrong_state("state")
        return backfill_of(item)

    def set_waiting(
        self, backfill: Backfill, until: datetime | None, code: ErrorCode | None = None
    ) -> None:
        """Note the wait; a backfill at work says so in its state too, one that plans does not."""
        ends = BackfillItem.plan_lease_expires_at.remove()
        wait = [
            set_or_remove(BackfillItem.waiting_until, until),
            set_or_remove(BackfillItem.code, code),
        ]
        state = BackfillState.WAITING if until or code else BackfillState.RUNNING
        is_in = BackfillItem.state.is_in
        for actions, condition in (
            ([*wait, BackfillItem.state.set(state), ends], is_in(*sorted(RELEASING))),
            ([*wait, ends], BackfillItem.state == BackfillState.PLANNING),
            ([ends], BackfillItem.state == BackfillState.PAUSED),
        ):
            if self.table.update(_key(backfill), actions, condition) is not None:
                return

    def raise_released(self, backfill: Backfill, released: int) -> Backfill:
        """Set the number where it is the one read."""
        handed_out = set(range(backfill.released, released))
        after = self.table.update(
            _key(backfill),
            [
                BackfillItem.released.set(released),
                *([BackfillItem.in_flight.add(handed_out)] if handed_out else []),
            ],
            BackfillItem.released == backfill.released,
            returning="ALL_NEW",
        )
        if after is None:
            return self._stands(backfill)
        return backfill_of(BackfillItem.from_raw_data(after))

    # ---- chunks ----

    def get_chunk(
        self, tenant_id: TenantId, mailbox_id: MailboxId, backfill_id: BackfillId, number: int
    ) -> Chunk | None:
        """Read its item."""
        key = chunk_key(tenant_id, mailbox_id, backfill_id, number)
        item = self.table.get(ChunkItem, key)
        return chunk_of(backfill_id, item) if item else None

    def open_chunks(self, backfill: Backfill) -> list[Chunk]:
        """Read those that the backfill has in flight, however many came before them."""
        item = self._read(backfill) if backfill.released else None
        numbers = {int(number) for number in item.in_flight or ()} if item else set()
        keys = [_chunk_key(backfill, one) for one in numbers if one < backfill.released]
        found = (ChunkItem.from_raw_data(raw) for raw in self.table.get_many(keys))
        chunks = sorted((chunk_of(backfill.id, one) for one in found), key=lambda one: one.number)
        return [chunk for chunk in chunks if chunk.state is ChunkState.OPEN]

    def take_chunk(
        self,
        backfill: Backfill,
        number: int,
        *,
        owner: str,
        now: datetime,
        seconds: int,
        position: str | None = None,
    ) -> Chunk:
        """Lease it where its time has come and nobody holds it, or the owner is the same."""
        key = _chunk_key(backfill, number)
        before = self.table.update(
            key,
            chunk_changes.taken(owner, now, seconds, position),
            chunk_changes.may_be_taken(owner, now),
            returning="ALL_OLD",
        )
        if before is None:
            item = self.table.get(ChunkItem, key)
            if item is None or item.state == ChunkState.DONE:
                raise _wrong_state("chunk is done")
            raise ConflictError(ErrorCode.LEASE_HELD)
        old = chunk_of(backfill.id, ChunkItem.from_raw_data(before))
        return replace(
            old,
            attempts=old.attempts + 1,
            lease_owner=owner,
            lease_expires_at=now + timedelta(seconds=seconds),
            previous_run_died=old.lease_owner not in {None, owner},
            position=old.position or position,
        )

    def mark_chunk_suspect(
        self, backfill: Backfill, chunk: Chunk, provider_message_id: ProviderMessageId | None
    ) -> int:
        """Read and write: only the holder of the lease marks."""
        key = _chunk_key(backfill, chunk.number)
        item = self.table.get(ChunkItem, key)
        if item is None:
            raise stale("chunk lease")
        before, actions = chunk_changes.suspecting(item, chunk, provider_message_id)
        if self.table.update(key, actions, still_leased(chunk)) is None:
            raise stale("chunk lease")
        return before

    def give_back_chunk(
        self, backfill: Backfill, chunk: Chunk, *, not_before: datetime | None
    ) -> None:
        """Drop the lease where it is still ours."""
        key = _chunk_key(backfill, chunk.number)
        self.table.update(key, chunk_changes.given_back(chunk, not_before), still_leased(chunk))

    def put_off_chunk(
        self, backfill: Backfill, number: int, *, now: datetime, to: datetime
    ) -> bool:
        """Set the time before which nobody takes it, where somebody could have now."""
        key = _chunk_key(backfill, number)
        may_be_put_off = chunk_changes.may_be_taken("", now)
        return self.table.update(key, [ChunkItem.not_before.set(to)], may_be_put_off) is not None

    def finish_chunk(
        self,
        fence: Fence,
        backfill: Backfill,
        chunk: Chunk,
        run: Run,
        *,
        now: datetime,
        paced_until: datetime | None = None,
    ) -> Backfill:
        """Write chunk, run and sums together; again with fresh sums where another came first."""
        for _ in range(_TRIES):
            stands = self._stands(backfill)
            after = stands.with_chunk(run.counts, now, paced_until=paced_until)
            parts = self._finishing(fence, stands, after, chunk, run, now=now)
            failed = self.table.transact(parts)
            if not failed:
                return after
            if 0 in failed:
                raise stale("generation")
            if 1 in failed:
                item = self.table.get(ChunkItem, _chunk_key(backfill, chunk.number))
                if item is None or item.state == ChunkState.DONE:
                    raise _wrong_state("chunk is done")
                raise stale("chunk lease")
        raise StoreThrottledError(cause="backfill changes too fast to be counted")

    def _finishing(
        self,
        fence: Fence,
        stands: Backfill,
        after: Backfill,
        chunk: Chunk,
        run: Run,
        *,
        now: datetime,
    ) -> "list[TransactWriteItemTypeDef]":
        is_over = after.state not in OPEN and stands.state in OPEN
        sums: list[Action] = [
            BackfillItem.done.set(after.done),
            BackfillItem.counts.set(counts_document(after.counts)),
            BackfillItem.in_flight.delete({chunk.number}),
            set_or_remove(BackfillItem.progressed_at, after.progressed_at),
            set_or_remove(BackfillItem.seconds_a_message, after.seconds_a_message),
            set_or_remove(BackfillItem.paced_until, after.paced_until),
            BackfillItem.state.set(after.state),
            set_or_remove(BackfillItem.waiting_until, after.waiting_until),
            set_or_remove(BackfillItem.code, after.code),
        ]
        if is_over:
            sums += closed(after, after.ended_at)
        done = chunk_changes.done(forgotten_at(stands, now))
        unchanged = (BackfillItem.done == stands.done) & (BackfillItem.state == stands.state)
        return [
            self.table.check_operation(
                state_key(fence.tenant_id, fence.mailbox_id), still_holds(fence)
            ),
            self.table.update_operation(
                _chunk_key(stands, chunk.number), done, still_leased(chunk)
            ),
            self.table.update_operation(_key(stands), sums, unchanged),
            *(self.table.put_operation(item) for item in items_of_run(run)),
            *(closes(self.table, stands) if is_over else []),
        ]

    def _read(self, backfill: Backfill) -> BackfillItem | None:
        return self.table.get(BackfillItem, _key(backfill))

    def _stands(self, backfill: Backfill) -> Backfill:
        item = self._read(backfill)
        if item is None:
            raise _wrong_state("no such backfill")
        return backfill_of(item)


def _key(backfill: Backfill) -> Key:
    return backfill_key(backfill.tenant_id, backfill.mailbox_id, backfill.id)


def _chunk_key(backfill: Backfill, number: int) -> Key:
    return chunk_key(backfill.tenant_id, backfill.mailbox_id, backfill.id, number)


def _wrong_state(cause: str) -> ConflictError:
    return ConflictError(ErrorCode.WRONG_STATE, cause=cause)
