"""Which adapter stands behind each port of a sign-in, and of the grants that come of it.

As in `wiring`, everything is built and imported on first use: a function that holds no grant loads
nothing of it.
"""

import functools
import time
from typing import TYPE_CHECKING

from shared import wiring
from shared.config import settings
from shared.domain.mailbox import Provider
from shared.ports.attempts import AttemptStore, GrantHolders
from shared.ports.sign_in import AccountReader, OAuthClients, SignIn

if TYPE_CHECKING:
    from shared.operations.access import Grants
    from shared.operations.authorize_connection import AuthorizePorts, SignInPolicy
    from shared.operations.complete_connection import CompletePorts


@functools.cache
def attempts() -> AttemptStore:
    """Return the store of sign-ins under way."""
    from shared.aws.attempt_store import DynamoAttemptStore

    return DynamoAttemptStore(wiring.table())


@functools.cache
def grant_holders() -> GrantHolders:
    """Return who lives on which grant."""
    from shared.aws.grant_holders import DynamoGrantHolders

    return DynamoGrantHolders(wiring.table())


@functools.cache
def oauth_clients() -> OAuthClients:
    """Return this deployment's registrations at providers."""
    from shared.aws.oauth_clients import SecretsManagerOAuthClients

    return SecretsManagerOAuthClients(settings().secret_prefix)


@functools.cache
def sign_in(provider: Provider) -> SignIn:
    """Return a provider's own sign-in; raises ValueError for IMAP, which has none."""
    from shared.providers import registry

    return registry.sign_in(provider, settings())


@functools.cache
def account_reader(provider: Provider) -> AccountReader:
    """Return what tells whose mailbox a grant opens."""
    from shared.providers import registry

    return registry.account_reader(provider, settings())


def authorize_ports() -> "AuthorizePorts":
    """Return what it takes to send somebody to a provider's sign-in."""
    from shared.operations.authorize_connection import AuthorizePorts

    return AuthorizePorts(sign_in, oauth_clients(), attempts(), wiring.mailboxes(), wiring.clock())


def complete_ports() -> "CompletePorts":
    """Return what it takes to finish a sign-in."""
    from shared.operations.begin_mailbox import BeginPorts
    from shared.operations.complete_connection import CompletePorts
    from shared.operations.connect_account import AccountPorts

    begin = BeginPorts(
        wiring.mailboxes(), wiring.backfills(), wiring.secrets(), wiring.queues(), wiring.clock()
    )
    account = AccountPorts(sign_in, account_reader, oauth_clients(), grant_holders(), begin)
    return CompletePorts(attempts(), account, time.sleep, settings().sync_minutes)


def sign_in_policy(api_id: str) -> "SignInPolicy":
    """Return where people come back to. `api_id` is API Gateway's word, not the caller's."""
    from shared.operations.authorize_connection import SignInPolicy

    return SignInPolicy(
        redirect_url=settings().redirect_url.replace("{api_id}", api_id),
        return_origins=settings().return_origins,
        allow_loopback=settings().allow_private_hosts,
    )


@functools.cache
def grants() -> "Grants":
    """Return the grants of mailboxes, fit for use."""
    from shared.operations.access import Grants

    return Grants(wiring.secrets(), sign_in, oauth_clients(), wiring.clock())
