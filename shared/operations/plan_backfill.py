"""Where history ends and news begins, and which messages a backfill brings in.

1. list the folders; for each active one take its position, unless sync has one already
2. list what was received in the window and lies before that position
3. write the chunks, then turn `planning` into `running`, then release the first

What lies after the position is sync's. Planning again from the start is harmless until the backfill
runs.
"""

import random
from dataclasses import replace

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
from shared.domain.folders import Folder, is_active
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.lease import Fence
from shared.domain.mailbox import FolderState, Mailbox, MailboxStatus
from shared.domain.run import RunReason
from shared.operations import access
from shared.operations.release_chunks import release_chunks
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.provider import MailProvider, MailSession
from shared.ports.queues import PlanRequest, SyncRequest, WorkQueues
from shared.ports.secrets import SecretStore
from shared.ports.stores import MailboxStore


def plan_backfill(
    request: PlanRequest,
    *,
    mailboxes: MailboxStore,
    backfills: BackfillStore,
    secrets: SecretStore,
    queues: WorkQueues,
    provider: MailProvider,
    clock: Clock,
    rng: random.Random,
) -> Backfill | None:
    """Plan a backfill and start it; return it as it stands, or None where there is none.

    A failure with a code leaves it planning, waiting for the sweeper. What is raised is a bug or
    our own store; the queue delivers the request again.
    """
    backfill = backfills.get_backfill(request.tenant_id, request.mailbox_id, request.backfill_id)
    record = mailboxes.get(request.tenant_id, request.mailbox_id)
    if backfill is None or record is None:
        return None
    if backfill.state is not BackfillState.PLANNING:
        return release_chunks(backfill, backfills=backfills, queues=queues)
    match record.mailbox.status:
        case MailboxStatus.ACTIVE:
            return _plan(
                record.mailbox,
                backfill,
                mailboxes=mailboxes,
                backfills=backfills,
                secrets=secrets,
                queues=queues,
                provider=provider,
                clock=clock,
                rng=rng,
            )
        case MailboxStatus.DISCONNECTED:
            return backfills.set_backfill_state(backfill, BackfillState.CANCELLED, now=clock.now())
        case _:
            # Connecting, or waiting for its user: the sweeper asks again.
            return backfill


def _plan(
    mailbox: Mailbox,
    backfill: Backfill,
    *,
    mailboxes: MailboxStore,
    backfills: BackfillStore,
    secrets: SecretStore,
    queues: WorkQueues,
    provider: MailProvider,
    clock: Clock,
    rng: random.Random,
) -> Backfill | None:
    fence = Fence(mailbox.tenant_id, mailbox.id, mailbox.generation)
    listed: list[tuple[FolderId, tuple[ProviderMessageId, ...]]] = []
    try:
        with provider.open(access.grant_of(mailbox, secrets=secrets)) as session:
            for folder, cursor in _positions(mailbox, fence, session, mailboxes, clock):
                listed.append((folder.id, _window(session, folder, backfill, cursor)))
    except StoreThrottledError:
        raise
    except MailroomError as error:
        # The sweeper asks again. A refused login is sync's to judge: it parks the mailbox with its
        # reason, and the plan waits for the reconnect.
        return _wait(backfill, error, backfills=backfills, clock=clock, rng=rng)
    chunks = plan_chunks(backfill.id, listed, size=CHUNK_SIZE)
    try:
        backfills.put_chunks(backfill, chunks)
        started = backfills.start_backfill(
            replace(
                backfill,
                chunks=len(chunks),
                planned=sum(len(chunk.ids) for chunk in chunks),
                started_at=clock.now(),
            )
        )
    except ConflictError:
        # Cancelled meanwhile, or another delivery of this request has planned it.
        return backfills.get_backfill(mailbox.tenant_id, mailbox.id, backfill.id)
    queues.send_syncs([SyncRequest(mailbox.tenant_id, mailbox.id, RunReason.CONTINUED)])
    return release_chunks(started, backfills=backfills, queues=queues)


def _wait(
    backfill: Backfill,
    error: MailroomError,
    *,
    backfills: BackfillStore,
    clock: Clock,
    rng: random.Random,
) -> Backfill:
    decision = decide(error, failures_before=0, now=clock.now(), rng=rng)
    if isinstance(decision, RetryAt):
        backfills.set_waiting(backfill, decision.at)
    return backfill


def _positions(
    mailbox: Mailbox, fence: Fence, session: MailSession, mailboxes: MailboxStore, clock: Clock
) -> list[tuple[Folder, Cursor]]:
    """Return each active folder with its cursor, setting a first one where there is none.

    Every folder is given its position before the first is listed: a message that moves meanwhile is
    either listed where it was or arrives where it went.
    """
    states = {state.folder.id: state for state in mailboxes.folders(mailbox.tenant_id, mailbox.id)}
    look = session.look(
        {}, lambda folder: is_active(folder, mailbox.active_folders), now=clock.now()
    )
    folders = [f for f in look.folders if is_active(f, mailbox.active_folders)]
    fresh: list[FolderState] = []
    for folder in folders:
        state = states.get(folder.id)
        if state is None or state.cursor is None:
            try:
                cursor = session.baseline(folder, now=clock.now())
            except RetryLaterError as error:
                if error.code is not ErrorCode.FOLDER_UNAVAILABLE:
                    raise
                continue
            fresh.append(FolderState(folder, cursor.encode()))
    # Right after one another: a sync run that finds some of them takes the others for new folders,
    # and brings in by itself what the backfill would.
    states |= {state.folder.id: mailboxes.add_folder(fence, state) for state in fresh}
    return [
        (folder, Cursor.decode(state.cursor))
        for folder in folders
        if (state := states.get(folder.id)) and state.cursor is not None
    ]


def _window(
    session: MailSession, folder: Folder, backfill: Backfill, cursor: Cursor
) -> tuple[ProviderMessageId, ...]:
    try:
        return session.list_window(folder, since=backfill.since, upto=cursor)
    except CursorExpiredError:
        # The folder was renumbered since: sync compares it from the same date floor on.
        return ()
    except RetryLaterError as error:
        if error.code is not ErrorCode.FOLDER_UNAVAILABLE:
            raise
        return ()
