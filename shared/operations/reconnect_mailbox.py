"""How a mailbox whose login died comes back with its id, cursors and history."""

from dataclasses import dataclass, replace

from shared.domain.addresses import canonical_address
from shared.domain.errors import ConflictError, ErrorCode, RequestError
from shared.domain.ids import FolderId, MailboxId
from shared.domain.mail_server import ImapGrant, ServerLogin, ServerSettings
from shared.domain.mailbox import Mailbox, Provider
from shared.domain.permissions import require_change
from shared.domain.run import RunReason
from shared.domain.visibility import Viewer
from shared.operations.begin_mailbox import begin_life
from shared.operations.connect_mailbox import (
    ConnectionTestFailedError,
    ConnectPolicy,
    check_folders,
    check_logins,
    test_servers,
)
from shared.ports.provider import ServerTester
from shared.ports.queues import SyncRequest, WorkQueues
from shared.ports.secrets import SecretStore
from shared.ports.stores import MailboxStore

SIGN_IN_WORDS = (
    "This mailbox has no password here: its owner signs in at the provider. Send its id as "
    "`mailbox_id` to POST /v1/mailboxes/authorize."
)


@dataclass(frozen=True, slots=True)
class ReconnectRequest:
    """New logins for the same account, and the folders to sync if they are to change."""

    imap: ServerLogin
    smtp: ServerLogin
    active_folders: tuple[FolderId, ...] | None = None


def reconnect_mailbox(
    viewer: Viewer,
    mailbox_id: MailboxId,
    request: ReconnectRequest,
    *,
    tester: ServerTester,
    mailboxes: MailboxStore,
    secrets: SecretStore,
    queues: WorkQueues,
    policy: ConnectPolicy,
) -> Mailbox:
    """Test the new logins, keep them, and go on from the cursor.

    Nothing changes when the test fails.

    Raises `RequestError(WRONG_MAILBOX)` for another account than the one connected,
    `ConnectionTestFailedError`, `ConflictError(ALREADY_CONNECTED | STALE_WRITE)`, and
    `OAUTH_REQUIRED` for a mailbox that has no login of its own.
    """
    record = mailboxes.get(viewer.tenant_id, mailbox_id)
    mailbox = require_change(viewer, record.mailbox if record else None)
    if mailbox.provider is not Provider.IMAP:
        raise ConflictError(ErrorCode.OAUTH_REQUIRED, words=SIGN_IN_WORDS)
    _require_same_account(mailbox.imap, request.imap.server)
    check_logins(request.imap, request.smtp, policy)
    test = test_servers(request.imap, request.smtp, tester=tester)
    if not test.ok:
        raise ConnectionTestFailedError(test)
    if request.active_folders is not None:
        check_folders(request.active_folders, test.imap)
    again = replace(
        mailbox,
        imap=request.imap.server,
        smtp=request.smtp.server,
        allow_untrusted_certificate=request.imap.allow_untrusted_certificate
        or request.smtp.allow_untrusted_certificate,
        active_folders=request.active_folders
        if request.active_folders is not None
        else mailbox.active_folders,
    )
    grant = ImapGrant(request.imap, request.smtp)
    begin_life(again, grant, mailboxes=mailboxes, secrets=secrets)
    queues.send_syncs([SyncRequest(again.tenant_id, again.id, RunReason.CONNECTED)])
    after = mailboxes.get(again.tenant_id, again.id)
    return after.mailbox if after else again


def _require_same_account(before: ServerSettings | None, again: ServerSettings) -> None:
    """Refuse another account: two people's mail would become one mailbox's.

    An address names an account wherever it is served; a bare name such as `info` means somebody
    else at the next host.
    """
    if before is None or before.username.casefold() != again.username.casefold():
        field, words = "imap.username", "This is not the user name this mailbox was connected with."
    elif canonical_address(again.username) is None and _host(before) != _host(again):
        field = "imap.host"
        words = "The user name is no address, so that another host means another account."
    else:
        return
    raise RequestError(ErrorCode.WRONG_MAILBOX, fields=[(field, words)])


def _host(server: ServerSettings) -> str:
    return server.host.casefold().rstrip(".")
