"""Decides how Graph is asked: immutable ids always, in batches, a token renewed once, waits short.

Ids that survive a move are given only to a request that asks for them, and a link made without
asking gives the other kind for ever (learn.microsoft.com/graph/outlook-immutable-id). A batch holds
20 requests and its own status says nothing of theirs (learn.microsoft.com/graph/json-batching):
each is judged, waited for and sent again on its own. What is asked so does no harm twice. What
would is written with `write`, which sends it once and says where nobody knows whether it was done.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import orjson

from shared.domain.errors import ErrorCode, MailroomError, RetryLaterError
from shared.domain.secret import Secret
from shared.ports.provider import AccessTokens
from shared.providers.http import ANSWER_LIMIT_BYTES, Answer, Requests, Streamed
from shared.providers.outlook import errors
from shared.providers.outlook.endpoints import MicrosoftEndpoints
from shared.providers.outlook.throttling import PASSING, Patience, answered_at, wish_of
from shared.providers.room import Room

PARTS = 20
"""Requests in one batch, Graph's limit."""
LARGEST_PAGE = 1000
"""Items of a list, Graph's limit for messages (`$top`)."""
LARGE_BYTES = 2 << 20
"""From this size on an answer needs a turn; nothing longer than 8 MiB is held."""
OK = 200
UNAUTHORIZED = 401
NOT_FOUND = 404
THROTTLED = 429
_IMMUTABLE = 'IdType="ImmutableId"'


class AnswerTooLargeError(RetryLaterError):
    """An answer was cut off because it is larger than what may be held."""

    def __init__(self, limit: int) -> None:
        cause = f"an answer of more than {limit} bytes"
        super().__init__(ErrorCode.PROVIDER_UNAVAILABLE, cause=cause)


class AnswerLostError(RetryLaterError):
    """What was written once may have been done, or not: no whole answer came."""


@dataclass(frozen=True, slots=True)
class Part:
    """One request of a batch: `url` begins after the version, with a slash."""

    url: str
    page_size: int = 0
    """How many items a page should hold; 0 leaves it to Graph."""
    method: str = "GET"
    body: Mapping[str, object] | None = None
    """JSON, of what writes."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What one request was answered. `body` is JSON as decoded, or None."""

    status: int
    body: object = None
    retry_after: float | None = None
    wants_claims: bool = False
    """Refused until the person has signed in anew; see `errors.wants_claims`."""
    answered_at: datetime | None = None
    """By Graph's own clock; of a part of a batch it is not told."""

    @property
    def done(self) -> bool:
        """Whether what was to be written is written, or accepted (RFC 9110, 15.3)."""
        return 200 <= self.status < 300  # noqa: PLR2004

    @property
    def ok(self) -> bool:
        """Whether it was answered as asked."""
        return self.status == OK

    @property
    def may_pass(self) -> bool:
        """Whether the same request may be answered a little later."""
        return self.status in PASSING or self.status == 0

    def failure(self) -> MailroomError:
        """Return the error this answer means."""
        if self.status == 0:
            return errors.unusable("a part without an answer")
        return errors.from_graph(
            self.status,
            self.body,
            retry_after=self.retry_after,
            wants_claims=self.wants_claims,
        )

    def object(self) -> Mapping[str, object]:
        """Return the JSON object that came, or raise the error that came in its place."""
        if not self.ok:
            raise self.failure()
        if not isinstance(self.body, dict):
            raise errors.unusable("not an object")
        return self.body

    def content(self) -> bytes:
        """Return what came that is not JSON; a batch holds it as base64 of either alphabet."""
        if not self.ok:
            raise self.failure()
        if not isinstance(self.body, str):
            raise errors.unusable("no content")
        text = self.body.strip().translate({ord("-"): "+", ord("_"): "/"})
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            # OData, 4.01, lets a text stand as it is; a header line has a colon, base64 has none.
            if ":" in self.body[:998]:
                return self.body.encode("utf-8", "surrogateescape")
            raise errors.unusable("content that is not base64") from None


class Graph:
    """One session's requests to Graph. Not thread-safe.

    Raises `RetryLaterError`, `ReconnectRequiredError` and `ConfigurationError`.
    """

    def __init__(
        self, requests: Requests, tokens: AccessTokens, endpoints: MicrosoftEndpoints
    ) -> None:
        self._requests = requests
        self._tokens = tokens
        self._api = endpoints.api
        self._patience = Patience(requests)
        self._room = Room(lambda: requests.seconds_left, large_bytes=LARGE_BYTES)
        self.asked = 0
        """What Graph counts against a mailbox: requests, each one in a batch as one."""

    @property
    def seconds_left(self) -> float:
        """Seconds until the session's deadline."""
        return self._requests.seconds_left

    def close(self) -> None:
        """Let go of what is kept for the last answer."""
        self._room.leave()

    def relative(self, link: object) -> str:
        """Return a link of Graph's as what a batch takes.

        Refused is any other host and any other version: it would be handed our token.
        """
        if not isinstance(link, str) or not link.startswith(self._api + "/"):
            raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="a link to elsewhere")
        return link[len(self._api) :]

    def get(self, url: str, *, page_size: int = 0) -> Reply:
        """Ask for one resource; `url` as in `Part`."""
        return _reply(self._send("GET", url, headers=_prefer(page_size)))

    def write(
        self, method: str, url: str, *, body: bytes = b"", content_type: str = "application/json"
    ) -> Reply:
        """Send what would do harm twice; only what was refused before any work is sent again.

        Raises `AnswerLostError` where it may have been done without our being told.
        """
        kind = {"content-type": content_type} if body else {}
        renewed = False
        tries = 0
        while True:
            tries += 1
            token = self._tokens.current()
            headers = _authorized(token, {**_prefer(0), **kind})
            reply = self._once(method, self._api + url, headers, body)
            if reply.status == UNAUTHORIZED and not renewed:
                renewed = True
                self._tokens.renewed(token)
            elif reply.status != THROTTLED or not self._patience.waited(tries, reply.retry_after):
                return reply

    def upload(self, url: str, piece: bytes, *, start: int, size: int) -> Reply:
        """Send a piece of a file of `size` bytes to where a session for it was opened.

        The address is good for itself: no token goes there. Raises as `write`.
        """
        headers = {
            "content-type": "application/octet-stream",
            "content-range": f"bytes {start}-{start + len(piece) - 1}/{size}",
        }
        return self._once("PUT", url, headers, piece)

    def _once(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.asked += 1
        self._room.leave()
        sent = self._requests.sent
        try:
            with self._requests.stream(
                method, url, headers=headers, body=body, once=True
            ) as streamed:
                held = self._gathered(streamed, ANSWER_LIMIT_BYTES)
            return _reply(Answer(streamed.status, streamed.headers, held))
        except RetryLaterError as error:
            if self._requests.sent == sent:
                raise  # It never left.
            raise AnswerLostError(error.code, cause=error.cause) from error

    def batch(self, parts: Sequence[Part], *, limit: int = ANSWER_LIMIT_BYTES) -> list[Reply]:
        """Ask for all of `parts`, 20 at a time, and return their replies in order.

        What may pass is asked for again after a short wait; what then still fails is returned as it
        is. Raises `AnswerTooLargeError` where 20 replies are more than `limit` bytes.
        """
        replies: list[Reply] = []
        for start in range(0, len(parts), PARTS):
            replies += self._settled(parts[start : start + PARTS], limit)
        return replies

    def content(self, url: str, *, limit: int) -> bytes | Reply:
        """Return a content that is not JSON, or the reply that came in its place.

        Raises `AnswerTooLargeError` where it is more than `limit` bytes.
        """
        with self._streamed(url) as streamed:
            if isinstance(streamed, Reply):
                return streamed
            return self._gathered(streamed, limit)

    def slices(self, url: str) -> Iterator[bytes | Reply]:
        """Yield a content of any size while it comes, or the one reply that came in its place."""
        with self._streamed(url) as streamed:
            if isinstance(streamed, Reply):
                yield streamed
            else:
                yield from streamed

    @contextmanager
    def _streamed(self, url: str) -> Iterator[Streamed | Reply]:
        renewed = False
        tries = 0
        while True:
            tries += 1
            self.asked += 1
            self._room.leave()
            token = self._tokens.current()
            with self._requests.stream(
                "GET", self._api + url, headers=_authorized(token, _prefer(0))
            ) as streamed:
                if streamed.status == OK:
                    yield streamed
                    return
                body = self._gathered(streamed, ANSWER_LIMIT_BYTES)
            reply = _reply(Answer(streamed.status, streamed.headers, body))
            if reply.status == UNAUTHORIZED and not renewed:
                renewed = True
                self._tokens.renewed(token)
            elif not (reply.may_pass and self._patience.waited(tries, reply.retry_after)):
                yield reply
                return

    def _settled(self, parts: Sequence[Part], limit: int) -> list[Reply]:
        replies: dict[int, Reply] = {}
        left = list(range(len(parts)))
        renewed = False
        tries = 0
        while left:
            tries += 1
            token = self._tokens.current()
            replies |= self._sent({number: parts[number] for number in left}, limit)
            refused = [n for n in left if replies[n].status == UNAUTHORIZED]
            passing = [n for n in left if replies[n].may_pass]
            if refused and not renewed:
                renewed = True
                self._tokens.renewed(token)
                left = refused + passing
                tries -= 1
                continue
            if len(passing) < len(left):
                # Somebody else works in the mailbox too; a batch that gets on is no failed try.
                tries = 1
            left = passing
            wishes = [replies[n].retry_after for n in left]
            longest = max((wish for wish in wishes if wish is not None), default=None)
            if left and not self._patience.waited(tries, longest):
                break
        return [replies[number] for number in range(len(parts))]

    def _sent(self, parts: Mapping[int, Part], limit: int) -> dict[int, Reply]:
        # The batch itself is counted when it is sent, and is none of them.
        self.asked += len(parts) - 1
        requests = [_request(str(n), part) for n, part in parts.items()]
        answer = self._send(
            "POST",
            "/$batch",
            headers={"content-type": "application/json"},
            body=orjson.dumps({"requests": requests}),
            limit=limit,
        )
        listed = _reply(answer).object().get("responses")
        if not isinstance(listed, list):
            raise errors.unusable("no responses")
        replies = dict.fromkeys(parts, Reply(0))
        for one in listed:
            number = one.get("id") if isinstance(one, dict) else None
            if isinstance(number, str) and number.isdecimal() and int(number) in replies:
                replies[int(number)] = _part_reply(one)
        return replies

    def _send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        limit: int = ANSWER_LIMIT_BYTES,
    ) -> Answer:
        renewed = False
        tries = 0
        while True:
            tries += 1
            self.asked += 1
            self._room.leave()
            token = self._tokens.current()
            with self._requests.stream(
                method, self._api + url, headers=_authorized(token, headers), body=body
            ) as streamed:
                held = self._gathered(streamed, limit)
            answer = Answer(streamed.status, streamed.headers, held)
            if answer.status == UNAUTHORIZED and not renewed:
                renewed = True
                self._tokens.renewed(token)
                continue
            wish = wish_of(answer.headers)
            if answer.status not in PASSING or not self._patience.waited(tries, wish):
                return answer

    def _gathered(self, streamed: Streamed, limit: int) -> bytes:
        slices: list[bytes] = []
        held = 0
        for piece in streamed:
            held += len(piece)
            if held > limit:
                raise AnswerTooLargeError(limit)
            self._room.grow(held)
            slices.append(piece)
        return b"".join(slices)


def _authorized(token: Secret, headers: Mapping[str, str]) -> dict[str, str]:
    return {"authorization": f"Bearer {token.reveal()}", **headers}


def _prefer(page_size: int) -> dict[str, str]:
    size = f", odata.maxpagesize={page_size}" if page_size else ""
    return {"prefer": _IMMUTABLE + size}


def _request(name: str, part: Part) -> dict[str, object]:
    headers = _prefer(part.page_size)
    written: dict[str, object] = {}
    if part.body is not None:
        headers |= {"content-type": "application/json", "prefer": f"{_IMMUTABLE}, return=minimal"}
        written["body"] = part.body
    return {"id": name, "method": part.method, "url": part.url, "headers": headers, **written}


def _reply(answer: Answer) -> Reply:
    wish = wish_of(answer.headers)
    try:
        body: object = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        if answer.status == OK:
            raise errors.unusable("not JSON") from None
        body = None
    claims = errors.wants_claims(answer.headers)
    return Reply(answer.status, body, wish, claims, answered_at(answer.headers))


def _part_reply(one: Mapping[str, object]) -> Reply:
    status = one.get("status")
    named = one.get("headers")
    headers = (
        {str(name).lower(): str(value) for name, value in named.items()}
        if isinstance(named, dict)
        else {}
    )
    return Reply(
        status if isinstance(status, int) else 0,
        one.get("body"),
        wish_of(headers),
        errors.wants_claims(headers),
    )
