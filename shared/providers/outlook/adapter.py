"""Decides how the port `MailProvider` is met by Microsoft Graph: opening sessions, and whose."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from shared.domain.change import Change, ChangeOutcome
from shared.domain.cursor import Cursor
from shared.domain.errors import ConfigurationError, ErrorCode, ReconnectRequiredError
from shared.domain.folders import Folder
from shared.domain.ids import Address, FolderId, ProviderMessageId
from shared.domain.mailbox import Watch
from shared.domain.message import FetchedMessage, MissingMessage
from shared.ports.provider import ChangePage, Grant, KnownCopies, Look, OAuthGrant, Tally
from shared.ports.push import WatchTarget
from shared.providers.http import Http, Requests
from shared.providers.outlook import (
    baseline,
    changing,
    counting,
    delta,
    errors,
    fetching,
    glance,
    judging,
    watching,
    window,
)
from shared.providers.outlook.endpoints import MicrosoftEndpoints
from shared.providers.outlook.graph import Graph, Part, Reply
from shared.providers.outlook.opening import opened
from shared.providers.outlook.session import Item, Session, is_gone

ADDRESS_SECONDS = 8.0
"""For a person who waits."""
_ACCOUNT = Part("/me?$select=mail,userPrincipalName")
_INBOX = Part("/me/mailFolders/inbox?$select=id")


class OutlookSession:
    """A `MailSession`, `ChangeSession` and `WatchedSession` over Graph. Not thread-safe."""

    def __init__(self, session: Session, requests: Requests) -> None:
        self._session = session
        self._http = requests

    @property
    def requests(self) -> int:
        """HTTP requests sent, a batch counted as one."""
        return self._http.sent

    @property
    def parts(self) -> int:
        """What Graph counts: requests, each one in a batch as one."""
        return self._session.graph.asked

    @property
    def bytes_received(self) -> int:
        """Bytes received inside TLS."""
        return self._http.bytes_in

    @property
    def bytes_sent(self) -> int:
        """Bytes sent inside TLS."""
        return self._http.bytes_out

    @errors.where_there_is_no_cursor()
    def look(
        self,
        cursors: Mapping[FolderId, Cursor | None],
        is_active: Callable[[Folder], bool],
        *,
        folders: Sequence[Folder] = (),
        last_look_at: datetime | None = None,
        now: datetime,
    ) -> Look:
        """See `MailSession.look`. Pages it brings are kept for `changes`."""
        return glance.look(
            self._session,
            cursors,
            is_active,
            folders=folders,
            last_look_at=last_look_at,
            now=now,
        )

    @errors.where_there_is_no_cursor()
    def baseline(self, folder: Folder, *, now: datetime) -> Cursor:
        """See `MailSession.baseline`. It takes a request for every thousand messages."""
        return baseline.baseline(self._session, folder, now=now)

    def is_settled(self, cursor: Cursor) -> bool:
        """See `MailSession.is_settled`; what another version wrote is given up when it is read."""
        return delta.is_settled(cursor)

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
        """See `MailSession.changes`. Graph tells newest first; oldest first is each page alone."""
        return delta.changes(
            self._session, folder, cursor, known, since=since, limit=limit, now=now
        )

    def list_window(
        self, folder: Folder, *, since: datetime, upto: Cursor, before: datetime | None = None
    ) -> tuple[ProviderMessageId, ...]:
        """See `MailSession.list_window`. Positions and listings cannot be compared here."""
        return window.list_window(self._session, folder, since=since, upto=upto, before=before)

    def search_window(
        self, folder: Folder, addresses: Sequence[Address], *, since: datetime, upto: Cursor
    ) -> tuple[ProviderMessageId, ...]:
        """See `MailSession.search_window`; a request for every two hundred of the window."""
        return window.search_window(self._session, folder, addresses, since=since, upto=upto)

    @errors.where_there_is_no_cursor()
    def tallies(
        self, folders: Sequence[Folder], instants: Sequence[datetime]
    ) -> Mapping[FolderId, Sequence[Tally]]:
        """See `MailSession.tallies`; exact."""
        return counting.tallies(self._session, folders, instants)

    def fetch(
        self, folder: Folder, ids: Sequence[ProviderMessageId]
    ) -> Iterator[FetchedMessage | MissingMessage]:
        """See `MailSession.fetch`."""
        with errors.where_there_is_no_cursor():
            yield from fetching.fetch(self._session, folder, ids)

    def fetch_headers(
        self, folder: Folder, ids: Sequence[ProviderMessageId]
    ) -> Iterator[FetchedMessage | MissingMessage]:
        """See `MailSession.fetch_headers`; twenty to a request."""
        del folder
        with errors.where_there_is_no_cursor():
            yield from judging.fetch_headers(self._session, ids)

    def read_part(
        self, folder: Folder, provider_message_id: ProviderMessageId, section: str, encoding: str
    ) -> Iterator[bytes]:
        """See `MailSession.read_part`; a leaf that is gone raises `UnreadableMessageError`."""
        del folder, encoding  # The id finds it wherever it is, and it comes decoded.
        with errors.where_there_is_no_cursor():
            yield from fetching.read_part(self._session, provider_message_id, section)

    def read_raw(self, folder: Folder, provider_message_id: ProviderMessageId) -> Iterator[bytes]:
        """See `MailSession.read_raw`; Exchange writes it for us, as for a mail program."""
        del folder
        with errors.where_there_is_no_cursor():
            yield from fetching.read_raw(self._session, provider_message_id)

    def apply(self, changes: Sequence[Change]) -> Iterator[tuple[ProviderMessageId, ChangeOutcome]]:
        """See `ChangeSession.apply`; an id stays as it is."""
        with errors.where_there_is_no_cursor():
            yield from changing.apply(self._session, changes)

    @errors.where_there_is_no_cursor()
    def watch(self, target: WatchTarget) -> Watch:
        """See `WatchedSession.watch`."""
        return watching.subscribe(self._session.graph, target)

    @errors.where_there_is_no_cursor()
    def extend(self, name: str, *, until: datetime) -> Watch | None:
        """See `WatchedSession.extend`."""
        return watching.extend(self._session.graph, name, until)

    @errors.where_there_is_no_cursor()
    def unwatch(self, name: str) -> None:
        """See `WatchedSession.unwatch`."""
        watching.unsubscribe(self._session.graph, name)


class OutlookProvider:
    """The `MailProvider`, `MailChanger` and `AccountReader` of Microsoft 365 and Outlook.com.

    Thread-safe.
    """

    def __init__(self, http: Http, endpoints: MicrosoftEndpoints | None = None) -> None:
        self._http = http
        self._endpoints = endpoints or MicrosoftEndpoints()

    @contextmanager
    def open(self, grant: Grant, *, seconds: float | None = None) -> Iterator[OutlookSession]:
        """See `MailProvider.open`; raises TypeError for a grant that is not OAuth's."""
        with opened(self._http, self._endpoints, grant, seconds) as (graph, requests):
            yield OutlookSession(Session(graph), requests)

    @errors.where_there_is_no_cursor()
    def address(self, grant: OAuthGrant) -> str:
        """See `AccountReader.address`: the mailbox's own, or the name its owner signs in with.

        For a person, never to tell accounts apart
        (learn.microsoft.com/entra/identity-platform/migrate-off-email-claim-authorization).
        An account without a licence for mail has an address too, so its inbox is asked for as well.
        """
        requests = self._http.until(ADDRESS_SECONDS)
        graph = Graph(requests, grant.tokens, self._endpoints)
        account_reply, inbox_reply = graph.batch([_ACCOUNT, _INBOX])
        own = _address_of(account_reply.object())
        _require_mailbox(inbox_reply)
        if own is None:
            cause = "an account without an address"
            raise ReconnectRequiredError(ErrorCode.SCOPE_MISSING, cause=cause, definitive=False)
        return own


def _address_of(account: Item) -> str | None:
    """Return the address an account's mail is from, by its properties."""
    for name in ("mail", "userPrincipalName"):
        value = account.get(name)
        if isinstance(value, str) and "@" in value:
            return value
    return None


def _require_mailbox(inbox: Reply) -> None:
    """Raise what the answer for the inbox means: every mailbox that Graph serves has one."""
    if is_gone(inbox):
        raise ConfigurationError(ErrorCode.PROVIDER_API_DISABLED, cause="Graph: 404 for the inbox")
    inbox.object()
