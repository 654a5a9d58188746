"""Decides how the port `MailProvider` is met by IMAP: logging in, the session, testing logins."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from shared.domain.change import Change, ChangeOutcome
from shared.domain.cursor import Cursor
from shared.domain.errors import MailroomError
from shared.domain.folders import Folder
from shared.domain.ids import Address, FolderId, ProviderMessageId
from shared.domain.mail_server import ImapGrant, ServerLogin, Verdict
from shared.domain.message import FetchedMessage, MissingMessage
from shared.ports.provider import ChangePage, Grant, KnownCopies, Look, Tally
from shared.providers.imap import (
    by_address,
    changing,
    counting,
    errors,
    fetching,
    glance,
    listing,
    slices,
    smtp,
)
from shared.providers.imap.login import open_session
from shared.providers.imap.session import OpenFolders
from shared.providers.network import Network


@dataclass(frozen=True, slots=True)
class Patience:
    """How long we wait for a server, in seconds."""

    login: float = 15.0
    """From the first packet to being logged in; also for the whole test of one side."""
    stall: float = 30.0
    """Without a single byte, once logged in."""
    session: float = 870.0
    """For everything a session does: just under the longest life of a function."""


class ImapSession:
    """A `MailSession` and `ChangeSession` over IMAP. Not thread-safe."""

    def __init__(self, open_folders: OpenFolders, login_round_trips: int) -> None:
        self._open_folders = open_folders
        self._login_round_trips = login_round_trips

    @property
    def round_trips(self) -> int:
        """How often something was sent and an answer waited for, the login included."""
        return self._login_round_trips + self._open_folders.wire.round_trips

    @property
    def bytes_received(self) -> int:
        """Bytes received since the connection was opened, without TLS."""
        return self._open_folders.wire.bytes_in

    @property
    def bytes_sent(self) -> int:
        """Bytes sent since the connection was opened, without TLS."""
        return self._open_folders.wire.bytes_out

    @errors.unreadable_is_a_violation()
    def folders(self) -> tuple[Folder, ...]:
        """List all folders."""
        return tuple(one.folder for one in self._open_folders.list_folders())

    @errors.unreadable_is_a_violation()
    def look(
        self,
        cursors: Mapping[FolderId, Cursor | None],
        is_active: Callable[[Folder], bool],
        *,
        folders: Sequence[Folder] = (),
        last_look_at: datetime | None = None,
        now: datetime,
    ) -> Look:
        """See `MailSession.look`; the listing costs no round trip of its own."""
        del folders, last_look_at
        return glance.look(self._open_folders, cursors, is_active, now=now)

    @errors.unreadable_is_a_violation()
    def baseline(self, folder: Folder, *, now: datetime) -> Cursor:
        """See `MailSession.baseline`."""
        return glance.baseline(self._open_folders, folder, now=now)

    def is_settled(self, cursor: Cursor) -> bool:
        """See `MailSession.is_settled`: a position is one round trip."""
        del cursor
        return True

    @errors.unreadable_is_a_violation()
    def changes(
        self,
        folder: Folder,
        cursor: Cursor | None,
        known: KnownCopies,
        *,
        since: datetime | None,
        limit: int,
        now: datetime,
    ) -> ChangePage:
        """See `MailSession.changes`. `flags` and `removed` may name copies nobody holds."""
        return listing.changes(
            self._open_folders, folder, cursor, known, since=since, limit=limit, now=now
        )

    @errors.unreadable_is_a_violation()
    def list_window(
        self, folder: Folder, *, since: datetime, upto: Cursor, before: datetime | None = None
    ) -> tuple[ProviderMessageId, ...]:
        """See `MailSession.list_window`."""
        return listing.list_window(
            self._open_folders, folder, since=since, upto=upto, before=before
        )

    @errors.unreadable_is_a_violation()
    def search_window(
        self, folder: Folder, addresses: Sequence[Address], *, since: datetime, upto: Cursor
    ) -> tuple[ProviderMessageId, ...]:
        """See `MailSession.search_window`; costs the address fields of the whole window."""
        return by_address.search_window(
            self._open_folders, folder, addresses, since=since, upto=upto
        )

    @errors.unreadable_is_a_violation()
    def tallies(
        self, folders: Sequence[Folder], instants: Sequence[datetime]
    ) -> Mapping[FolderId, Sequence[Tally]]:
        """See `MailSession.tallies`; whole days."""
        return counting.tallies(self._open_folders, folders, instants)

    def fetch(
        self, folder: Folder, ids: Sequence[ProviderMessageId]
    ) -> Iterator[FetchedMessage | MissingMessage]:
        """See `MailSession.fetch`."""
        with errors.unreadable_is_a_violation():
            yield from fetching.fetch(self._open_folders, folder, ids)

    def fetch_headers(
        self, folder: Folder, ids: Sequence[ProviderMessageId]
    ) -> Iterator[FetchedMessage | MissingMessage]:
        """See `MailSession.fetch_headers`; 60 to a command, and the next command ahead."""
        with errors.unreadable_is_a_violation():
            yield from fetching.fetch(self._open_folders, folder, ids, headers_only=True)

    def read_part(
        self, folder: Folder, provider_message_id: ProviderMessageId, section: str, encoding: str
    ) -> Iterator[bytes]:
        """See `MailSession.read_part`; a leaf that is gone raises `UnreadableMessageError`."""
        with errors.unreadable_is_a_violation():
            yield from slices.read_part(
                self._open_folders, folder, provider_message_id, section, encoding
            )

    def read_raw(self, folder: Folder, provider_message_id: ProviderMessageId) -> Iterator[bytes]:
        """See `MailSession.read_raw`; the whole of a message is a section without a name."""
        yield from self.read_part(folder, provider_message_id, "", "")

    def apply(self, changes: Sequence[Change]) -> Iterator[tuple[ProviderMessageId, ChangeOutcome]]:
        """See `ChangeSession.apply`."""
        with errors.unreadable_is_a_violation():
            yield from changing.apply(self._open_folders, changes)


class ImapProvider:
    """The `MailProvider`, `MailChanger` and `ServerTester` for IMAP and SMTP. Thread-safe."""

    def __init__(self, network: Network, *, patience: Patience | None = None) -> None:
        self._network = network
        self._patience = patience or Patience()

    @contextmanager
    def open(self, grant: Grant, *, seconds: float | None = None) -> Iterator[ImapSession]:
        """See `MailProvider.open`; raises TypeError for a grant that is not logins."""
        if not isinstance(grant, ImapGrant):
            raise TypeError("an IMAP mailbox is opened by logins")
        longest = self._patience.session
        within = longest if seconds is None else min(longest, seconds)
        with self._logged_in(grant.imap, session_seconds=within) as session:
            yield session

    def test_imap(self, login: ServerLogin) -> Verdict:
        """See `ServerTester.test_imap`."""
        try:
            with self._logged_in(login) as session:
                folders = session.folders()
        except MailroomError as error:
            return Verdict(error.code)
        return Verdict(folders=folders)

    def test_smtp(self, login: ServerLogin) -> Verdict:
        """See `ServerTester.test_smtp`."""
        try:
            smtp.log_in_and_leave(login, self._network, seconds=self._patience.login)
        except MailroomError as error:
            return Verdict(error.code)
        return Verdict()

    @contextmanager
    def _logged_in(
        self, login: ServerLogin, *, session_seconds: float | None = None
    ) -> Iterator[ImapSession]:
        """Log in, and out at the end; without `session_seconds` all by the login's deadline."""
        began = self._network.monotonic()
        longest = self._patience.login
        seconds = longest if session_seconds is None else min(longest, session_seconds)
        session, connection = open_session(login, self._network, seconds=seconds)
        if session_seconds is not None:
            left = began + session_seconds - self._network.monotonic()
            connection.set_session_limits(seconds=left, stall_seconds=self._patience.stall)
        try:
            yield ImapSession(OpenFolders(session), connection.writes)
        finally:
            session.wire.logout()
