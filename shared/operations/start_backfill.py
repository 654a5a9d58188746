"""How a person starts, pauses, resumes and cancels a backfill."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from shared.domain.backfill import (
    MAX_DAYS,
    OPEN,
    RELEASING,
    Backfill,
    BackfillState,
    window_start,
)
from shared.domain.errors import ConflictError, ErrorCode, RequestError
from shared.domain.ids import BackfillId, MailboxId, new_ulid
from shared.domain.mailbox import Mailbox, MailboxStatus, Provider
from shared.domain.permissions import require_change
from shared.domain.visibility import Viewer
from shared.operations.release_chunks import chunk_request, release_chunks
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.queues import PlanRequest, WorkQueues
from shared.ports.stores import MailboxStore

_TRIES = 5


class BackfillAction(StrEnum):
    """What a person can do to a backfill under way."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


def start_backfill(
    viewer: Viewer,
    mailbox_id: MailboxId,
    days: int,
    *,
    mailboxes: MailboxStore,
    backfills: BackfillStore,
    queues: WorkQueues,
    clock: Clock,
) -> Backfill:
    """Begin to import the last `days` (1 to 365).

    What is stored already is recognised, not fetched again.

    Raises `RequestError`, `ConflictError(WRONG_STATE)` while another backfill of the mailbox is
    open or the mailbox is not active, and `VERSION_CONFLICT` where others save its settings without
    a pause.
    """
    record = mailboxes.get(viewer.tenant_id, mailbox_id)
    mailbox = require_change(viewer, record.mailbox if record else None)
    if not 1 <= days <= MAX_DAYS:
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("days", f"From 1 to {MAX_DAYS}.")])
    if mailbox.status is not MailboxStatus.ACTIVE:
        words = f"Only an active mailbox imports, and this one is `{mailbox.status}`."
        raise ConflictError(ErrorCode.WRONG_STATE, words=words)
    if any(
        other.state in OPEN for other in backfills.list_backfills(mailbox.tenant_id, mailbox.id)
    ):
        words = "Another import of this mailbox is not over yet."
        raise ConflictError(ErrorCode.WRONG_STATE, words=words)
    now = clock.now()
    since = window_start(now, days)
    # The floor sinks first: a folder that is compared while the backfill runs reaches as far back.
    _lower_floor(mailbox, since, mailboxes=mailboxes)
    backfill = Backfill(
        tenant_id=mailbox.tenant_id,
        mailbox_id=mailbox.id,
        id=BackfillId(new_ulid(now)),
        days=days,
        since=since,
        state=BackfillState.PLANNING,
        created_at=now,
        generation=mailbox.generation,
    )
    backfills.create_backfill(backfill)
    queues.send_plan(PlanRequest(mailbox.tenant_id, mailbox.id, backfill.id))
    return backfill


def _lower_floor(mailbox: Mailbox, since: datetime, *, mailboxes: MailboxStore) -> None:
    for _ in range(_TRIES):
        if mailbox.history_from is not None and mailbox.history_from <= since:
            return
        try:
            mailboxes.save_settings(replace(mailbox, history_from=since))
        except ConflictError:
            # Somebody else saved settings meanwhile, which the floor has nothing to do with.
            record = mailboxes.get(mailbox.tenant_id, mailbox.id)
            mailbox = record.mailbox if record else mailbox
        else:
            return
    raise ConflictError(ErrorCode.VERSION_CONFLICT)


def change_backfill(
    viewer: Viewer,
    mailbox_id: MailboxId,
    backfill_id: BackfillId,
    action: BackfillAction,
    *,
    mailboxes: MailboxStore,
    backfills: BackfillStore,
    queues: WorkQueues,
    clock: Clock,
) -> Backfill:
    """Pause, resume or cancel; repeating an action returns the backfill as it stands.

    Chunks at work end; no further one is released. Raises `ConflictError(WRONG_STATE)` where it is
    too late.
    """
    record = mailboxes.get(viewer.tenant_id, mailbox_id)
    mailbox = require_change(viewer, record.mailbox if record else None)
    backfill = backfills.get_backfill(mailbox.tenant_id, mailbox.id, backfill_id)
    if backfill is None:
        raise RequestError(ErrorCode.BACKFILL_NOT_FOUND)
    now = clock.now()
    match action:
        case BackfillAction.PAUSE if backfill.state in RELEASING:
            return backfills.set_backfill_state(backfill, BackfillState.PAUSED, now=now)
        case BackfillAction.CANCEL if backfill.state in OPEN | {BackfillState.FAILED}:
            return backfills.set_backfill_state(backfill, BackfillState.CANCELLED, now=now)
        case BackfillAction.RESUME if backfill.state in {
            BackfillState.PAUSED,
            BackfillState.FAILED,
        }:
            return _resume(
                backfill, mailbox.provider, backfills=backfills, queues=queues, clock=clock
            )
        case BackfillAction.PAUSE if backfill.state is BackfillState.PAUSED:
            return backfill
        case BackfillAction.RESUME if backfill.state in RELEASING:
            return backfill
        case BackfillAction.CANCEL if backfill.state is BackfillState.CANCELLED:
            return backfill
        case _:
            words = f"The import is `{backfill.state}`: there is nothing to {action}."
            raise ConflictError(ErrorCode.WRONG_STATE, words=words)


def _resume(
    backfill: Backfill,
    provider: Provider,
    *,
    backfills: BackfillStore,
    queues: WorkQueues,
    clock: Clock,
) -> Backfill:
    planned = backfill.started_at is not None
    state = BackfillState.RUNNING if planned else BackfillState.PLANNING
    running = backfills.set_backfill_state(backfill, state, now=clock.now())
    if not planned:
        queues.send_plan(PlanRequest(running.tenant_id, running.mailbox_id, running.id))
        return running
    queues.send_chunks(
        [chunk_request(running, chunk.number) for chunk in backfills.open_chunks(running)]
    )
    return release_chunks(running, provider, backfills=backfills, queues=queues)
