"""In which order a mailbox comes into being, so that a retry completes what died half way.

test both sides → mailbox `connecting` → backfill stored → secret → mailbox `active` → queues.
Nothing is stored when the test fails. A retry of the same account adopts a mailbox left in
`connecting`; what was not queued is queued by the schedule and the sweeper.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.addresses import canonical_address
from shared.domain.backfill import MAX_DAYS, Backfill, BackfillState, window_start
from shared.domain.errors import ConflictError, ErrorCode, RequestError
from shared.domain.folders import FolderRole
from shared.domain.ids import BackfillId, FolderId, MailboxId, TenantId, UserId, new_ulid
from shared.domain.mail_server import ImapGrant, Security, ServerLogin, Verdict
from shared.domain.mailbox import (
    Mailbox,
    MailboxKind,
    MailboxStatus,
    Provider,
    Purpose,
    RunState,
    Visibility,
)
from shared.domain.run import RunReason
from shared.domain.schedule import slot_of
from shared.domain.visibility import Viewer
from shared.operations import access
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.provider import ServerTester
from shared.ports.queues import PlanRequest, SyncRequest, WorkQueues
from shared.ports.secrets import SecretStore
from shared.ports.stores import MailboxStore

SERVER_CLOCK_MAY_LAG = timedelta(minutes=10)
"""Without history, mail counts as new from this long before the connecting.

It is dated by the server's clock, and one that is behind would make the first messages look old.
"""


@dataclass(frozen=True, slots=True)
class ConnectPolicy:
    """What the operator permits."""

    allow_untrusted_certificates: bool = False
    allow_plaintext: bool = False
    sync_minutes: int = 5


@dataclass(frozen=True, slots=True)
class ConnectRequest:
    """What a person fills in to connect an IMAP mailbox."""

    address: str
    imap: ServerLogin
    smtp: ServerLogin
    display_name: str = ""
    reply_to: str | None = None
    kind: MailboxKind = MailboxKind.PERSONAL
    purpose: Purpose = Purpose.PERSONAL
    backfill_days: int = 0
    active_folders: tuple[FolderId, ...] | None = None
    create_contacts: bool = False
    visibility: Visibility = Visibility.METADATA
    owner_user_id: UserId | None = None
    recovery_note: str = ""


@dataclass(frozen=True, slots=True)
class Caution:
    """Something that works and still deserves a look."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ServerTest:
    """How the test of both sides ended."""

    imap: Verdict
    smtp: Verdict
    warnings: tuple[Caution, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether both sides can be used."""
        return self.imap.ok and self.smtp.ok


class ConnectionTestFailedError(RequestError):
    """The test failed, so nothing was stored; carries the verdict on each side."""

    def __init__(self, test: ServerTest) -> None:
        super().__init__(ErrorCode.CONNECTION_TEST_FAILED)
        self.test = test


def identity_of(tenant_id: TenantId, address: str) -> str:
    """Return the name under which a tenant connects an address at most once."""
    return f"{tenant_id}:imap:{address}"


def test_servers(imap: ServerLogin, smtp: ServerLogin, *, tester: ServerTester) -> ServerTest:
    """Try both logins at the same time; each ends within 15 seconds."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        imap_verdict = pool.submit(tester.test_imap, imap)
        smtp_verdict = pool.submit(tester.test_smtp, smtp)
        return ServerTest(imap_verdict.result(), smtp_verdict.result(), _warnings(imap, smtp))


test_servers.__test__ = False  # type: ignore[attr-defined] # not a test, whatever its name


def connect_mailbox(
    viewer: Viewer,
    request: ConnectRequest,
    *,
    tester: ServerTester,
    mailboxes: MailboxStore,
    backfills: BackfillStore,
    secrets: SecretStore,
    queues: WorkQueues,
    clock: Clock,
    policy: ConnectPolicy,
) -> Mailbox:
    """Test, store and start a mailbox; return it active.

    Raises `RequestError` for what is not permitted or not valid, `ConnectionTestFailedError` with
    both verdicts, `ConflictError(ALREADY_CONNECTED)`.
    """
    address = _checked_address(request)
    owner = _checked_owner(viewer, request)
    check_logins(request.imap, request.smtp, policy)
    test = test_servers(request.imap, request.smtp, tester=tester)
    if not test.ok:
        raise ConnectionTestFailedError(test)
    check_folders(request.active_folders, test.imap)
    _check_first_folders(request.active_folders, test.imap)

    now = clock.now()
    days = request.backfill_days
    identity = identity_of(viewer.tenant_id, address)
    mailbox = Mailbox(
        tenant_id=viewer.tenant_id,
        id=MailboxId(new_ulid(now)),
        provider=Provider.IMAP,
        address=address,
        status=MailboxStatus.CONNECTING,
        kind=request.kind,
        purpose=request.purpose,
        owner_user_id=owner,
        connected_at=now,
        display_name=request.display_name,
        reply_to=request.reply_to,
        recovery_note=request.recovery_note,
        visibility=request.visibility,
        create_contacts=request.create_contacts,
        backfill_days=days,
        history_from=window_start(now, days) if days else now - SERVER_CLOCK_MAY_LAG,
        active_folders=request.active_folders,
        allow_untrusted_certificate=request.imap.allow_untrusted_certificate
        or request.smtp.allow_untrusted_certificate,
        imap=request.imap.server,
        smtp=request.smtp.server,
        sync_minutes=policy.sync_minutes,
    )
    mailbox = _create_or_adopt(mailbox, identity, mailboxes=mailboxes)
    backfill = _plan_first_backfill(mailbox, now, backfills=backfills)
    grant = ImapGrant(request.imap, request.smtp)
    begin_life(mailbox, grant, mailboxes=mailboxes, secrets=secrets)
    queues.send_syncs([SyncRequest(mailbox.tenant_id, mailbox.id, RunReason.CONNECTED)])
    if backfill:
        queues.send_plan(PlanRequest(mailbox.tenant_id, mailbox.id, backfill.id))
    record = mailboxes.get(mailbox.tenant_id, mailbox.id)
    return record.mailbox if record else mailbox


def begin_life(
    mailbox: Mailbox, grant: ImapGrant, *, mailboxes: MailboxStore, secrets: SecretStore
) -> None:
    """Keep the grant and make the mailbox active under its next generation.

    The secret first: until the new generation stands, an old worker may use it, which does no harm;
    the other way round a new worker would use the old password and park the mailbox again.

    Raises `ConflictError(ALREADY_CONNECTED | STALE_WRITE)`.
    """
    access.keep_grant(mailbox, grant, secrets=secrets)
    identity = identity_of(mailbox.tenant_id, mailbox.address)
    try:
        mailboxes.reconnect(mailbox, identity, slot_of(mailbox.id, mailbox.sync_minutes))
    except ConflictError:
        stands = mailboxes.get(mailbox.tenant_id, mailbox.id)
        if stands is None or stands.mailbox.status is MailboxStatus.DISCONNECTED:
            # The disconnecting has deleted its secret already, and nobody else would delete ours.
            secrets.delete(mailbox.tenant_id, mailbox.id)
        raise


def check_logins(imap: ServerLogin, smtp: ServerLogin, policy: ConnectPolicy) -> None:
    """Refuse what the operator does not permit.

    Raises `RequestError(INVALID_REQUEST)` naming each field.
    """
    refused: list[tuple[str, str]] = []
    for side, login in (("imap", imap), ("smtp", smtp)):
        if login.server.security is Security.NONE and not policy.allow_plaintext:
            refused.append((f"{side}.security", "Unencrypted connections are not permitted here."))
        if login.allow_untrusted_certificate and not policy.allow_untrusted_certificates:
            refused.append(
                (
                    f"{side}.allow_untrusted_certificate",
                    "Untrusted certificates are not permitted here.",
                )
            )
    if refused:
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=refused)


def check_folders(chosen: tuple[FolderId, ...] | None, verdict: Verdict) -> None:
    """Refuse a chosen folder that was not found; raises `RequestError(INVALID_REQUEST)`."""
    known = {folder.id for folder in verdict.folders if folder.selectable}
    refused = [
        ("active_folders", f"There is no folder {folder_id!r} that can be opened.")
        for folder_id in chosen or ()
        if folder_id not in known
    ]
    if refused:
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=refused)


def _check_first_folders(chosen: tuple[FolderId, ...] | None, verdict: Verdict) -> None:
    unwanted = {
        folder.id
        for folder in verdict.folders
        if folder.role in {FolderRole.TRASH, FolderRole.SPAM}
    }
    if unwanted & set(chosen or ()):
        words = "Trash and spam are never part of a first sync; add them later."
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("active_folders", words)])


def _checked_address(request: ConnectRequest) -> str:
    fields: list[tuple[str, str]] = []
    address = canonical_address(request.address)
    if address is None:
        fields.append(("address", "This is not an e-mail address."))
    if request.reply_to is not None and canonical_address(request.reply_to) is None:
        fields.append(("reply_to", "This is not an e-mail address."))
    if not 0 <= request.backfill_days <= MAX_DAYS:
        fields.append(("backfill_days", f"From 0 (from now on) to {MAX_DAYS}."))
    if fields or address is None:
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=fields)
    return address


def _checked_owner(viewer: Viewer, request: ConnectRequest) -> UserId:
    owner = request.owner_user_id or viewer.user_id
    if not viewer.is_admin and (request.kind is MailboxKind.SHARED or owner != viewer.user_id):
        raise RequestError(ErrorCode.ADMIN_REQUIRED)
    return owner


def _create_or_adopt(mailbox: Mailbox, identity: str, *, mailboxes: MailboxStore) -> Mailbox:
    """Store the mailbox, or take over what an interrupted attempt of the same user left."""
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


def _warnings(imap: ServerLogin, smtp: ServerLogin) -> tuple[Caution, ...]:
    found: list[Caution] = []
    if imap.server.username.casefold() != smtp.server.username.casefold():
        found.append(Caution("accounts_differ", _WORDS["accounts_differ"]))
    if imap.allow_untrusted_certificate or smtp.allow_untrusted_certificate:
        found.append(Caution("untrusted_certificate", _WORDS["untrusted_certificate"]))
    if Security.NONE in {imap.server.security, smtp.server.security}:
        found.append(Caution("not_encrypted", _WORDS["not_encrypted"]))
    return tuple(found)


_WORDS: Mapping[str, str] = {
    "accounts_differ": "IMAP and SMTP use different accounts. Check that this is meant.",
    "untrusted_certificate": (
        "The server's certificate is not checked: the password may be seen by others."
    ),
    "not_encrypted": "The connection is not encrypted: the password may be seen by others.",
}
