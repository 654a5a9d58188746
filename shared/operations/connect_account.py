"""What becomes of an account that has just signed in: a new mailbox, or the old one again.

A grant that nothing will use is withdrawn where nobody else lives on it, so that the account's
owner finds no access of ours that serves nothing.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from shared.domain.addresses import canonical_address
from shared.domain.connecting import Attempt
from shared.domain.errors import (
    ConfigurationError,
    ErrorCode,
    MailroomError,
    ReconnectRequiredError,
    RequestError,
)
from shared.domain.mailbox import Mailbox, Provider, renamed
from shared.domain.permissions import require_change
from shared.domain.run import RunReason
from shared.domain.secret import Secret
from shared.domain.visibility import Viewer
from shared.operations.access import KeptTokens
from shared.operations.begin_mailbox import (
    Account,
    BeginPorts,
    begin_life,
    begin_mailbox,
    checked_owner,
    is_over,
)
from shared.ports.attempts import AccountGrant, GrantHolders
from shared.ports.provider import OAuthGrant
from shared.ports.queues import SyncRequest
from shared.ports.sign_in import (
    AccountReader,
    OAuthClient,
    OAuthClients,
    SignedIn,
    SignIn,
    Tokens,
)


@dataclass(frozen=True, slots=True)
class AccountPorts:
    """What it takes to turn a sign-in into a mailbox."""

    sign_in_of: Callable[[Provider], SignIn]
    reader_of: Callable[[Provider], AccountReader]
    clients: OAuthClients
    holders: GrantHolders
    begin: BeginPorts


def connect_account(
    viewer: Viewer,
    attempt: Attempt,
    answer: Mapping[str, str],
    *,
    sync_minutes: int,
    ports: AccountPorts,
) -> Mailbox:
    """Redeem what the person came back with, once, and return the mailbox it opens.

    1. whether they may still do it, before anything is redeemed
    2. redeem, and see whose account it is: by the provider's subject, never by an address
    3. a new mailbox as `begin_mailbox` does it, or the known one under its next generation

    Raises what `SignIn.complete` raises, `RequestError` (`WRONG_MAILBOX` for another account than
    the one connected, `ADDRESS_KEPT_OUT`), `ConflictError(ALREADY_CONNECTED | STALE_WRITE)`.
    """
    mailbox = _mailbox_to_reconnect(viewer, attempt, ports)
    if mailbox is None:
        checked_owner(viewer, attempt.wishes)
    client = client_of(attempt, ports.clients)
    sign_in = ports.sign_in_of(attempt.provider)
    signed_in = sign_in.complete(
        client,
        attempt.kept,
        answer,
        redirect_uri=attempt.redirect_uri,
        now=ports.begin.clock.now(),
    )
    arrival = _Arrival(
        client, signed_in, AccountGrant(attempt.provider, client.client_id, signed_in.subject)
    )
    try:
        if mailbox is None:
            return _connect(viewer, attempt, arrival, sync_minutes=sync_minutes, ports=ports)
        return _reconnect(mailbox, attempt, arrival, ports=ports)
    except MailroomError:
        _withdraw_unused(sign_in, arrival, ports.holders)
        raise


def client_of(attempt: Attempt, clients: OAuthClients) -> OAuthClient:
    """Return the client the attempt was begun with; raises `ConfigurationError(CLIENT_MISSING)`.

    Asked for anew: a secret that was just renewed must not cost anybody their sign-in.
    """
    for client in clients.usable(attempt.tenant_id, attempt.provider, anew=True):
        if client.client_id == attempt.client_id:
            return client
    raise ConfigurationError(ErrorCode.CLIENT_MISSING, cause="the attempt's client is gone")


@dataclass(frozen=True, slots=True)
class _Arrival:
    client: OAuthClient
    signed_in: SignedIn
    grant: AccountGrant

    @property
    def to_keep(self) -> KeptTokens:
        return KeptTokens(self.client.client_id, self.signed_in.tokens.kept)


@dataclass(frozen=True, slots=True)
class _JustGiven:
    """The port `AccessTokens` over tokens that are seconds old: another would be no better."""

    tokens: Tokens

    def current(self) -> Secret:
        return self.tokens.access_token

    def renewed(self, refused: Secret) -> Secret:
        del refused
        raise ReconnectRequiredError(ErrorCode.SIGN_IN_REQUIRED, cause="a new token was refused")


def _mailbox_to_reconnect(viewer: Viewer, attempt: Attempt, ports: AccountPorts) -> Mailbox | None:
    if attempt.mailbox_id is None:
        return None
    record = ports.begin.mailboxes.get(attempt.tenant_id, attempt.mailbox_id)
    return require_change(viewer, record.mailbox if record else None)


def _connect(
    viewer: Viewer,
    attempt: Attempt,
    arrival: _Arrival,
    *,
    sync_minutes: int,
    ports: AccountPorts,
) -> Mailbox:
    account = Account(
        attempt.provider, _address(attempt.provider, arrival, ports), arrival.grant.subject
    )
    held: list[Mailbox] = []

    def hold(mailbox: Mailbox) -> None:
        held.append(mailbox)
        ports.holders.hold(arrival.grant, mailbox.tenant_id, mailbox.id)

    try:
        return begin_mailbox(
            viewer,
            account,
            attempt.wishes,
            arrival.to_keep,
            sync_minutes=sync_minutes,
            ports=ports.begin,
            before_secret=hold,
        )
    except MailroomError:
        for mailbox in held:
            _let_go_if_over(mailbox, arrival.grant, ports)
        raise


def _reconnect(
    mailbox: Mailbox, attempt: Attempt, arrival: _Arrival, *, ports: AccountPorts
) -> Mailbox:
    """Keep the id, the cursors and the history; no new backfill."""
    if (mailbox.provider, mailbox.subject) != (attempt.provider, arrival.grant.subject):
        words = "Another account signed in than the one this mailbox was connected with."
        raise RequestError(ErrorCode.WRONG_MAILBOX, fields=[("mailbox_id", words)])
    wanted = attempt.wishes.active_folders
    again = replace(
        # The account is the same; its address may have changed.
        renamed(mailbox, _address(attempt.provider, arrival, ports)),
        active_folders=mailbox.active_folders if wanted is None else wanted,
    )
    begin = ports.begin
    ports.holders.hold(arrival.grant, again.tenant_id, again.id)
    try:
        begin_life(again, arrival.to_keep, mailboxes=begin.mailboxes, secrets=begin.secrets)
    except MailroomError:
        _let_go_if_over(again, arrival.grant, ports)
        raise
    begin.queues.send_syncs([SyncRequest(again.tenant_id, again.id, RunReason.CONNECTED)])
    after = begin.mailboxes.get(again.tenant_id, again.id)
    return after.mailbox if after else again


def _address(provider: Provider, arrival: _Arrival, ports: AccountPorts) -> str:
    grant = OAuthGrant(_JustGiven(arrival.signed_in.tokens))
    address = canonical_address(ports.reader_of(provider).address(grant))
    if address is None:
        raise RequestError(ErrorCode.ACCOUNT_NOT_SUPPORTED, cause="the account has no address")
    return address


def _let_go_if_over(mailbox: Mailbox, grant: AccountGrant, ports: AccountPorts) -> None:
    """Hold the grant no longer for a mailbox that was disconnected under our hands."""
    with suppress(MailroomError):
        if is_over(mailbox, mailboxes=ports.begin.mailboxes):
            ports.holders.release(grant, mailbox.tenant_id, mailbox.id)


def _withdraw_unused(sign_in: SignIn, arrival: _Arrival, holders: GrantHolders) -> None:
    """Best effort: what went wrong first is what the person has to hear of."""
    with suppress(MailroomError):
        if not holders.is_held(arrival.grant):
            sign_in.revoke(arrival.client, arrival.signed_in.tokens.kept)
