"""A mailbox at any provider beside our copies of it: what the suite of all providers is written in.

A message is known by a number, which is its subject. A provider joins the suite with a `Theirs`,
which changes the mailbox as its owner's other program does, and a `Provider` with a grant.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.domain.cursor import Cursor
from shared.domain.errors import ErrorCode
from shared.domain.folders import Folder
from shared.domain.ids import Address, FolderId, ProviderMessageId
from shared.domain.mail_server import ImapGrant, Security, ServerLogin, ServerSettings
from shared.domain.message import FetchedMessage, Flags
from shared.domain.secret import Secret
from shared.ports.provider import Look, MailProvider, MailSession, Tally
from shared.providers.imap.adapter import ImapProvider
from shared.providers.network import Network
from tests.contract.conftest import loopback_policy
from tests.fakes.known import Known
from tests.fakes.provider import FakeMailServer

NOW = datetime.now(UTC).replace(microsecond=0)


def raw_mail(number: int) -> bytes:
    return (
        f"From: Ann <ann@customer.example>\r\nTo: alice@mail.example\r\nSubject: {number}\r\n"
        f"Message-ID: <{number}@customer.example>\r\n\r\nhello\r\n"
    ).encode()


def number_of(message: FetchedMessage) -> int:
    head = message.raw or message.header or b""
    return int(head.split(b"Subject: ")[1].split(b"\r\n")[0])


class Theirs(ABC):
    """The mailbox at the provider. Messages are named by number; each is in one folder."""

    marks_answered = True
    """Whether the provider tells what was answered."""
    keeps_bytes = True
    """Whether a message comes back as it was delivered, byte for byte."""

    def __init__(self) -> None:
        self._places: dict[int, tuple[str, int]] = {}

    def deliver(
        self,
        *numbers: int,
        folder: str = "INBOX",
        received_at: datetime = NOW,
        seen: bool = False,
    ) -> None:
        raws = [raw_mail(number) for number in numbers]
        uids = self._store(folder, raws, received_at, seen=seen)
        self._places |= {n: (folder, uid) for n, uid in zip(numbers, uids, strict=True)}

    def deliver_as(
        self, number: int, head: str, *, folder: str = "INBOX", received_at: datetime = NOW
    ) -> None:
        """Deliver a message whose header says more, or other people, than the usual one."""
        lines = "\r\n".join([*head.strip().splitlines(), f"Subject: {number}"])
        raw = f"{lines}\r\nMessage-ID: <{number}@customer.example>\r\n\r\nhello\r\n".encode()
        (uid,) = self._store(folder, [raw], received_at, seen=False)
        self._places[number] = (folder, uid)

    def flag(self, number: int) -> None:
        """Mark a message seen, flagged and answered."""
        self._flag(*self._places[number])

    def delete(self, *numbers: int) -> None:
        for number in numbers:
            self._expunge(*self._places.pop(number))

    def move(self, number: int, to: str) -> None:
        folder, uid = self._places[number]
        self._places[number] = (to, self._move(folder, uid, to))

    def numbers(self, folder: str = "INBOX") -> set[int]:
        return {number for number, (place, _uid) in self._places.items() if place == folder}

    def delete_folder(self, name: str) -> None:
        for number in self.numbers(name):
            del self._places[number]
        self._delete_folder(name)

    @abstractmethod
    def create_folder(self, name: str) -> None: ...
    @abstractmethod
    def _delete_folder(self, name: str) -> None: ...
    @abstractmethod
    def _store(
        self, folder: str, raws: Sequence[bytes], received_at: datetime, *, seen: bool
    ) -> list[int]: ...
    @abstractmethod
    def _flag(self, folder: str, uid: int) -> None: ...
    @abstractmethod
    def _expunge(self, folder: str, uid: int) -> None: ...
    @abstractmethod
    def _move(self, folder: str, uid: int, to: str) -> int: ...


class OnServer(Theirs):
    """On a real IMAP server, changed over IMAP."""

    def __init__(self, stored) -> None:
        super().__init__()
        self._stored = stored

    def create_folder(self, name):
        self._stored.create_folder(name)

    def _delete_folder(self, name):
        self._stored.delete_folder(name)

    def _store(self, folder, raws, received_at, *, seen):
        flags = ["\\Seen"] if seen else []
        self._stored.append_many(folder, [(raw, flags, received_at) for raw in raws])
        return self._stored.uids(folder)[-len(raws) :]

    def _flag(self, folder, uid):
        self._stored.set_flags([uid], ["\\Seen", "\\Flagged", "\\Answered"], folder)

    def _expunge(self, folder, uid):
        self._stored.expunge([uid], folder)

    def _move(self, folder, uid, to):
        self._stored.move([uid], to, folder)
        return self._stored.uids(to)[-1]


class InMemory(Theirs):
    """In the fake the operations are tested on."""

    def __init__(self, server: FakeMailServer) -> None:
        super().__init__()
        self._server = server

    def create_folder(self, name):
        self._server.create_folder(name)

    def _delete_folder(self, name):
        self._server.delete_folder(name)

    def _store(self, folder, raws, received_at, *, seen):
        return [self._server.deliver(folder, raw, received_at, seen=seen) for raw in raws]

    def _flag(self, folder, uid):
        self._server.set_flags(folder, uid, Flags(seen=True, flagged=True, answered=True))

    def _expunge(self, folder, uid):
        self._server.delete(folder, uid)

    def _move(self, folder, uid, to):
        return self._server.move(folder, uid, to)


@dataclass
class Followed:
    """What all pages from a cursor on told, by number."""

    cursor: Cursor
    added: list[int] = field(default_factory=list)
    changed: dict[int, Flags] = field(default_factory=dict)
    removed: list[int] = field(default_factory=list)
    too_old: int = 0


@dataclass
class ProviderWorld:
    """A provider, a mailbox there, and our copies of it."""

    wrong_code = ErrorCode.LOGIN_REJECTED
    """What `wrong_grant` ends with."""
    oldest_first = True
    """Whether pages of a whole listing come oldest first, and not each page alone."""
    compares_positions = True
    """Whether a window ends at its position, and does not have later messages too."""

    provider: MailProvider
    grant: ImapGrant
    theirs: Theirs
    now: datetime = NOW
    copies: dict[ProviderMessageId, tuple[int, Flags]] = field(default_factory=dict)

    @contextmanager
    def session(self, grant: ImapGrant | None = None) -> Iterator[MailSession]:
        with self.provider.open(grant or self.grant) as session:
            yield session

    @property
    def wrong_grant(self) -> ImapGrant:
        side = ServerLogin(self.grant.imap.server, Secret("not the password"))
        return ImapGrant(side, side)

    def folders(self) -> dict[str, Folder]:
        with self.session() as session:
            seen = session.look({}, lambda _one: False, now=self.now)
        return {one.name: one for one in seen.folders}

    def folder(self, name: str = "INBOX") -> Folder:
        return self.folders()[name]

    def followed(self, name: str = "INBOX") -> Folder:
        """The folder whose changes tell of this one's."""
        return self.folder(name)

    def position(self, name: str = "INBOX") -> Cursor:
        folder = self.folder(name)
        with self.session() as session:
            return session.baseline(folder, now=self.now)

    def look(self, cursors: Mapping[FolderId, Cursor | None]) -> Look:
        with self.session() as session:
            return session.look(cursors, lambda one: one.id in cursors, now=self.now)

    def has_changed(self, cursor: Cursor | None, name: str = "INBOX") -> bool:
        folder = self.folder(name)
        return folder.id in self.look({folder.id: cursor}).changed

    def held(self, folder: Folder) -> dict[ProviderMessageId, Flags]:
        mine = f"{folder.id}."
        return {name: flags for name, (_, flags) in self.copies.items() if name.startswith(mine)}

    def numbers(self, name: str = "INBOX") -> set[int]:
        """What we hold of a folder."""
        return {self.copies[one][0] for one in self.held(self.folder(name))}

    def follow(
        self,
        cursor: Cursor | None,
        name: str = "INBOX",
        *,
        since: datetime | None = None,
        limit: int = 100,
        pages: int = 1_000,
    ) -> Followed:
        """Take in page after page as a run does, each cursor through its stored form."""
        folder = self.folder(name)
        told = Followed(cursor) if cursor else Followed(Cursor("", 0, ""))
        with self.session() as session:
            for _ in range(pages):
                page = session.changes(
                    folder,
                    cursor,
                    Known(lambda: self.held(folder)),
                    since=since,
                    limit=limit,
                    now=self.now,
                )
                assert len(page.added) <= limit
                told.added += self._take_in(session, folder, page.added)
                told.too_old += len(page.too_old)
                for one, flags in page.flags.items():
                    if one in self.copies:
                        told.changed[self.copies[one][0]] = flags
                        self.copies[one] = (self.copies[one][0], flags)
                told.removed += [
                    self.copies.pop(one)[0] for one in page.removed if one in self.copies
                ]
                told.cursor = cursor = Cursor.decode(page.next_cursor.encode())
                if not page.more:
                    break
        return told

    def _take_in(self, session, folder, names) -> list[int]:
        fetched = {one.provider_message_id: one for one in session.fetch(folder, names)}
        added = []
        for name in names:
            one = fetched[name]
            assert isinstance(one, FetchedMessage)
            self.copies[name] = (number_of(one), one.flags)
            added.append(number_of(one))
        return added

    def tallies(self, instants: Sequence[datetime], name: str = "INBOX") -> list[Tally]:
        folder = self.followed(name)
        with self.session() as session:
            session.look({}, lambda one: one.name == name, now=self.now)
            (tallies,) = session.tallies([folder], instants).values()
        return list(tallies)

    def window(
        self,
        *,
        since: datetime,
        upto: Cursor,
        before: datetime | None = None,
        name: str = "INBOX",
    ) -> list[int]:
        """The numbers of a window in the order it is listed."""
        folder = self.folder(name)
        with self.session() as session:
            names = session.list_window(folder, since=since, upto=upto, before=before)
            found = {one.provider_message_id: one for one in session.fetch(folder, names)}
        return [number_of(found[name]) for name in names]

    def searched(
        self,
        *addresses: str,
        upto: Cursor | None = None,
        since: datetime = NOW - timedelta(days=30),
        name: str = "INBOX",
    ) -> list[int]:
        """The numbers of what may name one of `addresses`, in the order it is found."""
        folder = self.followed(name)
        upto = upto or self.position(name)
        with self.session() as session:
            names = session.search_window(
                folder, [Address(one) for one in addresses], since=since, upto=upto
            )
            assert len(names) == len(set(names))
            found = {one.provider_message_id: one for one in session.fetch(folder, names)}
        return [number_of(found[name]) for name in names]


def on_imap(user) -> ProviderWorld:
    """A world on a real IMAP server, from a user of `tests.mail_servers`."""
    security = Security.TLS if user.tls_port else Security.STARTTLS
    server = ServerSettings(user.host, user.tls_port or user.starttls_port, security, user.address)
    side = ServerLogin(server, Secret(user.password))
    provider = ImapProvider(Network(loopback_policy(user.authority)))
    return ProviderWorld(provider, ImapGrant(side, side), OnServer(user.mail))


def in_memory() -> ProviderWorld:
    """A world on the fake."""
    fake = FakeMailServer.with_folders("INBOX", "Sent")
    fake.password = "password of the fake"
    server = ServerSettings("imap.fake.example", 993, Security.TLS, "alice")
    side = ServerLogin(server, Secret(fake.password))
    return ProviderWorld(fake, ImapGrant(side, side), InMemory(fake))
