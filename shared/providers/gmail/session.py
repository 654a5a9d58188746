"""Decides what a session with a Gmail mailbox remembers between a look and what follows it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from shared.domain.change import Change, ChangeOutcome
from shared.domain.cursor import Cursor
from shared.domain.errors import (
    CursorExpiredError,
    ErrorCode,
    RetryLaterError,
    UnreadableMessageError,
)
from shared.domain.folders import Folder
from shared.domain.ids import Address, FolderId, ProviderMessageId
from shared.domain.mailbox import Watch
from shared.domain.message import FetchedMessage, MissingMessage
from shared.ports.provider import ChangePage, KnownCopies, Look, Tally
from shared.ports.push import WatchTarget
from shared.providers.gmail import (
    by_address,
    changing,
    counting,
    history,
    labels,
    position,
    units,
    watching,
)
from shared.providers.gmail.api import GmailApi, objects, whole_number
from shared.providers.gmail.comparing import Comparison
from shared.providers.gmail.fetching import ONLY_HEADERS, Fetching
from shared.providers.gmail.listing import Listing, Window
from shared.providers.gmail.position import Position, Walk
from shared.providers.gmail.scope import Scope

_FOLLOWED = frozenset({labels.ALL.id})
_LISTING_INTERVAL = timedelta(hours=1)
"""No record of history tells of a label that was made, renamed or deleted: so often they are listed
although nothing happened, for a unit."""


class GmailSession:
    """A `MailSession`, `ChangeSession` and `WatchedSession` over the Gmail API. Not thread-safe."""

    def __init__(self, api: GmailApi) -> None:
        self._api = api
        self._scope = Scope()
        self._fetching = Fetching(api)
        self._judging = Fetching(api, ONLY_HEADERS)
        self._comparison: Comparison | None = None
        self._news: tuple[Position, history.News | CursorExpiredError] | None = None

    @property
    def units(self) -> int:
        """Units of Gmail's quota this session used."""
        return self._api.units

    @property
    def requests(self) -> int:
        """HTTP requests this session sent, a batch counted once."""
        return self._api.requests

    @property
    def bytes_received(self) -> int:
        """Bytes received inside TLS, as compressed as they came."""
        return self._api.bytes_received

    def look(
        self,
        cursors: Mapping[FolderId, Cursor | None],
        is_active: Callable[[Folder], bool],
        *,
        folders: Sequence[Folder] = (),
        last_look_at: datetime | None = None,
        now: datetime,
    ) -> Look:
        """See `MailSession.look`: one request where nothing happened and `folders` are known.

        The whole mailbox is followed, whatever is active: that says which of its messages are ours.
        """
        is_quiet = self._is_quiet(cursors.get(labels.ALL.id), now)
        are_known = is_quiet and folders and not _is_time_to_list(last_look_at, now)
        listed = tuple(folders) if are_known else self._list_folders()
        self._scope.learn(is_active, listed)
        return Look(listed, _FOLLOWED, frozenset() if is_quiet else _FOLLOWED)

    def baseline(self, folder: Folder, *, now: datetime) -> Cursor:
        """See `MailSession.baseline`."""
        _require_whole(folder)
        return self._here(now).cursor()

    def is_settled(self, cursor: Cursor) -> bool:
        """See `MailSession.is_settled`: not while the mailbox is being listed and compared.

        One that nobody can read is not under way: whoever goes on from it is told.
        """
        try:
            return position.read(cursor).walk is None
        except CursorExpiredError:
            return True

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
        """See `MailSession.changes`. Nothing is too old here: only fetching tells a date."""
        _require_whole(folder)
        if cursor is None:
            self._comparison = None
            # Before the listing (T50): what changes meanwhile is told by history right after.
            at = self._here(now).walking(Walk())
        else:
            at = position.read(cursor)
        if at.walk is not None:
            self._comparison = self._comparison or Comparison(self._api, self._scope)
            return self._comparison.page(at, known, since=since, limit=limit, now=now)
        news = self._news_after(at)
        return history.apply(news, at, known, self._scope, limit=limit, now=now)

    def list_window(
        self, folder: Folder, *, since: datetime, upto: Cursor, before: datetime | None = None
    ) -> tuple[ProviderMessageId, ...]:
        """See `MailSession.list_window`; positions cannot be compared with listings here."""
        _require_whole(folder)
        position.read(upto)
        window = Window(end=int(before.timestamp()) if before else 0)
        return tuple(Listing(self._api, self._scope, window, since).wanted() or ())

    def search_window(
        self, folder: Folder, addresses: Sequence[Address], *, since: datetime, upto: Cursor
    ) -> tuple[ProviderMessageId, ...]:
        """See `MailSession.search_window`; by Gmail's search, some eight addresses to a listing."""
        _require_whole(folder)
        position.read(upto)
        return by_address.search(self._api, self._scope, addresses, since)

    def tallies(
        self, folders: Sequence[Folder], instants: Sequence[datetime]
    ) -> Mapping[FolderId, Sequence[Tally]]:
        """See `MailSession.tallies`; exact, up to a number that says there are more."""
        for folder in folders:
            _require_whole(folder)
        return {one.id: counting.tallies(self._api, self._scope, instants) for one in folders}

    def fetch(
        self, folder: Folder, ids: Sequence[ProviderMessageId]
    ) -> Iterator[FetchedMessage | MissingMessage]:
        """See `MailSession.fetch`; each comes whole, up to the 50 MB that Gmail takes."""
        del folder
        yield from self._fetching.fetch(ids)

    def fetch_headers(
        self, folder: Folder, ids: Sequence[ProviderMessageId]
    ) -> Iterator[FetchedMessage | MissingMessage]:
        """See `MailSession.fetch_headers`; each costs as many units as it costs whole."""
        del folder
        yield from self._judging.fetch(ids)

    def read_part(
        self, folder: Folder, provider_message_id: ProviderMessageId, section: str, encoding: str
    ) -> Iterator[bytes]:
        """Raise `UnreadableMessageError`: messages come whole, so nothing is left to be read."""
        del folder, provider_message_id, section, encoding
        raise UnreadableMessageError(ErrorCode.MESSAGE_GONE, cause="no part is left at Gmail")

    def read_raw(self, folder: Folder, provider_message_id: ProviderMessageId) -> Iterator[bytes]:
        """See `MailSession.read_raw`; it comes at once, as large as Gmail takes it."""
        del folder
        yield self._fetching.raw_of(provider_message_id)

    def apply(self, changes: Sequence[Change]) -> Iterator[tuple[ProviderMessageId, ChangeOutcome]]:
        """See `ChangeSession.apply`; five units each."""
        yield from changing.apply(self._api, changes)

    def watch(self, target: WatchTarget) -> Watch:
        """See `WatchedSession.watch`; a hundred units. There is no more than one, for all of us."""
        return watching.watch(self._api, target.place)

    def extend(self, name: str, *, until: datetime) -> Watch | None:
        """Return None: here the same is asked for again."""
        del name, until
        return None

    def unwatch(self, name: str) -> None:
        """See `WatchedSession.unwatch`; fifty units."""
        del name
        watching.stop(self._api)

    def address(self) -> str:
        """Return the mailbox's address."""
        found = self._api.get("profile", {}, cost=units.GET_PROFILE)
        address = found.get("emailAddress")
        if not isinstance(address, str) or not address:
            raise RetryLaterError(
                ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="a profile without address"
            )
        return address

    def _is_quiet(self, cursor: Cursor | None, now: datetime) -> bool:
        """Whether nothing happened since `cursor`; what did is kept for `changes`."""
        if cursor is None:
            return False
        try:
            at = position.read(cursor)
            if at.walk is not None or at.entries:
                return False
            news = history.read_news(self._api, at)
        except CursorExpiredError as error:
            if error.cause == history.EXPIRED:
                self._news = (at, error)
            return False
        self._news = (at, news)
        grows_old = at.is_old(now) and news.history_id > at.history_id
        return not (news.records or news.more or grows_old)

    def _news_after(self, at: Position) -> history.News:
        if self._news is None or self._news[0] != at:
            return history.read_news(self._api, at)
        (_at, news), self._news = self._news, None
        if isinstance(news, CursorExpiredError):
            raise news
        return news

    def _here(self, now: datetime) -> Position:
        found = self._api.get("profile", {"fields": "historyId"}, cost=units.GET_PROFILE)
        return Position.at(whole_number(found.get("historyId")), now)

    def _list_folders(self) -> tuple[Folder, ...]:
        found = self._api.get("labels", {"fields": "labels(id,name)"}, cost=units.LABELS_LIST)
        return labels.folders_of(objects(found, "labels"))


def _is_time_to_list(last_look_at: datetime | None, now: datetime) -> bool:
    """Whether an interval's border lies between two looks, however far apart they are."""
    if last_look_at is None:
        return True
    seconds = _LISTING_INTERVAL.total_seconds()
    return last_look_at.timestamp() // seconds != now.timestamp() // seconds


def _require_whole(folder: Folder) -> None:
    """Refuse a label: it is no place of its own, and nobody follows one."""
    if folder.id != labels.ALL.id:
        raise RetryLaterError(ErrorCode.FOLDER_UNAVAILABLE, cause="a label is not followed alone")
