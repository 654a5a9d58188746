"""What a user learns of mailboxes: settings, health, folders, runs, backfills.

No mail, and no secrets.

Every function raises `RequestError(MAILBOX_NOT_FOUND)` alike for an id that is unknown, another
tenant's, or a personal mailbox the viewer may not know of.
"""

from dataclasses import dataclass
from datetime import datetime

from shared.domain.backfill import Backfill, BackfillKind
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.folders import Folder, is_active
from shared.domain.ids import BackfillId, MailboxId, RunId
from shared.domain.mailbox import Mailbox, MailboxStatus, RunState
from shared.domain.opening import Opening
from shared.domain.permissions import may_change, may_know_openings, may_see, require_sight
from shared.domain.run import Run
from shared.domain.schedule import late_since, next_run_at, polled_every
from shared.domain.visibility import Viewer
from shared.ports.audits import AuditStore, Completeness
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.runs import RunStore
from shared.ports.stores import (
    MailboxRecord,
    MailboxStore,
)

_LISTED = {BackfillKind.IMPORT, BackfillKind.CONTACT_HISTORY}


@dataclass(frozen=True, slots=True)
class MailboxView:
    """A mailbox as one viewer sees it."""

    mailbox: Mailbox
    run_state: RunState
    is_primary: bool
    """The viewer's, and not disconnected; reconnected, it is primary again."""
    next_run_at: datetime | None
    late_since: datetime | None
    may_change: bool
    """Whether the viewer may change it; its logins' names are shown only then."""
    completeness: Completeness | None = None
    """None before its first audit has come to an end."""
    openings: tuple[Opening, ...] | None = None
    """Those that have not ended; None for those who are not told."""


@dataclass(frozen=True, slots=True)
class FolderView:
    """A folder, and whether it is synced."""

    folder: Folder
    active: bool


def list_mailboxes(
    viewer: Viewer, *, mailboxes: MailboxStore, audits: AuditStore, clock: Clock
) -> list[MailboxView]:
    """Return the mailboxes the viewer may see, oldest connection first."""
    primary = mailboxes.primary(viewer.tenant_id, viewer.user_id)
    seen = [
        record
        for record in mailboxes.list_mailboxes(viewer.tenant_id)
        if may_see(viewer, record.mailbox)
    ]
    figures = audits.completeness(viewer.tenant_id, [record.mailbox.id for record in seen])
    return [
        _view(viewer, record, primary, clock.now(), figures.get(record.mailbox.id))
        for record in seen
    ]


def get_mailbox(
    viewer: Viewer,
    mailbox_id: MailboxId,
    *,
    mailboxes: MailboxStore,
    audits: AuditStore,
    clock: Clock,
) -> MailboxView:
    """Return one mailbox."""
    record = _seen(viewer, mailbox_id, mailboxes)
    primary = mailboxes.primary(viewer.tenant_id, viewer.user_id)
    figures = audits.completeness(viewer.tenant_id, [mailbox_id])
    return _view(viewer, record, primary, clock.now(), figures.get(mailbox_id))


def list_folders(
    viewer: Viewer, mailbox_id: MailboxId, *, mailboxes: MailboxStore
) -> list[FolderView]:
    """Return the folders found at the last listing, in order of name.

    Without those that are gone.
    """
    mailbox = _seen(viewer, mailbox_id, mailboxes).mailbox
    states = mailboxes.folders(viewer.tenant_id, mailbox_id)
    views = [
        FolderView(state.folder, is_active(state.folder, mailbox.active_folders))
        for state in states
        if state.gone_at is None
    ]
    return sorted(views, key=lambda view: (view.folder.name.casefold(), view.folder.id))


def list_runs(
    viewer: Viewer,
    mailbox_id: MailboxId,
    *,
    before: RunId | None,
    limit: int,
    mailboxes: MailboxStore,
    runs: RunStore,
) -> tuple[list[Run], RunId | None]:
    """Return up to `limit` runs, newest first, and the id to go on before, or None at the end."""
    _seen(viewer, mailbox_id, mailboxes)
    found = runs.list_runs(viewer.tenant_id, mailbox_id, limit=limit + 1, before=before)
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


def get_run(
    viewer: Viewer, mailbox_id: MailboxId, run_id: RunId, *, mailboxes: MailboxStore, runs: RunStore
) -> Run:
    """Return one ended run; raises `RequestError(RUN_NOT_FOUND)`."""
    _seen(viewer, mailbox_id, mailboxes)
    run = runs.get_run(viewer.tenant_id, mailbox_id, run_id)
    if run is None:
        raise RequestError(ErrorCode.RUN_NOT_FOUND)
    return run


def list_backfills(
    viewer: Viewer, mailbox_id: MailboxId, *, mailboxes: MailboxStore, backfills: BackfillStore
) -> list[Backfill]:
    """Return imports and contacts' histories, newest first; all else is found by its id alone."""
    _seen(viewer, mailbox_id, mailboxes)
    found = backfills.list_backfills(viewer.tenant_id, mailbox_id)
    return [backfill for backfill in found if backfill.kind in _LISTED]


def get_backfill(
    viewer: Viewer,
    mailbox_id: MailboxId,
    backfill_id: BackfillId,
    *,
    mailboxes: MailboxStore,
    backfills: BackfillStore,
) -> Backfill:
    """Return one backfill; raises `RequestError(BACKFILL_NOT_FOUND)`."""
    _seen(viewer, mailbox_id, mailboxes)
    backfill = backfills.get_backfill(viewer.tenant_id, mailbox_id, backfill_id)
    if backfill is None:
        raise RequestError(ErrorCode.BACKFILL_NOT_FOUND)
    return backfill


def _seen(viewer: Viewer, mailbox_id: MailboxId, mailboxes: MailboxStore) -> MailboxRecord:
    record = mailboxes.get(viewer.tenant_id, mailbox_id)
    if record is None:
        raise RequestError(ErrorCode.MAILBOX_NOT_FOUND)
    require_sight(viewer, record.mailbox)
    return record


def _view(
    viewer: Viewer,
    record: MailboxRecord,
    primary: MailboxId | None,
    now: datetime,
    completeness: Completeness | None,
) -> MailboxView:
    mailbox = record.mailbox
    return MailboxView(
        mailbox,
        record.run_state,
        is_primary=mailbox.id == primary and mailbox.status is not MailboxStatus.DISCONNECTED,
        next_run_at=_next_run_at(mailbox, record.run_state, now),
        late_since=late_since(mailbox, record.run_state, now=now),
        may_change=may_change(viewer, mailbox),
        completeness=completeness if completeness and completeness.audit.windows else None,
        openings=tuple(one for one in mailbox.openings if one.is_open(now))
        if may_know_openings(viewer, mailbox)
        else None,
    )


def _next_run_at(mailbox: Mailbox, run_state: RunState, now: datetime) -> datetime | None:
    if mailbox.status is not MailboxStatus.ACTIVE:
        return None
    # As it is scheduled, which may be more seldom than its settings wish.
    every = polled_every(run_state.due_slot, mailbox.sync_minutes)
    return next_run_at(mailbox.id, every, now=now, not_before=run_state.not_before)
