"""How mail that was passed by comes in once somebody in it is a contact.

1. each sync run of a mailbox of contacts' mail alone looks into the log of added addresses, before
   it judges anything: what is added later is the next run's
2. where there are any, the end of the run writes a backfill with its own position in the log: one
   write, so that no address is passed over and none has two searches
3. its plan asks the provider for what those addresses take part in, up to where sync stands; its
   chunks judge the messages again, by their headers

A message that was judged before its contact was there lies before the position sync has by then, or
is judged again: a run that has not ended moved no position.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.backfill import OPEN, Backfill, BackfillKind, BackfillState
from shared.domain.contact_history import (
    MOST_SEARCHED,
    is_forgotten,
    rests_until,
    unheard,
)
from shared.domain.cursor import Cursor
from shared.domain.errors import CursorExpiredError, ErrorCode, RetryLaterError
from shared.domain.folders import Folder, is_active
from shared.domain.ids import Address, BackfillId, FolderId, ProviderMessageId, new_ulid
from shared.domain.lease import CLOCKS_DIFFER, Fence
from shared.domain.mailbox import FolderState, Mailbox
from shared.operations.folder_positions import cursor_of
from shared.ports.backfills import BackfillStore
from shared.ports.contacts import ContactStore
from shared.ports.policies import PolicyStore
from shared.ports.provider import MailSession
from shared.ports.stores import MailboxRecord, MailboxStore, MessageStore

CLOSED_FOR_NOW = timedelta(minutes=15)
"""So long a search waits for a folder that does not open: to compare one costs all its headers."""
MOST_READ_EACH = 1_000
"""Copies that are read one by one; of more messages it costs less to read all there are."""

Listed = list[tuple[FolderId, tuple[ProviderMessageId, ...]]]


@dataclass(frozen=True, slots=True)
class HeardOfContacts:
    """What a run found in the log: addresses in (`after`, `upto`], or none."""

    after: datetime | None = None
    """Set where there are some."""
    upto: datetime | None = None
    """Up to where the mailbox has looked after them once the run has ended; None: as before."""

    @property
    def has_begun(self) -> bool:
        """Whether the run's end begins a backfill."""
        return self.after is not None


def hear_of_contacts(
    record: MailboxRecord, *, now: datetime, contacts: ContactStore, backfills: BackfillStore
) -> HeardOfContacts:
    """Look into the log from a mailbox's position on: one query, and none where it keeps all mail.

    Who is added while a backfill of the kind is open, or rests are owed for it, waits.
    """
    mailbox, state = record.mailbox, record.run_state
    between = unheard(mailbox, state, now)
    if between is None:
        return HeardOfContacts()
    after, upto = between
    if state.history_again and (cut_off := _latest(record, backfills)) is not None:
        # What ended it was the mailbox's disconnecting, or nobody logging in again for long. One
        # that is known no longer ended well.
        is_whole = cut_off.state is BackfillState.DONE
        after = after if is_whole or cut_off.added_after is None else cut_off.added_after
    found = contacts.added_addresses(mailbox.tenant_id, after=after, upto=upto, limit=1)
    if not found and not is_forgotten(after, now):
        return HeardOfContacts(upto=upto)
    latest = _latest(record, backfills)
    rest = rests_until(latest) if latest else None
    if latest is not None and (latest.state in OPEN or (rest and rest > now)):
        return HeardOfContacts()
    return HeardOfContacts(after, upto)


def _latest(record: MailboxRecord, backfills: BackfillStore) -> Backfill | None:
    mailbox, history_id = record.mailbox, record.run_state.history_id
    if history_id is None:
        return None
    return backfills.get_backfill(mailbox.tenant_id, mailbox.id, history_id)


def history_to_search(mailbox: Mailbox, heard: HeardOfContacts, now: datetime) -> Backfill | None:
    """Return the backfill that brings in the history of what a run heard of, if of anything."""
    if heard.after is None:
        return None
    return Backfill(
        tenant_id=mailbox.tenant_id,
        mailbox_id=mailbox.id,
        id=BackfillId(new_ulid(now)),
        days=0,
        since=mailbox.history_from or mailbox.connected_at,
        state=BackfillState.PLANNING,
        created_at=now,
        generation=mailbox.generation,
        kind=BackfillKind.CONTACT_HISTORY,
        added_after=heard.after,
        added_upto=heard.upto,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySearch:
    """What planning such a backfill needs."""

    mailbox: Mailbox
    backfill: Backfill
    contacts: ContactStore
    policies: PolicyStore
    mailboxes: MailboxStore
    messages: MessageStore

    @classmethod
    def of(
        cls,
        mailbox: Mailbox,
        backfill: Backfill,
        *,
        contacts: ContactStore,
        policies: PolicyStore,
        mailboxes: MailboxStore,
        messages: MessageStore,
    ) -> "HistorySearch | None":
        """Return the search that a backfill is planned by; None for one of another kind."""
        if backfill.kind is not BackfillKind.CONTACT_HISTORY:
            return None
        return cls(
            mailbox=mailbox,
            backfill=backfill,
            contacts=contacts,
            policies=policies,
            mailboxes=mailboxes,
            messages=messages,
        )

    def list(self, session: MailSession, *, now: datetime) -> Listed:
        """Return what each followed folder may hold of the added addresses.

        Without those that somebody was given and lost again. Raises what a session and the stores
        raise, and `RetryLaterError(TAKING_STOCK)` while sync has not come to a folder's end, or may
        write again the position that a closed folder is to lose.
        """
        addresses = self._added()
        if addresses is not None and not addresses:
            return []
        mailbox = self.mailbox
        states = {
            state.folder.id: state
            for state in self.mailboxes.folders(mailbox.tenant_id, mailbox.id)
        }
        look = session.look({}, lambda folder: is_active(folder, mailbox.active_folders), now=now)
        listed: Listed = []
        closed: list[FolderState] = []
        for folder in look.folders:
            state = states.get(folder.id) if folder.id in look.followed else None
            cursor = cursor_of(mailbox, state) if state and not state.gone_at else None
            if state is None or cursor is None:
                # Sync compares it back to the date floor, and judges it as it is by now.
                continue
            if not session.is_settled(cursor):
                raise RetryLaterError(ErrorCode.TAKING_STOCK, retry_after_seconds=60)
            try:
                listed.append((folder.id, self._of_folder(session, folder, cursor, addresses)))
            except RetryLaterError as error:
                is_lasting = now - self.backfill.created_at >= CLOSED_FOR_NOW
                if error.code is not ErrorCode.FOLDER_UNAVAILABLE or not is_lasting:
                    raise
                closed.append(state)
        if closed:
            self._leave_to_sync(closed, now)
        return listed

    def _leave_to_sync(self, closed: Sequence[FolderState], now: datetime) -> None:
        """Have folders lose their positions, so that sync compares them once they open.

        Nobody knows when: the others do not wait for it. A run under way, which read the positions
        before, may write them again: then it is waited for, and they are asked for once more.
        """
        mailbox = self.mailbox
        fence = Fence(mailbox.tenant_id, mailbox.id, mailbox.generation)
        for state in closed:
            self.mailboxes.give_up_cursor(fence, state)
        record = self.mailboxes.get(mailbox.tenant_id, mailbox.id)
        held_until = record.run_state.lease_expires_at if record else None
        if held_until is not None and held_until > now:
            left = held_until - now + CLOCKS_DIFFER
            raise RetryLaterError(
                ErrorCode.TAKING_STOCK, retry_after_seconds=math.ceil(left.total_seconds())
            )

    def held(self, listed: Listed) -> frozenset[ProviderMessageId]:
        """Return those that are stored, consistently read."""
        mailbox = self.mailbox
        ids = [name for _, names in listed for name in names]
        if len(ids) > MOST_READ_EACH:
            return self.messages.live_ids(mailbox.tenant_id, mailbox.id)
        copies = self.messages.copies_by_id(mailbox.tenant_id, mailbox.id, ids)
        return frozenset(name for name, copy in copies.items() if copy.removed_at is None)

    def _added(self) -> Sequence[Address] | None:
        """Return the addresses to search for; None: so many, or so old, that all is looked at."""
        backfill, tenant_id = self.backfill, self.mailbox.tenant_id
        after, upto = backfill.added_after, backfill.added_upto
        if after is None or upto is None or is_forgotten(after, backfill.created_at):
            return None
        added = self.contacts.added_addresses(
            tenant_id, after=after, upto=upto, limit=MOST_SEARCHED + 1
        )
        if len(added) > MOST_SEARCHED:
            return None
        policy = self.policies.get_policy(tenant_id)
        known = self.contacts.contacts_by_address(tenant_id, added, policy=policy)
        wanted = (policy.written_as(one) for one in added if one in known)
        return list(dict.fromkeys(one for some in wanted for one in some))

    def _of_folder(
        self,
        session: MailSession,
        folder: Folder,
        cursor: Cursor,
        addresses: Sequence[Address] | None,
    ) -> tuple[ProviderMessageId, ...]:
        since = self.backfill.since
        try:
            if addresses is None:
                return session.list_window(folder, since=since, upto=cursor)
            # All at once: a search may go through all of a window, for one as for many.
            return session.search_window(folder, addresses, since=since, upto=cursor)
        except CursorExpiredError:
            # The folder was renumbered since: sync compares it from the same date floor on.
            return ()
