"""How a chunk finds what became of its messages while it fetched them.

Sync follows the mailbox beside a backfill. What it is told of a message that is not stored yet it
cannot apply, and it moves its cursor on: the chunk would then store a deleted message as present,
and nobody would tell of it again. So once its messages are stored, a chunk follows the changes from
where sync was when the chunk was first taken, and applies those of its own messages. Whatever comes
after that, sync applies, for they are stored by now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.cursor import Cursor
from shared.domain.errors import CursorExpiredError
from shared.domain.folders import Folder, is_wanted
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.lease import Fence
from shared.domain.ledger import Ledger
from shared.domain.mailbox import Mailbox
from shared.domain.message import Copy
from shared.ports.provider import ChangePage, MailSession
from shared.ports.stores import MailboxStore, MessageStore

_PAGE_SIZE = 1_000
_MOST_PAGES = 20
"""More changes than these during one chunk are left to the next comparison of the mailbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondLook:
    """The messages of one chunk, and what their folder's changes have to say of them."""

    fence: Fence
    mailbox: Mailbox
    folder: Folder
    folders: Mapping[FolderId, Folder]
    """All of the mailbox's, as last listed."""
    ids: Sequence[ProviderMessageId]
    position: str | None
    """The folder's cursor when the chunk was first taken."""
    mailboxes: MailboxStore
    messages: MessageStore
    ledger: Ledger

    def take(self, session: MailSession, *, now: datetime) -> None:
        """Apply what sync may have been told too early; asks nobody where it was told nothing."""
        if self.position is None or not self._sync_was_here(now):
            return
        cursor = Cursor.decode(self.position)
        if not session.is_settled(cursor):
            # Sync is still listing: what it lists later, it compares with what is stored by then.
            return
        for _ in range(_MOST_PAGES):
            try:
                page = session.changes(
                    self.folder, cursor, self, since=None, limit=_PAGE_SIZE, now=now
                )
            except CursorExpiredError:
                # Sync meets the same, and compares the folder.
                return
            scoped = replace(page, placed=self._scoped(page.placed))
            take_changes(
                self.fence, self.folder, scoped, messages=self.messages, ledger=self.ledger, now=now
            )
            cursor = page.next_cursor
            if not page.more:
                return

    def _scoped(
        self, placed: Mapping[ProviderMessageId, frozenset[FolderId]]
    ) -> dict[ProviderMessageId, frozenset[FolderId]]:
        """Place nowhere what is in no active folder: without a look an adapter does not know."""
        chosen = self.mailbox.active_folders
        return {
            name: places if is_wanted(places, self.folders, chosen) else frozenset()
            for name, places in placed.items()
        }

    def in_folder(self) -> Mapping[ProviderMessageId, Copy]:
        """See `KnownCopies.in_folder`, of the chunk's own messages."""
        held = self._read(self.ids)
        return {
            name: copy
            for name, copy in held.items()
            if copy.removed_at is None and self.folder.id in copy.folder_ids
        }

    def of(self, ids: Sequence[ProviderMessageId]) -> Mapping[ProviderMessageId, Copy]:
        """See `KnownCopies.of`, of the chunk's own messages."""
        own = set(self.ids)
        return self._read([name for name in ids if name in own])

    def _read(self, ids: Sequence[ProviderMessageId]) -> Mapping[ProviderMessageId, Copy]:
        place = self.fence.tenant_id, self.fence.mailbox_id
        held = self.messages.copies_by_id(*place, ids)
        return {name: copy.as_provider_has_it for name, copy in held.items()}

    def _sync_was_here(self, now: datetime) -> bool:
        """Whether a run moved the cursor on since the chunk was taken, or is about to."""
        tenant_id, mailbox_id = self.fence.tenant_id, self.fence.mailbox_id
        record = self.mailboxes.get(tenant_id, mailbox_id)
        if record is not None and record.run_state.lease_owner is not None:
            expires_at = record.run_state.lease_expires_at
            if expires_at is not None and expires_at > now:
                return True
        states = self.mailboxes.folders(tenant_id, mailbox_id)
        return any(
            state.folder.id == self.folder.id and state.cursor != self.position for state in states
        )


def take_changes(
    fence: Fence,
    folder: Folder,
    page: ChangePage,
    *,
    messages: MessageStore,
    ledger: Ledger,
    now: datetime,
    compared: bool = False,
) -> None:
    """Write what became of copies we hold: first where they are, as a removed one has no flags.

    `compared`: a comparison of the whole folder found it.
    """
    moved = {name: places for name, places in page.placed.items() if places}
    gone = {name: places for name, places in page.placed.items() if not places}
    ledger.moved += messages.place_copies(fence, moved, now=now)
    ledger.flags_changed += messages.set_flags(fence, page.flags)
    ledger.removed += messages.place_copies(fence, gone, now=now)
    ledger.removed += messages.remove_copies(
        fence, folder.id, page.removed, now=now, silently=compared
    )
