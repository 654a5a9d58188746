"""In which transactions a wish is written, made known, and settled.

A wish is one transaction: the copy as somebody wants it, the pointer to it, and the mailbox's one
item, which keeps the mailbox among what is due. Settling takes away what is pending and the pointer
together, on condition that neither somebody wished more nor the provider said more since the copy
was read, and that the worker's turn stands. So dying anywhere leaves a wish whole, or settled.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from shared.aws.copies import CopyItems
from shared.aws.copy_updates import copy_update, renaming
from shared.aws.fences import stale
from shared.aws.table import MOST_IN_TRANSACTION, Table, raw_key
from shared.aws.tables import (
    DUE_INDEX,
    StateItem,
    copy_key,
    mailbox_pk,
    state_key,
    unescape,
)
from shared.aws.tables_of_changes import (
    WISH_PREFIX,
    ChangesItem,
    changes_due_key,
    changes_key,
    changes_slot,
    slot_of_changes,
    wish_key,
)
from shared.domain.change import Wanted
from shared.domain.errors import ConflictError, ErrorCode, StoreThrottledError
from shared.domain.ids import MailboxId, ProviderMessageId, TenantId
from shared.domain.mailbox import Mailbox, MailboxStatus
from shared.domain.message import Copy
from shared.domain.pending import carried, moment, wished, without_void
from shared.ports.changing import ChangesTurn, Settled
from shared.ports.queues import ChangesRequest

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_TRIES = 5
_LOST_AFTER = timedelta(seconds=60)
"""A queue entry nobody has heard of by then is sent again."""
_BESIDE = 2
"""The mailbox's state and its one item, in every transaction."""
_MOST_WISHES = (MOST_IN_TRANSACTION - _BESIDE) // 2
_MOST_SETTLED = (MOST_IN_TRANSACTION - _BESIDE) // 4


@dataclass(frozen=True, slots=True)
class DynamoChangeStore:
    """The port `ChangeStore`."""

    table: Table

    def wish(
        self, mailbox: Mailbox, wanted: Mapping[ProviderMessageId, Wanted], *, now: datetime
    ) -> dict[ProviderMessageId, Copy]:
        """Read the copies, then write what differs; what was changed meanwhile is read again."""
        found: dict[ProviderMessageId, Copy] = {}
        names = iter(wanted)
        while part := list(islice(names, _MOST_WISHES)):
            found |= self._wish(mailbox, {name: wanted[name] for name in part}, now)
        return found

    def _wish(
        self, mailbox: Mailbox, wanted: Mapping[ProviderMessageId, Wanted], now: datetime
    ) -> dict[ProviderMessageId, Copy]:
        place = mailbox.tenant_id, mailbox.id
        for _ in range(_TRIES):
            stored = CopyItems(self.table).read(*place, list(wanted))
            before = {name: one for name, one in stored.items() if one.removed_at is None}
            fresh = self._without_void(mailbox, before, now)
            after = {
                name: wished(one, wanted[name], now=now, generation=mailbox.generation)
                for name, one in fresh.items()
            }
            changed = [name for name in after if after[name] != before[name]]
            if not changed:
                return after
            is_active = (StateItem.generation == mailbox.generation) & (
                StateItem.status == MailboxStatus.ACTIVE
            )
            operations = [
                self.table.check_operation(state_key(*place), is_active),
                self._one_more(mailbox, now),
            ]
            for name in changed:
                operations += [
                    copy_update(self.table.name, place[0], before[name], after[name]),
                    self._pointer(*place, name),
                ]
            failed = self.table.transact(operations)
            if 0 in failed:
                raise ConflictError(ErrorCode.WRONG_STATE, cause="not active any more")
            if not failed:
                return after
        raise StoreThrottledError(cause="copies change too fast")

    def _without_void(
        self, mailbox: Mailbox, copies: Mapping[ProviderMessageId, Copy], now: datetime
    ) -> dict[ProviderMessageId, Copy]:
        pending = [one.pending.generation for one in copies.values() if one.pending]
        if min(pending, default=mailbox.generation) >= mailbox.generation:
            return dict(copies)
        state = self.table.get(StateItem, state_key(mailbox.tenant_id, mailbox.id))
        first = int(state.first_generation or 0) if state else 0
        fresh = {name: without_void(one, first, now=now) for name, one in copies.items()}
        return {name: one for name, one in fresh.items() if one.removed_at is None}

    def _one_more(self, mailbox: Mailbox, now: datetime) -> "TransactWriteItemTypeDef":
        place = mailbox.tenant_id, mailbox.id
        soon = changes_due_key(now + _LOST_AFTER, mailbox.id)
        return self.table.update_operation(
            changes_key(*place),
            [
                ChangesItem.tenant_id.set(mailbox.tenant_id),
                ChangesItem.mailbox_id.set(mailbox.id),
                ChangesItem.wishes.add(1),
                ChangesItem.due_slot.set(slot_of_changes(*place)),
                # One that is being worked on, or waits for its provider, keeps its place.
                ChangesItem.due_key.set(ChangesItem.due_key | soon),
            ],
        )

    def _pointer(
        self, tenant_id: TenantId, mailbox_id: MailboxId, name: ProviderMessageId
    ) -> "TransactWriteItemTypeDef":
        key = wish_key(tenant_id, mailbox_id, name)
        return {"Put": {"TableName": self.table.name, "Item": raw_key(key)}}

    # ---- turns ----

    def take(
        self, tenant_id: TenantId, mailbox_id: MailboxId, *, now: datetime, seconds: int
    ) -> ChangesTurn:
        """Raise the fence where nobody holds the mailbox, and it has not to wait."""
        held_until = now + timedelta(seconds=seconds)
        is_free = ChangesItem.held_until.does_not_exist() | (ChangesItem.held_until <= now)
        may_begin = ChangesItem.not_before.does_not_exist() | (ChangesItem.not_before <= now)
        taken = self.table.update(
            changes_key(tenant_id, mailbox_id),
            [
                ChangesItem.fence.set((ChangesItem.fence | moment(now)) + 1),
                ChangesItem.held_until.set(held_until),
                ChangesItem.due_key.set(changes_due_key(held_until, mailbox_id)),
            ],
            ChangesItem.pk.exists() & is_free & may_begin,
            returning="ALL_NEW",
        )
        if taken is None:
            raise ConflictError(ErrorCode.LEASE_HELD)
        item = ChangesItem.from_raw_data(taken)
        state = self.table.get(StateItem, state_key(tenant_id, mailbox_id))
        return ChangesTurn(
            tenant_id,
            mailbox_id,
            fence=int(item.fence or 0),
            wishes=int(item.wishes),
            first_generation=int(state.first_generation or 0) if state else 0,
            failures=int(item.failures or 0),
        )

    def rest(self, turn: ChangesTurn, *, until: datetime, failures: int) -> None:
        """Leave the mailbox among what is due, at that instant."""
        self._end(
            turn,
            [
                ChangesItem.held_until.remove(),
                ChangesItem.not_before.set(until),
                ChangesItem.failures.set(failures),
                ChangesItem.due_key.set(changes_due_key(until, turn.mailbox_id)),
            ],
        )

    def finish(self, turn: ChangesTurn) -> ChangesTurn | None:
        """Delete the mailbox's item where no pointer is left and no wish has come since."""
        key = changes_key(turn.tenant_id, turn.mailbox_id)
        pk = mailbox_pk(turn.tenant_id, turn.mailbox_id)
        if not any(True for _ in self.table.query(pk, prefix=WISH_PREFIX, page=1)):
            as_read = ChangesItem.wishes == turn.wishes
            gone = self.table.delete_operation(key, self._holds(turn) & as_read)
            if not self.table.transact([gone]):
                return None
        stands = self.table.get(ChangesItem, key)
        if stands is None or stands.fence != turn.fence:
            raise stale("fence")
        return replace(turn, wishes=int(stands.wishes))

    def _end(self, turn: ChangesTurn, actions: list[Action]) -> None:
        key = changes_key(turn.tenant_id, turn.mailbox_id)
        if self.table.update(key, actions, self._holds(turn)) is None:
            raise stale("fence")

    @staticmethod
    def _holds(turn: ChangesTurn) -> Condition:
        return ChangesItem.fence == turn.fence

    def due(self, shard: int, *, now: datetime, limit: int) -> list[ChangesRequest]:
        """Read a slot of the sparse index up to this instant."""
        index = (DUE_INDEX, "due_slot", "due_key")
        upto = changes_due_key(now, MailboxId("~"))
        found = self.table.query(changes_slot(shard), index=index, between=(" ", upto), page=limit)
        return [
            ChangesRequest(TenantId(raw["tenant_id"]["S"]), MailboxId(raw["mailbox_id"]["S"]))
            for raw in islice(found, limit)
        ]

    # ---- what is pending ----

    def waiting(
        self, turn: ChangesTurn, *, after: ProviderMessageId | None, limit: int
    ) -> tuple[list[Copy], ProviderMessageId | None]:
        """Read pointers, then the copies they point to; a pointer to nothing pending goes."""
        tenant_id, mailbox_id = turn.tenant_id, turn.mailbox_id
        start = wish_key(tenant_id, mailbox_id, after or ProviderMessageId("")).sk
        found = self.table.query(
            mailbox_pk(tenant_id, mailbox_id),
            between=(start, WISH_PREFIX + "\U0010ffff"),
            page=limit + 1,
            attributes="sk",
        )
        names = [
            ProviderMessageId(unescape(raw["sk"]["S"].removeprefix(WISH_PREFIX)))
            for raw in islice((raw for raw in found if raw["sk"]["S"] != start), limit)
        ]
        copies = CopyItems(self.table).read(tenant_id, mailbox_id, names)
        waiting = []
        for name in names:
            copy = copies.get(name)
            if copy is not None and copy.pending is not None:
                waiting.append(copy)
            else:
                self._drop_pointer(turn, name)
        return waiting, names[-1] if len(names) == limit else None

    def _drop_pointer(self, turn: ChangesTurn, name: ProviderMessageId) -> None:
        """Delete a pointer whose copy was erased or removed, unless it was wished for again."""
        place = turn.tenant_id, turn.mailbox_id
        self.table.transact(
            [
                {
                    "ConditionCheck": {
                        "TableName": self.table.name,
                        "Key": raw_key(copy_key(*place, name)),
                        "ConditionExpression": "attribute_not_exists(w)",
                    }
                },
                self.table.delete_operation(wish_key(*place, name)),
            ]
        )

    def settle(self, turn: ChangesTurn, settled: Sequence[Settled]) -> frozenset[ProviderMessageId]:
        """Write in transactions that check the turn; each copy is written, or left, on its own."""
        done: set[ProviderMessageId] = set()
        for part in _apart(settled):
            done |= self._settle(turn, part)
        return frozenset(done)

    def _settle(self, turn: ChangesTurn, settled: Sequence[Settled]) -> set[ProviderMessageId]:
        left = list(settled)
        while left:
            parts = [self._parts(turn, one) for one in left]
            failed = self._transact(turn, [part for one in parts for part in one])
            if not failed:
                return {one.before.provider_message_id for one in left}
            kept: list[Settled] = []
            at = 0
            for one, of_one in zip(left, parts, strict=True):
                mine = {number - at for number in failed if at <= number < at + len(of_one)}
                at += len(of_one)
                if not mine:
                    kept.append(one)
                elif one.renamed is not None and 0 not in mine:
                    kept.append(replace(one, renamed=None))
                elif one.renamed is not None:
                    self._carry(turn, one, one.renamed)
            left = kept
        return set()

    def _transact(
        self, turn: ChangesTurn, operations: Sequence["TransactWriteItemTypeDef"]
    ) -> frozenset[int]:
        """Write all or nothing while the turn stands; return what was refused."""
        place = turn.tenant_id, turn.mailbox_id
        beside = [
            self.table.check_operation(changes_key(*place), self._holds(turn)),
            # Of a mailbox that was erased meanwhile nothing is written any more.
            self.table.check_operation(state_key(*place), StateItem.generation.exists()),
        ]
        failed = self.table.transact([*beside, *operations])
        if failed & {0, 1}:
            raise stale("fence")
        return frozenset(at - _BESIDE for at in failed)

    def _carry(self, turn: ChangesTurn, one: Settled, moved: Copy) -> None:
        """Have what is pending by now of a copy that was moved go on under its new id.

        Under the old one the provider has nothing any more that it could be asked to change.
        """
        place = turn.tenant_id, turn.mailbox_id
        old, new = one.before.provider_message_id, moved.provider_message_id
        for _ in range(_TRIES):
            stored = CopyItems(self.table).read(*place, [old, new])
            copy, there = stored.get(old), stored.get(new)
            if copy is None or copy.pending is None:
                return
            writes = [
                copy_update(self.table.name, place[0], copy, one.after),
                self.table.delete_operation(wish_key(*place, old)),
            ]
            if there is None:
                after = carried(copy, read=one.before, moved=moved)
                writes += [
                    self._pointer(*place, new),
                    *renaming(self.table.name, place[0], copy, after),
                ]
            elif there.removed_at is None:
                # Sync was there first.
                after = wished(
                    there,
                    copy.pending.wanted,
                    now=copy.pending.asked_at,
                    generation=copy.pending.generation,
                )
                if after != there:
                    writes += [
                        self._pointer(*place, new),
                        copy_update(self.table.name, place[0], there, after),
                    ]
            else:
                return
            if not self._transact(turn, writes):
                return

    def _parts(self, turn: ChangesTurn, one: Settled) -> list["TransactWriteItemTypeDef"]:
        """Return what is written of one copy; its own change first."""
        tenant_id = turn.tenant_id
        pointer = wish_key(tenant_id, turn.mailbox_id, one.before.provider_message_id)
        parts = [
            copy_update(self.table.name, tenant_id, one.before, one.after),
            self.table.delete_operation(pointer),
        ]
        if one.renamed is not None and one.renamed.removed_at is None:
            parts += renaming(self.table.name, tenant_id, one.before, one.renamed)
        return parts


def _apart(settled: Sequence[Settled]) -> Iterator[list[Settled]]:
    """Yield what fits a transaction, in none of which two write the same item.

    Two copies of one message may be moved at once, and one may be moved to where another is.
    """
    part: list[Settled] = []
    touched: set[str] = set()
    for one in settled:
        names: set[str] = {one.before.provider_message_id}
        if one.renamed is not None:
            names |= {one.renamed.provider_message_id, one.renamed.message_id}
        if len(part) == _MOST_SETTLED or touched & names:
            yield part
            part, touched = [], set()
        part.append(one)
        touched |= names
    if part:
        yield part
