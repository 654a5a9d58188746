"""Which condition guards each change of a mailbox, and what is written together.

Settings and state are two items: people change the one, runs the other, and neither waits for the
other. All that the end of a run or of an idle poll turns on is in the state: one condition decides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import orjson
from pynamodb.expressions.condition import Condition

from shared.aws import first_folders, state_changes
from shared.aws.backfill_items import backfill_item
from shared.aws.fences import goes_on, stale, still_holds
from shared.aws.mailbox_items import (
    all_records_in,
    folder_item,
    folder_state,
    records_in,
    run_state,
    settings_document,
    settings_item,
    state_item,
)
from shared.aws.places import begin_in_a_place
from shared.aws.run_items import items_of_run
from shared.aws.table import MOST_IN_TRANSACTION, Table
from shared.aws.tables import (
    DUE_INDEX,
    FOLDER_PREFIX,
    MAILBOX_PREFIX,
    PRIMARY_PREFIX,
    FolderItem,
    Key,
    PointerItem,
    SettingsItem,
    StateItem,
    escape,
    identity_key,
    mailbox_pk,
    mailbox_sk,
    mailboxes_pk,
    primary_key,
    settings_key,
    state_key,
    unescape,
)
from shared.domain.errors import ConflictError, ErrorCode, StoreThrottledError
from shared.domain.ids import MailboxId, ProviderMessageId, RunId, TenantId, UserId
from shared.domain.lease import Fence, Lease
from shared.domain.mailbox import FolderState, LatestError, Mailbox, MailboxStatus, RunState
from shared.domain.quotas import USUAL, Quotas
from shared.ports.stores import DueMailbox, MailboxRecord, SyncOutcome

_TRIES = 5
_FOLDERS_IN_TRANSACTION = MOST_IN_TRANSACTION - 4
"""Beside the run's two items, the state and a backfill that begins."""


@dataclass(frozen=True, slots=True)
class DynamoMailboxStore:
    """The port `MailboxStore`."""

    table: Table
    quotas: Quotas = USUAL

    # ---- life ----

    def create(self, mailbox: Mailbox, run_state: RunState, identity: str) -> None:
        """Write settings, state and identity together."""
        new = SettingsItem.pk.does_not_exist()
        failed = begin_in_a_place(
            self.table,
            mailbox,
            identity,
            [
                self.table.put_operation(settings_item(mailbox, identity), new),
                self.table.put_operation(state_item(mailbox, run_state), new),
                self.table.put_operation(_pointer(mailbox, identity), new),
            ],
            most=self.quotas.mailboxes,
        )
        if failed and self.find(mailbox.tenant_id, identity) != mailbox.id:
            raise ConflictError(ErrorCode.ALREADY_CONNECTED)

    def get(self, tenant_id: TenantId, mailbox_id: MailboxId) -> MailboxRecord | None:
        """Read both items at once; read again where a reconnect was met half way."""
        for _ in range(_TRIES):
            found = list(self.table.query(mailboxes_pk(tenant_id), prefix=mailbox_sk(mailbox_id)))
            if not found:
                return None
            records = records_in(found)
            if records:
                return records[0]
        raise StoreThrottledError(cause="mailbox changes too fast to be read")

    def list_mailboxes(self, tenant_id: TenantId) -> list[MailboxRecord]:
        """Read the tenant's settings and states in one query."""
        found = list(self.table.query(mailboxes_pk(tenant_id), prefix=MAILBOX_PREFIX))
        return all_records_in(found, lambda name: self.get(tenant_id, name))

    def find(self, tenant_id: TenantId, identity: str) -> MailboxId | None:
        """Read the identity's own item."""
        item = self.table.get(PointerItem, identity_key(tenant_id, identity))
        return MailboxId(item.mailbox_id) if item else None

    def save_settings(self, mailbox: Mailbox) -> Mailbox:
        """Replace the document where the version is still the one read."""
        after = replace(mailbox, version=mailbox.version + 1)
        key = settings_key(mailbox.tenant_id, mailbox.id)
        document = settings_document(mailbox)
        actions = [
            SettingsItem.document.set(document),
            SettingsItem.version.set(after.version),
        ]
        if self.table.update(key, actions, SettingsItem.version == mailbox.version) is None:
            stands = self.table.get(SettingsItem, key)
            is_ours = stands and (stands.version, _plain(stands.document)) == (
                after.version,
                _plain(document),
            )
            if not is_ours:
                raise ConflictError(ErrorCode.VERSION_CONFLICT)
        return after

    def disconnect(self, tenant_id: TenantId, mailbox_id: MailboxId, identity: str) -> None:
        """Raise generation and fence, take it off the schedule and free its identity, together."""
        for _ in range(_TRIES):
            read = self._read_both(tenant_id, mailbox_id)
            if read is None or read[1].status == MailboxStatus.DISCONNECTED:
                return
            settings, state = read
            held = {identity_key(tenant_id, name) for name in (settings.identity, identity)}
            failed = self.table.transact(
                [
                    self.table.update_operation(
                        state_key(tenant_id, mailbox_id),
                        state_changes.disconnected(),
                        StateItem.generation == state.generation,
                    ),
                    self.table.update_operation(
                        settings_key(tenant_id, mailbox_id),
                        [SettingsItem.generation.set(int(state.generation) + 1)],
                        SettingsItem.pk.exists(),
                    ),
                    *(self.table.delete_operation(key, _free_for(mailbox_id)) for key in held),
                ]
            )
            if not failed:
                return
        raise StoreThrottledError(cause="mailbox changes too fast to be disconnected")

    def reconnect(self, mailbox: Mailbox, identity: str, due_slot: str) -> None:
        """Start the next generation with new settings, on the schedule, together."""
        tenant_id, mailbox_id = mailbox.tenant_id, mailbox.id
        read = self._read_both(tenant_id, mailbox_id)
        if read is None:
            raise stale("no such mailbox")
        settings = settings_item(replace(mailbox, version=mailbox.version + 1), identity)
        settings.generation = mailbox.generation + 1
        free = _free_for(mailbox_id)
        operations = [
            self.table.update_operation(
                state_key(tenant_id, mailbox_id),
                state_changes.reconnected(mailbox_id, due_slot),
                StateItem.generation == mailbox.generation,
            ),
            self.table.put_operation(settings, SettingsItem.version == mailbox.version),
            self.table.put_operation(_pointer(mailbox, identity), free),
        ]
        if read[0].identity != identity:
            operations.append(
                self.table.delete_operation(identity_key(tenant_id, read[0].identity), free)
            )
        most = self.quotas.mailboxes
        failed = begin_in_a_place(self.table, mailbox, identity, operations, most=most)
        if failed & {0, 1}:
            raise stale("generation or version")
        if failed:
            raise ConflictError(ErrorCode.ALREADY_CONNECTED)

    # ---- schedule and lease ----

    def due(
        self, slot: str, *, start: MailboxId | None = None, end: MailboxId | None = None
    ) -> Iterator[DueMailbox]:
        """Read a slot of the sparse index."""
        index = (DUE_INDEX, "due_slot", "due_key")
        for raw in self.table.query(slot, index=index, start=escape(start or "")):
            item = StateItem.from_raw_data(raw)
            if end is not None and item.due_key >= escape(end):
                return
            yield DueMailbox(TenantId(item.tenant_id), MailboxId(item.mailbox_id), item.not_before)

    def request_run(self, tenant_id: TenantId, mailbox_id: MailboxId, run_id: RunId) -> RunId:
        """Keep the id in a set of one, out of which the run that bears it takes it."""
        key = state_key(tenant_id, mailbox_id)
        nobody_waits = StateItem.pk.exists() & StateItem.waited_for.does_not_exist()
        for _ in range(_TRIES):
            if (
                self.table.update(key, [StateItem.waited_for.set({run_id})], nobody_waits)
                is not None
            ):
                return run_id
            stands = self.table.get(StateItem, key)
            if stands is None:
                raise stale("no such mailbox")
            waiting = run_state(stands).requested_run_id
            if waiting is not None:
                return waiting
        raise StoreThrottledError(cause="runs end too fast to be waited for")

    def take_lease(
        self,
        tenant_id: TenantId,
        mailbox_id: MailboxId,
        *,
        generation: int,
        owner: str,
        now: datetime,
        seconds: int,
    ) -> Lease:
        """Raise the fence where nobody holds the lease, its time is over, or the owner is the same.

        The same owner comes again when the answer to the first request was lost.
        """
        key = state_key(tenant_id, mailbox_id)
        is_free = (
            StateItem.lease_owner.does_not_exist()
            | (StateItem.lease_expires_at <= now)
            | (StateItem.lease_owner == owner)
        )
        before = self.table.update(
            key,
            state_changes.leased(owner, now, seconds),
            (StateItem.generation == generation) & is_free,
            returning="ALL_OLD",
        )
        if before is None:
            stands = self.table.get(StateItem, key)
            if stands is None or stands.generation != generation:
                raise stale("generation")
            raise ConflictError(ErrorCode.LEASE_HELD)
        old = run_state(StateItem.from_raw_data(before))
        return Lease(
            Fence(tenant_id, mailbox_id, generation, old.fence + 1),
            owner,
            now + timedelta(seconds=seconds),
            previous_run_died=old.lease_owner not in {None, owner},
            suspect=old.suspect,
        )

    def mark_suspect(self, lease: Lease, provider_message_id: ProviderMessageId | None) -> int:
        """Read and write: only the lease's holder marks, and the fence refuses anybody else."""
        fence = lease.fence
        key = state_key(fence.tenant_id, fence.mailbox_id)
        item = self.table.get(StateItem, key)
        if item is None or (item.generation, item.fence) != (fence.generation, fence.fence):
            raise stale("fence")
        before, strikes = state_changes.strike(
            item.strikes or {},
            survivor=item.suspect if item.suspect_fence == fence.fence else None,
            suspect=provider_message_id,
        )
        actions = state_changes.suspected(fence.fence, provider_message_id, strikes)
        if self.table.update(key, actions, still_holds(fence)) is None:
            raise stale("fence")
        return before

    # ---- ends of runs ----

    def finish_idle(
        self,
        record: MailboxRecord,
        *,
        now: datetime,
        not_before: datetime | None = None,
        contacts_to: datetime | None = None,
        due_slot: str | None = None,
        told: bool = False,
    ) -> None:
        """Write the time, and drop what a success ends; the item is under a kilobyte: one unit."""
        worked = record.run_state.worked.again(now)
        actions = state_changes.found_nothing(
            now, not_before, contacts_to, worked, due_slot=due_slot, told=told
        )
        if self.table.update(_key_of(record), actions, goes_on(_generation(record))) is None:
            raise stale("generation or status")

    def finish_run(self, fence: Fence, outcome: SyncOutcome) -> None:
        """Write cursors, run and state together; the state last where that takes several."""
        key = state_key(fence.tenant_id, fence.mailbox_id)
        folders = [
            self.table.put_operation(folder_item(fence.tenant_id, fence.mailbox_id, state))
            for state in outcome.cursors.values()
        ]
        check = self.table.check_operation(key, still_holds(fence))
        while len(folders) > _FOLDERS_IN_TRANSACTION:
            first, folders = folders[:_FOLDERS_IN_TRANSACTION], folders[_FOLDERS_IN_TRANSACTION:]
            if self.table.transact([check, *first]):
                raise stale("fence")
        begun = [backfill_item(outcome.history)] if outcome.history else []
        ran = [self.table.put_operation(item) for item in (*items_of_run(outcome.run), *begun)]
        update = self.table.update_operation(
            key, state_changes.ended(fence.mailbox_id, outcome), goes_on(fence)
        )
        if self.table.transact([update, *ran, *folders]):
            raise stale("fence")

    def fail_without_lease(self, record: MailboxRecord, outcome: SyncOutcome) -> None:
        """Write the run and the state together; no lease is touched and no cursor moves."""
        update = self.table.update_operation(
            _key_of(record),
            state_changes.failed(record.mailbox.id, outcome),
            goes_on(_generation(record)),
        )
        ran = [self.table.put_operation(item) for item in items_of_run(outcome.run)]
        if self.table.transact([update, *ran]):
            raise stale("generation")

    def note_outbound(self, fence: Fence, error: LatestError | None) -> None:
        """Write it alone: whoever syncs and whoever sends write each their own."""
        key = state_key(fence.tenant_id, fence.mailbox_id)
        if self.table.update(key, state_changes.outbound(error), still_holds(fence)) is None:
            raise stale("generation")

    # ---- folders and primary ----

    def folders(self, tenant_id: TenantId, mailbox_id: MailboxId) -> list[FolderState]:
        """Read the folders in one query."""
        found = self.table.query(mailbox_pk(tenant_id, mailbox_id), prefix=FOLDER_PREFIX)
        states = (folder_state(FolderItem.from_raw_data(raw)) for raw in found)
        return sorted(states, key=lambda state: state.folder.id)

    def add_folders(self, fence: Fence, states: Sequence[FolderState]) -> list[FolderState]:
        """Write those that have no cursor yet; see `first_folders`."""
        return first_folders.add(self.table, fence, states)

    def give_up_cursor(self, fence: Fence, state: FolderState) -> None:
        """Take it away where it is that one; see `first_folders`."""
        first_folders.give_up_cursor(self.table, fence, state)

    def primary(self, tenant_id: TenantId, user_id: UserId) -> MailboxId | None:
        """Read the user's own item."""
        item = self.table.get(PointerItem, primary_key(tenant_id, user_id))
        return MailboxId(item.mailbox_id) if item else None

    def primary_of(self, tenant_id: TenantId, mailbox_id: MailboxId) -> list[UserId]:
        """Read every user's own item: a tenant has as many as it has users at most."""
        found = self.table.query(mailboxes_pk(tenant_id), prefix=PRIMARY_PREFIX)
        ours = (raw["sk"]["S"] for raw in found if raw["mailbox_id"]["S"] == mailbox_id)
        return [UserId(unescape(sk.removeprefix(PRIMARY_PREFIX))) for sk in ours]

    def set_primary(self, tenant_id: TenantId, user_id: UserId, mailbox_id: MailboxId) -> None:
        """Write the user's own item."""
        key = primary_key(tenant_id, user_id)
        self.table.put(PointerItem(key.pk, key.sk, mailbox_id=mailbox_id))

    def _read_both(
        self, tenant_id: TenantId, mailbox_id: MailboxId
    ) -> tuple[SettingsItem, StateItem] | None:
        settings = self.table.get(SettingsItem, settings_key(tenant_id, mailbox_id))
        state = self.table.get(StateItem, state_key(tenant_id, mailbox_id))
        return (settings, state) if settings and state else None


def _pointer(mailbox: Mailbox, identity: str) -> PointerItem:
    key = identity_key(mailbox.tenant_id, identity)
    return PointerItem(key.pk, key.sk, mailbox_id=mailbox.id)


def _free_for(mailbox_id: MailboxId) -> Condition:
    nobodys = PointerItem.mailbox_id.does_not_exist()
    free: Condition = nobodys | (PointerItem.mailbox_id == mailbox_id)
    return free


def _key_of(record: MailboxRecord) -> Key:
    return state_key(record.mailbox.tenant_id, record.mailbox.id)


def _generation(record: MailboxRecord) -> Fence:
    mailbox = record.mailbox
    return Fence(mailbox.tenant_id, mailbox.id, record.run_state.generation)


def _plain(document: object) -> object:
    """Return a document as it reads once stored: tuples become lists, enums texts."""
    return orjson.loads(orjson.dumps(document))
