"""Decides what one session with a mailbox remembers: pages it read ahead, messages it met."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from urllib.parse import quote

from shared.domain.errors import ErrorCode, MailroomError, RetryLaterError
from shared.domain.folders import Folder
from shared.domain.ids import FolderId, ProviderMessageId
from shared.ports.provider import KnownCopies
from shared.providers.outlook import errors
from shared.providers.outlook.entries import FIELDS, Entry, Page, read_entry, read_page
from shared.providers.outlook.graph import NOT_FOUND, Graph, Part, Reply

LARGEST_PAGE = 1000
"""Items of a list, Graph's limit for messages (`$top`)."""
REMEMBERED = 5_000
"""Messages whose properties are kept for their content's sake, some 500 bytes each."""

Item = Mapping[str, object]
"""One of a list's, as decoded."""


def _by_their_link(_items: Sequence[Item], link: str) -> Sequence[str]:
    return (link,)


class Session:
    """What `adapter` and its helpers share during one session. Not thread-safe."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._ahead: dict[str, Reply] = {}
        self._met: dict[ProviderMessageId, Entry] = {}
        self._held: tuple[FolderId, list[tuple[int, ProviderMessageId]]] | None = None
        self._walks_end: float | None = None

    # ---- pages of a folder's delta ----

    def keep(self, link: str, reply: Reply) -> None:
        """Keep the answer to `link`, so that it is not asked for twice."""
        self._ahead[link] = reply

    def page(self, link: str, *, page_size: int) -> Page:
        """Return the page at `link`, the one read ahead where it is small enough.

        Raises `CursorExpiredError` and `RetryLaterError` (`FOLDER_UNAVAILABLE` where there is no
        such folder).
        """
        ahead = self._ahead.pop(link, None)
        if ahead is not None:
            page = self.read(link, ahead)
            if len(page.present) + len(page.doubtful) <= page_size:
                return page
        return self.read(link, self.graph.get(link, page_size=page_size))

    def read(self, link: str, reply: Reply) -> Page:
        """Return the page that `reply` to `link` is; raises as `page` does."""
        if not reply.ok:
            raise folder_failure(reply)
        body = reply.object()
        following = body.get("@odata.nextLink")
        is_last = following is None
        where = self.graph.relative(body.get("@odata.deltaLink") if is_last else following)
        if where == link and not is_last:
            raise errors.unusable("a page that follows itself")
        return read_page(body, where, is_last=is_last)

    # ---- messages without their content ----

    def meet(self, entries: Iterable[Entry]) -> None:
        """Remember what is known of messages that will be fetched."""
        for entry in entries:
            if len(self._met) < REMEMBERED:
                self._met[entry.id] = entry

    def met(self, message_id: ProviderMessageId) -> Entry | None:
        """Return what is known of a message, once: it is about to be fetched."""
        return self._met.pop(message_id, None)

    def ask(self, ids: Iterable[ProviderMessageId]) -> Mapping[ProviderMessageId, Entry | None]:
        """Return what Graph says of messages at this instant; None for those that are gone.

        Raises the first failure.
        """
        names = list(ids)
        replies = self.graph.batch([Part(f"{message_path(one)}?$select={FIELDS}") for one in names])
        found: dict[ProviderMessageId, Entry | None] = {}
        for name, reply in zip(names, replies, strict=True):
            found[name] = None if is_gone(reply) else read_entry(reply.object())
        return found

    # ---- lists ----

    def listed(self, url: str = "", *, first: Reply | None = None) -> Iterator[Item]:
        """Yield the items of a list, page after page; see `pages`."""
        for items, _following in self.pages(url, first=first):
            yield from items

    def pages(
        self,
        url: str = "",
        *,
        first: Reply | None = None,
        go_on: Callable[[Sequence[Item], str], Sequence[str]] = _by_their_link,
    ) -> Iterator[tuple[Sequence[Item], str | None]]:
        """Yield a list's pages, each with the link of what follows; raises as `page` does.

        `first`: what `url` was answered, where that is known. `go_on`: says of a page and its link
        where to go on, the first place that was not asked yet.
        """
        asked = {url}
        reply = first or self.graph.get(url)
        while True:
            if not reply.ok:
                raise folder_failure(reply)
            body = reply.object()
            value = body.get("value")
            if not isinstance(value, list):
                raise errors.unusable("a page without a list")
            items = [one for one in value if isinstance(one, dict)]
            following = body.get("@odata.nextLink")
            if following is None:
                yield items, None
                return
            link = self.graph.relative(following)
            yield items, link
            url = next((one for one in go_on(items, link) if one not in asked), "")
            if not url:
                raise errors.unusable("a list without an end")
            asked.add(url)
            reply = self.graph.get(url)

    # ---- what we hold ----

    def held_here(
        self, folder: Folder, known: KnownCopies
    ) -> Sequence[tuple[int, ProviderMessageId]]:
        """Return what we hold of a folder, newest first: minus the second it arrived, and its id.

        Read once a session, of one folder at a time, as reading costs all copies; kept is no more
        than this of them. What is stored after that is not in it.
        """
        if self._held is None or self._held[0] != folder.id:
            copies = known.in_folder()
            here = sorted((-int(one.received_at.timestamp()), name) for name, one in copies.items())
            self._held = (folder.id, here)
        return self._held[1]

    def forget_held(self) -> None:
        """Let go of what `held_here` keeps."""
        self._held = None

    # ---- time ----

    def has_time(self, seconds: float) -> Callable[[], bool]:
        """Return what says whether a walk that begins now may go on.

        Each has `seconds`; all of a session's end when half of its time has passed.
        """
        now = self.graph.seconds_left
        if self._walks_end is None:
            self._walks_end = now / 2
        end = max(self._walks_end, now - seconds)
        return lambda: self.graph.seconds_left > end


def folder_path(folder: Folder) -> str:
    """Return where a folder is, after the version."""
    return f"/me/mailFolders/{quote(folder.id, safe='')}"


def first_link(folder: Folder) -> str:
    """Return where a round that tells the whole folder begins.

    The properties named here are those that every later link of it tells, and watches.
    """
    return f"{folder_path(folder)}/messages/delta?$select={FIELDS}"


def message_path(message_id: ProviderMessageId) -> str:
    """Return where a message is, after the version."""
    return f"/me/messages/{quote(message_id, safe='')}"


def is_gone(reply: Reply) -> bool:
    """Whether what was asked for is no longer there, or never was under this id in this mailbox."""
    if reply.status == NOT_FOUND:
        # A mailbox that Graph does not serve at all says nothing of what is in it.
        return isinstance(reply.failure(), RetryLaterError)
    return "errorinvalididmalformed" in errors.codes_of(reply.body)


def folder_failure(reply: Reply) -> MailroomError:
    """Return the error a folder's answer means: without the folder it is the folder's alone."""
    failure = reply.failure()
    if is_gone(reply):
        return RetryLaterError(ErrorCode.FOLDER_UNAVAILABLE, cause=failure.cause)
    return failure
