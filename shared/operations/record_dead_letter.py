"""What becomes of work that no retry could finish: a letter and a latest error, never silence."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain.backfill import OPEN, BackfillState
from shared.domain.dead_letter import DeadLetter, LetterKind, work_letter_id
from shared.domain.errors import ConflictError, ErrorCode
from shared.domain.ids import LetterId, RunId, new_ulid
from shared.domain.lease import Fence
from shared.domain.ledger import Counts
from shared.domain.mailbox import LatestError, MailboxStatus
from shared.domain.run import Run, RunReason
from shared.domain.schedule import slot_of
from shared.domain.send_outcomes import given_up
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.dead_letters import DeadLetterStore
from shared.ports.queues import (
    AuditRequest,
    ChangesRequest,
    ChunkRequest,
    PlanRequest,
    SendRequest,
    SyncRequest,
    WorkRequest,
)
from shared.ports.sending import SendRef, SendStore
from shared.ports.stores import (
    MailboxRecord,
    MailboxStore,
    SyncOutcome,
)

RETRY_AFTER = timedelta(hours=1)
OVERDUE = timedelta(hours=1)
"""For so long nobody has taken a mail that was due: workers end before they can."""
TAKE_SECONDS = 60
"""Longer than a send that was taken here needs to be written."""


def record_dead_letter(
    request: WorkRequest,
    *,
    sent_at: datetime,
    mailboxes: MailboxStore,
    backfills: BackfillStore,
    letters: DeadLetterStore,
    sends: SendStore,
    clock: Clock,
) -> None:
    """Note the dead letter, then `internal` on the mailbox or that the backfill failed.

    A mail to be sent has no letter: it says itself that work on it was given up, and is tried, or
    looked for, again within the hour. That is done here only where no worker gets as far as taking
    it; else they count who died of it, and see to it themselves.

    The mailbox itself is tried again within the hour. Nothing is noted of one that has synced since
    the request was sent, of a backfill that is over, nor over the reason for which a mailbox is
    parked.
    """
    record = mailboxes.get(request.tenant_id, request.mailbox_id)
    if record is None or record.mailbox.status is MailboxStatus.DISCONNECTED:
        return
    if isinstance(request, AuditRequest | ChangesRequest):
        # The next day's audit, or whoever asks for what is due, comes there again.
        return
    try:
        if isinstance(request, SyncRequest):
            synced_at = record.run_state.last_synced_at
            has_synced_since = synced_at is not None and synced_at > sent_at
            if record.mailbox.status is MailboxStatus.ACTIVE and not has_synced_since:
                _note_on_mailbox(record, request, mailboxes=mailboxes, letters=letters, clock=clock)
        elif isinstance(request, SendRequest):
            _put_off_send(record, request, sends=sends, mailboxes=mailboxes, clock=clock)
        else:
            _fail_backfill(record, request, backfills=backfills, letters=letters, clock=clock)
    except ConflictError:
        # Disconnected, reconnected or ended meanwhile: the request is of a life that is over.
        return


def _fail_backfill(
    record: MailboxRecord,
    request: PlanRequest | ChunkRequest,
    *,
    backfills: BackfillStore,
    letters: DeadLetterStore,
    clock: Clock,
) -> None:
    backfill = backfills.get_backfill(request.tenant_id, request.mailbox_id, request.backfill_id)
    if backfill is None or backfill.state not in {*OPEN, BackfillState.FAILED}:
        return
    chunk = request.chunk if isinstance(request, ChunkRequest) else None
    kind = LetterKind.PLAN if chunk is None else LetterKind.CHUNK
    letter = _letter(record, work_letter_id(kind, backfill.id, chunk), kind, clock.now())
    letters.note(_fence(record), replace(letter, backfill_id=backfill.id, chunk=chunk))
    if backfill.state in OPEN:
        backfills.set_backfill_state(
            backfill, BackfillState.FAILED, now=clock.now(), code=ErrorCode.INTERNAL
        )


def _note_on_mailbox(
    record: MailboxRecord,
    request: SyncRequest,
    *,
    mailboxes: MailboxStore,
    letters: DeadLetterStore,
    clock: Clock,
) -> None:
    mailbox = record.mailbox
    now = clock.now()
    fresh = RunId(new_ulid(now))
    is_waited_for = request.run_id == record.run_state.requested_run_id
    run_id = (request.run_id if is_waited_for else None) or fresh
    retry_at = now + RETRY_AFTER
    earlier = mailbox.inbound_error or LatestError(ErrorCode.INTERNAL, now, now, 0)
    outcome = SyncOutcome(
        cursors={},
        now=now,
        run=Run(
            tenant_id=mailbox.tenant_id,
            mailbox_id=mailbox.id,
            id=run_id,
            reason=request.reason or RunReason.SCHEDULE,
            started_at=now,
            ended_at=now,
            counts=Counts(),
            code=ErrorCode.INTERNAL,
        ),
        inbound_error=earlier.again(
            ErrorCode.INTERNAL, now=now, run_id=run_id, next_retry_at=retry_at
        ),
        failures=record.run_state.failures + 1,
        not_before=retry_at,
        due_slot=slot_of(mailbox.id, mailbox.sync_minutes),
    )
    letter = _letter(record, work_letter_id(LetterKind.SYNC), LetterKind.SYNC, now)
    letters.note(_fence(record), replace(letter, run_id=run_id))
    mailboxes.fail_without_lease(record, outcome)


def _put_off_send(
    record: MailboxRecord,
    request: SendRequest,
    *,
    sends: SendStore,
    mailboxes: MailboxStore,
    clock: Clock,
) -> None:
    """Note on the send, and on its mailbox, that no worker gets as far as taking it."""
    now = clock.now()
    ref = SendRef(request.tenant_id, request.mailbox_id, request.send_id)
    stands = sends.get(ref)
    at = stands.comes_up_at if stands else None
    if at is None or now - at < OVERDUE:
        return
    after = given_up(sends.take(ref, now=now, seconds=TAKE_SECONDS), now=now)
    earlier = record.mailbox.outbound_error or LatestError(ErrorCode.INTERNAL, now, now, 0)
    error = earlier.again(ErrorCode.INTERNAL, now=now, run_id=None, next_retry_at=after.next_try_at)
    with suppress(ConflictError):
        # Reconnected meanwhile: that began without an error.
        mailboxes.note_outbound(_fence(record), error)
    sends.write(after, now=now)


def _letter(
    record: MailboxRecord, letter_id: LetterId, kind: LetterKind, now: datetime
) -> DeadLetter:
    return DeadLetter(
        tenant_id=record.mailbox.tenant_id,
        mailbox_id=record.mailbox.id,
        id=letter_id,
        kind=kind,
        code=ErrorCode.WORK_GIVEN_UP,
        generation=record.mailbox.generation,
        first_seen_at=now,
        last_seen_at=now,
    )


def _fence(record: MailboxRecord) -> Fence:
    return Fence(record.mailbox.tenant_id, record.mailbox.id, record.mailbox.generation)
