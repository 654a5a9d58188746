"""Which condition guards each turn of a send, and what is written together.

A send's item is written whole each time, on condition that its `version` is the one that was read:
a worker that takes it over can never miss what the one before noted at the last moment, above all
that it was about to send. What a worker writes itself is guarded by the number of its try alone, as
nobody else writes while that is the latest; cancelling raises it too, so that no late repetition of
a worker's write undoes it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from shared.aws.counts import Count, counting, day_of, minute_of
from shared.aws.fences import stale
from shared.aws.send_items import (
    arrival_text,
    document_of,
    forgotten_at,
    place_of,
    ref_of,
    send_item,
    send_of,
)
from shared.aws.state_changes import set_or_remove
from shared.aws.table import Table
from shared.aws.tables import DUE_INDEX, StateItem, mailbox_pk, state_key
from shared.aws.tables_of_sends import (
    SEND_PREFIX,
    SendItem,
    SendKeyItem,
    key_key,
    mailbox_count_key,
    send_due_key,
    send_key,
    send_slot,
    tenant_count_key,
)
from shared.domain.errors import (
    ConflictError,
    ErrorCode,
    LimitReachedError,
    RequestError,
    SendLimit,
    StoreThrottledError,
)
from shared.domain.ids import MailboxId, SendId, TenantId
from shared.domain.mailbox import MailboxStatus
from shared.domain.sending import Arrival, Send, SendStatus, cancelled, left_behind, taken
from shared.ports.sending import IdempotencyKey, SendCaps, SendRef

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_TRIES = 5
_FIRST, _LAST = " ", "\U0010ffff"


@dataclass(frozen=True, slots=True)
class DynamoSendStore:
    """The port `SendStore`."""

    table: Table

    # ---- what callers ask for ----

    def create(self, send: Send, key: IdempotencyKey, caps: SendCaps, *, now: datetime) -> Send:
        """Write send, key and counts beside a check of the mailbox; a key that is taken decides."""
        counts = _counts(send, caps, now)
        operations = [
            self.table.put_operation(
                _key_item(send, key, now=now),
                SendKeyItem.pk.does_not_exist() | (SendKeyItem.expires_at <= now.timestamp()),
            ),
            self.table.put_operation(
                send_item(send, key.digest, now=now), SendItem.pk.does_not_exist()
            ),
            self.table.check_operation(
                state_key(send.tenant_id, send.mailbox_id),
                (StateItem.status == MailboxStatus.ACTIVE)
                & (StateItem.generation == send.generation),
            ),
            *(counting(self.table, one) for _, one in counts),
        ]
        for _ in range(_TRIES):
            failed = self.table.transact(operations)
            if not failed:
                return send
            if failed & {0, 1}:
                first = self.find(send.tenant_id, key)
                if first is None:
                    continue
                return first
            if 2 in failed:  # noqa: PLR2004 - its place in the transaction
                raise ConflictError(ErrorCode.WRONG_STATE, cause="mailbox is not active")
            full = [one for place, one in enumerate(counts, 3) if place in failed]
            limit, last = max(full, key=lambda one: one[1].window.ends_at)
            raise LimitReachedError(
                ErrorCode.SEND_LIMIT_REACHED,
                retry_after_seconds=(last.window.ends_at - now).total_seconds(),
                limit=limit,
            )
        raise StoreThrottledError(cause="a key whose send is not there")

    def find(self, tenant_id: TenantId, key: IdempotencyKey) -> Send | None:
        """Read the key's item, then the send it names."""
        item = self.table.get(SendKeyItem, key_key(tenant_id, key.digest))
        if item is None:
            return None
        send = self.get(SendRef(tenant_id, MailboxId(item.mailbox_id), SendId(item.send_id)))
        if send is not None and item.body_digest != key.body_digest:
            raise ConflictError(ErrorCode.KEY_REUSED)
        return send

    def get(self, ref: SendRef) -> Send | None:
        """Read its item."""
        item = self.table.get(SendItem, send_key(ref))
        return send_of(item) if item else None

    def list_sends(
        self, tenant_id: TenantId, mailbox_id: MailboxId, *, limit: int, before: SendId | None
    ) -> list[Send]:
        """Read backwards from `before`."""
        upper = SEND_PREFIX + _LAST
        if before is not None:
            upper = send_key(SendRef(tenant_id, mailbox_id, before)).sk
        found = self.table.query(
            mailbox_pk(tenant_id, mailbox_id),
            between=(SEND_PREFIX, upper),
            newest_first=True,
            page=limit + 1,
        )
        sends = (send_of(SendItem.from_raw_data(raw)) for raw in found)
        return list(islice((one for one in sends if one.id != before), limit))

    def cancel(self, ref: SendRef, *, now: datetime, code: ErrorCode | None = None) -> Send:
        """Change the version it was read in, under the next number."""
        for _ in range(_TRIES):
            item = self.table.get(SendItem, send_key(ref))
            if item is None:
                raise RequestError(ErrorCode.SEND_NOT_FOUND)
            send = send_of(item)
            if send.status is SendStatus.CANCELLED:
                return send
            if not send.may_be_cancelled:
                raise ConflictError(ErrorCode.TOO_LATE)
            after = cancelled(send, now=now, code=code)
            if self.table.update(send_key(ref), _written(after, now), _unchanged(item)) is not None:
                return after
        raise StoreThrottledError(cause="send changes too fast to be cancelled")

    # ---- what workers do ----

    def take(self, ref: SendRef, *, now: datetime, seconds: int) -> Send:
        """Change the version it was read in, beside a check that nobody disconnected since."""
        item = self.table.get(SendItem, send_key(ref))
        send = send_of(item) if item else None
        due_at = send.comes_up_at if send else None
        if item is None or send is None or due_at is None or due_at > now:
            raise ConflictError(ErrorCode.LEASE_HELD)
        after = taken(send, now=now, seconds=seconds)
        failed = self.table.transact(
            [
                self._never_disconnected(send),
                self.table.update_operation(send_key(ref), _written(after, now), _unchanged(item)),
            ]
        )
        if 0 in failed:
            # Should somebody write meanwhile, it comes up again and is left behind then.
            behind = left_behind(send, now=now)
            self.table.update(send_key(ref), _written(behind, now), _unchanged(item))
            raise ConflictError(ErrorCode.WRONG_STATE, cause="mailbox was disconnected since")
        if failed:
            raise ConflictError(ErrorCode.LEASE_HELD)
        return after

    def write(self, send: Send, *, now: datetime) -> None:
        """Replace it where the number of the try is still the latest."""
        is_latest = SendItem.attempt == send.attempt
        if self.table.update(send_key(ref_of(send)), _written(send, now), is_latest) is None:
            raise stale("send")

    def write_handing_over(self, send: Send, *, now: datetime) -> None:
        """Replace it as `write`, beside the check of `take`."""
        is_latest = SendItem.attempt == send.attempt
        failed = self.table.transact(
            [
                self._never_disconnected(send),
                self.table.update_operation(send_key(ref_of(send)), _written(send, now), is_latest),
            ]
        )
        if 0 in failed:
            raise ConflictError(ErrorCode.WRONG_STATE, cause="mailbox was disconnected since")
        if failed:
            raise stale("send")

    def note_arrival(self, ref: SendRef, arrival: Arrival) -> None:
        """Set it once, beside all else: no worker's write touches it."""
        is_first = SendItem.pk.exists() & SendItem.arrived.does_not_exist()
        self.table.update(send_key(ref), [SendItem.arrived.set(arrival_text(arrival))], is_first)

    def due(self, shard: int, *, now: datetime, limit: int) -> Sequence[SendRef]:
        """Read a slot of the sparse index up to now."""
        found = self.table.query(
            send_slot(shard),
            index=(DUE_INDEX, "due_slot", "due_key"),
            between=(_FIRST, send_due_key(now, SendId(_LAST))),
            page=limit,
        )
        return [
            SendRef(
                TenantId(raw["tenant_id"]["S"]),
                MailboxId(raw["mailbox_id"]["S"]),
                SendId(raw["due_key"]["S"].partition("#")[2]),
            )
            for raw in islice(found, limit)
        ]

    def of_mailbox(self, tenant_id: TenantId, mailbox_id: MailboxId) -> Iterator[Send]:
        """Read them in one query."""
        for raw in self.table.query(mailbox_pk(tenant_id, mailbox_id), prefix=SEND_PREFIX):
            yield send_of(SendItem.from_raw_data(raw))

    def _never_disconnected(self, send: Send) -> "TransactWriteItemTypeDef":
        """Check that nobody disconnected its mailbox since it was asked for."""
        return self.table.check_operation(
            state_key(send.tenant_id, send.mailbox_id),
            StateItem.pk.exists()
            & (
                StateItem.first_generation.does_not_exist()
                | (StateItem.first_generation <= send.generation)
            ),
        )


def _key_item(send: Send, key: IdempotencyKey, *, now: datetime) -> SendKeyItem:
    where = key_key(send.tenant_id, key.digest)
    return SendKeyItem(
        where.pk,
        where.sk,
        mailbox_id=send.mailbox_id,
        send_id=send.id,
        body_digest=key.body_digest,
        # Never later than its send: a key without a send would be nobody's.
        expires_at=forgotten_at(send, now),
    )


def _counts(send: Send, caps: SendCaps, now: datetime) -> list[tuple[SendLimit, Count]]:
    today, this_minute = day_of(now), minute_of(now)
    tenant_id, mailbox_id, people = send.tenant_id, send.mailbox_id, len(send.recipients)
    of_day = mailbox_count_key(tenant_id, mailbox_id, today.name)
    of_minute = mailbox_count_key(tenant_id, mailbox_id, this_minute.name)
    of_tenant = tenant_count_key(tenant_id, today.name)
    return [
        (SendLimit.MAILBOX_A_DAY, Count(of_day, people, caps.mailbox_a_day, today)),
        (SendLimit.TENANT_A_DAY, Count(of_tenant, people, caps.tenant_a_day, today)),
        (SendLimit.MAILBOX_A_MINUTE, Count(of_minute, 1, caps.mailbox_a_minute, this_minute)),
    ]


def _written(send: Send, now: datetime) -> list[Action]:
    slot, due_key = place_of(send)
    return [
        SendItem.document.set(document_of(send)),
        SendItem.attempt.set(send.attempt),
        SendItem.version.add(1),
        SendItem.expires_at.set(forgotten_at(send, now)),
        set_or_remove(SendItem.due_slot, slot),
        set_or_remove(SendItem.due_key, due_key),
    ]


def _unchanged(item: SendItem) -> Condition:
    unchanged: Condition = SendItem.version == item.version
    return unchanged
