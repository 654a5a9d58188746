"""What a mail provider must be able to do.

A provider gets a cursor and returns a page with the next one; it never touches a store, a queue or
a clock.

Every method may raise, and raises nothing else but: `ReconnectRequiredError`, `ConfigurationError`,
`RetryLaterError` (with code `FOLDER_UNAVAILABLE` where only one folder cannot be opened or read),
`CursorExpiredError` (`changes`, `list_window` and `search_window` only), `RequestError` (host or
port not allowed).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.domain.cursor import Cursor
from shared.domain.folders import Folder
from shared.domain.ids import Address, FolderId, ProviderMessageId
from shared.domain.mail_server import ImapGrant, ServerLogin, Verdict
from shared.domain.message import Copy, FetchedMessage, Flags, MissingMessage
from shared.domain.secret import Secret


class AccessTokens(Protocol):
    """The access tokens of one mailbox.

    Both methods raise `ReconnectRequiredError`, `ConfigurationError` or `RetryLaterError` where the
    provider gives no more of them. Thread-safe.
    """

    def current(self) -> Secret:
        """Return one that should be valid for some minutes; an expired one is renewed first."""
        ...

    def renewed(self, refused: Secret) -> Secret:
        """Return another one in place of `refused`, which the provider did not accept."""
        ...


@dataclass(frozen=True, slots=True)
class OAuthGrant:
    """What a user permitted at a provider's own sign-in, as long as it lasts."""

    tokens: AccessTokens
    client_id: str = ""
    """Of the client it was given to; empty where nobody needs to know."""


Grant = ImapGrant | OAuthGrant


@dataclass(frozen=True, slots=True)
class Look:
    """What one glance at a mailbox showed."""

    folders: tuple[Folder, ...]
    followed: frozenset[FolderId]
    """Those whose changes are followed, each with a cursor of its own: the active ones.

    Where a provider tells the changes of the whole mailbox at once, the one folder that stands for
    it; the others are then labels of what that one holds.
    """
    changed: frozenset[FolderId]
    """The followed ones whose content differs from their cursor."""
    unavailable: frozenset[FolderId] = frozenset()
    """The followed ones with a cursor of which nothing was told; none is in `changed`."""


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Changes of one folder since a cursor.

    `next_cursor` may be stored only after all of this page is.
    """

    added: tuple[ProviderMessageId, ...]
    flags: Mapping[ProviderMessageId, Flags]
    removed: tuple[ProviderMessageId, ...]
    """No longer in this folder. A copy that is in another one by now stays there."""
    next_cursor: Cursor
    more: bool = False
    """There is more to list after this page; come again with `next_cursor`."""
    too_old: tuple[ProviderMessageId, ...] = ()
    """New after the cursor, but received before the date floor: old messages moved here."""
    placed: Mapping[ProviderMessageId, frozenset[FolderId]] = field(default_factory=dict)
    """In which folders copies we hold are by now: moved or labelled, not fetched again.

    One that we hold as removed lives again. One that is in no folder has gone.
    """


@dataclass(frozen=True, slots=True)
class Tally:
    """How many messages there are."""

    messages: int
    more: bool = False
    """There are more than that; they were not counted further."""


class KnownCopies(Protocol):
    """Gives what we hold, for an adapter that cannot tell changes without it."""

    def in_folder(self) -> Mapping[ProviderMessageId, Copy]:
        """Return every live copy of the folder asked about; costs reading all of them."""
        ...

    def of(self, ids: Sequence[ProviderMessageId]) -> Mapping[ProviderMessageId, Copy]:
        """Return those of `ids` that we hold in any folder, live or removed."""
        ...


class MessageSource(Protocol):
    """Where messages of a mailbox can be had. Not thread-safe."""

    def fetch(
        self, folder: Folder, ids: Sequence[ProviderMessageId]
    ) -> Iterator[FetchedMessage | MissingMessage]:
        """Yield each of `ids` once, fetched or missing, holding a few megabytes at most.

        Missing for the reason `gone` is what is no longer there: also with a numbering the folder
        no longer has, or with a folder that is no longer listed or holds no messages any more. For
        the reason `unreadable` it is there, and the provider cannot read it while it does read
        others; `failing` where that may pass. A refusal that has nothing to do with one message is
        raised, after what came before it was yielded. `read_part` may be called between two
        yields.
        """
        ...

    def fetch_headers(
        self, folder: Folder, ids: Sequence[ProviderMessageId]
    ) -> Iterator[FetchedMessage | MissingMessage]:
        """Yield each of `ids` once as `fetch` does, but no content: of the header what judges it.

        That is in `header`: who takes part, subject, date, ids, and what tells automated mail
        (`providers/header_fields.py`). Where the provider tells names decoded, more addresses may
        be read there than a message has, never fewer; so what is judged worth keeping is fetched,
        and judged again. Where the provider does not tell somebody's address, `header` is empty.
        `size` is the whole message's as far as the provider tells it, else the header's. To be
        judged, not to be stored: without its text a message has another identity.
        """
        ...

    def read_part(
        self, folder: Folder, provider_message_id: ProviderMessageId, section: str, encoding: str
    ) -> Iterator[bytes]:
        """Yield the decoded bytes of one leaf in slices of about a megabyte."""
        ...

    def read_raw(self, folder: Folder, provider_message_id: ProviderMessageId) -> Iterator[bytes]:
        """Yield a message as it is at the provider, in slices; may be called as `read_part`.

        Raises `UnreadableMessageError` too, where it is gone or the provider cannot read it.
        """
        ...


class MailSession(MessageSource, Protocol):
    """An open session with one mailbox. Not thread-safe."""

    def look(
        self,
        cursors: Mapping[FolderId, Cursor | None],
        is_active: Callable[[Folder], bool],
        *,
        folders: Sequence[Folder] = (),
        last_look_at: datetime | None = None,
        now: datetime,
    ) -> Look:
        """List folders and compare the active ones with their cursors.

        It takes as few round trips as the protocol allows. A folder without a cursor counts as
        changed. `folders` are those of the last listing: an adapter to which listing costs extra
        may return them as they are while nothing has changed, for an hour at most. `last_look_at`
        (None: unknown) and `now` let it list, or ask for a full comparison, at intervals.
        """
        ...

    def baseline(self, folder: Folder, *, now: datetime) -> Cursor:
        """Return the folder's position at this instant; what is there already lies before it.

        Where taking it needs more time than a session has, one that is not settled yet: `changes`
        goes on with it, naming what was received after `now` as added.
        """
        ...

    def is_settled(self, cursor: Cursor) -> bool:
        """Whether a cursor is a position, and not one that is still being taken; asks nobody."""
        ...

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
        """Return what changed after `cursor`, at most `limit` added ids, oldest first.

        What is new after `cursor` and was received before the date floor `since` is named as too
        old. `cursor` None lists the whole folder from that floor on and, on its last page,
        names as removed every known copy that is no longer there. The position is taken before the
        listing. Raises `CursorExpiredError` when the cursor no longer fits; then come again with
        None.
        """
        ...

    def list_window(
        self, folder: Folder, *, since: datetime, upto: Cursor, before: datetime | None = None
    ) -> tuple[ProviderMessageId, ...]:
        """Return the ids of a window, newest first.

        They were received at or after `since` and before `before`, to a few seconds, and lie before
        the position `upto`; where positions and listings cannot be compared, some later ones too.
        Raises `CursorExpiredError` where the folder was renumbered since `upto`.
        """
        ...

    def search_window(
        self, folder: Folder, addresses: Sequence[Address], *, since: datetime, upto: Cursor
    ) -> tuple[ProviderMessageId, ...]:
        """Return the ids of a window whose From, To, Cc or Bcc names one of `addresses`.

        Of those that `list_window` would list, newest first. It may name too many, never too few:
        where a provider's search cannot promise that, the window is gone through. `addresses` are
        canonical, as many as there are: asking for them together costs less than one by one. One
        that begins with its `@` stands for every address of that domain, for who reads several
        (tags, dots) as one. Which form a message has them in does not matter. Raises as
        `list_window` does.
        """
        ...

    def tallies(
        self, folders: Sequence[Folder], instants: Sequence[datetime]
    ) -> Mapping[FolderId, Sequence[Tally]]:
        """Return about how many messages each folder received at or after each of `instants`.

        In a few requests, however many there are: it counts what `list_window` would list, and may
        count the whole day of an instant. A folder that cannot be opened is left out. To be asked
        after a `look`, of folders it follows.
        """
        ...


class MailProvider(Protocol):
    """Opens sessions with mailboxes of one provider."""

    def open(
        self, grant: Grant, *, seconds: float | None = None
    ) -> AbstractContextManager[MailSession]:
        """Log in, or begin with access tokens.

        The context manager logs out and closes, also after a failure.

        The whole session, login included, lasts `seconds` at most: whatever it does then raises
        `RetryLaterError` (`connection_timed_out`). None leaves the provider's own bound, which is
        just under the longest life of a function and also holds where `seconds` is longer.
        """
        ...


class ServerTester(Protocol):
    """Tries logins before anything is stored. Never raises for what a server does.

    The verdict says it.
    """

    def test_imap(self, login: ServerLogin) -> Verdict:
        """Log in by IMAP and list the folders, within 15 seconds."""
        ...

    def test_smtp(self, login: ServerLogin) -> Verdict:
        """Log in by SMTP without sending, within 15 seconds."""
        ...
