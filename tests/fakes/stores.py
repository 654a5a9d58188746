"""Every store port over one shared `World` of dicts: what the contract suites hold the real ones to.

world = World()
mailboxes, messages = InMemoryMailboxStore(world), InMemoryMessageStore(world)
"""

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

from shared.domain.addresses import base_form
from shared.domain.audit import Audit
from shared.domain.backfill import (
    OPEN,
    RELEASING,
    Backfill,
    BackfillKind,
    BackfillState,
    Chunk,
    ChunkState,
)
from shared.domain.contact import MOST_CONTACTS_OF_AN_ADDRESS, Contact, KnownBy, contacts_of
from shared.domain.dead_letter import DeadLetter
from shared.domain.erasure import Erasure, KeptOut
from shared.domain.errors import (
    AddressFullError,
    ConflictError,
    ContactMergedError,
    ErrorCode,
    LimitReachedError,
    RequestError,
    UnreadableMessageError,
)
from shared.domain.identity import also_named
from shared.domain.ids import (
    Address,
    BackfillId,
    ContactId,
    ErasureId,
    FolderId,
    LetterId,
    MailboxId,
    MessageId,
    OpeningId,
    ProviderMessageId,
    RunId,
    SendId,
    TenantId,
    ThreadId,
    UserId,
)
from shared.domain.lease import Fence, Lease
from shared.domain.ledger import Counts
from shared.domain.mailbox import (
    FolderState,
    LatestError,
    Mailbox,
    MailboxStatus,
    Provider,
    PushState,
    RunState,
)
from shared.domain.message import Body, Copy, Flags, Message, News, copy_ref, place_of
from shared.domain.new_contacts import (
    MOST_MAIL_ADDS_TO,
    has_room_for_sender,
    id_of_sender,
    sender_ids_of,
)
from shared.domain.opening import Opening
from shared.domain.pending import told_flags, told_places
from shared.domain.policy import KEEPING, TenantPolicy
from shared.domain.push import after_run
from shared.domain.quotas import USUAL, Quotas
from shared.domain.run import Run
from shared.domain.sending import Send
from shared.domain.signature import Signature
from shared.domain.threads import MOST_THREADS_IN_ONE, ThreadRecord, least_of_all, without_record
from shared.ports.push import Listener
from shared.ports.sending import SendRef
from shared.ports.stores import (
    DueMailbox,
    IndexPage,
    MailboxRecord,
    NewCopy,
    SyncOutcome,
    TimelineEntry,
)

MOST_STRIKES = 250
MOST_NAMED_IN_ENTRY = 3
"""Few, so that who reads often has to ask for the rest."""

Box = tuple[TenantId, MailboxId]


def _audible(copy: Copy) -> Copy:
    lives = copy.removed_at is None and copy.news is News.SILENT
    return replace(copy, news=None) if lives else copy


def stale(cause: str = "") -> ConflictError:
    return ConflictError(ErrorCode.STALE_WRITE, cause=cause)


def wrong_state(cause: str = "") -> ConflictError:
    return ConflictError(ErrorCode.WRONG_STATE, cause=cause)


def strike(
    strikes: Mapping[str, int], survivor: str | None, suspect: str | None
) -> tuple[int, dict[str, int]]:
    """Take back the strike of the one that survived its reading, note the next one's.

    Return how often the next one was noted before, and the strikes to keep.
    """
    kept = dict(strikes)
    if survivor is not None and survivor != suspect and survivor in kept:
        kept[survivor] -= 1
        if not kept[survivor]:
            del kept[survivor]
    if suspect is None:
        return 0, kept
    before = kept.pop(suspect, 0)
    kept[suspect] = before + 1
    return before, dict(list(kept.items())[-MOST_STRIKES:])


@dataclass
class Conversation:
    """What hangs together by the messages stored so far."""

    names: set[str] = field(default_factory=set)
    threads: set[ThreadId] = field(default_factory=set)
    """Those with messages."""


@dataclass
class World:
    """All that is kept. A test may look at it and may set it up directly."""

    mailboxes: dict[Box, Mailbox] = field(default_factory=dict)
    run_states: dict[Box, RunState] = field(default_factory=dict)
    identities: dict[tuple[TenantId, str], MailboxId] = field(default_factory=dict)
    primaries: dict[tuple[TenantId, UserId], MailboxId] = field(default_factory=dict)
    folders: dict[Box, dict[FolderId, FolderState]] = field(default_factory=dict)
    runs: dict[Box, dict[RunId, Run]] = field(default_factory=dict)
    audits: dict[Box, Audit] = field(default_factory=dict)
    settled: dict[Box, set[ProviderMessageId]] = field(default_factory=dict)
    """What erasures of persons settled."""
    backfills: dict[Box, dict[BackfillId, Backfill]] = field(default_factory=dict)
    imports: dict[tuple[TenantId, date], int] = field(default_factory=dict)
    """How many a tenant began in a day."""
    chunks: dict[tuple[TenantId, MailboxId, BackfillId], dict[int, Chunk]] = field(
        default_factory=dict
    )
    messages: dict[tuple[TenantId, MessageId], Message] = field(default_factory=dict)
    bodies: dict[tuple[TenantId, MessageId], Body] = field(default_factory=dict)
    copies: dict[Box, dict[ProviderMessageId, Copy]] = field(default_factory=dict)
    index: dict[tuple[TenantId, Address], set[tuple[datetime, MessageId]]] = field(
        default_factory=dict
    )
    threads: dict[tuple[TenantId, ThreadId], ThreadRecord] = field(default_factory=dict)
    """Of those of which there is something to say."""
    conversations: dict[tuple[TenantId, str], Conversation] = field(default_factory=dict)
    """By each thread a message of theirs names, and by each provider's thread (with its mailbox)."""
    contacts: dict[tuple[TenantId, ContactId], Contact] = field(default_factory=dict)
    merged_contacts: dict[tuple[TenantId, ContactId], ContactId] = field(default_factory=dict)
    policies: dict[TenantId, TenantPolicy] = field(default_factory=dict)
    signatures: dict[tuple[TenantId, UserId], Signature] = field(default_factory=dict)
    openings: dict[Box, dict[OpeningId, Opening]] = field(default_factory=dict)
    unwanted: set[tuple[TenantId, ContactId]] = field(default_factory=set)
    made_contacts: dict[tuple[TenantId, date], int] = field(default_factory=dict)
    added_addresses: dict[TenantId, list[tuple[datetime, set[Address]]]] = field(
        default_factory=dict
    )
    attachments: dict[tuple[TenantId, str, str], bytes] = field(default_factory=dict)
    """By tenant, holder and digest."""
    letters: dict[Box, dict[LetterId, DeadLetter]] = field(default_factory=dict)
    raw_messages: dict[tuple[TenantId, MailboxId, LetterId], bytes] = field(default_factory=dict)
    erasures: dict[tuple[TenantId, ErasureId], Erasure] = field(default_factory=dict)
    erasure_leases: dict[ErasureId, tuple[str, datetime]] = field(default_factory=dict)
    kept_out: dict[TenantId, KeptOut] = field(default_factory=dict)
    sends: dict[Box, dict[SendId, Send]] = field(default_factory=dict)
    send_keys: dict[tuple[TenantId, str], tuple[SendRef, str]] = field(default_factory=dict)
    """By the key's digest: the send it has, and the digest of what was asked for."""
    sent: dict[tuple[TenantId, MailboxId | None, str], int] = field(default_factory=dict)
    """What was asked for in a day or a minute, of a mailbox or of a whole tenant."""
    outgoing: dict[SendRef, bytes] = field(default_factory=dict)
    first_generations: dict[Box, int] = field(default_factory=dict)
    """That of the latest disconnect."""
    changes: dict[Box, Any] = field(default_factory=dict)
    """Which mailboxes have changes pending; see `tests.fakes.changes`."""
    listeners: dict[tuple[Provider, str], dict[Box, Listener]] = field(default_factory=dict)
    """By a provider's key: whom a word with it is about."""
    suspect_fences: dict[Box, int] = field(default_factory=dict)
    plan_leases: dict[BackfillId, datetime] = field(default_factory=dict)
    suspect_attempts: dict[tuple[TenantId, MailboxId, BackfillId, int], int] = field(
        default_factory=dict
    )
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def check(self, fence: Fence) -> RunState:
        """Return the run state the fence still fits, or raise."""
        state = self.run_states.get((fence.tenant_id, fence.mailbox_id))
        if state is None or state.generation != fence.generation:
            raise stale("generation")
        if fence.fence is not None and state.fence != fence.fence:
            raise stale("fence")
        return state

    def record(self, box: Box) -> MailboxRecord | None:
        if box not in self.mailboxes:
            return None
        state = self.run_states[box]
        mailbox = replace(self.mailboxes[box], generation=state.generation)
        return MailboxRecord(mailbox, replace(state, strikes=dict(state.strikes)))


@dataclass
class InMemoryMailboxStore:
    """The port `MailboxStore`."""

    world: World = field(default_factory=World)
    quotas: Quotas = USUAL

    def create(self, mailbox: Mailbox, run_state: RunState, identity: str) -> None:
        box = (mailbox.tenant_id, mailbox.id)
        with self.world.lock:
            self._require_not_kept_out(mailbox)
            holder = self.world.identities.get((mailbox.tenant_id, identity))
            if holder == mailbox.id:
                return
            if holder is not None or box in self.world.mailboxes:
                raise ConflictError(ErrorCode.ALREADY_CONNECTED)
            self._require_place(mailbox)
            self.world.mailboxes[box] = mailbox
            self.world.run_states[box] = replace(run_state, generation=mailbox.generation)
            self.world.identities[mailbox.tenant_id, identity] = mailbox.id

    def _require_place(self, mailbox: Mailbox) -> None:
        held = {held for tenant, held in self._held() if tenant == mailbox.tenant_id}
        if mailbox.id not in held and len(held) >= self.quotas.mailboxes:
            raise RequestError(ErrorCode.MAILBOX_LIMIT_REACHED)

    def _held(self) -> Iterator[Box]:
        return ((tenant_id, held) for (tenant_id, _), held in self.world.identities.items())

    def _require_not_kept_out(self, mailbox: Mailbox) -> None:
        kept_out = self.world.kept_out.get(mailbox.tenant_id, KeptOut())
        if kept_out.is_for_ever(Address(mailbox.address)):
            raise RequestError(ErrorCode.ADDRESS_KEPT_OUT)

    def get(self, tenant_id: TenantId, mailbox_id: MailboxId) -> MailboxRecord | None:
        with self.world.lock:
            return self.world.record((tenant_id, mailbox_id))

    def list_mailboxes(self, tenant_id: TenantId) -> list[MailboxRecord]:
        with self.world.lock:
            boxes = sorted(box for box in self.world.mailboxes if box[0] == tenant_id)
            return [record for box in boxes if (record := self.world.record(box))]

    def find(self, tenant_id: TenantId, identity: str) -> MailboxId | None:
        return self.world.identities.get((tenant_id, identity))

    def save_settings(self, mailbox: Mailbox) -> Mailbox:
        box = (mailbox.tenant_id, mailbox.id)
        with self.world.lock:
            stored = self.world.mailboxes.get(box)
            if stored is None or stored.version != mailbox.version:
                raise ConflictError(ErrorCode.VERSION_CONFLICT)
            self.world.mailboxes[box] = replace(
                mailbox,
                version=mailbox.version + 1,
                status=stored.status,
                generation=stored.generation,
                inbound_error=stored.inbound_error,
                outbound_error=stored.outbound_error,
            )
            return replace(mailbox, version=mailbox.version + 1)

    def disconnect(self, tenant_id: TenantId, mailbox_id: MailboxId, identity: str) -> None:
        box = (tenant_id, mailbox_id)
        with self.world.lock:
            stored = self.world.mailboxes.get(box)
            if stored is None or stored.status is MailboxStatus.DISCONNECTED:
                return
            state = self.world.run_states[box]
            self.world.mailboxes[box] = replace(
                stored,
                status=MailboxStatus.DISCONNECTED,
                generation=state.generation + 1,
                inbound_error=None,
                outbound_error=None,
            )
            self.world.first_generations[box] = state.generation + 1
            self.world.run_states[box] = replace(
                state,
                generation=state.generation + 1,
                fence=state.fence + 1,
                lease_owner=None,
                lease_expires_at=None,
                suspect=None,
                strikes={},
                due_slot=None,
                not_before=None,
                requested_run_id=None,
            )
            self._free_identities(box)

    def reconnect(self, mailbox: Mailbox, identity: str, due_slot: str) -> None:
        box = (mailbox.tenant_id, mailbox.id)
        with self.world.lock:
            self._require_not_kept_out(mailbox)
            stored = self.world.mailboxes.get(box)
            state = self.world.run_states.get(box)
            if stored is None or state is None or state.generation != mailbox.generation:
                raise stale("generation")
            if stored.version != mailbox.version:
                raise stale("version")
            if self.world.identities.get((mailbox.tenant_id, identity), mailbox.id) != mailbox.id:
                raise ConflictError(ErrorCode.ALREADY_CONNECTED)
            self._require_place(mailbox)
            self._free_identities(box)
            self.world.identities[mailbox.tenant_id, identity] = mailbox.id
            self.world.mailboxes[box] = replace(
                mailbox,
                status=MailboxStatus.ACTIVE,
                generation=state.generation + 1,
                version=mailbox.version + 1,
                inbound_error=None,
                outbound_error=None,
            )
            self.world.run_states[box] = replace(
                state,
                generation=state.generation + 1,
                fence=state.fence + 1,
                lease_owner=None,
                lease_expires_at=None,
                suspect=None,
                strikes={},
                due_slot=due_slot,
                not_before=None,
                failures=0,
                history_again=True,
                push=PushState(state.push.watch),
            )

    def _free_identities(self, box: Box) -> None:
        held = [
            key
            for key, holder in self.world.identities.items()
            if key[0] == box[0] and holder == box[1]
        ]
        for key in held:
            del self.world.identities[key]

    def due(
        self, slot: str, *, start: MailboxId | None = None, end: MailboxId | None = None
    ) -> Iterator[DueMailbox]:
        with self.world.lock:
            found = [
                DueMailbox(tenant_id, mailbox_id, state.not_before)
                for (tenant_id, mailbox_id), state in self.world.run_states.items()
                if state.due_slot == slot
                and (start is None or mailbox_id >= start)
                and (end is None or mailbox_id < end)
            ]
        yield from sorted(found, key=lambda due: due.mailbox_id)

    def request_run(self, tenant_id: TenantId, mailbox_id: MailboxId, run_id: RunId) -> RunId:
        box = (tenant_id, mailbox_id)
        with self.world.lock:
            state = self.world.run_states.get(box)
            if state is None:
                raise stale("no such mailbox")
            if state.requested_run_id is None:
                state = replace(state, requested_run_id=run_id)
                self.world.run_states[box] = state
            return state.requested_run_id or run_id

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
        box = (tenant_id, mailbox_id)
        with self.world.lock:
            state = self.world.check(Fence(tenant_id, mailbox_id, generation))
            held = state.lease_owner is not None and state.lease_owner != owner
            if held and state.lease_expires_at is not None and state.lease_expires_at > now:
                raise ConflictError(ErrorCode.LEASE_HELD)
            expires_at = now + timedelta(seconds=seconds)
            self.world.run_states[box] = replace(
                state, fence=state.fence + 1, lease_owner=owner, lease_expires_at=expires_at
            )
            return Lease(
                Fence(tenant_id, mailbox_id, generation, state.fence + 1),
                owner,
                expires_at,
                previous_run_died=held,
                suspect=state.suspect,
            )

    def mark_suspect(self, lease: Lease, provider_message_id: ProviderMessageId | None) -> int:
        box = (lease.fence.tenant_id, lease.fence.mailbox_id)
        with self.world.lock:
            state = self.world.check(lease.fence)
            ours = self.world.suspect_fences.get(box) == lease.fence.fence
            survivor = state.suspect if ours else None
            before, strikes = strike(state.strikes, survivor, provider_message_id)
            self.world.suspect_fences[box] = lease.fence.fence or 0
            self.world.run_states[box] = replace(
                state, suspect=provider_message_id, strikes=strikes
            )
            return before

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
        box = (record.mailbox.tenant_id, record.mailbox.id)
        with self.world.lock:
            state = self.world.check(Fence(*box, record.run_state.generation))
            self._require_active(box)
            self.world.run_states[box] = replace(
                state,
                push=after_run(state.push, now.replace(microsecond=0), told=told or None),
                due_slot=due_slot or state.due_slot,
                last_synced_at=now,
                not_before=not_before,
                failures=0,
                contacts_to=contacts_to or state.contacts_to,
                history_again=state.history_again and not contacts_to,
                worked=record.run_state.worked.again(now),
            )
            self.world.mailboxes[box] = replace(self.world.mailboxes[box], inbound_error=None)

    def finish_run(self, fence: Fence, outcome: SyncOutcome) -> None:
        box = (fence.tenant_id, fence.mailbox_id)
        with self.world.lock:
            self.world.check(fence)
            self._require_active(box)
            folders = self.world.folders.setdefault(box, {})
            folders.update(outcome.cursors)
            self._write_outcome(box, outcome)
            state = self.world.run_states[box]
            ended_well = not outcome.failures
            if (history := outcome.history) is not None:
                self.world.backfills.setdefault(box, {})[history.id] = history
            self.world.run_states[box] = replace(
                state,
                lease_owner=None,
                lease_expires_at=None,
                suspect=None,
                contacts_to=outcome.contacts_to or state.contacts_to,
                history_again=state.history_again and not outcome.contacts_to,
                history_id=history.id if history else state.history_id,
                strikes={} if ended_well else state.strikes,
                last_synced_at=outcome.now if ended_well else state.last_synced_at,
            )

    def fail_without_lease(self, record: MailboxRecord, outcome: SyncOutcome) -> None:
        box = (record.mailbox.tenant_id, record.mailbox.id)
        with self.world.lock:
            self.world.check(Fence(*box, record.run_state.generation))
            self._require_active(box)
            self._write_outcome(box, outcome)

    def note_outbound(self, fence: Fence, error: LatestError | None) -> None:
        with self.world.lock:
            self.world.check(fence)
            box = (fence.tenant_id, fence.mailbox_id)
            self.world.mailboxes[box] = replace(self.world.mailboxes[box], outbound_error=error)

    def _require_active(self, box: Box) -> None:
        if self.world.mailboxes[box].status is not MailboxStatus.ACTIVE:
            raise stale("status")

    def _write_outcome(self, box: Box, outcome: SyncOutcome) -> None:
        stored, state = self.world.mailboxes[box], self.world.run_states[box]
        run = outcome.run
        if run is not None:
            self.world.runs.setdefault(box, {})[run.id] = run
        self.world.mailboxes[box] = replace(
            stored, status=outcome.status or stored.status, inbound_error=outcome.inbound_error
        )
        waited_for = run is not None and run.id == state.requested_run_id
        self.world.run_states[box] = replace(
            state,
            failures=outcome.failures,
            not_before=outcome.not_before,
            due_slot=outcome.due_slot,
            worked=outcome.worked or state.worked,
            last_news_at=outcome.now if outcome.has_news else state.last_news_at,
            requested_run_id=None if waited_for else state.requested_run_id,
            push=after_run(state.push, outcome.now.replace(microsecond=0), told=outcome.told),
        )

    def folders(self, tenant_id: TenantId, mailbox_id: MailboxId) -> list[FolderState]:
        with self.world.lock:
            stored = self.world.folders.get((tenant_id, mailbox_id), {})
            return [stored[folder_id] for folder_id in sorted(stored)]

    def add_folders(self, fence: Fence, states: Sequence[FolderState]) -> list[FolderState]:
        with self.world.lock:
            self.world.check(fence)
            stored = self.world.folders.setdefault((fence.tenant_id, fence.mailbox_id), {})
            for state in states:
                standing = stored.get(state.folder.id)
                if standing is None or standing.cursor is None:
                    stored[state.folder.id] = state
            return [stored[state.folder.id] for state in states]

    def give_up_cursor(self, fence: Fence, state: FolderState) -> None:
        with self.world.lock:
            self.world.check(fence)
            stored = self.world.folders.setdefault((fence.tenant_id, fence.mailbox_id), {})
            standing = stored.get(state.folder.id)
            if standing is not None and standing.cursor == state.cursor:
                stored[state.folder.id] = replace(standing, cursor=None)

    def primary(self, tenant_id: TenantId, user_id: UserId) -> MailboxId | None:
        return self.world.primaries.get((tenant_id, user_id))

    def primary_of(self, tenant_id: TenantId, mailbox_id: MailboxId) -> list[UserId]:
        return sorted(
            user
            for (tenant, user), primary in self.world.primaries.items()
            if (tenant, primary) == (tenant_id, mailbox_id)
        )

    def set_primary(self, tenant_id: TenantId, user_id: UserId, mailbox_id: MailboxId) -> None:
        self.world.primaries[tenant_id, user_id] = mailbox_id


@dataclass
class InMemoryRunStore:
    """The port `RunStore`."""

    world: World = field(default_factory=World)

    def list_runs(
        self, tenant_id: TenantId, mailbox_id: MailboxId, *, limit: int, before: RunId | None
    ) -> list[Run]:
        with self.world.lock:
            runs = self.world.runs.get((tenant_id, mailbox_id), {})
            ids = sorted((i for i in runs if before is None or i < before), reverse=True)
            return [replace(runs[run_id], ledger={}) for run_id in ids[:limit]]

    def get_run(self, tenant_id: TenantId, mailbox_id: MailboxId, run_id: RunId) -> Run | None:
        return self.world.runs.get((tenant_id, mailbox_id), {}).get(run_id)


@dataclass
class InMemoryBackfillStore:
    """The port `BackfillStore`."""

    world: World = field(default_factory=World)
    quotas: Quotas = USUAL

    def create_backfill(self, backfill: Backfill) -> None:
        with self.world.lock:
            stored = self.world.backfills.setdefault((backfill.tenant_id, backfill.mailbox_id), {})
            if backfill.id in stored:
                return
            if self._another_is_open(backfill):
                raise wrong_state("another backfill is open")
            if backfill.kind is BackfillKind.IMPORT:
                self._count_today(backfill)
            stored[backfill.id] = backfill

    def _count_today(self, backfill: Backfill) -> None:
        day = backfill.created_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        begun = self.world.imports.get((backfill.tenant_id, day.date()), 0)
        if begun >= self.quotas.imports_a_day:
            left = day + timedelta(days=1) - backfill.created_at
            raise LimitReachedError(
                ErrorCode.IMPORT_LIMIT_REACHED, retry_after_seconds=left.total_seconds()
            )
        self.world.imports[backfill.tenant_id, day.date()] = begun + 1

    def create_running(self, backfill: Backfill, chunks: Sequence[Chunk]) -> None:
        with self.world.lock:
            self.world.check(Fence(backfill.tenant_id, backfill.mailbox_id, backfill.generation))
            stored = self.world.backfills.setdefault((backfill.tenant_id, backfill.mailbox_id), {})
            if backfill.id not in stored:
                stored[backfill.id] = backfill
                self._chunks(backfill).update({chunk.number: chunk for chunk in chunks})

    def _another_is_open(self, backfill: Backfill) -> bool:
        box = (backfill.tenant_id, backfill.mailbox_id)
        return backfill.kind is BackfillKind.IMPORT and any(
            other.state in OPEN and other.kind is BackfillKind.IMPORT and other.id != backfill.id
            for other in self.world.backfills.get(box, {}).values()
        )

    def get_backfill(
        self, tenant_id: TenantId, mailbox_id: MailboxId, backfill_id: BackfillId
    ) -> Backfill | None:
        return self.world.backfills.get((tenant_id, mailbox_id), {}).get(backfill_id)

    def list_backfills(self, tenant_id: TenantId, mailbox_id: MailboxId) -> list[Backfill]:
        with self.world.lock:
            stored = self.world.backfills.get((tenant_id, mailbox_id), {})
            return [stored[name] for name in sorted(stored, reverse=True)]

    def open_backfills(self) -> Iterator[Backfill]:
        with self.world.lock:
            found = [
                backfill
                for stored in self.world.backfills.values()
                for backfill in stored.values()
                if backfill.state in OPEN
            ]
        yield from found

    def take_plan(self, backfill: Backfill, *, now: datetime, seconds: int) -> None:
        with self.world.lock:
            if self._stored(backfill).state is not BackfillState.PLANNING:
                raise wrong_state("no longer planning")
            if self.world.plan_leases.get(backfill.id, now) > now:
                raise ConflictError(ErrorCode.LEASE_HELD)
            self.world.plan_leases[backfill.id] = now + timedelta(seconds=seconds)

    def put_chunks(self, backfill: Backfill, chunks: Sequence[Chunk]) -> None:
        with self.world.lock:
            if self._stored(backfill).state is not BackfillState.PLANNING:
                raise wrong_state("no longer planning")
            self._chunks(backfill).update({chunk.number: chunk for chunk in chunks})

    def start_backfill(self, backfill: Backfill) -> Backfill:
        with self.world.lock:
            stored = self._stored(backfill)
            if stored.state is not BackfillState.PLANNING:
                return stored
            done = backfill.chunks == 0
            return self._keep(
                replace(
                    stored,
                    state=BackfillState.DONE if done else BackfillState.RUNNING,
                    chunks=backfill.chunks,
                    planned=backfill.planned,
                    counts=without_zeros(backfill.counts),
                    started_at=backfill.started_at,
                    progressed_at=backfill.started_at,
                    ended_at=(backfill.ended_at or backfill.started_at) if done else None,
                    waiting_until=None,
                    code=None,
                )
            )

    def set_backfill_state(
        self,
        backfill: Backfill,
        state: BackfillState,
        *,
        now: datetime,
        code: ErrorCode | None = None,
    ) -> Backfill:
        with self.world.lock:
            stored = self._stored(backfill)
            if stored.state is not backfill.state:
                raise wrong_state(stored.state)
            if state in OPEN and self._another_is_open(backfill):
                raise wrong_state("another backfill is open")
            return self._keep(
                replace(
                    stored,
                    state=state,
                    code=code,
                    progressed_at=(
                        now if state in OPEN - {BackfillState.PAUSED} else stored.progressed_at
                    ),
                    ended_at=None if state in OPEN else now,
                    waiting_until=(
                        stored.waiting_until if state is BackfillState.WAITING else None
                    ),
                )
            )

    def set_waiting(
        self, backfill: Backfill, until: datetime | None, code: ErrorCode | None = None
    ) -> None:
        with self.world.lock:
            stored = self._stored(backfill)
            self.world.plan_leases.pop(backfill.id, None)
            state = stored.state
            if state in RELEASING:
                state = BackfillState.WAITING if until or code else BackfillState.RUNNING
            if state in OPEN - {BackfillState.PAUSED}:
                self._keep(replace(stored, state=state, waiting_until=until, code=code))

    def raise_released(self, backfill: Backfill, released: int) -> Backfill:
        with self.world.lock:
            stored = self._stored(backfill)
            if stored.released != backfill.released:
                return stored
            return self._keep(replace(stored, released=released))

    def get_chunk(
        self, tenant_id: TenantId, mailbox_id: MailboxId, backfill_id: BackfillId, number: int
    ) -> Chunk | None:
        return self.world.chunks.get((tenant_id, mailbox_id, backfill_id), {}).get(number)

    def open_chunks(self, backfill: Backfill) -> list[Chunk]:
        with self.world.lock:
            stored = self._chunks(backfill)
            return [
                stored[number]
                for number in sorted(stored)
                if number < backfill.released and stored[number].state is ChunkState.OPEN
            ]

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
        with self.world.lock:
            chunk = self._chunks(backfill).get(number)
            if chunk is None or chunk.state is ChunkState.DONE:
                raise wrong_state("chunk")
            held = chunk.lease_owner not in (None, owner)
            if held and chunk.lease_expires_at is not None and chunk.lease_expires_at > now:
                raise ConflictError(ErrorCode.LEASE_HELD)
            if chunk.not_before is not None and chunk.not_before > now:
                raise ConflictError(ErrorCode.LEASE_HELD)
            taken = self._keep_chunk(
                backfill,
                replace(
                    chunk,
                    attempts=chunk.attempts + 1,
                    lease_owner=owner,
                    lease_expires_at=now + timedelta(seconds=seconds),
                    position=chunk.position or position,
                ),
            )
            return replace(taken, previous_run_died=held)

    def mark_chunk_suspect(
        self, backfill: Backfill, chunk: Chunk, provider_message_id: ProviderMessageId | None
    ) -> int:
        with self.world.lock:
            stored = self._leased(backfill, chunk)
            key = (backfill.tenant_id, backfill.mailbox_id, backfill.id, chunk.number)
            ours = self.world.suspect_attempts.get(key) == chunk.attempts
            survivor = stored.suspect if ours else None
            before, strikes = strike(stored.strikes, survivor, provider_message_id)
            self.world.suspect_attempts[key] = chunk.attempts
            self._keep_chunk(
                backfill, replace(stored, suspect=provider_message_id, strikes=strikes)
            )
            return before

    def give_back_chunk(
        self, backfill: Backfill, chunk: Chunk, *, not_before: datetime | None
    ) -> None:
        with self.world.lock:
            try:
                stored = self._leased(backfill, chunk)
            except ConflictError:
                return
            self._keep_chunk(
                backfill,
                replace(
                    stored,
                    lease_owner=None,
                    lease_expires_at=None,
                    suspect=None,
                    not_before=not_before,
                    not_handed_over=chunk.not_handed_over,
                    worked=chunk.worked,
                ),
            )

    def put_off_chunk(
        self, backfill: Backfill, number: int, *, now: datetime, to: datetime
    ) -> bool:
        with self.world.lock:
            chunk = self._chunks(backfill).get(number)
            if chunk is None or chunk.state is ChunkState.DONE:
                return False
            times = (chunk.lease_expires_at if chunk.lease_owner else None, chunk.not_before)
            if any(at is not None and at > now for at in times):
                return False
            self._keep_chunk(backfill, replace(chunk, not_before=to))
            return True

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
        with self.world.lock:
            self.world.check(fence)
            current = self._chunks(backfill).get(chunk.number)
            if current is None or current.state is ChunkState.DONE:
                raise wrong_state("chunk is done")
            stored_chunk = self._leased(backfill, chunk)
            self._keep_chunk(
                backfill,
                replace(
                    stored_chunk,
                    state=ChunkState.DONE,
                    lease_owner=None,
                    lease_expires_at=None,
                    suspect=None,
                    strikes={},
                ),
            )
            self.world.runs.setdefault((backfill.tenant_id, backfill.mailbox_id), {})[run.id] = run
            stands = self._stored(backfill)
            after = stands.with_chunk(without_zeros(run.counts), now, paced_until=paced_until)
            return self._keep(after)

    def _stored(self, backfill: Backfill) -> Backfill:
        stored = self.get_backfill(backfill.tenant_id, backfill.mailbox_id, backfill.id)
        if stored is None:
            raise wrong_state("no such backfill")
        return stored

    def _keep(self, backfill: Backfill) -> Backfill:
        self.world.backfills[backfill.tenant_id, backfill.mailbox_id][backfill.id] = backfill
        return backfill

    def _chunks(self, backfill: Backfill) -> dict[int, Chunk]:
        key = (backfill.tenant_id, backfill.mailbox_id, backfill.id)
        return self.world.chunks.setdefault(key, {})

    def _keep_chunk(self, backfill: Backfill, chunk: Chunk) -> Chunk:
        self._chunks(backfill)[chunk.number] = chunk
        return chunk

    def _leased(self, backfill: Backfill, chunk: Chunk) -> Chunk:
        stored = self._chunks(backfill).get(chunk.number)
        if (
            stored is None
            or stored.state is ChunkState.DONE
            or stored.lease_owner is None
            or (stored.lease_owner, stored.attempts) != (chunk.lease_owner, chunk.attempts)
        ):
            raise stale("chunk lease")
        return stored


def without_zeros(counts: Counts) -> Counts:
    return replace(counts, skipped={name: n for name, n in counts.skipped.items() if n})


@dataclass
class InMemoryMessageStore:
    """The port `MessageStore`."""

    world: World = field(default_factory=World)

    def save(self, fence: Fence, new: Sequence[NewCopy]) -> frozenset[ProviderMessageId]:
        with self.world.lock:
            self.world.check(fence)
            box = (fence.tenant_id, fence.mailbox_id)
            copies = self.world.copies.setdefault(box, {})
            added = set()
            for one in new:
                item = replace(one, copy=self._with_news(fence.tenant_id, one))
                self._save_message(fence.tenant_id, item)
                self._join_threads(fence.tenant_id, item)
                name = item.copy.provider_message_id
                if name not in copies:
                    copies[name] = item.copy
                    added.add(name)
                elif copies[name].removed_at is not None:
                    standing = copies[name]
                    newer = max(item.copy.flags, standing.flags, key=lambda f: f.version)
                    copies[name] = replace(item.copy, flags=newer)
                    added.add(name)
                elif item.copy.flags.version > copies[name].flags.version:
                    self.set_flags(fence, {name: item.copy.flags})
            return frozenset(added)

    def _with_news(self, tenant_id: TenantId, new: NewCopy) -> Copy:
        stored = self.world.messages.get((tenant_id, new.message.id))
        own = copy_ref(new.copy.mailbox_id, new.copy.provider_message_id)
        mailboxes = {place_of(ref)[0] for ref in (stored.copies if stored else ()) if ref != own}
        if new.copy.news is News.NEW and new.copy.mailbox_id in mailboxes:
            return replace(new.copy, news=News.AGAIN)
        return new.copy

    def _save_message(self, tenant_id: TenantId, item: NewCopy) -> None:
        key = (tenant_id, item.message.id)
        ref = copy_ref(item.copy.mailbox_id, item.copy.provider_message_id)
        stored = self.world.messages.get(key)
        if stored is None:
            stored = item.message
            self.world.bodies[key] = item.body
        self.world.messages[key] = replace(stored, copies=stored.copies | {ref})
        for address in item.index_addresses:
            entries = self.world.index.setdefault((tenant_id, address), set())
            entries.add((stored.received_at, stored.id))

    def _join_threads(self, tenant_id: TenantId, item: NewCopy) -> None:
        message = item.message
        names = {message.thread_id, *also_named(tenant_id, message)}
        if item.provider_thread:
            names.add(f"{item.copy.mailbox_id}/{item.provider_thread}")
        ours = Conversation(set(names), {message.thread_id})
        for name in sorted(names):
            found = self.world.conversations.get((tenant_id, name))
            if found and len(ours.threads | found.threads) > MOST_THREADS_IN_ONE:
                ours.names.discard(name)
            elif found:
                ours.names |= found.names
                ours.threads |= found.threads
        for name in ours.names:
            self.world.conversations[tenant_id, name] = ours
        if len(ours.threads) == 1:
            return
        root = min(ours.threads)
        known = {
            one: self.world.threads.get((tenant_id, one), without_record(one))
            for one in ours.threads
        }
        least = least_of_all(one.least for one in known.values())
        for one, before in known.items():
            members = frozenset(ours.threads) - {root} if one == root else frozenset()
            self.world.threads[tenant_id, one] = replace(
                before, root=root, members=members, least=least
            )

    def kept_out(self, tenant_id: TenantId) -> KeptOut:
        return self.world.kept_out.get(tenant_id, KeptOut())

    def live_copies(
        self, tenant_id: TenantId, mailbox_id: MailboxId, *, ids_begin_with: str = ""
    ) -> dict[ProviderMessageId, Copy]:
        with self.world.lock:
            stored = self.world.copies.get((tenant_id, mailbox_id), {})
            return {
                name: copy
                for name, copy in stored.items()
                if name.startswith(ids_begin_with) and copy.removed_at is None
            }

    def live_ids(self, tenant_id: TenantId, mailbox_id: MailboxId) -> frozenset[ProviderMessageId]:
        return frozenset(self.live_copies(tenant_id, mailbox_id))

    def copies_by_id(
        self, tenant_id: TenantId, mailbox_id: MailboxId, ids: Sequence[ProviderMessageId]
    ) -> dict[ProviderMessageId, Copy]:
        with self.world.lock:
            copies = self.world.copies.get((tenant_id, mailbox_id), {})
            return {i: copies[i] for i in ids if i in copies}

    def set_flags(self, fence: Fence, flags: Mapping[ProviderMessageId, Flags]) -> int:
        with self.world.lock:
            self.world.check(fence)
            copies = self.world.copies.get((fence.tenant_id, fence.mailbox_id), {})
            return self._tell(copies, flags, lambda name: told_flags(copies[name], flags[name]))

    def place_copies(
        self,
        fence: Fence,
        placed: Mapping[ProviderMessageId, frozenset[FolderId]],
        *,
        now: datetime,
    ) -> int:
        with self.world.lock:
            self.world.check(fence)
            copies = self.world.copies.get((fence.tenant_id, fence.mailbox_id), {})
            return self._tell(
                copies, placed, lambda name: told_places(copies[name], placed[name], now=now)
            )

    def remove_copies(
        self,
        fence: Fence,
        folder_id: FolderId,
        ids: Iterable[ProviderMessageId],
        *,
        now: datetime,
        silently: bool = False,
    ) -> int:
        with self.world.lock:
            self.world.check(fence)
            copies = self.world.copies.get((fence.tenant_id, fence.mailbox_id), {})
            left = {
                name: theirs.folder_ids - {folder_id}
                for name in ids
                if name in copies
                and (theirs := copies[name].as_provider_has_it).removed_at is None
                and folder_id in theirs.folder_ids
            }
            removed = self.place_copies(fence, left, now=now)
            for name in left if silently else ():
                if copies[name].removed_at is not None:
                    copies[name] = replace(copies[name], news=News.SILENT)
            return removed

    @staticmethod
    def _tell(
        copies: dict[ProviderMessageId, Copy],
        names: Iterable[ProviderMessageId],
        told: Callable[[ProviderMessageId], Copy],
    ) -> int:
        after = {name: _audible(told(name)) for name in names if name in copies}
        changed = [name for name, copy in after.items() if copy != copies[name]]
        copies.update(after)
        return len(changed)

    def get_body(self, tenant_id: TenantId, message_id: MessageId) -> Body | None:
        return self.world.bodies.get((tenant_id, message_id))

    def thread(self, tenant_id: TenantId, thread_id: ThreadId) -> list[TimelineEntry]:
        with self.world.lock:
            threads = self.world.threads
            root = threads.get((tenant_id, thread_id), without_record(thread_id)).root
            known = threads.get((tenant_id, root), without_record(root))
            whole = {thread_id, root, *known.members}
            entries = [
                TimelineEntry(message.received_at, message.id, copies=message.copies)
                for (tenant, _), message in self.world.messages.items()
                if tenant == tenant_id and message.thread_id in whole
            ]
        return sorted(entries, key=_place)

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
        with self.world.lock:
            indexes = [self._entries(tenant_id, address) for address in addresses]
            indexes += [self._also(tenant_id, base) for base in also_of]
            return [newest(index, before, limit, since, until) for index in indexes]

    def _also(self, tenant_id: TenantId, base: Address) -> Iterator[TimelineEntry]:
        spelled = [
            address
            for tenant, address in self.world.index
            if tenant == tenant_id and address != base == base_form(address)
        ]
        return iter({entry for one in spelled for entry in self._entries(tenant_id, one)})

    def _entries(self, tenant_id: TenantId, address: Address) -> Iterator[TimelineEntry]:
        for at, message_id in self.world.index.get((tenant_id, address), set()):
            message = self.world.messages[tenant_id, message_id]
            yield TimelineEntry(
                at,
                message_id,
                copies=message.copies,
                addresses=frozenset(
                    [one.address for one in message.participants][:MOST_NAMED_IN_ENTRY]
                ),
            )

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
        with self.world.lock:
            return [
                newest(self._live(tenant_id, mailbox_id), before, limit, since, until)
                for mailbox_id in mailbox_ids
            ]

    def _live(self, tenant_id: TenantId, mailbox_id: MailboxId) -> Iterator[TimelineEntry]:
        for name, copy in self.world.copies.get((tenant_id, mailbox_id), {}).items():
            if copy.removed_at is None:
                yield TimelineEntry(
                    copy.received_at,
                    copy.message_id,
                    min(copy.folder_ids),
                    copies=frozenset({copy_ref(mailbox_id, name)}),
                )


def newest(
    entries: Iterable[TimelineEntry],
    before: TimelineEntry | None,
    limit: int,
    since: datetime | None,
    until: datetime | None,
) -> IndexPage:
    kept = [
        entry
        for entry in entries
        if (before is None or _place(entry) < _place(before))
        and (since is None or entry.at >= since)
        and (until is None or entry.at < until)
    ]
    kept.sort(key=_place, reverse=True)
    return IndexPage(kept[:limit], more=len(kept) > limit)


def _place(entry: TimelineEntry) -> tuple[datetime, MessageId, str]:
    return entry.at, entry.message_id, entry.folder_id or ""


@dataclass
class InMemoryAttachmentStore:
    """The ports `AttachmentStore` and `AttachmentReader`."""

    world: World = field(default_factory=World)

    def put(
        self, tenant_id: TenantId, slices: Iterable[bytes], *, holder: str, limit: int
    ) -> tuple[str, int]:
        content = b""
        for piece in slices:
            content += piece
            if len(content) > limit:
                raise UnreadableMessageError(ErrorCode.MESSAGE_TOO_LARGE)
        digest = hashlib.sha256(content).hexdigest()
        self.world.attachments[tenant_id, holder, digest] = content
        return digest, len(content)

    def get(self, tenant_id: TenantId, digest: str, *, holder: str) -> bytes | None:
        return self.world.attachments.get((tenant_id, holder, digest))

    def link(
        self,
        tenant_id: TenantId,
        digest: str,
        *,
        holder: str,
        filename: str,
        content_type: str,
        seconds: int,
    ) -> str:
        return (
            f"https://objects.invalid/{quote(tenant_id, safe='')}/{quote(holder, safe='')}/{digest}"
            f"?filename={quote(filename, safe='')}&type={quote(content_type, safe='')}"
            f"&expires={seconds}"
        )


@dataclass
class InMemoryContactStore:
    """The port `ContactStore`."""

    world: World = field(default_factory=World)

    def put_contact(self, contact: Contact, *, expected_version: int | None) -> Contact:
        with self.world.lock:
            stored = self.get_contact(contact.tenant_id, contact.id)
            version = stored.version if stored else 0
            contact = replace(
                contact,
                merged=stored.merged if stored else (),
                made_from_mail=stored.made_from_mail if stored else False,
            )
            new = replace(contact, version=version + 1)
            if expected_version is not None and expected_version != version:
                if stored == replace(contact, version=expected_version + 1):
                    return stored
                raise ConflictError(ErrorCode.VERSION_CONFLICT)
            self._refuse_full(stored, new)
            if added := set(new.addresses) - set(stored.addresses if stored else ()):
                self._log(new, added)
            self.world.contacts[contact.tenant_id, contact.id] = new
            return new

    def _refuse_full(self, before: Contact | None, new: Contact) -> None:
        added = sorted(set(new.addresses) - set(before.addresses if before else ()))
        for address in added:
            base = base_form(address)
            known = self.known(new.tenant_id, base)
            beside = sum(base_form(one) == base for one in added)
            going = sum(
                one.contact_id == new.id and one.address not in new.addresses for one in known
            )
            if len(known) + beside - going > max(len(known), MOST_CONTACTS_OF_AN_ADDRESS):
                raise AddressFullError(address, MOST_CONTACTS_OF_AN_ADDRESS)

    def merge_contacts(self, into: Contact, other: Contact, merged: Contact) -> bool:
        with self.world.lock:
            for one in (into, other):
                stored = self.world.contacts.get((one.tenant_id, one.id))
                if stored is None or stored.version != one.version:
                    return False
            self.world.contacts[into.tenant_id, into.id] = merged
            del self.world.contacts[other.tenant_id, other.id]
            for name in (*other.merged, other.id):
                self.world.merged_contacts[other.tenant_id, name] = into.id
            return True

    def get_contact(self, tenant_id: TenantId, contact_id: ContactId) -> Contact | None:
        if into := self.world.merged_contacts.get((tenant_id, contact_id)):
            raise ContactMergedError(into)
        return self.world.contacts.get((tenant_id, contact_id))

    def list_contacts(
        self, tenant_id: TenantId, *, after: ContactId | None, limit: int
    ) -> list[Contact]:
        with self.world.lock:
            ids = sorted(
                name
                for tenant, name in self.world.contacts
                if tenant == tenant_id and (after is None or name > after)
            )
            return [self.world.contacts[tenant_id, name] for name in ids[:limit]]

    def delete_contact(self, tenant_id: TenantId, contact_id: ContactId) -> bool:
        with self.world.lock:
            stored = self.get_contact(tenant_id, contact_id)
            if stored is None:
                return False
            del self.world.contacts[tenant_id, contact_id]
            for name in stored.merged:
                del self.world.merged_contacts[tenant_id, name]
            self.world.unwanted |= {(tenant_id, one) for one in sender_ids_of(stored)}
            return True

    def contacts_by_address(
        self, tenant_id: TenantId, addresses: Sequence[Address], *, policy: TenantPolicy = KEEPING
    ) -> dict[Address, list[ContactId]]:
        with self.world.lock:
            known = {one: self.known(tenant_id, base_form(one)) for one in addresses}
            found = {one: contacts_of(known[one], one, policy) for one in addresses}
            return {address: ids for address, ids in found.items() if ids}

    def unknown_senders(
        self, tenant_id: TenantId, senders: Mapping[ContactId, Address], policy: TenantPolicy
    ) -> frozenset[ContactId]:
        with self.world.lock:
            return frozenset(
                name
                for name, address in senders.items()
                if self._is_unknown(tenant_id, name, address, policy)
            )

    def create_for_sender(self, contact: Contact, policy: TenantPolicy) -> bool:
        with self.world.lock:
            (address,) = contact.addresses
            place = (contact.tenant_id, contact.id)
            if not self._is_unknown(*place, address, policy):
                return False
            known = self.known(contact.tenant_id, base_form(address))
            if not has_room_for_sender(known, KnownBy(contact.id, address)):
                raise AddressFullError(address, MOST_MAIL_ADDS_TO)
            self._log(contact, {address})
            self.world.contacts[place] = replace(contact, version=1)
            return True

    def reserve_made(self, tenant_id: TenantId, number: int, *, day: date, most: int) -> bool:
        with self.world.lock:
            made = self.world.made_contacts.get((tenant_id, day), 0) + number
            if made > most:
                return False
            self.world.made_contacts[tenant_id, day] = made
            return True

    def _is_unknown(
        self, tenant_id: TenantId, name: ContactId, address: Address, policy: TenantPolicy
    ) -> bool:
        place = (tenant_id, name)
        if place in self.world.contacts or place in self.world.merged_contacts:
            return False
        if {place, (tenant_id, id_of_sender(tenant_id, address))} & self.world.unwanted:
            return False
        return not any(
            tenant == tenant_id
            and policy.address(address) in {policy.address(one) for one in contact.addresses}
            for (tenant, _), contact in self.world.contacts.items()
        )

    def _log(self, contact: Contact, added: set[Address]) -> None:
        log = self.world.added_addresses.setdefault(contact.tenant_id, [])
        log.append((contact.updated_at, added))

    def added_addresses(
        self, tenant_id: TenantId, *, after: datetime, upto: datetime, limit: int
    ) -> list[Address]:
        with self.world.lock:
            log = sorted(
                (at, sorted(added)) for at, added in self.world.added_addresses.get(tenant_id, ())
            )
            unique: dict[Address, None] = {}
            for at, added in log:
                if after < at <= upto and len(unique) < limit:
                    unique |= dict.fromkeys(added)
            return list(unique)

    def known(self, tenant_id: TenantId, base: Address) -> list[KnownBy]:
        """Return who has an address with this base form, and which."""
        return sorted(
            KnownBy(name, address)
            for (tenant, name), contact in self.world.contacts.items()
            for address in contact.addresses
            if tenant == tenant_id and base_form(address) == base
        )
