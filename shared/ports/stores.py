"""What operations need to have kept, and under which conditions.

Every method may raise `StoreThrottledError` (asked to slow down, or out of reach) and
`StoreRefusedError` (not let in). A method that names a `Fence` raises `ConflictError(STALE_WRITE)`
and changes nothing when the fence has been passed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.domain.backfill import Backfill
from shared.domain.erasure import KeptOut
from shared.domain.ids import (
    Address,
    FolderId,
    MailboxId,
    MessageId,
    ProviderMessageId,
    RunId,
    TenantId,
    ThreadId,
    UserId,
)
from shared.domain.lease import Fence, Lease
from shared.domain.loops import Worked
from shared.domain.mailbox import FolderState, LatestError, Mailbox, MailboxStatus, RunState
from shared.domain.message import Body, Copy, Flags, Message
from shared.domain.run import Run


@dataclass(frozen=True, slots=True)
class MailboxRecord:
    """A mailbox with its run state, as read together and consistently."""

    mailbox: Mailbox
    run_state: RunState


@dataclass(frozen=True, slots=True)
class DueMailbox:
    """What the due index tells: enough to queue a run."""

    tenant_id: TenantId
    mailbox_id: MailboxId
    not_before: datetime | None


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """All that the one conditional write at the end of a sync run changes."""

    cursors: Mapping[FolderId, FolderState]
    """Folder states to write, with the cursors reached."""
    now: datetime
    run: Run | None
    """The run to record, or None for an idle poll nobody asked for."""
    status: MailboxStatus | None = None
    """A status to change to, or None to leave it."""
    inbound_error: LatestError | None = None
    failures: int = 0
    """Consecutive failed runs, this one included; 0: it ended well, whatever one folder did."""
    not_before: datetime | None = None
    due_slot: str | None = None
    has_news: bool = False
    """Whether the run found something: the mailbox is not quiet."""
    contacts_to: datetime | None = None
    """Up to where added addresses have been looked after by now, or None to leave it."""
    history: Backfill | None = None
    """The backfill of their history that begins with this, if there are any."""
    worked: Worked | None = None
    """How often was worked this hour, with this; None to leave it."""
    told: bool | None = None
    """Whether the provider's word brought the run, or False: it was silent about news."""


class MailboxStore(Protocol):
    """Mailboxes, their folders and run state."""

    def create(self, mailbox: Mailbox, run_state: RunState, identity: str) -> None:
        """Add a mailbox.

        `identity` names the account at its provider, once per tenant among connected mailboxes;
        raises `ConflictError(ALREADY_CONNECTED)` when it is taken, and
        `RequestError(ADDRESS_KEPT_OUT)` where all mail of its address is kept out.
        """
        ...

    def get(self, tenant_id: TenantId, mailbox_id: MailboxId) -> MailboxRecord | None:
        """Return the mailbox and its run state, consistently read, or None."""
        ...

    def list_mailboxes(self, tenant_id: TenantId) -> list[MailboxRecord]:
        """Return every mailbox of the tenant, in order of id (which is order of connection)."""
        ...

    def find(self, tenant_id: TenantId, identity: str) -> MailboxId | None:
        """Return the mailbox that holds `identity`, consistently read, or None."""
        ...

    def save_settings(self, mailbox: Mailbox) -> Mailbox:
        """Write the changeable settings where the stored version is `mailbox.version`.

        Return it with the next one. Status, errors, generation and run state are not touched.
        Raises `ConflictError(VERSION_CONFLICT)`.
        """
        ...

    def disconnect(self, tenant_id: TenantId, mailbox_id: MailboxId, identity: str) -> None:
        """End it in one transaction; repeating it changes nothing.

        Generation and fence raised, lease, due slot and errors dropped, identity freed.
        """
        ...

    def reconnect(self, mailbox: Mailbox, identity: str, due_slot: str) -> None:
        """In one transaction.

        Settings and status active, generation and fence raised, errors cleared, due slot set.
        `mailbox.generation` is the one found before. Raises `ConflictError(STALE_WRITE |
        ALREADY_CONNECTED)`, `RequestError(ADDRESS_KEPT_OUT)`.
        """
        ...

    def due(
        self, slot: str, *, start: MailboxId | None = None, end: MailboxId | None = None
    ) -> Iterator[DueMailbox]:
        """Yield a slot's mailboxes in order of id, from `start` and before `end` where given.

        Eventually consistent.
        """
        ...

    def request_run(self, tenant_id: TenantId, mailbox_id: MailboxId, run_id: RunId) -> RunId:
        """Note that somebody waits for a run; return `run_id`, or the one already waiting."""
        ...

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
        """Take the right to run the mailbox: raises the fence.

        A lease past its time may be taken over; then `previous_run_died`. Raises
        `ConflictError(LEASE_HELD)`, or `STALE_WRITE` for another generation.
        """
        ...

    def mark_suspect(self, lease: Lease, provider_message_id: ProviderMessageId | None) -> int:
        """Note what is about to be parsed (None: nothing); return how often before. Fenced."""
        ...

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
        """End a poll that found nothing, without a lease; rest until `not_before`.

        As in an outcome, but that a `due_slot` of None leaves it. One write unit (three at most
        with a rest or a slot), fenced by generation. Clears inbound error and failures too.
        """
        ...

    def finish_run(self, fence: Fence, outcome: SyncOutcome) -> None:
        """Write the outcome in one transaction and give the lease back. Fenced.

        `history` is written with it, and named in the run state.
        """
        ...

    def fail_without_lease(self, record: MailboxRecord, outcome: SyncOutcome) -> None:
        """Write the outcome of a poll that failed before it held a lease; fenced by generation."""
        ...

    def note_outbound(self, fence: Fence, error: LatestError | None) -> None:
        """Write the trouble with what goes out, or clear it (None), alone; fenced by generation."""
        ...

    def folders(self, tenant_id: TenantId, mailbox_id: MailboxId) -> list[FolderState]:
        """Return the folders as last listed, consistently read."""
        ...

    def add_folders(self, fence: Fence, states: Sequence[FolderState]) -> list[FolderState]:
        """Store first states of folders without a cursor, 99 at once; return those that stand."""
        ...

    def give_up_cursor(self, fence: Fence, state: FolderState) -> None:
        """Have a folder none, where it is still that of `state`. Fenced by its generation."""
        ...

    def primary(self, tenant_id: TenantId, user_id: UserId) -> MailboxId | None:
        """Return the user's primary mailbox."""
        ...

    def primary_of(self, tenant_id: TenantId, mailbox_id: MailboxId) -> list[UserId]:
        """Return the users whose primary mailbox it is, by their ids."""
        ...

    def set_primary(self, tenant_id: TenantId, user_id: UserId, mailbox_id: MailboxId) -> None:
        """Make it the user's primary."""
        ...


@dataclass(frozen=True, slots=True)
class NewCopy:
    """A message, the copy to be stored, where it is found, and its provider's thread if any."""

    message: Message
    body: Body
    copy: Copy
    index_addresses: tuple[Address, ...]
    provider_thread: str | None = None


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of an index. What else it knows lets more be read at once; it need not be all."""

    at: datetime
    message_id: MessageId
    folder_id: FolderId | None = None
    copies: frozenset[str] = field(default=frozenset(), compare=False)
    """`copy_ref`s of copies that hold it."""
    addresses: frozenset[Address] = field(default=frozenset(), compare=False)
    """Who takes part in it."""


@dataclass(frozen=True, slots=True)
class IndexPage:
    """A stretch of one index, newest first."""

    entries: Sequence[TimelineEntry]
    more: bool = False
    """Whether the index may go on; never so after none."""


class MessageStore(Protocol):
    """Messages, their copies and indexes."""

    def save(self, fence: Fence, new: Sequence[NewCopy]) -> frozenset[ProviderMessageId]:
        """Store messages and index entries, join their threads, then (fenced, last) add the copies.

        Repeating it changes nothing. Returns the ids that had no live copy before. A copy that has
        a newer flags version keeps it; one that was marked as removed lives again.

        Raises `StoreThrottledError` also for a message that is just being erased elsewhere.
        """
        ...

    def kept_out(self, tenant_id: TenantId) -> KeptOut:
        """Return whose mail was erased and is not to be stored again, consistently read.

        Nothing of theirs is deleted before every worker is over that may have read an older list.
        """
        ...

    def live_copies(
        self, tenant_id: TenantId, mailbox_id: MailboxId, *, ids_begin_with: str = ""
    ) -> dict[ProviderMessageId, Copy]:
        """Return the mailbox's live copies, consistently read, or those of a family of ids."""
        ...

    def live_ids(self, tenant_id: TenantId, mailbox_id: MailboxId) -> frozenset[ProviderMessageId]:
        """Return the ids of all live copies, consistently read; takes little memory."""
        ...

    def copies_by_id(
        self, tenant_id: TenantId, mailbox_id: MailboxId, ids: Sequence[ProviderMessageId]
    ) -> dict[ProviderMessageId, Copy]:
        """Return those of `ids` that have a copy, live or removed, consistently read."""
        ...

    def set_flags(self, fence: Fence, flags: Mapping[ProviderMessageId, Flags]) -> int:
        """Write flags of copies we hold where they differ and are not older.

        Return how many changed. Fenced.
        """
        ...

    def place_copies(
        self,
        fence: Fence,
        placed: Mapping[ProviderMessageId, frozenset[FolderId]],
        *,
        now: datetime,
    ) -> int:
        """Write in which folders copies we hold are; return how many changed. Fenced.

        One that is in no folder is marked as removed, as of `now`, and the message stays; one that
        was removed lives again in those named.
        """
        ...

    def remove_copies(
        self,
        fence: Fence,
        folder_id: FolderId,
        ids: Iterable[ProviderMessageId],
        *,
        now: datetime,
        silently: bool = False,
    ) -> int:
        """Take copies out of one folder; return how many of them were in it. Fenced.

        One that is in no other folder is marked as removed; the message stays. `silently`: so that
        nobody is told of it.
        """
        ...

    def get_body(self, tenant_id: TenantId, message_id: MessageId) -> Body | None:
        """Return the readable part, or None where there is no such message."""
        ...

    def thread(self, tenant_id: TenantId, thread_id: ThreadId) -> list[TimelineEntry]:
        """Return entries of a thread and all it is one with, oldest first (may lag behind)."""
        ...

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
        """Return for each address up to `limit` messages, newest first, strictly after `before`.

        One request for each address, side by side (eventually consistent). Where many mailboxes
        hold a message there may be fewer messages on the page, though never none, and `more`.
        `also_of`: base forms, each like a further address that is all their other spellings.
        """
        ...

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
        """Return for each mailbox up to `limit` live copies, newest first, after `before`.

        One request for each, side by side (eventually consistent). `folder_id` is set.
        """
        ...


class AttachmentStore(Protocol):
    """Attachments by copy and digest, apart from messages; `holder` is a copy's `copy_ref`."""

    def put(
        self, tenant_id: TenantId, slices: Iterable[bytes], *, holder: str, limit: int
    ) -> tuple[str, int]:
        """Store the concatenation of `slices`, streamed; return (digest, size in bytes).

        Raises `UnreadableMessageError(MESSAGE_TOO_LARGE)` past `limit` bytes, storing nothing.
        """
        ...

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
        """Return a link to one object for `seconds`.

        It is served as a download under a safe name and type.
        """
        ...
