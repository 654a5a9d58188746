"""Decides how the security a mailbox asks for becomes a connection, for IMAP and SMTP alike.

Libraries hold the dialogue; encrypting is the network's, before it or amid it.
"""

from shared.domain.mail_server import Security, ServerLogin
from shared.providers.network import Connection, Network


def connect(login: ServerLogin, network: Network, *, seconds: float) -> Connection:
    """Connect within `seconds`, encrypted where that comes first; raises what `Network` raises.

    Without any encryption only where the operator permits it.
    """
    server = login.server
    if server.security is Security.NONE:
        network.require_plaintext_permitted()
    return network.connect(
        server.host,
        server.port,
        tls=server.security is Security.TLS,
        seconds=seconds,
        trust_any=login.allow_untrusted_certificate,
    )


class Upgrade:
    """Stands where a library wants an SSL context and hands the wrapping to the network."""

    def __init__(self, network: Network, login: ServerLogin) -> None:
        self._network = network
        self._trust_any = login.allow_untrusted_certificate

    def wrap_socket(self, sock: Connection, server_hostname: str) -> Connection:
        """Encrypt the connection itself; `server_hostname` is the network's to know."""
        del server_hostname
        self._network.start_tls(sock, trust_any=self._trust_any)
        return sock
