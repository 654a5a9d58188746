"""Which logins connect an IMAP mailbox: both sides are tried before anything is stored."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from shared.domain.addresses import canonical_address
from shared.domain.connecting import Wishes
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.folders import FolderRole
from shared.domain.ids import FolderId
from shared.domain.mail_server import ImapGrant, Security, ServerLogin, Verdict
from shared.domain.mailbox import Mailbox, Provider
from shared.domain.visibility import Viewer
from shared.operations.begin_mailbox import Account, BeginPorts, begin_mailbox, checked_owner
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.provider import ServerTester
from shared.ports.queues import WorkQueues
from shared.ports.secrets import SecretStore
from shared.ports.stores import MailboxStore


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
    wishes: Wishes = field(default_factory=Wishes)


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
    wishes = request.wishes
    checked_owner(viewer, wishes)
    check_logins(request.imap, request.smtp, policy)
    test = test_servers(request.imap, request.smtp, tester=tester)
    if not test.ok:
        raise ConnectionTestFailedError(test)
    check_folders(wishes.active_folders, test.imap)
    _check_first_folders(wishes.active_folders, test.imap)
    account = Account(
        Provider.IMAP,
        address,
        imap=request.imap.server,
        smtp=request.smtp.server,
        allow_untrusted_certificate=request.imap.allow_untrusted_certificate
        or request.smtp.allow_untrusted_certificate,
    )
    return begin_mailbox(
        viewer,
        account,
        wishes,
        ImapGrant(request.imap, request.smtp),
        sync_minutes=policy.sync_minutes,
        ports=BeginPorts(mailboxes, backfills, secrets, queues, clock),
    )


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
    address = canonical_address(request.address)
    if address is None:
        words = "This is not an e-mail address."
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("address", words)])
    return address


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
