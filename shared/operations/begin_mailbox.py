"""In which order a mailbox comes into being, so that a retry completes what died half way.

mailbox `connecting` → backfill stored → secret → mailbox `active` → queues.
A retry of the same account adopts a mailbox left in `connecting`; what was not queued is queued by
the schedule and the sweeper. The same for every provider: how somebody proved that the account is
theirs is over by now.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.backfill import MAX_DAYS, Backfill, BackfillState, window_start
from shared.domain.composing import refusals
from shared.domain.connecting import Wishes
from shared.domain.errors import ConflictError, ErrorCode, MailroomError, RequestError
from shared.domain.ids import BackfillId, MailboxId, UserId, new_ulid
from shared.domain.mail_server import ImapGrant, ServerSettings
from shared.domain.mailbox import (
    NOBODY,
    Mailbox,
    MailboxKind,
    MailboxStatus,
    Provider,
    RunState,
    identity_of,
)
from shared.domain.run import RunReason
from shared.domain.schedule import slot_of
from shared.domain.visibility import Viewer
from shared.operations import access
from shared.operations.access import KeptTokens
from shared.operations.mailbox_settings import ONLY_SHARED_IS_GRANTED
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.queues import PlanRequest, SyncRequest, WorkQueues
from shared.ports.secrets import SecretStore
from shared.ports.stores import MailboxStore

SERVER_CLOCK_MAY_LAG = timedelta(minutes=10)
"""Without history, mail counts as new from this long before the connecting.

It is dated by the server's clock, and one that is behind would make the first messages look old.
"""


@dataclass(frozen=True, slots=True)
class Account:
    """An account that has been shown to be the person's, and how it is reached."""

    provider: Provider
    address: str
    subject: str = ""
    imap: ServerSettings | None = None
    smtp: ServerSettings | None = None
    allow_untrusted_certificate: bool = False


@dataclass(frozen=True, slots=True)
class BeginPorts:
    """What it takes to begin a mailbox's life."""

    mailboxes: MailboxStore
    backfills: BackfillStore
    secrets: SecretStore
    queues: WorkQueues
    clock: Clock


def checked_owner(viewer: Viewer, wishes: Wishes) -> UserId:
    """Return whose mailbox it will be.

    Raises `RequestError`: `ADMIN_REQUIRED` for a shared mailbox or somebody else's,
    `INVALID_REQUEST` naming the fields.
    """
    owner = wishes.owner_user_id or viewer.user_id
    if not viewer.is_admin and (wishes.kind is MailboxKind.SHARED or owner != viewer.user_id):
        raise RequestError(ErrorCode.ADMIN_REQUIRED)
    fields: list[tuple[str, str]] = []
    if wishes.reply_to is not None:
        fields += refusals(wishes.reply_to, "reply_to")
    if not 0 <= wishes.backfill_days <= MAX_DAYS:
        fields.append(("backfill_days", f"From 0 (from now on) to {MAX_DAYS}."))
    if wishes.kind is MailboxKind.SHARED and wishes.granted_to is None:
        # Neither guess is safe: all of it shown to all, or a mailbox that looks empty to a team.
        words = "Who may read a shared mailbox: a list of user ids, or `everyone`."
        fields.append(("granted_to", words))
    if wishes.kind is MailboxKind.PERSONAL and wishes.granted_to is not None:
        fields.append(("granted_to", ONLY_SHARED_IS_GRANTED))
    if fields:
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=fields)
    return owner


def begin_mailbox(
    viewer: Viewer,
    account: Account,
    wishes: Wishes,
    grant: ImapGrant | KeptTokens,
    *,
    sync_minutes: int,
    ports: BeginPorts,
    before_secret: Callable[[Mailbox], None] = lambda _mailbox: None,
) -> Mailbox:
    """Store and start a mailbox; return it active.

    `before_secret` is called once the mailbox has its id, before its grant is stored. Raises what
    `checked_owner` raises, `RequestError(ADDRESS_KEPT_OUT)`, `ConflictError(ALREADY_CONNECTED)`.
    """
    owner = checked_owner(viewer, wishes)
    now = ports.clock.now()
    days = wishes.backfill_days
    mailbox = Mailbox(
        tenant_id=viewer.tenant_id,
        id=MailboxId(new_ulid(now)),
        provider=account.provider,
        address=account.address,
        status=MailboxStatus.CONNECTING,
        kind=wishes.kind,
        purpose=wishes.purpose,
        owner_user_id=owner,
        connected_at=now,
        subject=account.subject,
        display_name=wishes.display_name,
        reply_to=wishes.reply_to,
        recovery_note=wishes.recovery_note,
        visibility=wishes.visibility,
        granted_to=wishes.granted_to or NOBODY,
        create_contacts=wishes.create_contacts,
        store=wishes.store,
        backfill_days=days,
        history_from=window_start(now, days) if days else now - SERVER_CLOCK_MAY_LAG,
        active_folders=wishes.active_folders,
        allow_untrusted_certificate=account.allow_untrusted_certificate,
        imap=account.imap,
        smtp=account.smtp,
        sync_minutes=sync_minutes,
    )
    mailbox = _create_or_adopt(mailbox, mailboxes=ports.mailboxes)
    backfill = _plan_first_backfill(mailbox, now, backfills=ports.backfills)
    before_secret(mailbox)
    begin_life(mailbox, grant, mailboxes=ports.mailboxes, secrets=ports.secrets)
    ports.queues.send_syncs([SyncRequest(mailbox.tenant_id, mailbox.id, RunReason.CONNECTED)])
    if backfill:
        ports.queues.send_plan(PlanRequest(mailbox.tenant_id, mailbox.id, backfill.id))
    record = ports.mailboxes.get(mailbox.tenant_id, mailbox.id)
    return record.mailbox if record else mailbox


def begin_life(
    mailbox: Mailbox,
    grant: ImapGrant | KeptTokens,
    *,
    mailboxes: MailboxStore,
    secrets: SecretStore,
) -> None:
    """Keep the grant and make the mailbox active under its next generation.

    The secret first: until the new generation stands, an old worker may use it, which does no harm;
    the other way round a new worker would use the old grant and park the mailbox again.

    Raises `ConflictError(ALREADY_CONNECTED | STALE_WRITE)`, `RequestError(ADDRESS_KEPT_OUT)`.
    """
    access.keep_grant(mailbox, grant, secrets=secrets)
    slot = slot_of(mailbox.id, mailbox.sync_minutes)
    try:
        mailboxes.reconnect(mailbox, identity_of(mailbox), slot)
    except MailroomError:
        if is_over(mailbox, mailboxes=mailboxes):
            # The disconnecting has deleted its secret already, and nobody else would delete ours.
            secrets.delete(mailbox.tenant_id, mailbox.id)
        raise


def is_over(mailbox: Mailbox, *, mailboxes: MailboxStore) -> bool:
    """Whether the mailbox is disconnected by now, or was never stored."""
    stands = mailboxes.get(mailbox.tenant_id, mailbox.id)
    return stands is None or stands.mailbox.status is MailboxStatus.DISCONNECTED


def _create_or_adopt(mailbox: Mailbox, *, mailboxes: MailboxStore) -> Mailbox:
    """Store the mailbox, or take over what an interrupted attempt of the same user left."""
    identity = identity_of(mailbox)
    try:
        mailboxes.create(mailbox, RunState(generation=mailbox.generation), identity)
    except ConflictError:
        found = mailboxes.find(mailbox.tenant_id, identity)
        record = mailboxes.get(mailbox.tenant_id, found) if found else None
        if (
            record is None
            or record.mailbox.status is not MailboxStatus.CONNECTING
            or record.mailbox.owner_user_id != mailbox.owner_user_id
        ):
            raise
        left = record.mailbox
        return replace(mailbox, id=left.id, generation=left.generation, version=left.version)
    return mailbox


def _plan_first_backfill(
    mailbox: Mailbox, now: datetime, *, backfills: BackfillStore
) -> Backfill | None:
    """Store the backfill asked for before the mailbox is active; cancel what was asked before.

    Once the mailbox is active, the sweeper knows from the backfill what is still to do.
    """
    for earlier in backfills.list_backfills(mailbox.tenant_id, mailbox.id):
        if earlier.state is not BackfillState.PLANNING:
            continue
        if earlier.days == mailbox.backfill_days:
            return earlier
        backfills.set_backfill_state(earlier, BackfillState.CANCELLED, now=now)
    if not mailbox.backfill_days:
        return None
    backfill = Backfill(
        tenant_id=mailbox.tenant_id,
        mailbox_id=mailbox.id,
        id=BackfillId(new_ulid(now)),
        days=mailbox.backfill_days,
        since=window_start(now, mailbox.backfill_days),
        state=BackfillState.PLANNING,
        created_at=now,
        generation=mailbox.generation + 1,
    )
    backfills.create_backfill(backfill)
    return backfill
