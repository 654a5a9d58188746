"""How a sync run ends: one conditional write of cursors, the run and the latest error."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.domain.errors import ConflictError, ErrorCode, MailroomError, RetryLaterError
from shared.domain.failure import Drop, RetryAt, Stop, decide
from shared.domain.ids import FolderId, RunId, new_ulid
from shared.domain.lease import Lease
from shared.domain.ledger import Counts, Ledger
from shared.domain.mailbox import FolderState, LatestError, Mailbox, MailboxStatus, Provider
from shared.domain.pace import LONGEST_REST, SYNC_SHARE, rest_after
from shared.domain.run import Run, RunReason
from shared.domain.schedule import slot_of
from shared.operations.gate import Gate
from shared.operations.meet_senders import Senders
from shared.operations.own_tests import OwnTests
from shared.operations.search_history import HeardOfContacts, history_to_search
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.contacts import ContactStore
from shared.ports.dead_letters import DeadLetterStore
from shared.ports.parser import MessageParser
from shared.ports.queues import PlanRequest, SyncRequest, WorkQueues
from shared.ports.stores import (
    AttachmentStore,
    MailboxRecord,
    MailboxStore,
    MessageStore,
    SyncOutcome,
)


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync run did, for the log: `run` is None where nothing was to be recorded."""

    kind: str
    """`idle`, `done`, `failed` or `dropped`."""
    run: Run | None = None
    error: MailroomError | None = None
    """What stood in the way: of the run, or of one folder where the run is done."""
    provider: Provider | None = None
    """Whose mailbox it was; None where there was none."""

    @property
    def code(self) -> ErrorCode | None:
        """The code of `error`."""
        return self.error.code if self.error else None


@dataclass(slots=True, kw_only=True)
class SyncRun:
    """One run under way: its ports and what it has reached."""

    request: SyncRequest
    record: MailboxRecord
    mailboxes: MailboxStore
    messages: MessageStore
    attachments: AttachmentStore
    letters: DeadLetterStore
    gate: Gate
    senders: Senders | None
    tests: OwnTests
    contacts: ContactStore
    backfills: BackfillStore
    parser: MessageParser
    clock: Clock
    remaining_seconds: Callable[[], float]
    started_at: datetime
    run_id: RunId
    """The one somebody waits for, or one of its own."""
    ledger: Ledger = field(default_factory=Ledger)
    cursors: dict[FolderId, FolderState] = field(default_factory=dict)
    more: bool = False
    gmail_units_per_minute: int = 6_000
    lease: Lease | None = None
    folder_error: RetryLaterError | None = None
    heard: HeardOfContacts = field(default_factory=HeardOfContacts)

    @property
    def held_lease(self) -> Lease:
        """The lease; raises AssertionError before it was taken."""
        if self.lease is None:
            raise AssertionError("a run that changes something holds a lease")
        return self.lease

    @property
    def mailbox(self) -> Mailbox:
        """The mailbox as it was when the run began."""
        return self.record.mailbox


def succeed(run: SyncRun, queues: WorkQueues) -> SyncReport:
    """Write the outcome.

    Where there is more to do, or somebody asked meanwhile, the next run is queued.
    """
    mailbox, lease = run.mailbox, run.held_lease
    code = run.folder_error.code if run.folder_error else None
    ended = _run_record(run, code)
    rest = _rest(run, ended)
    outcome = SyncOutcome(
        cursors=run.cursors,
        now=ended.ended_at,
        run=ended,
        not_before=ended.ended_at + rest if rest else None,
        # One folder's trouble is told, and slows nothing: the others are in sync.
        inbound_error=_seen_again(run, code, ended) if code else None,
        due_slot=slot_of(mailbox.id, mailbox.sync_minutes),
        has_news=_has_news(ended.counts),
        contacts_to=run.heard.upto,
        history=history_to_search(mailbox, run.heard, ended.ended_at),
    )
    try:
        run.mailboxes.finish_run(lease.fence, outcome)
    except ConflictError:
        return SyncReport("dropped", provider=mailbox.provider)
    if outcome.history is not None:
        # Where this is lost, the sweeper finds the backfill.
        queues.send_plan(PlanRequest(mailbox.tenant_id, mailbox.id, outcome.history.id))
    if run.more:
        next_run = SyncRequest(mailbox.tenant_id, mailbox.id, RunReason.CONTINUED)
        # A second later: the worker that gets it may be one whose clock is behind ours.
        delay = int(rest.total_seconds()) + 1 if rest else 0
        queues.send_syncs([next_run], delay_seconds=delay)
    elif (after := run.mailboxes.get(mailbox.tenant_id, mailbox.id)) and (
        after.run_state.requested_run_id not in {None, run.run_id}
    ):
        queues.send_syncs(
            [
                SyncRequest(
                    mailbox.tenant_id,
                    mailbox.id,
                    RunReason.REQUESTED,
                    after.run_state.requested_run_id,
                )
            ]
        )
    return SyncReport("done", ended, run.folder_error, mailbox.provider)


def fail(run: SyncRun, error: MailroomError, rng: random.Random) -> SyncReport:
    """Turn a failure into the mailbox's latest error.

    Cursors of what was completed before it are kept.
    """
    mailbox = run.mailbox
    now = run.clock.now()
    failures = run.record.run_state.failures
    decision = decide(
        error,
        failures_before=failures,
        same_before=same_before(mailbox, error.code),
        now=now,
        rng=rng,
    )
    status: MailboxStatus | None = None
    not_before: datetime | None = None
    due_slot: str | None = slot_of(mailbox.id, mailbox.sync_minutes)
    match decision:
        case Drop():
            return SyncReport("dropped", error=error, provider=mailbox.provider)
        case Stop():
            status, due_slot = MailboxStatus.RECONNECT_REQUIRED, None
        case RetryAt(at=at):
            not_before = at
    ended = _run_record(run, error.code)
    outcome = SyncOutcome(
        cursors=run.cursors,
        now=now,
        run=ended,
        status=status,
        inbound_error=_seen_again(run, error.code, ended, next_retry_at=not_before),
        failures=failures + 1,
        not_before=not_before,
        due_slot=due_slot,
    )
    try:
        if run.lease is None:
            run.mailboxes.fail_without_lease(run.record, replace(outcome, cursors={}))
        else:
            run.mailboxes.finish_run(run.lease.fence, outcome)
    except ConflictError:
        return SyncReport("dropped", error=error, provider=mailbox.provider)
    return SyncReport("failed", ended, error, mailbox.provider)


def same_before(mailbox: Mailbox, code: ErrorCode) -> int:
    """Return how many runs in a row ended with this code, up to now."""
    seen = mailbox.inbound_error
    return seen.count if seen is not None and seen.code is code else 0


def _rest(run: SyncRun, ended: Run) -> timedelta:
    """Return how long a run that leaves more to do lets a quota by the minute recover."""
    if not run.more:
        return timedelta()
    rest = rest_after(
        run.mailbox.provider,
        run.ledger.asked,
        ended.ended_at - ended.started_at,
        units_per_minute=run.gmail_units_per_minute,
        share=SYNC_SHARE,
    )
    return min(rest, LONGEST_REST - timedelta(seconds=1))


def _has_news(counts: Counts) -> bool:
    return bool(counts.listed or counts.flags_changed or counts.moved or counts.removed)


def _seen_again(
    run: SyncRun, code: ErrorCode, ended: Run, *, next_retry_at: datetime | None = None
) -> LatestError:
    now = ended.ended_at
    earlier = run.mailbox.inbound_error or LatestError(code, now, now, 0)
    return earlier.again(code, now=now, run_id=ended.id, next_retry_at=next_retry_at)


def _run_record(run: SyncRun, code: ErrorCode | None) -> Run:
    if run.run_id == run.record.run_state.requested_run_id:
        stands = run.mailboxes.get(run.mailbox.tenant_id, run.mailbox.id)
        if stands is None or stands.run_state.requested_run_id != run.run_id:
            # Another run has answered meanwhile: its record stays as it is.
            run.run_id = RunId(new_ulid(run.started_at))
    return Run(
        tenant_id=run.mailbox.tenant_id,
        mailbox_id=run.mailbox.id,
        id=run.run_id,
        reason=run.request.reason,
        started_at=run.started_at,
        ended_at=run.clock.now(),
        counts=run.ledger.counts(),
        code=code,
        ledger={fate: tuple(ids) for fate, ids in run.ledger.entries().items()},
    )
