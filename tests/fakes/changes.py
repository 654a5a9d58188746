"""The port `ChangeStore` over the `World` of `tests.fakes.stores`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.domain.change import SHARDS_OF_CHANGES, Wanted
from shared.domain.errors import ConflictError, ErrorCode
from shared.domain.ids import MailboxId, ProviderMessageId, TenantId
from shared.domain.mailbox import Mailbox, MailboxStatus
from shared.domain.message import Copy, copy_ref
from shared.domain.pending import carried, moment, wished, without_void
from shared.ports.changing import ChangesTurn, Settled
from shared.ports.queues import ChangesRequest
from tests.fakes.stores import World, stale

MOST_COPIES = 500


@dataclass
class PendingChanges:
    """That something is pending in a mailbox, and who is at it."""

    due_at: datetime
    wishes: int = 0
    fence: int = 0
    failures: int = 0
    held_until: datetime | None = None
    not_before: datetime | None = None


@dataclass
class InMemoryChangeStore:
    world: World = field(default_factory=World)

    def wish(
        self, mailbox: Mailbox, wanted: Mapping[ProviderMessageId, Wanted], *, now: datetime
    ) -> dict[ProviderMessageId, Copy]:
        box = (mailbox.tenant_id, mailbox.id)
        with self.world.lock:
            copies = self.world.copies.get(box, {})
            live = {n: copies[n] for n in wanted if n in copies and copies[n].removed_at is None}
            first = self.world.first_generations.get(box, 0)
            fresh = {name: without_void(copy, first, now=now) for name, copy in live.items()}
            after = {
                name: wished(copy, wanted[name], now=now, generation=mailbox.generation)
                for name, copy in fresh.items()
                if copy.removed_at is None
            }
            if after == live:
                return after
            record = self.world.record(box)
            if (
                record is None
                or record.run_state.generation != mailbox.generation
                or record.mailbox.status is not MailboxStatus.ACTIVE
            ):
                raise ConflictError(ErrorCode.WRONG_STATE)
            copies.update(after)
            head = self.world.changes.setdefault(box, PendingChanges(now + timedelta(minutes=1)))
            head.wishes += 1
            return after

    def take(
        self, tenant_id: TenantId, mailbox_id: MailboxId, *, now: datetime, seconds: int
    ) -> ChangesTurn:
        with self.world.lock:
            head = self.world.changes.get((tenant_id, mailbox_id))
            if (
                head is None
                or (head.held_until is not None and head.held_until > now)
                or (head.not_before is not None and head.not_before > now)
            ):
                raise ConflictError(ErrorCode.LEASE_HELD)
            head.fence = (head.fence or moment(now)) + 1
            head.held_until = head.due_at = now + timedelta(seconds=seconds)
            first = self.world.first_generations.get((tenant_id, mailbox_id), 0)
            return ChangesTurn(tenant_id, mailbox_id, head.fence, head.wishes, first, head.failures)

    def _held(self, turn: ChangesTurn) -> PendingChanges:
        head = self.world.changes.get((turn.tenant_id, turn.mailbox_id))
        if head is None or head.fence != turn.fence:
            raise stale("fence")
        return head

    def _pending(self, turn: ChangesTurn) -> list[Copy]:
        copies = self.world.copies.get((turn.tenant_id, turn.mailbox_id), {})
        return [copies[name] for name in sorted(copies) if copies[name].pending is not None]

    def waiting(
        self, turn: ChangesTurn, *, after: ProviderMessageId | None, limit: int
    ) -> tuple[list[Copy], ProviderMessageId | None]:
        with self.world.lock:
            left = [one for one in self._pending(turn) if one.provider_message_id > (after or "")]
            some = left[:limit]
            return some, some[-1].provider_message_id if len(some) == limit else None

    def settle(self, turn: ChangesTurn, settled: Sequence[Settled]) -> frozenset[ProviderMessageId]:
        with self.world.lock:
            box = (turn.tenant_id, turn.mailbox_id)
            if settled:
                self._held(turn)
                if box not in self.world.run_states:
                    raise stale("no such mailbox")
            copies = self.world.copies.get(box, {})
            done = set()
            for one in settled:
                name = one.before.provider_message_id
                stands = copies.get(name)
                if stands is None:
                    continue
                if as_read(stands) != as_read(one.before):
                    self._carry(turn.tenant_id, copies, one)
                    continue
                copies[name] = one.after
                done.add(name)
                if one.renamed is not None and one.renamed.removed_at is None:
                    self._rename(turn.tenant_id, copies, one.renamed)
            return frozenset(done)

    def _rename(
        self, tenant_id: TenantId, copies: dict[ProviderMessageId, Copy], renamed: Copy
    ) -> bool:
        message = self.world.messages.get((tenant_id, renamed.message_id))
        name = renamed.provider_message_id
        if message is None or name in copies or len(message.copies) >= MOST_COPIES:
            return False
        copies[name] = renamed
        refs = message.copies | {copy_ref(renamed.mailbox_id, name)}
        self.world.messages[tenant_id, message.id] = replace(message, copies=refs)
        return True

    def _carry(
        self, tenant_id: TenantId, copies: dict[ProviderMessageId, Copy], one: Settled
    ) -> None:
        old = one.before.provider_message_id
        stands, moved = copies[old], one.renamed
        if moved is None or stands.pending is None:
            return
        pending, there = stands.pending, copies.get(moved.provider_message_id)
        if there is None:
            after = carried(stands, read=one.before, moved=moved)
            if self._rename(tenant_id, copies, after):
                copies[old] = one.after
        elif there.removed_at is None:
            copies[old] = one.after
            copies[moved.provider_message_id] = wished(
                there, pending.wanted, now=pending.asked_at, generation=pending.generation
            )

    def rest(self, turn: ChangesTurn, *, until: datetime, failures: int) -> None:
        with self.world.lock:
            head = self._held(turn)
            head.held_until, head.failures = None, failures
            head.not_before = head.due_at = until

    def finish(self, turn: ChangesTurn) -> ChangesTurn | None:
        with self.world.lock:
            head = self._held(turn)
            if self._pending(turn) or head.wishes != turn.wishes:
                return replace(turn, wishes=head.wishes)
            del self.world.changes[turn.tenant_id, turn.mailbox_id]
            return None

    def due(self, shard: int, *, now: datetime, limit: int) -> list[ChangesRequest]:
        with self.world.lock:
            found = sorted(
                (head.due_at, *box)
                for box, head in self.world.changes.items()
                if head.due_at <= now
            )
        mine = [(tenant_id, box) for _, tenant_id, box in found if shard_of(box) == shard]
        return [ChangesRequest(*place) for place in mine[:limit]]


def as_read(copy: Copy) -> tuple[object, ...]:
    # What the table's condition compares, and no more.
    version = None if copy.pending is None else copy.pending.version
    return copy.flags, copy.folder_ids, copy.removed_at is None, version


def shard_of(mailbox_id: MailboxId) -> int:
    return sum(mailbox_id.encode()) % SHARDS_OF_CHANGES
