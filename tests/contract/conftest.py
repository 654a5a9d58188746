"""What the tests against mail servers share: certificates, logins, and a network that may reach loopback."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shared.domain.mail_server import ImapGrant, Security, ServerLogin, ServerSettings
from shared.domain.secret import Secret
from shared.providers.imap import login
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


# ---- every provider ----

HIDDEN = {
    "dovecot with QRESYNC": frozenset(),
    "dovecot with CONDSTORE": frozenset({b"QRESYNC"}),
    "dovecot with nothing": frozenset(
        {b"QRESYNC", b"CONDSTORE", b"ESEARCH", b"SPECIAL-USE", b"ID"}
    ),
}
"""To a client that asks Dovecot for less it is an older server."""
NUMBERED = ["the fake", *HIDDEN, "pymap"]
"""Those that number the messages of each folder anew, and can number it anew altogether."""
BY_FOLDER = [*NUMBERED, "outlook", "the fake with folders"]
"""Those that tell the changes of each folder apart, and know of a folder that is not asked about.

Gmail tells those of the whole mailbox, and a label that is gone leaves its messages where they are.
"""


@pytest.fixture(params=[*BY_FOLDER, "gmail", "the fake with labels"])
def world(request, monkeypatch):
    """A mailbox at each provider in turn, the fakes of the operations' tests included."""
    return _world(request, monkeypatch)


@pytest.fixture(params=BY_FOLDER)
def world_by_folder(request, monkeypatch):
    return _world(request, monkeypatch)


@pytest.fixture(params=NUMBERED)
def numbered_world(request, monkeypatch):
    return _world(request, monkeypatch)


@pytest.fixture(params=["the fake", "dovecot with QRESYNC", "pymap", "outlook", "gmail"])
def world_of_each_kind(request, monkeypatch):
    """One of each, for what no extension of a server's and no kind of fake changes."""
    return _world(request, monkeypatch)


CHANGING = [
    "the fake",
    "the fake with folders",
    "the fake with labels",
    "dovecot with QRESYNC",
    "dovecot with nothing",
    "pymap",
    "gmail",
    "outlook",
]
"""Where what is done here is done at the provider."""


@pytest.fixture(params=CHANGING)
def changing_world(request, monkeypatch):
    return _world(request, monkeypatch)


def _world(request, monkeypatch):
    from tests.contract import lasting_worlds, provider_worlds

    match request.param:
        case "outlook" | "gmail":
            return request.getfixturevalue(request.param)
        case "the fake":
            return provider_worlds.in_memory()
        case "the fake with folders":
            return lasting_worlds.with_folders()
        case "the fake with labels":
            return lasting_worlds.with_labels()
        case "pymap":
            return provider_worlds.on_imap(request.getfixturevalue("pymap_user"))
    hidden = HIDDEN[request.param]
    monkeypatch.setattr(login.Session, "can", lambda self, name: name in self.capabilities - hidden)
    return provider_worlds.on_imap(request.getfixturevalue("mail_user"))
