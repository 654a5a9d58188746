"""How a mailbox is found to be complete, or made so: in which order, so that no death undoes it.

1. not while sync waits after a failure, or an import or a repair is at work: they come first
2. read where sync stands in each folder, before anything is listed
3. compare the day's windows with the provider; `compare_windows` says what is believed
4. what is missing is brought in by a repair: a backfill of its own, by the chunks every backfill
   goes through
5. only then write the figures, and how far audits have come

Dying anywhere before 5 repeats it: a repair has its id from the request, so that the same one is
found again. What cannot be finished is left to the next day's audit, which looks there again.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.audit import Audit, Walk, Window, audited_from, narrower, walk_on, windows_of
from shared.domain.backfill import OPEN, Backfill, BackfillKind, BackfillState
from shared.domain.errors import ConflictError, MailroomError, StoreThrottledError
from shared.domain.ids import BackfillId, named_ulid
from shared.domain.lease import Fence
from shared.domain.mailbox import Mailbox, MailboxStatus, Provider
from shared.operations.access import Grants
from shared.operations.bring_in import bring_in
from shared.operations.compare_windows import Compared, Comparison
from shared.ports.audits import AuditStore
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.provider import MailProvider
from shared.ports.queues import AuditRequest, WorkQueues
from shared.ports.stores import MailboxRecord, MailboxStore, MessageStore

SESSION_SECONDS = 240.0
"""What comparing may take of the function's time; the rest is for writing chunks."""
PARTS_BEGIN_FOR = timedelta(seconds=120)
"""As long again is left to whatever part was begun last."""
TOOK_TOO_LONG = timedelta(seconds=SESSION_SECONDS - 20)
"""A failure so late is that of a window too large, not of the provider."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit came to, for the log."""

    kind: str
    """`done`, `put_off` (to the next day's) or `dropped`."""
    provider: Provider | None = None
    audit: Audit | None = None
    error: MailroomError | None = None
    """Why it is put off; None where something else comes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPorts:
    """What an audit needs from the world."""

    mailboxes: MailboxStore
    messages: MessageStore
    audits: AuditStore
    backfills: BackfillStore
    grants: Grants
    queues: WorkQueues
    provider_of: Callable[[Provider], MailProvider]
    clock: Clock
    rng: random.Random


@dataclass(frozen=True, slots=True)
class _Begun:
    """An audit under way: what stood when it began."""

    request: AuditRequest
    mailbox: Mailbox
    before: Audit | None
    repair: Backfill | None
    """The one that an earlier delivery of the request began."""
    floor: datetime
    windows: tuple[Window, ...]
    at: datetime

    @property
    def walk(self) -> Walk:
        """How far earlier audits have come."""
        return self.before.walk if self.before else Walk()


def audit_mailbox(request: AuditRequest, *, ports: AuditPorts) -> AuditReport:
    """Compare a mailbox with its provider for the windows of the day, and repair what is missing.

    A failure with a code puts it off. What is raised is a bug or our own store; the queue delivers
    the request again.
    """
    record = ports.mailboxes.get(request.tenant_id, request.mailbox_id)
    if record is None or record.mailbox.status is not MailboxStatus.ACTIVE:
        return AuditReport("dropped")
    mailbox, now = record.mailbox, ports.clock.now()
    before = ports.audits.get_audit(mailbox.tenant_id, mailbox.id)
    if before is not None and before.asked_at >= request.asked_at:
        return AuditReport("dropped", mailbox.provider)
    backfills = ports.backfills.list_backfills(mailbox.tenant_id, mailbox.id)
    repair_id = _repair_id(request)
    if _must_wait(record, now) or _is_importing(backfills, repair_id):
        return AuditReport("put_off", mailbox.provider)
    floor = audited_from(mailbox, backfills)
    windows = windows_of(before.walk if before else Walk(), floor=floor, now=now)
    if not windows:
        return AuditReport("dropped", mailbox.provider)
    repair = next((backfill for backfill in backfills if backfill.id == repair_id), None)
    begun = _Begun(request, mailbox, before, repair, floor, windows, now)
    try:
        return _audit(begun, ports)
    except ConflictError:
        # The mailbox began another life meanwhile.
        return AuditReport("dropped", mailbox.provider)


def _must_wait(record: MailboxRecord, now: datetime) -> bool:
    """Whether the provider refused something lately, and is to be left alone."""
    state = record.run_state
    return state.failures > 0 and state.not_before is not None and state.not_before > now


def _is_importing(backfills: Iterable[Backfill], repair_id: BackfillId) -> bool:
    """Whether a backfill has the provider's quota: two would take what is live sync's.

    One that somebody has paused takes nothing.
    """
    at_work = OPEN - {BackfillState.PAUSED}
    return any(one.state in at_work and one.id != repair_id for one in backfills)


def _audit(begun: _Begun, ports: AuditPorts) -> AuditReport:
    mailbox, repair = begun.mailbox, begun.repair
    fence = Fence(mailbox.tenant_id, mailbox.id, mailbox.generation)
    try:
        compared = _compare(begun, ports)
    except (StoreThrottledError, ConflictError):
        raise
    except MailroomError as error:
        # A refused login is sync's to judge, which meets the same.
        if ports.clock.now() - begun.at >= TOOK_TOO_LONG:
            ports.audits.save_audit(fence, _cut_smaller(begun))
        return AuditReport("put_off", mailbox.provider, error=error)
    if compared.missing:
        repair, _ = bring_in(
            mailbox,
            _repair_id(begun.request),
            BackfillKind.REPAIR,
            compared.missing,
            backfills=ports.backfills,
            queues=ports.queues,
            now=ports.clock.now(),
        )
    audit = _figures(begun, compared, repair)
    ports.audits.save_audit(fence, audit)
    return AuditReport("done", mailbox.provider, audit)


def _compare(begun: _Begun, ports: AuditPorts) -> Compared:
    mailbox = begun.mailbox
    # Before anything is listed: whatever comes later is told from here on.
    states = ports.mailboxes.folders(mailbox.tenant_id, mailbox.id)
    grant = ports.grants.of(mailbox)
    with ports.provider_of(mailbox.provider).open(grant, seconds=SESSION_SECONDS) as session:
        comparison = Comparison(
            mailbox=mailbox,
            states={state.folder.id: state for state in states},
            session=session,
            mailboxes=ports.mailboxes,
            messages=ports.messages,
            audits=ports.audits,
            clock=ports.clock,
            rng=ports.rng,
            parts_begin_for=PARTS_BEGIN_FOR,
        )
        return comparison.of(begun.windows, parts=begun.walk.parts)


def _repair_id(request: AuditRequest) -> BackfillId:
    return BackfillId(named_ulid(request.asked_at, f"{request.tenant_id}:{request.mailbox_id}"))


def _cut_smaller(begun: _Begun) -> Audit:
    """Return the figures as they were, and a walk that takes less at once."""
    asked_at, walk = begun.request.asked_at, narrower(begun.walk)
    if begun.before is not None:
        return replace(begun.before, asked_at=asked_at, walk=walk)
    mailbox = begun.mailbox
    return Audit(mailbox.tenant_id, mailbox.id, asked_at, begun.at, walk=walk)


def _figures(begun: _Begun, compared: Compared, repair: Backfill | None) -> Audit:
    found = sum(map(len, compared.missing.values()))
    walk, whole_at = begun.walk, begun.before.whole_mailbox_checked_at if begun.before else None
    # What the repair could not take is looked at again by the next audit.
    if repair is None or repair.planned >= found:
        walk, is_whole = walk_on(
            walk,
            begun.windows,
            compared.seen,
            floor=begun.floor,
            now=begun.at,
            is_whole=not compared.left_out,
        )
        walk = narrower(walk) if compared.took_too_long else walk
        whole_at = begun.at if is_whole else whole_at
    # What an earlier delivery found is being brought in, and may be here by now.
    missing = max(found, repair.planned if repair else 0)
    return Audit(
        tenant_id=begun.mailbox.tenant_id,
        mailbox_id=begun.mailbox.id,
        asked_at=begun.request.asked_at,
        checked_at=begun.at,
        windows=tuple(compared.seen),
        listed=len(compared.listed),
        stored=max(0, len(compared.listed) - missing - compared.ledgered - compared.under_way),
        ledgered=compared.ledgered,
        missing=missing,
        extra=compared.extra,
        mended=compared.mended,
        under_way=compared.under_way,
        folders_left_out=len(compared.left_out),
        repair_id=repair.id if repair else None,
        whole_mailbox_checked_at=whole_at,
        walk=walk,
    )
