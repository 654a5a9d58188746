"""Decides what one session with a mailbox remembers: pages it read ahead, messages it met."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from shared.domain.errors import ErrorCode, MailroomError, RetryLaterError
from shared.domain.folders import Folder
from shared.domain.ids import FolderId, ProviderMessageId
from shared.ports.provider import KnownCopies
from shared.providers.outlook import errors
from shared.providers.outlook.entries import FIELDS, Entry, Page, read_entry, read_page
from shared.providers.outlook.failing import may_be_its_own, reads_others
from shared.providers.outlook.graph import NOT_FOUND, PARTS, Graph, Part, Reply
from shared.providers.outlook.paths import message_path

_TRIED_ALONE = 3
"""Messages of a batch that did not come, before all of it is given up."""
MOST_EMPTY = 50
"""Pages in a row with nothing on them and a next one. Each is legal; a list of them never ends."""
_ENDLESS = f"{MOST_EMPTY} pages in a row with nothing on them"
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
        self._empty = 0

    # ---- pages of a folder's delta ----

    def keep(self, link: str, reply: Reply) -> None:
        """Keep the answer to `link`, so that it is not asked for twice."""
        self._ahead[link] = reply

    def page(self, link: str, *, page_size: int) -> Page:
        """Return the page at `link`, the one read ahead where it is small enough.

        Raises `CursorExpiredError` and `RetryLaterError` (`FOLDER_UNAVAILABLE` where there is no
        such folder), also where too many pages before it were empty: the position of the last one
        is kept, and another session goes on from there.
        """
        if self.leads_nowhere:
            self._empty = 0
            # The others of the mailbox may well get on.
            raise RetryLaterError(ErrorCode.FOLDER_UNAVAILABLE, cause=_ENDLESS)
        page = self._page_ahead(link, page_size) or self.read(
            link, self.graph.get(link, page_size=page_size)
        )
        self._empty = self._empty + 1 if page.is_empty and not page.is_last else 0
        return page

    @property
    def leads_nowhere(self) -> bool:
        """Whether so many pages in a row were empty that no further one is asked for."""
        return self._empty >= MOST_EMPTY

    def _page_ahead(self, link: str, page_size: int) -> Page | None:
        ahead = self._ahead.pop(link, None)
        page = self.read(link, ahead) if ahead is not None else None
        if page is not None and len(page.present) + len(page.doubtful) <= page_size:
            return page
        return None

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

        One on which Graph fails alone is left out. Raises what it fails with altogether.
        """
        names = list(ids)
        found, failed = self.inquire(names)
        for error in failed.values():
            if not may_be_its_own(error, self.graph):
                raise error
        if failed and not any(found.values()) and not reads_others(self.graph, names):
            raise next(iter(failed.values()))
        return found

    def inquire(
        self, ids: Iterable[ProviderMessageId]
    ) -> tuple[dict[ProviderMessageId, Entry | None], Mapping[ProviderMessageId, MailroomError]]:
        """Return what `ask` does, and what each of the others failed with."""
        names = list(ids)
        found: dict[ProviderMessageId, Entry | None] = {}
        failed: dict[ProviderMessageId, MailroomError] = {}
        for start in range(0, len(names), PARTS):
            told = self.properties(names[start : start + PARTS], FIELDS)
            for name, stored in told.items():
                if isinstance(stored, MailroomError):
                    failed[name] = stored
                else:
                    found[name] = None if stored is None else read_entry(stored)
        return found, failed

    def properties(
        self, names: Sequence[ProviderMessageId], fields: str
    ) -> Mapping[ProviderMessageId, Item | MailroomError | None]:
        """Return of each of at most 20 what Graph tells, None where it is gone, or its failure."""
        told: dict[ProviderMessageId, Item | MailroomError | None] = {}
        for name, reply in zip(names, self._told_of(names, fields), strict=True):
            try:
                if isinstance(reply, MailroomError):
                    raise reply
                told[name] = None if is_gone(reply) else reply.object()
            except MailroomError as error:
                told[name] = error
        return told

    def _told_of(
        self, names: Sequence[ProviderMessageId], fields: str
    ) -> list[Reply | MailroomError]:
        """Return an answer for each of at most 20, alone where together there was none."""
        urls = [f"{message_path(one)}?$select={fields}" for one in names]
        try:
            return [*self.graph.batch([Part(url) for url in urls])]
        except RetryLaterError as error:
            together = error
        # One of them may have spoilt what came for all.
        told: list[Reply | MailroomError] = []
        for url in urls if may_be_its_own(together, self.graph) else ():
            told.append(self._alone(url))
            if len(told) == _TRIED_ALONE and not any(isinstance(one, Reply) for one in told):
                break
        if len(told) < len(urls):
            raise together
        return told

    def _alone(self, url: str) -> Reply | MailroomError:
        try:
            return self.graph.get(url)
        except RetryLaterError as error:
            return error

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
        empty = 0
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
            empty = 0 if items else empty + 1
            if empty >= MOST_EMPTY:
                raise errors.unusable(_ENDLESS)
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
