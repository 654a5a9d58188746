"""How a person starts, pauses, resumes and cancels a backfill."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from shared.domain.backfill import (
    MAX_DAYS,
    OPEN,
    Backfill,
    BackfillKind,
    BackfillState,
    window_start,
)
from shared.domain.errors import ConflictError, ErrorCode, RequestError
from shared.domain.ids import BackfillId, MailboxId, new_ulid
from shared.domain.mailbox import Mailbox, MailboxStatus, Provider
from shared.domain.permissions import require_change
from shared.domain.visibility import Viewer
from shared.operations.release_chunks import (
    chunk_request,
    end_when_done,
    release_chunks,
    rest_owed,
)
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.queues import PlanRequest, WorkQueues
from shared.ports.stores import MailboxStore

_TRIES = 5
_ANOTHER_IS_OPEN = "Another import of this mailbox is not over yet."
_IS_NOT_PAUSED = "It brings in what is missing and ends by itself: it has no pause."
_NOT_PAUSED = {BackfillKind.REPAIR, BackfillKind.CONTACT_HISTORY}


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
    mailbox = mailbox_to_import(viewer, mailbox_id, mailboxes=mailboxes)
    if not 1 <= days <= MAX_DAYS:
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("days", f"From 1 to {MAX_DAYS}.")])
    if any(
        other.state in OPEN and other.kind is BackfillKind.IMPORT
        for other in backfills.list_backfills(mailbox.tenant_id, mailbox.id)
    ):
        raise ConflictError(ErrorCode.WRONG_STATE, words=_ANOTHER_IS_OPEN)
    since = window_start(clock.now(), days)
    # The floor sinks first: a folder that is compared while the backfill runs reaches as far back,
    # and whoever takes a mailbox's lease after `created_at` finds it.
    _lower_floor(mailbox, since, mailboxes=mailboxes)
    now = clock.now()
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


def mailbox_to_import(viewer: Viewer, mailbox_id: MailboxId, *, mailboxes: MailboxStore) -> Mailbox:
    """Return a mailbox that the viewer may change and that is active.

    Raises `RequestError`, or `ConflictError(WRONG_STATE)` where it is not active.
    """
    record = mailboxes.get(viewer.tenant_id, mailbox_id)
    mailbox = require_change(viewer, record.mailbox if record else None)
    if mailbox.status is not MailboxStatus.ACTIVE:
        words = f"Only an active mailbox imports, and this one is `{mailbox.status}`."
        raise ConflictError(ErrorCode.WRONG_STATE, words=words)
    return mailbox


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
    for _ in range(_TRIES):
        backfill = backfills.get_backfill(mailbox.tenant_id, mailbox.id, backfill_id)
        if backfill is None:
            raise RequestError(ErrorCode.BACKFILL_NOT_FOUND)
        if backfill.kind in _NOT_PAUSED and action is BackfillAction.PAUSE:
            raise ConflictError(ErrorCode.WRONG_STATE, words=_IS_NOT_PAUSED)
        to = _state_after(action, backfill)
        if to is None:
            return backfill
        now = clock.now()
        try:
            changed = backfills.set_backfill_state(backfill, to, now=now)
        except ConflictError:
            # A worker changed the state meanwhile; what is asked may still be possible.
            continue
        if action is BackfillAction.RESUME:
            return _go_on(changed, mailbox.provider, backfills=backfills, queues=queues, now=now)
        return changed
    # The state did not change each time: another import of the mailbox has been started since.
    raise ConflictError(ErrorCode.WRONG_STATE, words=_ANOTHER_IS_OPEN)


def _state_after(action: BackfillAction, backfill: Backfill) -> BackfillState | None:
    """Return the state an action leads to, or None where it is there already."""
    state = backfill.state
    match action:
        case BackfillAction.PAUSE if state in OPEN:
            return None if state is BackfillState.PAUSED else BackfillState.PAUSED
        case BackfillAction.RESUME if state in {BackfillState.PAUSED, BackfillState.FAILED}:
            return BackfillState.RUNNING if backfill.started_at else BackfillState.PLANNING
        case BackfillAction.RESUME if state in OPEN:
            return None
        case BackfillAction.CANCEL if state in OPEN | {BackfillState.FAILED}:
            return BackfillState.CANCELLED
        case BackfillAction.CANCEL if state is BackfillState.CANCELLED:
            return None
        case _:
            words = f"The import is `{state}`: there is nothing to {action}."
            raise ConflictError(ErrorCode.WRONG_STATE, words=words)


def _go_on(
    backfill: Backfill,
    provider: Provider,
    *,
    backfills: BackfillStore,
    queues: WorkQueues,
    now: datetime,
) -> Backfill:
    """Have a resumed backfill worked at, after the rest it still owes its provider."""
    if backfill.started_at is None:
        queues.send_plan(PlanRequest(backfill.tenant_id, backfill.mailbox_id, backfill.id))
        return backfill
    if backfill.done >= backfill.chunks:
        return end_when_done(backfill, backfills=backfills, now=now)
    open_chunks = backfills.open_chunks(backfill)
    queues.send_chunks(
        [chunk_request(backfill, chunk.number) for chunk in open_chunks],
        delay_seconds=rest_owed(backfill, now),
    )
    return release_chunks(backfill, provider, backfills=backfills, queues=queues, now=now)
