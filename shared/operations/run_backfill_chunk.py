"""In which order one chunk of a backfill works, so that it counts exactly once.

1. paused, cancelled, parked or done: nothing to do (a done one still releases the next)
2. take a place among the tenant's chunks at work; without one, wait for a turn
3. lease the chunk; it may run beside sync, guarded by the mailbox's generation
4. fetch and store what is missing
5. of a replay: remove the dead letters of what was read
6. one transaction: chunk done, run recorded, sums raised
7. give the place back, then release the next chunks
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.backfill import RELEASING, Backfill, BackfillKind, Chunk
from shared.domain.errors import ConflictError, ErrorCode, MailroomError, StoreThrottledError
from shared.domain.failure import GIVEN_UP_AFTER, RetryAt, decide
from shared.domain.ids import FolderId, RunId, new_ulid
from shared.domain.lease import CLOCKS_DIFFER, Fence
from shared.domain.ledger import Ledger
from shared.domain.loops import TRIES_OF_A_CHUNK
from shared.domain.mailbox import FolderState, Mailbox, MailboxStatus, Provider
from shared.domain.pace import BACKFILL_SHARE, rest_after
from shared.domain.run import Run, RunReason
from shared.operations.access import Grants
from shared.operations.gate import Gate
from shared.operations.ingest import Ingest
from shared.operations.look_again import SecondLook
from shared.operations.meet_senders import senders_of
from shared.operations.note_dead_letters import DeadLetters
from shared.operations.own_tests import OwnTests
from shared.operations.release_chunks import chunk_request, release_chunks
from shared.operations.replayed_chunk import ReplayedChunk
from shared.operations.tenant_turn import Turn, take_turn, wait_for_turn
from shared.operations.time_left import END_SECONDS, our_time_is_up
from shared.ports.backfills import BackfillStore, ChunkSlots
from shared.ports.clock import Clock
from shared.ports.contacts import ContactStore
from shared.ports.dead_letters import DeadLetterStore
from shared.ports.parser import MessageParser
from shared.ports.policies import PolicyStore
from shared.ports.provider import MailProvider
from shared.ports.queues import ChunkRequest, WorkQueues
from shared.ports.sending import SendStore
from shared.ports.stores import (
    AttachmentStore,
    MailboxStore,
    MessageStore,
)

LEASE_MARGIN_SECONDS = 30
"""A lease outlives its function by this much, and a chunk whose worker died is free that soon."""
LONGEST_QUEUE_DELAY_SECONDS = 900

REASONS = {
    BackfillKind.IMPORT: RunReason.BACKFILL,
    BackfillKind.REPLAY: RunReason.REPLAY,
    BackfillKind.REPAIR: RunReason.REPAIR,
    BackfillKind.CONTACT_HISTORY: RunReason.CONTACT_HISTORY,
}


@dataclass(frozen=True, slots=True)
class ChunkReport:
    """What a chunk run did, for the log."""

    kind: str
    """`done`, `continued` (sent again), `waiting` or `dropped`."""
    run: Run | None = None
    provider: Provider | None = None
    """Whose mailbox it was, where there is a run."""
    code: ErrorCode | None = None
    error: MailroomError | None = None
    """Why the chunk is put off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPorts:
    """What running a chunk needs from the world."""

    mailboxes: MailboxStore
    backfills: BackfillStore
    slots: ChunkSlots
    messages: MessageStore
    attachments: AttachmentStore
    letters: DeadLetterStore
    contacts: ContactStore
    policies: PolicyStore
    sends: SendStore
    grants: Grants
    queues: WorkQueues
    provider_of: Callable[[Provider], MailProvider]
    parser: MessageParser
    clock: Clock
    rng: random.Random
    remaining_seconds: Callable[[], float]
    gmail_units_per_minute: int = 6_000
    """What the project's quota lets us spend on one Gmail mailbox."""
    chunks_of_a_tenant: int = 10
    """How many chunks of one tenant may be at work at once."""


def run_backfill_chunk(request: ChunkRequest, *, ports: ChunkPorts) -> ChunkReport:
    """Run one chunk. A failure with a code puts the chunk back for later.

    What is raised is a bug, our own store, or our own time being up amid a message; the queue
    delivers the request again.
    """
    backfills = ports.backfills
    backfill = backfills.get_backfill(request.tenant_id, request.mailbox_id, request.backfill_id)
    record = ports.mailboxes.get(request.tenant_id, request.mailbox_id)
    now = ports.clock.now()
    if (
        backfill is None
        or record is None
        or backfill.state not in RELEASING
        or record.mailbox.status is not MailboxStatus.ACTIVE
        or _is_early(backfill, now)
    ):
        return ChunkReport("dropped")
    run_id = RunId(new_ulid(now))
    turn = take_turn(
        backfill,
        owner=run_id,
        most=ports.chunks_of_a_tenant,
        now=now,
        seconds=int(ports.remaining_seconds()) + LEASE_MARGIN_SECONDS,
        slots=ports.slots,
    )
    if turn is None:
        if not wait_for_turn(backfill, request.chunk, now=now, backfills=backfills):
            return ChunkReport("dropped")
        return ChunkReport("waiting", code=ErrorCode.WAITING_FOR_TURN)
    try:
        return _run(record.mailbox, backfill, request, run_id, turn, ports=ports)
    finally:
        turn.end()


def _run(
    mailbox: Mailbox,
    backfill: Backfill,
    request: ChunkRequest,
    run_id: RunId,
    turn: Turn,
    *,
    ports: ChunkPorts,
) -> ChunkReport:
    backfills, queues = ports.backfills, ports.queues
    now = ports.clock.now()
    # Before anything is fetched: what sync is told from here on, it may be told too early.
    states = _states(mailbox, ports.mailboxes)
    try:
        chunk = backfills.take_chunk(
            backfill,
            request.chunk,
            owner=run_id,
            now=now,
            seconds=int(ports.remaining_seconds()) + LEASE_MARGIN_SECONDS,
            position=_position(backfill, request, states, backfills),
        )
    except ConflictError as error:
        if error.code is ErrorCode.WRONG_STATE:
            release_chunks(backfill, mailbox.provider, backfills=backfills, queues=queues, now=now)
        return ChunkReport("dropped", code=error.code)
    try:
        run = _Begun(run_id, now, states, turn)
        return _work(mailbox, backfill, chunk, run, ports=ports)
    except StoreThrottledError:
        raise
    except ConflictError as error:
        if error.code is not ErrorCode.STALE_WRITE:
            return ChunkReport("dropped", code=error.code)
        # A reconnect began another generation: what comes next works under that one. Where the
        # chunk is another worker's by now, or the mailbox disconnected, that one finds nothing.
        return _go_on_later(backfill, chunk, ports, error.code)
    except MailroomError as error:
        if our_time_is_up(error, ports.remaining_seconds()):
            raise
        return _wait(backfill, chunk, error, ports)


@dataclass(frozen=True, slots=True)
class _Begun:
    """A run of a chunk: what stood when it began."""

    run_id: RunId
    at: datetime
    states: Mapping[FolderId, FolderState]
    turn: Turn


def _states(mailbox: Mailbox, mailboxes: MailboxStore) -> dict[FolderId, FolderState]:
    states = mailboxes.folders(mailbox.tenant_id, mailbox.id)
    return {state.folder.id: state for state in states}


def _position(
    backfill: Backfill,
    request: ChunkRequest,
    states: Mapping[FolderId, FolderState],
    backfills: BackfillStore,
) -> str | None:
    """Return where sync stands in the chunk's folder."""
    chunk = backfills.get_chunk(request.tenant_id, request.mailbox_id, backfill.id, request.chunk)
    state = states.get(chunk.folder_id) if chunk else None
    return state.cursor if state else None


def _is_early(backfill: Backfill, now: datetime) -> bool:
    """Whether the chunk was sent again while it still waits for its turn.

    One that came in its time must not be taken for an early one.
    """
    return backfill.paced_until is not None and now < backfill.paced_until - CLOCKS_DIFFER


def _work(
    mailbox: Mailbox,
    backfill: Backfill,
    chunk: Chunk,
    begun: "_Begun",
    *,
    ports: ChunkPorts,
) -> ChunkReport:
    """Take the chunk's messages in, then write that it is done, then release the next."""
    backfills, queues = ports.backfills, ports.queues
    fence = Fence(mailbox.tenant_id, mailbox.id, mailbox.generation)
    folders = {state.folder.id: state.folder for state in begun.states.values()}
    folder = folders[chunk.folder_id]
    ledger = Ledger()
    replayed: ReplayedChunk | None = None
    if backfill.kind is BackfillKind.REPLAY:
        replayed = ReplayedChunk.of(mailbox, chunk.ids, letters=ports.letters, now=begun.at)
    grant = ports.grants.of(mailbox)
    provider = ports.provider_of(mailbox.provider)
    with provider.open(grant, seconds=ports.remaining_seconds() - END_SECONDS) as session:
        dead_letters = DeadLetters(
            fence=fence,
            run_id=begun.run_id,
            session=session,
            letters=ports.letters,
            now=ports.clock.now,
            remaining_seconds=ports.remaining_seconds,
            kept_out=lambda: ports.messages.kept_out(mailbox.tenant_id),
        )
        ingest = Ingest(
            mailbox=mailbox,
            fence=fence,
            session=session,
            parser=ports.parser,
            messages=ports.messages,
            attachments=ports.attachments,
            ledger=ledger,
            remaining_seconds=ports.remaining_seconds,
            folders=folders,
            since=backfill.since,
            dead_letters=dead_letters,
            gate=Gate(mailbox.tenant_id, ports.messages, ports.policies),
            contacts=ports.contacts,
            tests=OwnTests(mailbox, ports.sends, ports.mailboxes, ports.parser, ports.clock.now),
            senders=senders_of(
                mailbox,
                contacts=ports.contacts,
                mailboxes=ports.mailboxes,
                now=ports.clock.now,
            ),
            kept=replayed.kept if replayed else None,
            removed_at=replayed.now if replayed else None,
            gives_up=chunk.not_handed_over >= GIVEN_UP_AFTER,
        )
        careful = replace(
            ingest, mark_suspect=lambda name: backfills.mark_chunk_suspect(backfill, chunk, name)
        )
        dangerous = {
            name
            for name in chunk.ids
            if chunk.previous_run_died or (replayed and replayed.is_dangerous(name))
        }
        # What may kill the worker comes last: all else is stored by then.
        finished = ingest.take_in(
            folder, [name for name in chunk.ids if name not in dangerous]
        ) and careful.take_in(folder, [name for name in chunk.ids if name in dangerous])
        if finished:
            again = SecondLook(
                fence=fence,
                mailbox=mailbox,
                folder=folder,
                folders=folders,
                ids=chunk.ids,
                position=chunk.position,
                mailboxes=ports.mailboxes,
                messages=ports.messages,
                ledger=ledger,
            )
            again.take(session, now=ports.clock.now())
    # Before another one is sent, which would find no room.
    begun.turn.end()
    if not finished:
        return _go_on_later(backfill, chunk, ports)
    if replayed is not None:
        replayed.settle(fence, ledger, begun.run_id)
    run = Run(
        tenant_id=mailbox.tenant_id,
        mailbox_id=mailbox.id,
        id=begun.run_id,
        reason=REASONS[backfill.kind],
        started_at=begun.at,
        ended_at=ports.clock.now(),
        counts=ledger.counts(),
        backfill_id=backfill.id,
        ledger={fate: tuple(ids) for fate, ids in ledger.entries().items()},
    )
    rest = rest_after(
        mailbox.provider,
        ledger.asked,
        run.ended_at - run.started_at,
        units_per_minute=ports.gmail_units_per_minute,
        share=BACKFILL_SHARE,
    )
    # With the chunk's end: whoever releases the next one, and when, has to know what it owes.
    paced_until = run.ended_at + rest if rest else None
    stands = backfills.finish_chunk(
        fence, backfill, chunk, run, now=run.ended_at, paced_until=paced_until
    )
    release_chunks(stands, mailbox.provider, backfills=backfills, queues=queues, now=run.ended_at)
    return ChunkReport("done", run, mailbox.provider)


def _go_on_later(
    backfill: Backfill, chunk: Chunk, ports: ChunkPorts, code: ErrorCode | None = None
) -> ChunkReport:
    """Have the chunk taken up again at once, or once the hour ends where that was too often."""
    now = ports.clock.now()
    chunk = replace(chunk, worked=chunk.worked.in_a_row(now))
    until = chunk.worked.rests_until(now, TRIES_OF_A_CHUNK)
    ports.backfills.give_back_chunk(backfill, chunk, not_before=until)
    if until is not None:
        ports.backfills.set_waiting(backfill, until, ErrorCode.LOOP_STOPPED)
        return ChunkReport("waiting", code=ErrorCode.LOOP_STOPPED)
    ports.queues.send_chunks([chunk_request(backfill, chunk.number)])
    return ChunkReport("continued", code=code)


def _wait(backfill: Backfill, chunk: Chunk, error: MailroomError, ports: ChunkPorts) -> ChunkReport:
    """Put the chunk back until the provider may be asked again, and say so.

    A refused login is sync's to judge: it meets the same answer and parks the mailbox with its
    reason.
    """
    now = ports.clock.now()
    decision = decide(error, failures_before=chunk.attempts - 1, now=now, rng=ports.rng)
    until: datetime | None = decision.at if isinstance(decision, RetryAt) else None
    if error.code is ErrorCode.MESSAGE_UNAVAILABLE:
        # Counted here: of a backfill one knows only what it waited for last, be it a turn.
        chunk = replace(chunk, not_handed_over=chunk.not_handed_over + 1)
    ports.backfills.give_back_chunk(backfill, chunk, not_before=until)
    ports.backfills.set_waiting(backfill, until, error.code)
    if until is not None:
        delay = min(LONGEST_QUEUE_DELAY_SECONDS, max(0, int((until - now).total_seconds()) + 1))
        ports.queues.send_chunks([chunk_request(backfill, chunk.number)], delay_seconds=delay)
    return ChunkReport("waiting", code=error.code, error=error)
