"""Decides what one session with a mailbox remembers: pages it read ahead, messages it met."""

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from shared.domain.errors import ErrorCode, MailroomError, RetryLaterError
from shared.domain.folders import Folder
from shared.domain.ids import ProviderMessageId
from shared.providers.outlook import errors
from shared.providers.outlook.entries import FIELDS, Entry, Page, read_entry, read_page
from shared.providers.outlook.graph import NOT_FOUND, Graph, Part, Reply

LARGEST_PAGE = 1000
"""Items of a list, Graph's limit for messages (`$top`)."""
REMEMBERED = 5_000
"""Messages whose properties are kept for their content's sake, some 500 bytes each."""


class Session:
    """What `adapter` and its helpers share during one session. Not thread-safe."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._ahead: dict[str, Reply] = {}
        self._met: dict[ProviderMessageId, Entry] = {}

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

    def listed(self, url: str) -> Iterable[Mapping[str, object]]:
        """Yield the items of a list of a folder's, page after page; raises as `page` does."""
        seen: set[str] = set()
        while url not in seen:
            seen.add(url)
            reply = self.graph.get(url)
            if not reply.ok:
                raise folder_failure(reply)
            body = reply.object()
            value = body.get("value")
            if not isinstance(value, list):
                raise errors.unusable("a page without a list")
            yield from (one for one in value if isinstance(one, dict))
            if body.get("@odata.nextLink") is None:
                return
            url = self.graph.relative(body["@odata.nextLink"])
        raise errors.unusable("a list without an end")


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
