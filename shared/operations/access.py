"""How a mailbox's grant is kept in its secret, read back, and renewed before it runs out.

A renewed token is stored before it is used, and only where the secret is still the one it was
renewed from. Whoever comes second takes what the first has stored, so that two renewals at once,
or one that a reconnect overtakes, end with a grant that works.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.domain.errors import (
    ConfigurationError,
    ErrorCode,
    MailroomError,
    ReconnectRequiredError,
)
from shared.domain.mail_server import ImapGrant, Security, ServerLogin, ServerSettings
from shared.domain.mailbox import Mailbox, Provider
from shared.domain.secret import Secret
from shared.ports.clock import Clock
from shared.ports.provider import Grant, OAuthGrant
from shared.ports.secrets import KeptSecret, SecretStore
from shared.ports.sign_in import OAuthClient, OAuthClients, SignIn, Tokens

RENEW_BEFORE = timedelta(minutes=5)
"""An access token is renewed this long before its end: longer than a run has left by then."""
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class KeptTokens:
    """What a sign-in gave, and the client it was given to: only that one can renew it."""

    client_id: str
    kept: Secret


def keep_grant(mailbox: Mailbox, grant: ImapGrant | KeptTokens, *, secrets: SecretStore) -> None:
    """Store a grant whole.

    A password stays beside the host it was tested with: while the settings show another, because a
    reconnect was interrupted or lost a race, it is never sent there.
    """
    secrets.put(mailbox.tenant_id, mailbox.id, _written(grant))


@dataclass(frozen=True, slots=True)
class Grants:
    """The grants of mailboxes, fit for use."""

    secrets: SecretStore
    sign_in_of: Callable[[Provider], SignIn]
    clients: OAuthClients
    clock: Clock

    def of(self, mailbox: Mailbox) -> Grant:
        """Return what opens the mailbox.

        A missing secret raises a doubtful `ReconnectRequiredError`: the store may be behind, so it
        is tried again before anybody is asked to act.
        """
        secret = _secret_of(mailbox, self.secrets)
        grant = _read(secret.secret)
        if isinstance(grant, ImapGrant):
            return grant
        tokens = _MailboxTokens(self, mailbox, secret.version, grant)
        return OAuthGrant(tokens, grant.client_id)

    def client_of(self, mailbox: Mailbox, client_id: str, *, anew: bool = False) -> OAuthClient:
        """Return the client a grant was given to; raises `ConfigurationError(CLIENT_MISSING)`."""
        for client in self.clients.usable(mailbox.tenant_id, mailbox.provider, anew=anew):
            if client.client_id == client_id:
                return client
        if not anew:
            return self.client_of(mailbox, client_id, anew=True)
        raise ConfigurationError(ErrorCode.CLIENT_MISSING, cause="no client of that id is stored")

    def kept(self, mailbox: Mailbox) -> KeptTokens | None:
        """Return what the account's sign-in gave, or None where nothing of the kind is stored."""
        stored = self.secrets.get(mailbox.tenant_id, mailbox.id)
        grant = _read(stored.secret) if stored else None
        return grant if isinstance(grant, KeptTokens) else None

    def for_last_words(self, mailbox: Mailbox) -> OAuthGrant | None:
        """Return what opens an account whose secret is about to go, or None where there is none.

        Nothing that is renewed is stored: whoever asks may not write secrets.
        """
        held = self.kept(mailbox)
        return OAuthGrant(_LastTokens(self, mailbox, held), held.client_id) if held else None

    def revoke(self, mailbox: Mailbox, kept: KeptTokens) -> None:
        """Withdraw a grant at its provider; raises what `SignIn.revoke` raises.

        At Google that ends every token of the account and the client, so ask `GrantHolders` first.
        """
        client = self.client_of(mailbox, kept.client_id)
        self.sign_in_of(mailbox.provider).revoke(client, kept.kept)


class _MailboxTokens:
    """The port `AccessTokens` over a mailbox's secret."""

    def __init__(self, grants: Grants, mailbox: Mailbox, version: str, held: KeptTokens) -> None:
        self._grants = grants
        self._mailbox = mailbox
        self._version = version
        self._held = held
        self._lock = threading.Lock()
        self._sign_in = grants.sign_in_of(mailbox.provider)
        self._tokens = self._sign_in.tokens(held.kept)

    def current(self) -> Secret:
        with self._lock:
            if self._is_running_out():
                self._read_again()
            if self._is_running_out():
                self._renew()
            return self._tokens.access_token

    def renewed(self, refused: Secret) -> Secret:
        with self._lock:
            if self._tokens.access_token == refused:
                self._read_again()
            if self._tokens.access_token == refused:
                self._renew()
            return self._tokens.access_token

    def _is_running_out(self) -> bool:
        return self._tokens.expires_at - self._grants.clock.now() < RENEW_BEFORE

    def _renew(self) -> None:
        try:
            tokens = self._ask_for_tokens()
        except ReconnectRequiredError:
            # Somebody may have reconnected, or renewed, since we read.
            if self._read_again() and not self._is_running_out():
                return
            raise
        renewed = KeptTokens(self._held.client_id, tokens.kept)
        place = self._mailbox.tenant_id, self._mailbox.id
        if self._grants.secrets.replace(*place, _written(renewed), version=self._version):
            self._held, self._tokens = renewed, tokens
            return
        if not self._read_again():
            raise ReconnectRequiredError(
                ErrorCode.GRANT_REVOKED, cause="overtaken without a trace", definitive=False
            )

    def _ask_for_tokens(self) -> Tokens:
        kept, now = self._held.kept, self._grants.clock.now()
        client = self._grants.client_of(self._mailbox, self._held.client_id)
        try:
            return self._sign_in.renew(client, kept, now=now)
        except MailroomError as error:
            if error.code is not ErrorCode.CLIENT_REJECTED:
                raise
            newest = self._grants.client_of(self._mailbox, client.client_id, anew=True)
            if newest == client:
                raise
            # Its secret was changed less than our memory of it ago.
            return self._sign_in.renew(newest, kept, now=now)

    def _read_again(self) -> bool:
        """Take what is stored by now; return whether it differs from what we hold."""
        stored = _secret_of(self._mailbox, self._grants.secrets)
        if stored.version == self._version:
            return False
        grant = _read(stored.secret)
        if not isinstance(grant, KeptTokens):
            return False
        self._version, self._held = stored.version, grant
        self._tokens = self._sign_in.tokens(grant.kept)
        return True


class _LastTokens:
    """The port `AccessTokens` over tokens that are stored nowhere."""

    def __init__(self, grants: Grants, mailbox: Mailbox, held: KeptTokens) -> None:
        self._grants = grants
        self._mailbox = mailbox
        self._client_id = held.client_id
        self._sign_in = grants.sign_in_of(mailbox.provider)
        self._tokens = self._sign_in.tokens(held.kept)

    def current(self) -> Secret:
        if self._tokens.expires_at - self._grants.clock.now() < RENEW_BEFORE:
            return self.renewed(self._tokens.access_token)
        return self._tokens.access_token

    def renewed(self, refused: Secret) -> Secret:
        if self._tokens.access_token == refused:
            client = self._grants.client_of(self._mailbox, self._client_id)
            now = self._grants.clock.now()
            self._tokens = self._sign_in.renew(client, self._tokens.kept, now=now)
        return self._tokens.access_token


def _secret_of(mailbox: Mailbox, secrets: SecretStore) -> KeptSecret:
    kept = secrets.get(mailbox.tenant_id, mailbox.id)
    if kept is None:
        raise ReconnectRequiredError(ErrorCode.GRANT_REVOKED, cause="no secret", definitive=False)
    return kept


def _written(grant: ImapGrant | KeptTokens) -> Secret:
    if isinstance(grant, ImapGrant):
        document = {"imap": _document(grant.imap), "smtp": _document(grant.smtp)}
    else:
        document = {"oauth": {"client_id": grant.client_id, "kept": grant.kept.reveal()}}
    return Secret(json.dumps({"v": _FORMAT, **document}))


def _read(secret: Secret) -> ImapGrant | KeptTokens:
    document = json.loads(secret.reveal())
    if document["v"] != _FORMAT:
        # Nobody's login is at fault: the request waits for the version that wrote it.
        raise ValueError("a login that a newer version wrote")
    if "oauth" in document:
        oauth = document["oauth"]
        return KeptTokens(oauth["client_id"], Secret(oauth["kept"]))
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
