"""How a mailbox's grant is put into its secret and read back."""

import json

from shared.domain.errors import ErrorCode, ReconnectRequiredError
from shared.domain.mail_server import ImapGrant, ServerLogin
from shared.domain.mailbox import Mailbox
from shared.domain.secret import Secret
from shared.ports.secrets import SecretStore

_FORMAT = 1


def keep_grant(mailbox: Mailbox, grant: ImapGrant, *, secrets: SecretStore) -> None:
    """Store the passwords; hosts and usernames are settings and stay in the mailbox."""
    text = json.dumps(
        {
            "v": _FORMAT,
            "imap_password": grant.imap.password.reveal(),
            "smtp_password": grant.smtp.password.reveal(),
        }
    )
    secrets.put(mailbox.tenant_id, mailbox.id, Secret(text))


def grant_of(mailbox: Mailbox, *, secrets: SecretStore) -> ImapGrant:
    """Return what is needed to log in.

    A missing secret raises a doubtful `ReconnectRequiredError`: the store may be behind, so it is
    tried again before anybody is asked to act.
    """
    secret = secrets.get(mailbox.tenant_id, mailbox.id)
    if secret is None or mailbox.imap is None or mailbox.smtp is None:
        raise ReconnectRequiredError(ErrorCode.GRANT_REVOKED, cause="no secret", definitive=False)
    passwords = json.loads(secret.reveal())
    untrusted = mailbox.allow_untrusted_certificate
    return ImapGrant(
        imap=ServerLogin(mailbox.imap, Secret(passwords["imap_password"]), untrusted),
        smtp=ServerLogin(mailbox.smtp, Secret(passwords["smtp_password"]), untrusted),
    )
