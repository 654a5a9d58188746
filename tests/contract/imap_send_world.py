"""A mailbox on a real Dovecot, its submission server, and three neighbours."""

import itertools
from contextlib import contextmanager

from shared.domain.mail_server import ImapGrant, Security, ServerLogin, ServerSettings
from shared.domain.secret import Secret
from shared.providers.imap.adapter import ImapProvider
from shared.providers.imap.sending import ImapSender
from shared.providers.network import Network
from tests.contract.conftest import loopback_policy
from tests.contract.send_worlds import SendWorld

_numbers = itertools.count(1)


class OnServers(SendWorld):
    """Real servers for both sides."""

    def __init__(self, user, dovecot, smtp_server, neighbours, security=Security.TLS) -> None:
        self.address, self.recipients = user.address, neighbours
        self.dovecot, self.smtp_server = dovecot, smtp_server
        ports, secret = smtp_server.ports, Secret(user.password)
        port = ports.tls if security is Security.TLS else ports.starttls
        self.grant = ImapGrant(
            ServerLogin(
                ServerSettings(user.host, user.tls_port, Security.TLS, user.address), secret
            ),
            ServerLogin(ServerSettings(user.host, port, security, user.address), secret),
        )
        network = Network(loopback_policy(user.authority))
        self.provider = ImapProvider(network)
        self.sender = ImapSender(network, pause=lambda _seconds: None)

    def received(self, recipient):
        stored = self.dovecot.mail(recipient)
        return [stored.raw(uid) for uid in stored.uids()]

    def drafts(self):
        return len(self.dovecot.mail(self.address).uids("Drafts"))

    def lose_next_answer(self):
        self.smtp_server.lose_answers(1)


@contextmanager
def on_servers(request):
    dovecot = request.getfixturevalue("dovecot")
    neighbours = tuple(f"neighbour{next(_numbers)}@mailroom.example" for _ in range(3))
    for one in neighbours:
        dovecot.add_user(one, f"password of {one}")
    yield OnServers(
        request.getfixturevalue("mail_user"),
        dovecot,
        request.getfixturevalue("smtp_server"),
        neighbours,
    )
    for one in neighbours:
        dovecot.remove_user(one)
