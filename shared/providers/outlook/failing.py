"""Decides whether a failure is one message's own: it is where another one can be read after it.

Exchange answers for a damaged item with a server error, half an answer or none, and goes on so for
ever; in an outage it answers the same for all. What follows is the opposite: one message is named
and left, or everything is tried again later. So whoever fails is doubted until another comes.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from shared.domain.errors import ErrorCode, MailroomError, RetryLaterError
from shared.domain.ids import ProviderMessageId
from shared.domain.message import FetchedMessage, MissingMessage
from shared.providers.outlook.graph import LARGEST_PAGE, AnswerTooLargeError, Graph
from shared.providers.outlook.paths import content_path
from shared.providers.outlook.throttling import LONGEST_WAIT_SECONDS

MOST_DOUBTED = 5
"""Failures in a row after which it is settled whose they are."""
_WITNESSES = 3
"""Other messages that are tried: one of them may be such a one too."""
_WITNESS_BYTES = 256 << 10
_SECONDS_TO_SPARE = 5.0
_FIELD = re.compile(rb"[A-Za-z0-9][A-Za-z0-9_.-]*[ \t]*:")
_OWN = frozenset(
    {
        ErrorCode.PROVIDER_UNAVAILABLE,
        ErrorCode.ANSWER_NOT_UNDERSTOOD,
        ErrorCode.CONNECTION_DROPPED,
        ErrorCode.CONNECTION_TIMED_OUT,
        # 403: of one message it may be what its sender forbade.
        ErrorCode.SCOPE_MISSING,
        ErrorCode.ACCESS_BLOCKED,
    }
)


def may_be_its_own(error: MailroomError, graph: Graph) -> bool:
    """Whether a failure may be about the one message that was asked for."""
    if isinstance(error, RetryLaterError) and error.retry_after_seconds is not None:
        # Who asks for minutes speaks for the mailbox.
        return error.code in _OWN and error.retry_after_seconds <= LONGEST_WAIT_SECONDS
    if error.code is ErrorCode.CONNECTION_TIMED_OUT:
        return graph.seconds_left > _SECONDS_TO_SPARE
    return error.code in _OWN


def is_message(content: bytes) -> bool:
    """Whether something begins as every message does that Exchange writes (RFC 5322, 2.2).

    What does not is nothing, or a page of somebody's on the way that calls itself the message.
    """
    return _FIELD.match(content) is not None


def reads_others(graph: Graph, but: Collection[ProviderMessageId]) -> bool:
    """Whether any message of the mailbox can be read now that is not one of `but`."""
    try:
        most = min(len(but) + _WITNESSES, LARGEST_PAGE)
        listed = graph.get(f"/me/messages?$select=id&$top={most}")
        items = listed.object().get("value")
        found = items if isinstance(items, list) else []
        names = [one.get("id") for one in found if isinstance(one, dict)]
        others = [name for name in names if isinstance(name, str) and name not in but]
        return any(_comes(graph, ProviderMessageId(one)) for one in others[:_WITNESSES])
    except MailroomError:
        return False


def _comes(graph: Graph, name: ProviderMessageId) -> bool:
    try:
        content = graph.content(content_path(name), limit=_WITNESS_BYTES)
    except AnswerTooLargeError:
        return True
    except RetryLaterError:
        return False
    return isinstance(content, bytes) and is_message(content)


@dataclass(frozen=True, slots=True)
class Failure:
    """A message that did not come, and why."""

    message_id: ProviderMessageId
    error: MailroomError


Outcome = FetchedMessage | MissingMessage | Failure


class Doubts:
    """The messages of one call that failed, until it is known whose fault that is."""

    def __init__(self, graph: Graph, asked: Collection[ProviderMessageId]) -> None:
        self._graph = graph
        self._asked = asked
        self._doubted: dict[ProviderMessageId, MailroomError] = {}
        self._came: ProviderMessageId | None = None

    def judged(self, outcome: Outcome) -> Iterator[FetchedMessage | MissingMessage]:
        """Yield an outcome, or keep it back; with a message that came those kept back before it.

        Raises a failure that speaks of more than one message.
        """
        if not isinstance(outcome, Failure):
            name, is_read = outcome.provider_message_id, isinstance(outcome, FetchedMessage)
            yield outcome
            if is_read:
                self._came = name
                yield from self._failing()
            return
        if not may_be_its_own(outcome.error, self._graph):
            raise outcome.error
        self._doubted[outcome.message_id] = outcome.error
        if len(self._doubted) >= MOST_DOUBTED:
            yield from self.settled()

    def settled(self) -> Iterator[MissingMessage]:
        """Yield those that were kept back, or raise where nothing else can be read either."""
        if self._doubted and not self._others_come():
            raise next(iter(self._doubted.values()))
        yield from self._failing()

    def _others_come(self) -> bool:
        if self._came is not None and _comes(self._graph, self._came):
            return True
        return reads_others(self._graph, self._asked)

    def _failing(self) -> Iterator[MissingMessage]:
        doubted, self._doubted = self._doubted, {}
        yield from (MissingMessage(name, "failing") for name in doubted)
