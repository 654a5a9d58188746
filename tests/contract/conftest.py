"""What the tests against mail servers share: certificates, logins, and a network that may reach loopback."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shared.domain.mail_server import ImapGrant, Security, ServerLogin, ServerSettings
from shared.domain.secret import Secret
from shared.providers.imap.adapter import ImapProvider, Patience
from shared.providers.network import Network, NetworkPolicy

ALL_PORTS = frozenset(range(1, 65_536))
USER, PASSWORD = "alice@mail.example", "correct horse"


@pytest.fixture(scope="session")
def network(certificates) -> Network:
    return Network(loopback_policy(certificates.authority))


@pytest.fixture(scope="session")
def provider(network) -> ImapProvider:
    return ImapProvider(network)


@pytest.fixture(scope="session")
def impatient(network) -> ImapProvider:
    """Gives up soon, so that a test of silence is short."""
    return ImapProvider(network, patience=Patience(login=0.5, stall=0.5, session=5.0))


def loopback_policy(authority: Path | None, **more) -> NetworkPolicy:
    return NetworkPolicy(
        allow_private_hosts=True,
        extra_ports=ALL_PORTS,
        extra_ca_file=str(authority) if authority else None,
        **{"allow_plaintext": True, **more},
    )


@pytest.fixture(scope="session")
def login_to() -> Callable[..., ServerLogin]:
    def make(
        server,
        security="tls",
        *,
        username=USER,
        password=PASSWORD,
        host=None,
        untrusted=False,
    ) -> ServerLogin:
        settings = ServerSettings(host or server.host, server.port, Security(security), username)
        return ServerLogin(settings, Secret(password), allow_untrusted_certificate=untrusted)

    return make


@pytest.fixture(scope="session")
def grant_for(login_to) -> Callable[..., ImapGrant]:
    def make(server, security="tls", **more) -> ImapGrant:
        login = login_to(server, security, **more)
        return ImapGrant(login, login)

    return make


@pytest.fixture
def outlook(certificates):
    """A mailbox at the Microsoft simulator, and our copies of it."""
    from tests.contract.outlook_world import at_microsoft

    with at_microsoft(certificates) as world:
        yield world


@pytest.fixture
def gmail(certificates):
    """A mailbox at the Google simulator, and our copies of it."""
    from tests.contract.gmail_world import at_google

    with at_google(certificates) as world:
        yield world
