"""How a sync run ends: one conditional write of cursors, the run and the latest error."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from shared.domain.errors import ConflictError, ErrorCode, MailroomError, RetryLaterError
from shared.domain.failure import Drop, RetryAt, Stop, decide
from shared.domain.ids import FolderId, RunId, new_ulid
from shared.domain.lease import Lease
from shared.domain.ledger import Counts, Ledger
from shared.domain.mailbox import (
    FolderState,
    LatestError,
    Mailbox,
    MailboxStatus,
    Provider,
    PushState,
)
from shared.domain.pace import LONGEST_REST, SYNC_SHARE, rest_after
from shared.domain.push import after_run, is_healthy, was_silent
from shared.domain.run import Poll, Run, RunReason
from shared.domain.schedule import Cadence, lateness, slot_of
from shared.operations.gate import Gate
from shared.operations.keep_watch import Watching, WatchReport, keep_watch
from shared.operations.meet_senders import Senders
from shared.operations.own_tests import OwnTests
from shared.operations.run_or_rest import ask_again
from shared.operations.search_history import HeardOfContacts, history_to_search
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.contacts import ContactStore
from shared.ports.dead_letters import DeadLetterStore
from shared.ports.parser import MessageParser
from shared.ports.provider import Grant, MailSession
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
    record: MailboxRecord | None = None
    """The mailbox as it was found; None where it was not looked at."""
    parked: bool = False
    """Whether it was stopped until somebody signs in again."""
    watch: WatchReport | None = None
    """What came of asking the provider to tell of changes; None where it was not asked."""
    told: bool | None = None
    """Whether the provider had told of the news that this run found, as in an outcome."""

    @property
    def provider(self) -> Provider | None:
        """Whose mailbox it was; None where there was none."""
        return self.record.mailbox.provider if self.record else None

    @property
    def code(self) -> ErrorCode | None:
        """The code of `error`."""
        return self.error.code if self.error else None

    def poll(self, ended_at: datetime) -> Poll | None:
        """Return what this look tells of the fleet; None where the provider was not asked."""
        if self.record is None or self.kind == "dropped":
            return None
        mailbox, state = self.record.mailbox, self.record.run_state
        since = state.last_synced_at or mailbox.connected_at
        return Poll(
            provider=mailbox.provider,
            # Clocks differ, and of negative values CloudWatch has no percentiles.
            age=max(ended_at - since, timedelta()),
            late=lateness(mailbox, state, now=ended_at),
            failed=self.kind == "failed",
            parked=self.parked,
            watch_failed=self.watch.error is not None if self.watch else None,
            untold=None if self.told is None else not self.told,
        )


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
    cadence: Cadence = field(default_factory=Cadence)
    watching: Watching | None = None
    watch: WatchReport | None = None

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

    @property
    def push(self) -> PushState:
        """What is known of the provider's telling, after this run has asked it."""
        return self.watch.push if self.watch else self.record.run_state.push

    @property
    def was_told(self) -> bool | None:
        """True: a word of change of the watch that stands brought the run; None: it did not.

        What a provider says of its watch's end does not show that it tells of changes.
        """
        if self.request.reason is not RunReason.PUSH or self.request.watch_ends:
            return None
        is_new = self.watch is not None and self.watch.is_new
        return None if is_new else True

    def keep_watch(self, grant: Grant, session: MailSession) -> None:
        """Have the provider tell of changes, where that is due."""
        if self.watching is not None:
            self.watch = keep_watch(
                self.record, grant, session, watching=self.watching, now=self.started_at
            )

    def slot_after(self, now: datetime, *, told: bool | None = None) -> str:
        """Return the slot in which the mailbox is polled from now on; `told` as in an outcome."""
        mailbox, push = self.mailbox, after_run(self.push, now, told=told)
        is_pushed = self.watching is not None and self.watching.is_for(mailbox.provider)
        is_pushed = is_pushed and is_healthy(push, now)
        return slot_of(mailbox.id, self.cadence.minutes(mailbox.sync_minutes, is_pushed=is_pushed))

    def report(self, kind: str, **what: Any) -> SyncReport:
        """Return what the run did."""
        return SyncReport(kind, record=self.record, watch=self.watch, **what)


def succeed(run: SyncRun, queues: WorkQueues) -> SyncReport:
    """Write the outcome.

    Where there is more to do, or somebody asked meanwhile, the next run is queued.
    """
    mailbox, lease = run.mailbox, run.held_lease
    code = run.folder_error.code if run.folder_error else None
    ended = _run_record(run, code)
    rest = _rest(run, ended)
    told = _told(run)
    outcome = SyncOutcome(
        cursors=run.cursors,
        now=ended.ended_at,
        run=ended,
        not_before=ended.ended_at + rest if rest else None,
        # One folder's trouble is told, and slows nothing: the others are in sync.
        inbound_error=_seen_again(run, code, ended) if code else None,
        due_slot=run.slot_after(ended.ended_at, told=told),
        told=told,
        has_news=_has_news(ended.counts),
        contacts_to=run.heard.upto,
        history=history_to_search(mailbox, run.heard, ended.ended_at),
        worked=run.record.run_state.worked.again(ended.ended_at),
    )
    try:
        run.mailboxes.finish_run(lease.fence, outcome)
    except ConflictError:
        return run.report("dropped")
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
    return run.report("done", run=ended, error=run.folder_error, told=told)


def fail(run: SyncRun, error: MailroomError, queues: WorkQueues, rng: random.Random) -> SyncReport:
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
    # Its own cadence, whatever was told: nobody says again what this run was to find.
    due_slot: str | None = slot_of(mailbox.id, run.cadence.minutes(mailbox.sync_minutes))
    match decision:
        case Drop():
            if error.code is ErrorCode.LEASE_HELD and run.request.reason is RunReason.PUSH:
                ask_again(run.request, queues)
            return run.report("dropped", error=error)
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
        worked=run.record.run_state.worked.again(now),
    )
    try:
        if run.lease is None:
            run.mailboxes.fail_without_lease(run.record, replace(outcome, cursors={}))
        else:
            run.mailboxes.finish_run(run.lease.fence, outcome)
    except ConflictError:
        return run.report("dropped", error=error)
    return run.report("failed", run=ended, error=error, parked=status is not None)


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


def _told(run: SyncRun) -> bool | None:
    """Return whether the provider's word brought the run, or should have brought it sooner.

    What a run that failed left to the next one may well have been told of; so may what has only
    just come, and of flags, moves and deletions nobody knows since when they were.
    """
    if run.request.reason is RunReason.PUSH:
        return run.was_told
    news_at = run.ledger.oldest_stored
    if (
        run.request.reason in {RunReason.SCHEDULE, RunReason.REQUESTED}
        and news_at is not None
        and not run.record.run_state.failures
        and is_healthy(run.push, run.started_at)
        and was_silent(run.push, news_at, run.started_at)
    ):
        return False
    return None


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
