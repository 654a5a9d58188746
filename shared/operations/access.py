"""How a mailbox's grant is put into its secret and read back."""

import json
from typing import Any

from shared.domain.errors import ErrorCode, ReconnectRequiredError
from shared.domain.mail_server import ImapGrant, Security, ServerLogin, ServerSettings
from shared.domain.mailbox import Mailbox
from shared.domain.secret import Secret
from shared.ports.secrets import SecretStore

_FORMAT = 1


def keep_grant(mailbox: Mailbox, grant: ImapGrant, *, secrets: SecretStore) -> None:
    """Store both logins whole.

    A password stays beside the host it was tested with: while the settings show another, because a
    reconnect was interrupted or lost a race, it is never sent there.
    """
    text = json.dumps({"v": _FORMAT, "imap": _document(grant.imap), "smtp": _document(grant.smtp)})
    secrets.put(mailbox.tenant_id, mailbox.id, Secret(text))


def grant_of(mailbox: Mailbox, *, secrets: SecretStore) -> ImapGrant:
    """Return what is needed to log in.

    A missing secret raises a doubtful `ReconnectRequiredError`: the store may be behind, so it is
    tried again before anybody is asked to act.
    """
    secret = secrets.get(mailbox.tenant_id, mailbox.id)
    if secret is None:
        raise ReconnectRequiredError(ErrorCode.GRANT_REVOKED, cause="no secret", definitive=False)
    document = json.loads(secret.reveal())
    return ImapGrant(imap=_login(document["imap"]), smtp=_login(document["smtp"]))


def _document(login: ServerLogin) -> dict[str, Any]:
    return {
        "host": login.server.host,
        "port": login.server.port,
        "security": login.server.security,
        "username": login.server.username,
        "password": login.password.reveal(),
        "allow_untrusted_certificate": login.allow_untrusted_certificate,
    }


def _login(document: dict[str, Any]) -> ServerLogin:
    server = ServerSettings(
        document["host"],
        document["port"],
        Security(document["security"]),
        document["username"],
    )
    return ServerLogin(
        server, Secret(document["password"]), document["allow_untrusted_certificate"]
    )
