"""Decides how a provider's HTTPS API is spoken to: which origins, how long, how much, how often.

An access token goes to the origins a client was made for and nowhere else: another host in a
`nextLink` is refused before a byte is sent, and redirects are handed back as they are. Nothing is
read from the environment, neither proxies nor certificates. A session has one deadline whatever a
host does, silence or a byte a second. What a status means is not decided here.
"""

import time
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from urllib3.connection import HTTPException, HTTPSConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError, SSLError

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.providers.http_body import SLICE_BYTES, Body
from shared.providers.network import Network, NetworkPolicy, Socket
from shared.providers.tls import Meter, MeteredSocket, code_of, metered_context

if TYPE_CHECKING:
    from urllib3 import HTTPResponse

STALL_SECONDS = 30.0
"""How long a host may stay silent."""
CONNECT_SECONDS = 10.0
IDLE_SECONDS = 60.0
"""How long an unused connection is trusted: gateways on the way forget it without a word."""
KEPT_CONNECTIONS = 4
"""Unused connections to one origin that are kept."""
ANSWER_LIMIT_BYTES = 8 * 1024 * 1024
STREAM_LIMIT_BYTES = 128 * 1024 * 1024
_HTTPS_PORT = 443
# Google compresses only for a user agent that names gzip
# (developers.google.com/workspace/gmail/api/guides/performance).
_USER_AGENT = "Mailroom (gzip)"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `headers` are found by any case of their name."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer whose decoded body is iterated in slices of at most 64 KiB, once."""

    status: int
    headers: Mapping[str, str]
    _slices: Iterator[bytes]

    def __iter__(self) -> Iterator[bytes]:
        return self._slices


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Http:
    """Pools verified connections to the origins of one provider. Thread-safe; build it once."""

    def __init__(
        self,
        origins: Collection[str],
        *,
        extra_ca_file: str | None = None,
        stall_seconds: float = STALL_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take `origins` as `https://host` or `https://host:port`; raises ValueError for others."""
        self._idle: dict[tuple[str, int], list[tuple[_Connection, float]]] = {}
        for origin in origins:
            place = _place_of(origin)
            if place is None:
                raise ValueError("an origin is https://host or https://host:port")
            self._idle[place] = []
        weakref.finalize(self, _close_all, self._idle)
        self._context = metered_context(extra_ca_file)
        self._network = Network(NetworkPolicy(), monotonic=monotonic)
        self._stall_seconds = stall_seconds
        self._monotonic = monotonic
        self._sleep = sleep

    def until(self, seconds: float) -> "Requests":
        """Begin a session that ends in `seconds`; raises `RetryLaterError` without time."""
        if seconds <= 0:
            raise RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT, cause="no time left")
        meter = Meter(seconds=seconds, stall_seconds=self._stall_seconds, monotonic=self._monotonic)
        return Requests(self, meter, self._sleep)

    def place_of(self, url: str) -> tuple[str, int]:
        """Return host and port of a URL of one of our origins, or raise `RetryLaterError`."""
        place = _place_of(url)
        if place not in self._idle or place is None:
            raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="a URL of another origin")
        return place

    def lease(self, place: tuple[str, int], meter: Meter) -> "_Connection | None":
        """Return a connection that was used before and looks alive."""
        kept = self._idle[place]
        while kept:
            try:
                connection, since = kept.pop()
            except IndexError:  # another thread took the last one
                return None
            if self._monotonic() - since <= IDLE_SECONDS and connection.is_connected:
                connection.begin(meter)
                return connection
            connection.close()
        return None

    def connect(self, place: tuple[str, int], meter: Meter) -> "_Connection":
        """Return a new connection, its handshake done."""
        connection = _Connection(place, self._network, self._context, meter)
        with _failures_as_ours(connection):
            connection.connect()
            connection.begin(meter)
        return connection

    def give_back(self, place: tuple[str, int], connection: "_Connection") -> None:
        """Keep a connection whose last answer was read to its end."""
        kept = self._idle[place]
        if connection.sock is None or len(kept) >= KEPT_CONNECTIONS:
            connection.close()
        else:
            kept.append((connection, self._monotonic()))


class Requests:
    """One session's requests, until its deadline. Not thread-safe.

    Every method raises `RetryLaterError`: `connection_*`, `host_not_found`, `tls_*`, and
    `protocol_violation` for a URL that is not ours and an answer that breaks HTTP or a limit.
    """

    def __init__(self, http: Http, meter: Meter, sleep: Callable[[float], None]) -> None:
        self._http = http
        self._meter = meter
        self._sleep = sleep
        self.sent = 0
        """How many requests went out, repetitions counted."""

    @property
    def bytes_in(self) -> int:
        """Bytes received inside TLS, as compressed as they came, headers included."""
        return self._meter.bytes_in

    @property
    def bytes_out(self) -> int:
        """Bytes sent inside TLS, headers included."""
        return self._meter.bytes_out

    @property
    def seconds_left(self) -> float:
        """Seconds until the session's deadline."""
        return self._meter.seconds_left

    def wait(self, seconds: float) -> None:
        """Do nothing for `seconds`; raises at once where the deadline comes before."""
        if seconds >= self.seconds_left:
            raise RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT, cause="no time left to wait")
        self._sleep(seconds)

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        limit: int = ANSWER_LIMIT_BYTES,
    ) -> Answer:
        """Send a request and return its whole answer, at most `limit` bytes when decoded.

        It may be sent twice, where a pooled connection broke before anything came back: what does
        harm twice is sent by `stream` with `once`.
        """
        with self.stream(method, url, headers=headers, body=body, limit=limit) as streamed:
            whole = b"".join(streamed)
        return Answer(streamed.status, streamed.headers, whole)

    @contextmanager
    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        limit: int = STREAM_LIMIT_BYTES,
        once: bool = False,
    ) -> Iterator[Streamed]:
        """Send a request and hand over its answer while it comes; see `send`.

        `once`: on a connection of its own, never twice. `sent` has counted it where it may have
        arrived, whatever is raised.
        """
        place = self._http.place_of(url)
        request = _Request(method, _target(url), _sendable(headers or {}), body)
        if once:
            connection, response = self._once(self._http.connect(place, self._meter), request)
        else:
            connection, response = self._ask(place, request)
        finished = False
        try:
            raw = _raw(connection, response)
            decoded = Body(response.status, response.headers, raw, limit)
            yield Streamed(response.status, response.headers, iter(decoded))
            finished = decoded.at_end
        finally:
            if finished:
                self._http.give_back(place, connection)
            else:
                # It holds the socket where the answer said that no other follows.
                response.close()
                connection.close()

    def _ask(
        self, place: tuple[str, int], request: _Request
    ) -> tuple["_Connection", "HTTPResponse"]:
        connection = self._http.lease(place, self._meter)
        if connection is not None:
            received = self._meter.bytes_in
            try:
                return self._once(connection, request)
            except RetryLaterError as error:
                dropped = error.code is ErrorCode.CONNECTION_DROPPED
                if not dropped or self._meter.bytes_in != received:
                    raise
        return self._once(self._http.connect(place, self._meter), request)

    def _once(
        self, connection: "_Connection", request: _Request
    ) -> tuple["_Connection", "HTTPResponse"]:
        self.sent += 1
        with _failures_as_ours(connection):
            connection.request(
                request.method,
                request.target,
                body=request.body or None,
                headers=request.headers,
                preload_content=False,
                decode_content=False,
            )
            return connection, connection.getresponse()


class _Connection(HTTPSConnection):
    """A connection to one place, by the guarded way to open a socket."""

    def __init__(
        self, place: tuple[str, int], network: Network, context: object, meter: Meter
    ) -> None:
        host, port = place
        super().__init__(host, port, ssl_context=context)  # type: ignore[arg-type]  # no ssl here
        self._network = network
        self._connect_meter = meter

    def _new_conn(self) -> Socket:
        seconds = min(CONNECT_SECONDS, self._connect_meter.seconds_left)
        sock = self._network.dial(self.host, self.port or _HTTPS_PORT, seconds=seconds)
        sock.settimeout(max(0.001, min(CONNECT_SECONDS, self._connect_meter.seconds_left)))
        return sock

    def begin(self, meter: Meter) -> None:
        """Let `meter` bound and count what follows."""
        if not isinstance(self.sock, MeteredSocket):
            raise TypeError("not a socket of our context")
        self.sock.meter = meter


def _close_all(idle: Mapping[tuple[str, int], list[tuple[_Connection, float]]]) -> None:
    for kept in idle.values():
        for connection, _since in kept:
            connection.close()


class _failures_as_ours:  # noqa: N801  # used as a with statement's function
    """Turns a library's exceptions into ours and closes the connection they happened on."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            return
        self._connection.close()
        if isinstance(error, HTTPError | HTTPException | OSError):
            raise RetryLaterError(_code_of(error), cause=type(error).__name__) from error


def _code_of(error: Exception) -> ErrorCode:
    """Return what a failure of urllib3, http.client or the socket means."""
    if isinstance(error, ReadTimeoutError):
        return ErrorCode.CONNECTION_TIMED_OUT
    if isinstance(error, SSLError):
        inner = error.args[0] if error.args else None
        return code_of(inner) if isinstance(inner, OSError) else ErrorCode.TLS_FAILED
    # RemoteDisconnected is both; that the connection ended is what matters.
    if isinstance(error, OSError):
        return code_of(error)
    if isinstance(error, HTTPError):
        return ErrorCode.CONNECTION_DROPPED
    return ErrorCode.ANSWER_NOT_UNDERSTOOD


def _raw(connection: _Connection, response: "HTTPResponse") -> Iterator[bytes]:
    with _failures_as_ours(connection):
        yield from response.stream(SLICE_BYTES, decode_content=False)


def _place_of(url: str) -> tuple[str, int] | None:
    """Return host and port of an https URL without user information, else None."""
    try:
        parts = urlsplit(url)
        port = parts.port or _HTTPS_PORT
    except ValueError:
        return None
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.hostname, port


def _target(url: str) -> str:
    """Return path and query; host and port are those of the origin that was recognised."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.isascii() or not target.isprintable() or " " in target:
        raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="a URL that cannot be sent")
    return target


def _sendable(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with ours added.

    One with a line break or another odd character is refused here, because http.client's own
    refusal would quote it, and it may be a token.
    """
    if not all(value.isascii() and value.isprintable() for value in headers.values()):
        raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="a header that cannot be sent")
    return {"user-agent": _USER_AGENT, "accept-encoding": "gzip", **headers}
