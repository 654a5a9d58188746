"""A mailbox on a real server beside our copies of it, driven as a run drives its session."""

from contextlib import contextmanager
from datetime import UTC, datetime

from shared.domain.cursor import Cursor
from shared.domain.mail_server import ImapGrant, Security, ServerLogin, ServerSettings
from shared.domain.message import FetchedMessage, Flags
from shared.domain.secret import Secret
from shared.providers.imap.adapter import ImapProvider
from shared.providers.network import Network
from tests.contract.conftest import loopback_policy
from tests.fakes.known import Known

NOW = datetime.now(UTC)


def mail(number, *, body="hello") -> bytes:
    return (
        f"From: Ann <ann@customer.example>\r\nTo: alice@mail.example\r\nSubject: {number}\r\n"
        f"Message-ID: <{number}@customer.example>\r\n\r\n{body}\r\n"
    ).encode()


class World:
    """A mailbox on the server, and our copies of it."""

    def __init__(self, user, kind) -> None:
        self.kind = kind
        self.stored = user.mail
        security = Security.TLS if user.tls_port else Security.STARTTLS
        port = user.tls_port or user.starttls_port
        server = ServerSettings(user.host, port, security, user.address)
        side = ServerLogin(server, Secret(user.password))
        self._grant = ImapGrant(side, side)
        self.provider = ImapProvider(Network(loopback_policy(user.authority)))
        self.now = NOW
        self.held: dict[str, Flags] = {}
        self.asked_for_known = 0

    @contextmanager
    def session(self):
        with self.provider.open(self._grant) as session:
            yield session

    def folder(self, name="INBOX"):
        with self.session() as session:
            return next(one for one in session.folders() if one.name == name)

    def baseline(self, name="INBOX"):
        with self.session() as session:
            return session.baseline(self.folder(name), now=self.now)

    def known(self):
        self.asked_for_known += 1
        return dict(self.held)

    def sync(self, cursor, name="INBOX", *, since=None, limit=100):
        """Follow all pages as a run does; return what was added, changed, removed, and the cursor."""
        folder = self.folder(name)
        added: list = []
        flags: dict = {}
        removed: list = []
        more = True
        with self.session() as session:
            while more:
                page = session.changes(
                    folder, cursor, Known(self.known), since=since, limit=limit, now=self.now
                )
                assert len(page.added) <= limit
                for one in session.fetch(folder, page.added):
                    assert isinstance(one, FetchedMessage)
                    self.held[one.provider_message_id] = one.flags
                added += page.added
                flags |= page.flags
                removed += page.removed
                self.held.update({k: v for k, v in page.flags.items() if k in self.held})
                for gone in page.removed:
                    self.held.pop(gone, None)
                cursor, more = Cursor.decode(page.next_cursor.encode()), page.more
        return added, flags, removed, cursor

    def uids(self) -> list[int]:
        return sorted(int(name.rsplit(".", 1)[1]) for name in self.held)

    def look(self, cursors):
        with self.session() as session:
            before = session.round_trips
            seen = session.look(cursors, lambda one: one.id in cursors, now=self.now)
            return seen, session.round_trips - before
