"""In which order one sync run works, so that a cursor never passes a message that is not stored.

1. read the mailbox; not active, told to wait, or worked for too often: nothing to do
2. log in and look: folders and their positions, one round trip
3. nothing changed: one small write, no lease, done
4. take the lease; read the date floor and the folder states again under it; in the mailbox's first
   run, where history is a backfill's, give each folder its first position
5. for each changed folder: list changes since its cursor, store added, flags, removed
6. only then one conditional write: cursors reached, run, latest error, lease given back

Dying anywhere before 6 repeats work and changes nothing twice: messages have derived ids, and what
is stored is recognised. A worker that lost its lease is refused at every write.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial

from shared.domain.errors import (
    CursorExpiredError,
    ErrorCode,
    MailroomError,
    RetryLaterError,
    StoreThrottledError,
)
from shared.domain.failure import GIVEN_UP_AFTER
from shared.domain.folders import Folder, is_active
from shared.domain.ids import FolderId, RunId, new_ulid
from shared.domain.lease import LEASE_SECONDS, Lease
from shared.domain.ledger import BEFORE_HISTORY, Fate
from shared.domain.loops import RUNS_OF_A_MAILBOX
from shared.domain.mailbox import FolderState, Provider, StoredMail
from shared.domain.message import ALL_IS_NEWS
from shared.domain.pace import SYNC_SHARE, most_at_once
from shared.domain.schedule import AS_WISHED, Cadence, cadence_of, rest_until
from shared.operations.access import Grants
from shared.operations.folder_positions import (
    cursor_of,
    cursors,
    left_alone,
    listing_changed,
    news_since,
    reached,
    reset,
)
from shared.operations.gate import Gate
from shared.operations.gone_folders import forget_gone_folders
from shared.operations.held_copies import HeldCopies
from shared.operations.ingest import Ingest
from shared.operations.keep_watch import Watching
from shared.operations.look_again import take_changes
from shared.operations.meet_senders import senders_of
from shared.operations.note_dead_letters import DeadLetters
from shared.operations.outcomes import SyncReport, SyncRun, fail, same_before, succeed
from shared.operations.own_tests import OwnTests
from shared.operations.run_or_rest import is_dropped, loop_of
from shared.operations.search_history import HeardOfContacts, hear_of_contacts
from shared.operations.time_left import END_SECONDS, MARGIN_SECONDS, our_time_is_up
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.contacts import ContactStore
from shared.ports.dead_letters import DeadLetterStore
from shared.ports.parser import MessageParser
from shared.ports.policies import PolicyStore
from shared.ports.provider import Look, MailProvider, MailSession
from shared.ports.queues import SyncRequest, WorkQueues
from shared.ports.sending import SendStore
from shared.ports.stores import AttachmentStore, MailboxRecord, MailboxStore, MessageStore

PAGE_SIZE = 250
HEADERS_PAGE = 100
"""What is passed by is kept nowhere but in the page's end: one has to fit into a run."""
MESSAGES_PER_RUN = 1_000
"""What one run takes in at most; the rest follows at once in another run."""
_OF_ONE_FOLDER = {
    ErrorCode.FOLDER_UNAVAILABLE,
    ErrorCode.CURSOR_EXPIRED,
    ErrorCode.UIDVALIDITY_CHANGED,
}


def sync_mailbox(
    request: SyncRequest,
    *,
    mailboxes: MailboxStore,
    messages: MessageStore,
    attachments: AttachmentStore,
    letters: DeadLetterStore,
    contacts: ContactStore,
    policies: PolicyStore,
    sends: SendStore,
    backfills: BackfillStore,
    grants: Grants,
    queues: WorkQueues,
    provider_of: Callable[[Provider], MailProvider],
    parser: MessageParser,
    clock: Clock,
    rng: random.Random,
    remaining_seconds: Callable[[], float],
    gmail_units_per_minute: int = 6_000,
    runs_an_hour: int = RUNS_OF_A_MAILBOX,
    asked_at: datetime | None = None,
    cadence: Cadence = AS_WISHED,
    watching: Watching | None = None,
) -> SyncReport:
    """Bring one mailbox up to date. `asked_at`: when the request was sent, where that is known.

    `watching` None: no provider is to tell of changes.

    Every failure with a code ends here as the mailbox's latest error. What is raised is a bug, our
    own store, or our own time being up amid a message; the queue delivers the request again.
    """
    record = mailboxes.get(request.tenant_id, request.mailbox_id)
    now = clock.now()
    if record is not None and request.watch_ends and watching is not None:
        # Noted whatever becomes of this run: nobody says it again.
        record = watching.let_end(record, now)
    if record is None or is_dropped(record, request, asked_at, now, queues):
        return SyncReport("dropped")
    # What the request names may be answered already; the state knows whom somebody waits for.
    waiting_id = record.run_state.requested_run_id
    run = SyncRun(
        request=request,
        record=record,
        mailboxes=mailboxes,
        messages=messages,
        attachments=attachments,
        letters=letters,
        gate=Gate(request.tenant_id, messages, policies),
        senders=senders_of(record.mailbox, contacts=contacts, mailboxes=mailboxes, now=clock.now),
        tests=OwnTests(record.mailbox, sends, mailboxes, parser, clock.now),
        contacts=contacts,
        backfills=backfills,
        parser=parser,
        clock=clock,
        remaining_seconds=remaining_seconds,
        gmail_units_per_minute=gmail_units_per_minute,
        started_at=now,
        run_id=waiting_id or RunId(new_ulid(now)),
        cadence=cadence,
        watching=watching,
    )
    if (loop := loop_of(record, runs_an_hour, now)) is not None:
        return fail(run, loop, queues, rng)
    try:
        grant = grants.of(record.mailbox)
        provider = provider_of(record.mailbox.provider)
        with provider.open(grant, seconds=remaining_seconds() - END_SECONDS) as session:
            run.keep_watch(grant, session)
            if not _look_and_sync(run, session, somebody_waits=waiting_id is not None):
                return run.report("idle")
    except StoreThrottledError:
        # Our own trouble is not the mailbox's: no latest error, the queue delivers again.
        raise
    except MailroomError as error:
        if run.lease is None or not our_time_is_up(error, remaining_seconds()):
            return fail(run, error, queues, rng)
        if not run.cursors:
            raise
        # What was completed stands, and the rest follows in another run.
        run.more = True
    return succeed(run, queues)


def _look_and_sync(run: SyncRun, session: MailSession, *, somebody_waits: bool) -> bool:
    """Return False for a poll that found nothing and was ended by the small write."""
    mailbox = run.mailbox
    states = {
        state.folder.id: state for state in run.mailboxes.folders(mailbox.tenant_id, mailbox.id)
    }
    look = session.look(
        cursors(mailbox, states),
        lambda folder: is_active(folder, mailbox.active_folders),
        folders=[state.folder for state in states.values() if not state.gone_at],
        last_look_at=run.record.run_state.last_synced_at,
        now=run.started_at,
    )
    if look.unavailable:
        run.folder_error = RetryLaterError(ErrorCode.FOLDER_UNAVAILABLE, cause="no status came")
    run.heard = _hear(run, run.record)
    is_idle = not (look.changed or look.unavailable or listing_changed(look, states))
    is_idle = is_idle and not run.heard.has_begun
    if is_idle and not left_alone(look, states) and not somebody_waits:
        now = run.clock.now()
        news_at = run.record.run_state.last_news_at or mailbox.connected_at
        told = run.was_told
        slot = run.slot_after(now, told=told)
        rest = rest_until(mailbox.id, cadence_of(slot), now=now, last_news_at=news_at)
        run.mailboxes.finish_idle(
            run.record,
            now=now,
            not_before=rest,
            contacts_to=run.heard.upto,
            due_slot=None if slot == run.record.run_state.due_slot else slot,
            told=bool(told),
        )
        return False
    run.lease = run.mailboxes.take_lease(
        mailbox.tenant_id,
        mailbox.id,
        generation=mailbox.generation,
        # Never the run's id: the next run bears it too, and must find that this one died.
        owner=new_ulid(run.started_at),
        now=run.clock.now(),
        seconds=LEASE_SECONDS,
    )
    _take_floor(run)
    states = {
        state.folder.id: state for state in run.mailboxes.folders(mailbox.tenant_id, mailbox.id)
    }
    if mailbox.backfill_days and not states:
        states |= _draw_the_line(run, session, run.lease, look)
    for folder in look.folders:
        state = states.get(folder.id)
        if folder.id in look.changed:
            with _only_this_folder(run):
                _sync_folder(run, session, look, folder, state)
        elif state is None or state.folder != folder or state.gone_at:
            run.cursors[folder.id] = replace(
                state or FolderState(folder), folder=folder, gone_at=None
            )
    run.cursors |= {folder.id: FolderState(folder) for folder in left_alone(look, states)}
    forget_gone_folders(run, run.lease, look, states)
    return True


def _take_floor(run: SyncRun) -> None:
    """Read again the date floor, which an import may have sunk since, and whose mail is kept.

    An import's plan leaves to sync what comes after the positions it found, and waits only for runs
    whose lease is older. What an old choice passes by, nobody looks for.
    """
    stands = run.mailboxes.get(run.mailbox.tenant_id, run.mailbox.id)
    if stands is not None:
        now = stands.mailbox
        mailbox = replace(run.mailbox, history_from=now.history_from, store=now.store)
        run.record = replace(run.record, mailbox=mailbox)
        if run.heard.has_begun:
            # Another run may have begun the same meanwhile.
            run.heard = _hear(run, stands)


def _hear(run: SyncRun, record: MailboxRecord) -> HeardOfContacts:
    return hear_of_contacts(
        record, now=run.started_at, contacts=run.contacts, backfills=run.backfills
    )


def _draw_the_line(
    run: SyncRun, session: MailSession, lease: Lease, look: Look
) -> dict[FolderId, FolderState]:
    """Give every followed folder its position: what lies before it is history, a backfill's.

    Drawn by whoever comes first, planner or sync, and once: a folder that has a cursor keeps it. A
    plan that is cancelled, or fails for ever, holds up no news.
    """
    fresh: list[FolderState] = []
    for folder in look.folders:
        if folder.id in look.followed:
            with _only_this_folder(run):
                cursor = session.baseline(folder, now=run.started_at)
                fresh.append(reached(run.mailbox, folder, cursor))
    return {state.folder.id: state for state in run.mailboxes.add_folders(lease.fence, fresh)}


@contextmanager
def _only_this_folder(run: SyncRun) -> Iterator[None]:
    """Keep the trouble of one folder from the others."""
    try:
        yield
    except RetryLaterError as error:
        if error.code not in _OF_ONE_FOLDER:
            raise
        run.folder_error = error


def _sync_folder(
    run: SyncRun,
    session: MailSession,
    look: Look,
    folder: Folder,
    state: FolderState | None,
) -> None:
    mailbox, lease = run.mailbox, run.held_lease
    cursor = cursor_of(mailbox, state) if state else None
    if state is not None and state.cursor is not None and cursor is None:
        # Let go of it in a run of its own. One that compared, and died before it wrote where it is,
        # would leave the old position to whoever goes back to the old choice.
        run.cursors[folder.id] = FolderState(folder)
        run.more = True
        return
    mark_suspect = partial(run.mailboxes.mark_suspect, lease)
    ingest = Ingest(
        mailbox=mailbox,
        fence=lease.fence,
        session=session,
        parser=run.parser,
        messages=run.messages,
        attachments=run.attachments,
        ledger=run.ledger,
        remaining_seconds=run.remaining_seconds,
        folders={one.id: one for one in look.folders},
        since=mailbox.history_from,
        dead_letters=DeadLetters(
            fence=lease.fence,
            run_id=run.run_id,
            session=session,
            letters=run.letters,
            now=run.clock.now,
            remaining_seconds=run.remaining_seconds,
            kept_out=lambda: run.messages.kept_out(mailbox.tenant_id),
        ),
        gate=run.gate,
        contacts=run.contacts,
        senders=run.senders,
        tests=run.tests,
        gives_up=same_before(mailbox, ErrorCode.MESSAGE_UNAVAILABLE) >= GIVEN_UP_AFTER,
        mark_suspect=mark_suspect if lease.previous_run_died else None,
    )
    pace = most_at_once(mailbox.provider, run.gmail_units_per_minute, SYNC_SHARE, mailbox.store)
    # A careful run ends before it has met more killers than it can remember.
    most = int(min(PAGE_SIZE if lease.previous_run_died else MESSAGES_PER_RUN, pace))
    compared, more = False, True
    news_from = state.news_from if state else None
    while more:
        left = most - run.ledger.counts().listed
        if left <= 0 or run.remaining_seconds() < 2 * MARGIN_SECONDS:
            run.more = True
            return
        try:
            page = session.changes(
                folder,
                cursor,
                HeldCopies(mailbox, folder, run.messages),
                since=mailbox.history_from,
                limit=min(PAGE_SIZE if mailbox.store is StoredMail.ALL else HEADERS_PAGE, left),
                now=run.started_at,
            )
        except CursorExpiredError as error:
            if cursor is None:
                raise
            state = None if compared or state is None else reset(state, run.started_at)
            if state is None:
                raise RetryLaterError(error.code, cause="expires again and again") from error
            # One the provider no longer knows is replaced by a comparison of the folder.
            cursor, compared = None, True
            continue
        is_delta = news_from is None and cursor is not None and session.is_settled(cursor)
        news_from = None if is_delta else news_from or news_since(run.record)
        if not replace(ingest, news_from=news_from or ALL_IS_NEWS).take_in(folder, page.added):
            run.more = True
            return
        run.ledger.add(page.too_old)
        for name in page.too_old:
            run.ledger.settle(name, Fate.SKIPPED, BEFORE_HISTORY)
        take_changes(
            lease.fence,
            folder,
            page,
            messages=run.messages,
            ledger=run.ledger,
            now=run.clock.now(),
            compared=not is_delta,
        )
        cursor = page.next_cursor
        more = page.more
        if not more and session.is_settled(cursor):
            news_from = None
        run.cursors[folder.id] = reached(mailbox, folder, cursor, state, news_from=news_from)
