"""How erasures are kept, and what is written together with the first word of one.

The list of who is kept out is one item, guarded by a version, because every run that stores mail
reads it whole.
"""

import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from shared.aws.fences import stale
from shared.aws.kept_out import kept_out_of, until_value
from shared.aws.table import Table
from shared.aws.tables import Key, SettingsItem, StateItem, settings_key, state_key
from shared.aws.tables_of_erasures import (
    ERASURE_PREFIX,
    ErasureItem,
    ErasureOfItem,
    KeptOutItem,
    erasure_key,
    erasure_of_key,
    erasures_pk,
    kept_out_key,
)
from shared.domain.erasure import (
    MOST_KEPT_OUT,
    Erased,
    Erasure,
    ErasureKind,
    ErasureState,
    KeepsOut,
    KeptOut,
    ended,
)
from shared.domain.errors import ConflictError, ErrorCode, RequestError, StoreThrottledError
from shared.domain.ids import Address, ErasureId, MailboxId, TenantId, UserId
from shared.domain.mailbox import MailboxStatus
from shared.ports.erasures import ErasePage
from shared.ports.stores import MailboxRecord

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_TRIES = 5
_KEY_BYTES = 32
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class DynamoErasureStore:
    """The port `ErasureStore`."""

    table: Table

    def hash_key(self, tenant_id: TenantId) -> bytes:
        """Read it, or write one where there is none."""
        return bytes(self._list(tenant_id).key)

    def begin_mailbox(self, erasure: Erasure, closed: MailboxRecord) -> None:
        """Write the erasure and delete settings and state, together."""
        box = closed.mailbox
        of = erasure_of_key(box.tenant_id, box.id)
        generation = closed.run_state.generation
        still = (StateItem.generation == generation) & (
            StateItem.status == MailboxStatus.DISCONNECTED
        )
        failed = self.table.transact(
            [
                self.table.put_operation(_item(erasure), _new()),
                self.table.put_operation(
                    ErasureOfItem(of.pk, of.sk, erasure_id=erasure.id),
                    ErasureOfItem.erasure_id.does_not_exist(),
                ),
                self.table.delete_operation(state_key(box.tenant_id, box.id), still),
                self.table.delete_operation(
                    settings_key(box.tenant_id, box.id), SettingsItem.generation == generation
                ),
            ]
        )
        if failed and self.get_erasure(erasure.tenant_id, erasure.id) is None:
            raise stale("mailbox")

    def begin_person(
        self, erasure: Erasure, keeps_out: KeepsOut, *, require: Callable[[], None]
    ) -> None:
        """Write the erasure and the list, together."""
        for _ in range(_TRIES):
            stands = self._list(erasure.tenant_id)
            require()
            after = kept_out_of(stands).after(replace(erasure, keeps_out=keeps_out))
            if len(after.until) > MOST_KEPT_OUT:
                words = f"At most {MOST_KEPT_OUT} addresses are kept out: let some in again."
                raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("addresses", words)])
            put = self.table.put_operation(_item(erasure), _new())
            if not self.table.transact([put, self._rewrite(erasure.tenant_id, stands, after)]):
                return
            if self.get_erasure(erasure.tenant_id, erasure.id) is not None:
                return
        raise StoreThrottledError(cause="the list changes too fast to be written")

    def get_erasure(self, tenant_id: TenantId, erasure_id: ErasureId) -> Erasure | None:
        """Read its item."""
        item = self.table.get(ErasureItem, erasure_key(tenant_id, erasure_id))
        return _erasure(tenant_id, item) if item else None

    def erasure_of(self, tenant_id: TenantId, mailbox_id: MailboxId) -> Erasure | None:
        """Read which one it is, and that."""
        item = self.table.get(ErasureOfItem, erasure_of_key(tenant_id, mailbox_id))
        return self.get_erasure(tenant_id, ErasureId(item.erasure_id)) if item else None

    def list_erasures(
        self, tenant_id: TenantId, *, before: ErasureId | None, limit: int
    ) -> list[Erasure]:
        """Read backwards from `before`: their ids sort by time."""
        upper = erasure_key(tenant_id, before).sk if before else ERASURE_PREFIX + _LAST
        found = self.table.query(
            erasures_pk(tenant_id),
            between=(ERASURE_PREFIX, upper),
            newest_first=True,
            page=limit + 1,
        )
        items = (ErasureItem.from_raw_data(raw) for raw in found)
        erasures = (_erasure(tenant_id, item) for item in items if item.erasure_id != before)
        return list(islice(erasures, limit))

    def take_erasure(self, erasure: Erasure, *, owner: str, now: datetime, seconds: int) -> Erasure:
        """Lease it where it is free, or its holder's time is over."""
        is_free = (
            ErasureItem.lease_owner.does_not_exist()
            | (ErasureItem.lease_expires_at <= now)
            | (ErasureItem.lease_owner == owner)
        )
        after = self.table.update(
            _key(erasure),
            [
                ErasureItem.lease_owner.set(owner),
                ErasureItem.lease_expires_at.set(now + timedelta(seconds=seconds)),
            ],
            (ErasureItem.state == ErasureState.RUNNING) & is_free,
            returning="ALL_NEW",
        )
        if after is not None:
            return _erasure(erasure.tenant_id, ErasureItem.from_raw_data(after))
        stands = self.get_erasure(erasure.tenant_id, erasure.id)
        if stands is None or stands.state is not ErasureState.RUNNING:
            raise ConflictError(ErrorCode.WRONG_STATE, cause="not running")
        raise ConflictError(ErrorCode.LEASE_HELD)

    def count_erased(self, erasure: Erasure, owner: str, page: ErasePage) -> Erasure:
        """Write the sums and where they end, together."""
        after = replace(
            erasure,
            erased=erasure.erased + page.erased,
            counted_to=page.position,
            looked_to=page.looked_to,
        )
        self._as_owner(
            erasure,
            owner,
            [
                ErasureItem.erased.set(asdict(after.erased)),
                ErasureItem.counted_to.set(after.counted_to),
                ErasureItem.looked_to.set(after.looked_to),
            ],
        )
        return after

    def leave_erasure(self, erasure: Erasure, owner: str) -> None:
        """Drop the lease."""
        actions = [ErasureItem.lease_owner.remove(), ErasureItem.lease_expires_at.remove()]
        self.table.update(_key(erasure), actions, ErasureItem.lease_owner == owner)

    def finish_erasure(self, erasure: Erasure, owner: str, *, now: datetime) -> Erasure:
        """Write the end, and drop what named somebody."""
        self._as_owner(
            erasure,
            owner,
            [
                ErasureItem.state.set(ErasureState.DONE),
                ErasureItem.done_at.set(now),
                ErasureItem.addresses.remove(),
                ErasureItem.counted_to.remove(),
                ErasureItem.looked_to.remove(),
                ErasureItem.lease_owner.remove(),
                ErasureItem.lease_expires_at.remove(),
            ],
        )
        return ended(erasure, now)

    def let_in(self, erasure: Erasure) -> Erasure:
        """Make the list of all others' receipts, and say so in this one's, together.

        They are read after the list: what is added meanwhile changes its version.
        """
        for _ in range(_TRIES):
            stands = self._list(erasure.tenant_id)
            found = self.table.query(erasures_pk(erasure.tenant_id), prefix=ERASURE_PREFIX)
            all_of_them = (
                _erasure(erasure.tenant_id, ErasureItem.from_raw_data(raw)) for raw in found
            )
            others = (one for one in all_of_them if one.id != erasure.id)
            after = kept_out_of(stands).only(others)
            said = self.table.update_operation(
                _key(erasure), [ErasureItem.keeps_out.remove()], ErasureItem.erasure_id.exists()
            )
            if not self.table.transact([said, self._rewrite(erasure.tenant_id, stands, after)]):
                return replace(erasure, keeps_out=None)
        raise StoreThrottledError(cause="the list changes too fast to be written")

    def _list(self, tenant_id: TenantId) -> KeptOutItem:
        key = kept_out_key(tenant_id)
        for _ in range(_TRIES):
            item = self.table.get(KeptOutItem, key)
            if item is not None:
                return item
            made = KeptOutItem(
                key.pk, key.sk, key=secrets.token_bytes(_KEY_BYTES), until={}, version=1
            )
            self.table.put(made, KeptOutItem.version.does_not_exist())
        raise StoreThrottledError(cause="no key for hashes could be made")

    def _rewrite(
        self, tenant_id: TenantId, stands: KeptOutItem, after: KeptOut
    ) -> "TransactWriteItemTypeDef":
        begun = KeptOutItem.begun
        as_many_began = begun == stands.begun if stands.begun else begun.does_not_exist()
        return self.table.update_operation(
            kept_out_key(tenant_id),
            [
                KeptOutItem.until.set(until_value(after)),
                KeptOutItem.version.set(int(stands.version) + 1),
            ],
            (KeptOutItem.version == stands.version) & as_many_began,
        )

    def _as_owner(self, erasure: Erasure, owner: str, actions: list[Action]) -> None:
        if self.table.update(_key(erasure), actions, ErasureItem.lease_owner == owner) is None:
            raise stale("erasure")


def _new() -> Condition:
    new: Condition = ErasureItem.erasure_id.does_not_exist()
    return new


def _key(erasure: Erasure) -> Key:
    return erasure_key(erasure.tenant_id, erasure.id)


def _item(erasure: Erasure) -> ErasureItem:
    key = _key(erasure)
    return ErasureItem(
        key.pk,
        key.sk,
        erasure_id=erasure.id,
        kind=erasure.kind,
        state=erasure.state,
        requested_by=erasure.requested_by,
        requested_at=erasure.requested_at,
        settles_at=erasure.settles_at,
        mailbox_id=erasure.mailbox_id,
        address_hashes=list(erasure.address_hashes),
        addresses=list(erasure.addresses) or None,
        keeps_out=erasure.keeps_out,
        erased=asdict(erasure.erased),
        done_at=erasure.done_at,
    )


def _erasure(tenant_id: TenantId, item: ErasureItem) -> Erasure:
    return Erasure(
        tenant_id=tenant_id,
        id=ErasureId(item.erasure_id),
        kind=ErasureKind(item.kind),
        requested_by=UserId(item.requested_by),
        requested_at=item.requested_at,
        settles_at=item.settles_at,
        state=ErasureState(item.state),
        mailbox_id=MailboxId(item.mailbox_id) if item.mailbox_id else None,
        address_hashes=tuple(item.address_hashes),
        addresses=tuple(Address(one) for one in item.addresses or ()),
        keeps_out=KeepsOut(item.keeps_out) if item.keeps_out else None,
        erased=Erased(**item.erased),
        counted_to=item.counted_to or "",
        looked_to=item.looked_to or "",
        done_at=item.done_at,
    )
