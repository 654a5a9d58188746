"""The ports `SendStore` and `OutgoingStore` over a `World`: what the contract suite holds the real ones to."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from shared.domain.errors import (
    ConflictError,
    ErrorCode,
    LimitReachedError,
    RequestError,
    SendLimit,
)
from shared.domain.ids import MailboxId, SendId, TenantId
from shared.domain.mailbox import MailboxStatus
from shared.domain.sending import (
    SHARDS_OF_SENDS,
    Arrival,
    Send,
    SendStatus,
    cancelled,
    left_behind,
    taken,
)
from shared.ports.sending import IdempotencyKey, SendCaps, SendRef
from tests.fakes.stores import World, stale

MAILBOX_A_MINUTE, MAILBOX_A_DAY, TENANT_A_DAY = SendLimit


def ref_of(send: Send) -> SendRef:
    return SendRef(send.tenant_id, send.mailbox_id, send.id)


def shard_of(ref: SendRef) -> int:
    return hashlib.md5(ref.mailbox_id.encode(), usedforsecurity=False).digest()[0] % SHARDS_OF_SENDS


@dataclass
class InMemorySendStore:
    """The port `SendStore`."""

    world: World = field(default_factory=World)

    def create(self, send: Send, key: IdempotencyKey, caps: SendCaps, *, now: datetime) -> Send:
        with self.world.lock:
            first = self.find(send.tenant_id, key)
            if first is not None:
                return first
            box = (send.tenant_id, send.mailbox_id)
            record = self.world.record(box)
            if (
                record is None
                or record.mailbox.status is not MailboxStatus.ACTIVE
                or record.run_state.generation != send.generation
            ):
                raise ConflictError(ErrorCode.WRONG_STATE)
            self._count(send, caps, now.astimezone(UTC))
            self.world.sends.setdefault(box, {})[send.id] = send
            self.world.send_keys[send.tenant_id, key.digest] = ref_of(send), key.body_digest
            return send

    def _count(self, send: Send, caps: SendCaps, now: datetime) -> None:
        minute = now.replace(second=0, microsecond=0)
        day = minute.replace(hour=0, minute=0)
        people = len(send.recipients)
        of_day, of_minute = (send.mailbox_id, f"{day}"), (send.mailbox_id, f"{minute} minute")
        counts = [
            (of_day, people, caps.mailbox_a_day, day + timedelta(days=1), MAILBOX_A_DAY),
            ((None, f"{day}"), people, caps.tenant_a_day, day + timedelta(days=1), TENANT_A_DAY),
            (of_minute, 1, caps.mailbox_a_minute, minute + timedelta(minutes=1), MAILBOX_A_MINUTE),
        ]
        after = {
            (send.tenant_id, *window): self.world.sent.get((send.tenant_id, *window), 0) + more
            for window, more, *_ in counts
        }
        full = [
            (ends_at, limit)
            for (window, _, most, ends_at, limit) in counts
            if after[send.tenant_id, *window] > most
        ]
        if full:
            ends_at, limit = max(full, key=lambda one: one[0])
            raise LimitReachedError(
                ErrorCode.SEND_LIMIT_REACHED,
                retry_after_seconds=(ends_at - now).total_seconds(),
                limit=limit,
            )
        self.world.sent.update(after)

    def find(self, tenant_id: TenantId, key: IdempotencyKey) -> Send | None:
        ref, body_digest = self.world.send_keys.get((tenant_id, key.digest), (None, ""))
        send = self.get(ref) if ref else None
        if send is not None and body_digest != key.body_digest:
            raise ConflictError(ErrorCode.KEY_REUSED)
        return send

    def get(self, ref: SendRef) -> Send | None:
        return self.world.sends.get((ref.tenant_id, ref.mailbox_id), {}).get(ref.send_id)

    def list_sends(
        self, tenant_id: TenantId, mailbox_id: MailboxId, *, limit: int, before: SendId | None
    ) -> list[Send]:
        found = self.world.sends.get((tenant_id, mailbox_id), {})
        names = sorted((name for name in found if before is None or name < before), reverse=True)
        return [found[name] for name in names[:limit]]

    def take(self, ref: SendRef, *, now: datetime, seconds: int) -> Send:
        with self.world.lock:
            send = self.get(ref)
            due_at = send.comes_up_at if send else None
            if send is None or due_at is None or due_at > now:
                raise ConflictError(ErrorCode.LEASE_HELD)
            if self._was_disconnected_since(send):
                self._put(left_behind(send, now=now))
                raise ConflictError(ErrorCode.WRONG_STATE)
            after = taken(send, now=now, seconds=seconds)
            self._put(after)
            return after

    def write(self, send: Send, *, now: datetime) -> None:
        with self.world.lock:
            stands = self.get(ref_of(send))
            if stands is None or stands.attempt != send.attempt:
                raise stale("send")
            self._put(replace(send, arrival=stands.arrival))

    def cancel(self, ref: SendRef, *, now: datetime, code: ErrorCode | None = None) -> Send:
        with self.world.lock:
            send = self.get(ref)
            if send is None:
                raise RequestError(ErrorCode.SEND_NOT_FOUND)
            if send.status is SendStatus.CANCELLED:
                return send
            if not send.may_be_cancelled:
                raise ConflictError(ErrorCode.TOO_LATE)
            after = cancelled(send, now=now, code=code)
            self._put(after)
            return after

    def write_handing_over(self, send: Send, *, now: datetime) -> None:
        with self.world.lock:
            if self._was_disconnected_since(send):
                raise ConflictError(ErrorCode.WRONG_STATE)
            self.write(send, now=now)

    def _was_disconnected_since(self, send: Send) -> bool:
        box = (send.tenant_id, send.mailbox_id)
        first = self.world.first_generations.get(box, 0)
        return box not in self.world.run_states or send.generation < first

    def note_arrival(self, ref: SendRef, arrival: Arrival) -> None:
        with self.world.lock:
            send = self.get(ref)
            if send is not None and send.arrival is None:
                self._put(replace(send, arrival=arrival))

    def due(self, shard: int, *, now: datetime, limit: int) -> Sequence[SendRef]:
        with self.world.lock:
            found = [
                (at, send.id, ref_of(send))
                for sends in self.world.sends.values()
                for send in sends.values()
                if shard_of(ref_of(send)) == shard
                and (at := send.comes_up_at) is not None
                and at <= now
            ]
        return [ref for _, _, ref in sorted(found, key=lambda one: one[:2])[:limit]]

    def of_mailbox(self, tenant_id: TenantId, mailbox_id: MailboxId) -> Iterator[Send]:
        yield from list(self.world.sends.get((tenant_id, mailbox_id), {}).values())

    def _put(self, send: Send) -> None:
        self.world.sends[send.tenant_id, send.mailbox_id][send.id] = send


@dataclass
class InMemoryOutgoingStore:
    """The port `OutgoingStore`."""

    world: World = field(default_factory=World)

    def put(self, ref: SendRef, content: bytes) -> None:
        self.world.outgoing[ref] = content

    def get(self, ref: SendRef, digest: str) -> bytes | None:
        content = self.world.outgoing.get(ref)
        if content is None or hashlib.sha256(content).hexdigest() != digest:
            return None
        return content

    def delete(self, ref: SendRef) -> None:
        self.world.outgoing.pop(ref, None)
