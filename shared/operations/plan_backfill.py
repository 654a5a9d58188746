"""Where history ends and news begins, and which messages a backfill brings in.

1. lease the planning: two planners would mix their chunks; wait for a sync run under way that may
   have begun before the date floor sank
2. list the folders; for each active one take its position, unless sync has one already
3. list what was received in the window and lies before that position
4. store the new positions; sync begins there. Where somebody else's was first, list up to that one
5. leave out what is held already, and count it
6. write the chunks, then turn `planning` into `running`, then release the first

A position is stored only when its folder's history is listed: a folder without one is new to sync,
which brings in all of it. Planning again from the start is harmless until the backfill runs.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ParamSpec, TypeVar

from shared.domain.backfill import CHUNK_SIZE, Backfill, BackfillState, plan_chunks
from shared.domain.cursor import Cursor
from shared.domain.errors import (
    ConflictError,
    CursorExpiredError,
    ErrorCode,
    MailroomError,
    RetryLaterError,
    StoreThrottledError,
)
from shared.domain.failure import RetryAt, decide
from shared.domain.folders import Folder, is_active, scope_of
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.lease import CLOCKS_DIFFER, LEASE_SECONDS, Fence
from shared.domain.ledger import Counts
from shared.domain.mailbox import FolderState, Mailbox, MailboxStatus, Provider
from shared.domain.pace import times_asked
from shared.domain.run import RunReason
from shared.operations.access import Grants
from shared.operations.release_chunks import release_chunks
from shared.operations.search_history import HistorySearch
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.contacts import ContactStore
from shared.ports.policies import PolicyStore
from shared.ports.provider import Look, MailProvider, MailSession
from shared.ports.queues import PlanRequest, SyncRequest, WorkQueues
from shared.ports.stores import MailboxRecord, MailboxStore, MessageStore

_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")

PLAN_SECONDS = 330
"""Longer than the function may run."""
MOST_FAILURES_COUNTED = 3
"""A host that is back has its plan within ten minutes."""
SESSION_SECONDS = 240.0
"""What listing may take of the function's time; the rest is for writing the chunks."""


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What planning came to, for the log."""

    backfill: Backfill | None = None
    error: MailroomError | None = None
    """Why it is put off."""


def plan_backfill(
    request: PlanRequest,
    *,
    mailboxes: MailboxStore,
    messages: MessageStore,
    backfills: BackfillStore,
    contacts: ContactStore,
    policies: PolicyStore,
    grants: Grants,
    queues: WorkQueues,
    provider_of: Callable[[Provider], MailProvider],
    clock: Clock,
    rng: random.Random,
) -> PlanReport:
    """Plan a backfill and start it; report it as it stands, or none where there is nothing to do.

    A failure with a code leaves it planning, waiting for the sweeper. What is raised is a bug or
    our own store; the queue delivers the request again.
    """
    backfill = backfills.get_backfill(request.tenant_id, request.mailbox_id, request.backfill_id)
    record = mailboxes.get(request.tenant_id, request.mailbox_id)
    if backfill is None or record is None:
        return PlanReport()
    if backfill.state is not BackfillState.PLANNING:
        provider = record.mailbox.provider
        now = clock.now()
        return PlanReport(
            release_chunks(backfill, provider, backfills=backfills, queues=queues, now=now)
        )
    match record.mailbox.status:
        case MailboxStatus.ACTIVE:
            return _plan(
                record,
                backfill,
                mailboxes=mailboxes,
                messages=messages,
                backfills=backfills,
                contacts=contacts,
                policies=policies,
                grants=grants,
                queues=queues,
                provider_of=provider_of,
                clock=clock,
                rng=rng,
            )
        case MailboxStatus.DISCONNECTED:
            return PlanReport(
                backfills.set_backfill_state(backfill, BackfillState.CANCELLED, now=clock.now())
            )
        case _:
            # Connecting, or waiting for its user: the sweeper asks again.
            return PlanReport(backfill)


def _plan(
    record: MailboxRecord,
    backfill: Backfill,
    *,
    mailboxes: MailboxStore,
    messages: MessageStore,
    backfills: BackfillStore,
    contacts: ContactStore,
    policies: PolicyStore,
    grants: Grants,
    queues: WorkQueues,
    provider_of: Callable[[Provider], MailProvider],
    clock: Clock,
    rng: random.Random,
) -> PlanReport:
    mailbox = record.mailbox
    search = HistorySearch.of(
        mailbox,
        backfill,
        contacts=contacts,
        policies=policies,
        mailboxes=mailboxes,
        messages=messages,
    )
    try:
        backfills.take_plan(backfill, now=clock.now(), seconds=PLAN_SECONDS)
    except ConflictError:
        # Another delivery of this request is at it, or was; had it died, the sweeper asks again.
        return PlanReport()
    try:
        if search is None:
            _require_floor_known(record, backfill, now=clock.now())
        grant = grants.of(mailbox)
        provider = provider_of(mailbox.provider)
        with provider.open(grant, seconds=SESSION_SECONDS) as session:
            if search is not None:
                listed = search.list(session, now=clock.now())
            else:
                listed = _history(mailbox, backfill, session, mailboxes=mailboxes, clock=clock)
        _require_same_choice(mailbox, mailboxes)
    except StoreThrottledError:
        raise
    except ConflictError:
        # A reconnect began another generation, or other folders were chosen: planned anew.
        backfills.set_waiting(backfill, None)
        queues.send_plan(PlanRequest(mailbox.tenant_id, mailbox.id, backfill.id))
        return PlanReport()
    except MailroomError as error:
        # The sweeper asks again. A refused login is sync's to judge: it parks the mailbox with its
        # reason, and the plan waits for the reconnect.
        _wait(backfill, error, backfills=backfills, clock=clock, rng=rng)
        return PlanReport(backfill, error)
    # After the listing: what sync stores meanwhile, a chunk recognises.
    held = search.held(listed) if search else messages.live_ids(mailbox.tenant_id, mailbox.id)
    missing = [(folder_id, [one for one in ids if one not in held]) for folder_id, ids in listed]
    size = max(1, CHUNK_SIZE // times_asked(mailbox.provider, mailbox.store))
    chunks = plan_chunks(backfill.id, missing, size=size)
    planned = sum(len(ids) for _folder_id, ids in listed)
    already_stored = planned - sum(len(chunk.ids) for chunk in chunks)
    try:
        backfills.put_chunks(backfill, chunks)
        started = backfills.start_backfill(
            replace(
                backfill,
                chunks=len(chunks),
                planned=planned,
                counts=Counts(listed=already_stored, already_stored=already_stored),
                started_at=clock.now(),
            )
        )
    except ConflictError:
        return PlanReport(_overtaken(backfill, backfills=backfills))
    if started.state is BackfillState.PAUSED:
        return PlanReport(_overtaken(backfill, backfills=backfills))
    if search is None:
        queues.send_syncs([SyncRequest(mailbox.tenant_id, mailbox.id, RunReason.CONTINUED)])
    now = clock.now()
    stands = release_chunks(started, mailbox.provider, backfills=backfills, queues=queues, now=now)
    return PlanReport(stands)


def _require_floor_known(record: MailboxRecord, backfill: Backfill, *, now: datetime) -> None:
    """Wait for a run that took its lease before the backfill: it may use the floor of that time.

    Where it ends, nobody looks for what lies between the two floors; so its end has to come before
    the positions that are listed up to. Whoever takes the lease later finds the new floor. The
    import a mailbox is connected with has lowered none, and no run is older than it.
    """
    held_until = record.run_state.lease_expires_at
    if held_until is None or backfill.created_at <= record.mailbox.connected_at:
        return
    taken_at = held_until - timedelta(seconds=LEASE_SECONDS)
    if held_until > now and taken_at <= backfill.created_at + CLOCKS_DIFFER:
        raise RetryLaterError(ErrorCode.TAKING_STOCK, retry_after_seconds=60)


def _require_same_choice(mailbox: Mailbox, mailboxes: MailboxStore) -> None:
    """Raise `ConflictError` where other folders have been chosen than those that were listed."""
    stands = mailboxes.get(mailbox.tenant_id, mailbox.id)
    if stands is not None and stands.mailbox.active_folders != mailbox.active_folders:
        raise ConflictError(ErrorCode.STALE_WRITE, cause="other folders were chosen")


def _overtaken(backfill: Backfill, *, backfills: BackfillStore) -> Backfill | None:
    """Return a backfill that was paused or cancelled while it was planned, as it stands."""
    stands = backfills.get_backfill(backfill.tenant_id, backfill.mailbox_id, backfill.id)
    if stands is not None and stands.state is BackfillState.PAUSED:
        # Whoever resumes it plans it at once.
        backfills.set_waiting(stands, None)
    return stands


def _wait(
    backfill: Backfill,
    error: MailroomError,
    *,
    backfills: BackfillStore,
    clock: Clock,
    rng: random.Random,
) -> None:
    now = clock.now()
    # A plan keeps no count of its failures; how long it has been trying tells as much.
    failures = min((now - backfill.created_at) // timedelta(minutes=5), MOST_FAILURES_COUNTED)
    decision = decide(error, failures_before=failures, now=now, rng=rng)
    until = decision.at if isinstance(decision, RetryAt) else None
    backfills.set_waiting(backfill, until, error.code)


def _history(
    mailbox: Mailbox,
    backfill: Backfill,
    session: MailSession,
    *,
    mailboxes: MailboxStore,
    clock: Clock,
) -> list[tuple[FolderId, tuple[ProviderMessageId, ...]]]:
    """Return what each followed folder holds of the window, and store the positions that are new.

    Every folder has its position taken before the first is listed: a message that moves meanwhile
    is either listed where it was or arrives where it went.
    """
    fence = Fence(mailbox.tenant_id, mailbox.id, mailbox.generation)
    states = {state.folder.id: state for state in mailboxes.folders(mailbox.tenant_id, mailbox.id)}
    look = session.look(
        {}, lambda folder: is_active(folder, mailbox.active_folders), now=clock.now()
    )
    _require_left(look, states.values())
    places = _positions(look, states, session, clock)
    if not all(session.is_settled(cursor) for _folder, cursor, _is_new in places):
        # Sync goes on taking them; what is listed before they are taken could move unseen.
        begun = [_state(mailbox, folder, cursor) for folder, cursor, is_new in places if is_new]
        mailboxes.add_folders(fence, begun)
        raise RetryLaterError(ErrorCode.TAKING_STOCK, retry_after_seconds=60)
    listed: dict[FolderId, tuple[ProviderMessageId, ...]] = {}
    fresh: list[FolderState] = []
    for folder, cursor, is_new in places:
        if not is_new:
            listed[folder.id] = _window(session, folder, backfill, cursor)
            continue
        window = _unless_closed(_window, session, folder, backfill, cursor)
        if window is not None:
            listed[folder.id] = window
            fresh.append(_state(mailbox, folder, cursor))
    # Those that are not followed too: a chunk has to know trash when it sees it.
    fresh += [
        FolderState(folder)
        for folder in look.folders
        if folder.id not in look.followed and folder.id not in states
    ]
    # All at once: a sync run that found some of them would take the others for new folders, and
    # bring in by itself what the backfill is for.
    standing = mailboxes.add_folders(fence, fresh)
    _require_left(look, standing)
    for state, stands in zip(fresh, standing, strict=True):
        if stands.cursor != state.cursor and stands.cursor is not None:
            end = Cursor.decode(stands.cursor)
            listed[state.folder.id] = _window(session, state.folder, backfill, end)
    return list(listed.items())


def _require_left(look: Look, states: Iterable[FolderState]) -> None:
    """Wait until sync has let go of folders nobody chooses any more.

    One that is chosen again is compared back to the date floor, this backfill's included; from a
    position that sync still kept, it would only be followed, and what this plan leaves out be lost.
    """
    listed = {folder.id for folder in look.folders}
    kept = {state.folder.id for state in states if state.cursor is not None}
    if kept & listed - look.followed:
        raise RetryLaterError(ErrorCode.TAKING_STOCK, retry_after_seconds=60)


def _positions(
    look: Look,
    states: Mapping[FolderId, FolderState],
    session: MailSession,
    clock: Clock,
) -> list[tuple[Folder, Cursor, bool]]:
    """Return each followed folder with its position, and whether that is new.

    Only where nobody has been yet are there new ones. A folder that is without one later on was
    made or chosen since: sync compares it, back to the date floor, and a line would cut that off.
    """
    places: list[tuple[Folder, Cursor, bool]] = []
    for folder in look.folders:
        if folder.id not in look.followed:
            continue
        state = states.get(folder.id)
        if state is not None and state.cursor is not None:
            places.append((folder, Cursor.decode(state.cursor), False))
        elif states:
            continue
        elif (baseline := _unless_closed(session.baseline, folder, now=clock.now())) is not None:
            places.append((folder, baseline, True))
    return places


def _state(mailbox: Mailbox, folder: Folder, cursor: Cursor) -> FolderState:
    return FolderState(folder, cursor.encode(), scope=scope_of(mailbox.active_folders))


def _unless_closed(
    ask: Callable[_Asked, _Answer], *given: _Asked.args, **named: _Asked.kwargs
) -> _Answer | None:
    """Return what `ask` says of a folder, or None where the server does not open it."""
    try:
        return ask(*given, **named)
    except RetryLaterError as error:
        if error.code is not ErrorCode.FOLDER_UNAVAILABLE:
            raise
        return None


def _window(
    session: MailSession, folder: Folder, backfill: Backfill, cursor: Cursor
) -> tuple[ProviderMessageId, ...]:
    try:
        return session.list_window(folder, since=backfill.since, upto=cursor)
    except CursorExpiredError:
        # The folder was renumbered since: sync compares it from the same date floor on.
        return ()
