"""Ways out that are watched: each command to a submission server, and each request to a provider, is a call.

What is throttled is answered as a server answers it: with 421, or with a status of 429.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

from shared.providers.http import Http, Streamed
from shared.providers.network import Connection, Network, NetworkPolicy
from tests.faults.killpoints import Interrupter

_TRY_LATER = b"421 4.7.0 Try again later\r\n"
_TOO_MANY, _REFUSED = 429, 300
_ID = re.compile(r"[\w=-]{15,}(?=/|$)")
"""What follows a folder's or a message's kind in a path."""
END_OF_CONTENT = "SMTP ."
"""The one command somebody gets a mail by."""


class _AskedToSlowDownError(Exception):
    """The request was not carried out."""


class WatchedNetwork(Network):
    """Opens connections to one submission server on this machine, in clear."""

    def __init__(self, port: int, interrupter: Interrupter, when_taken: Callable[[], None]) -> None:
        super().__init__(
            NetworkPolicy(
                allow_private_hosts=True, allow_plaintext=True, extra_ports=frozenset({port})
            )
        )
        self._interrupter = interrupter
        self._when_taken = when_taken

    def connect(self, *given: Any, **named: Any) -> Any:
        """As `Network.connect`."""
        connection = None
        try:
            with self._interrupter.provider_call("SMTP connect"):
                connection = super().connect(*given, **named)
        except BaseException:  # boundary: a process that ends takes its sockets with it
            if connection is not None:
                connection.close()
            raise
        return _WatchedLine(connection, self._interrupter, self._when_taken)


class _WatchedLine:
    """A connection on which a command and its reply are one call."""

    def __init__(
        self, inner: Connection, interrupter: Interrupter, when_taken: Callable[[], None]
    ) -> None:
        self._inner = inner
        self._interrupter = interrupter
        self._when_taken = when_taken
        self._replied: deque[bytes] = deque()
        self._in_content = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def readline(self, limit: int = -1) -> bytes:
        return self._replied.popleft() if self._replied else self._inner.readline(limit)

    def sendall(self, data: bytes) -> None:
        ends = self._in_content and data == b".\r\n"
        if data == b"QUIT\r\n" or (self._in_content and not ends):
            # Nobody waits for an answer to it.
            if not self._interrupter.dead:
                self._inner.sendall(data)
            return
        verb = data.split()[0].decode().upper()
        try:
            with self._interrupter.provider_call(
                f"SMTP {verb}", is_effect=ends, slow_down=_AskedToSlowDownError()
            ):
                self._inner.sendall(data)
                self._read_reply()
                if ends and self._replied[0].startswith(b"2"):
                    self._when_taken()
        except _AskedToSlowDownError:
            self._replied.append(_TRY_LATER)
            # Whoever says that closes the connection.
            self._inner.close()
        self._in_content = verb == "DATA" and self._replied[0].startswith(b"354")

    def _read_reply(self) -> None:
        while not self._replied or self._replied[-1][3:4] == b"-":
            self._replied.append(self._inner.readline())


class WatchedHttp:
    """An `Http` whose every request is a call."""

    def __init__(self, inner: Http, interrupter: Interrupter, far_end: "FarEnd") -> None:
        self._inner = inner
        self._watch = (interrupter, far_end)

    def until(self, seconds: float) -> Any:
        """As `Http.until`."""
        return _WatchedRequests(self._inner.until(seconds), *self._watch)


class FarEnd(Protocol):
    """What a world has to say at a request."""

    def wait(self, seconds: float) -> None:
        """Let time pass."""

    def is_busy(self, request: str) -> bool:
        """Whether it asks to slow down, whoever asks."""

    def was_done(self, request: str) -> None:
        """It was carried out; raises where we are not to hear of it."""


class _WatchedRequests:
    def __init__(self, inner: Any, interrupter: Interrupter, far_end: FarEnd) -> None:
        self._inner = inner
        self._interrupter = interrupter
        self._far_end = far_end
        self.wait = far_end.wait

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @contextmanager
    def stream(self, method: str, url: str, **more: Any) -> Iterator[Streamed]:
        name = f"{method} {urlsplit(url).path.rpartition('/me/')[2]}"
        is_effect = method != "GET" and "/batch/" not in name
        with ExitStack() as open_streams:
            try:
                # It ends where an answer begins: nobody has to read that to its end.
                with self._interrupter.provider_call(
                    _ID.sub("…", name), is_effect=is_effect, slow_down=_AskedToSlowDownError()
                ):
                    if self._far_end.is_busy(name):
                        raise _AskedToSlowDownError
                    inner = self._inner.stream(method, url, **more)
                    streamed = open_streams.enter_context(inner)
                    if streamed.status < _REFUSED:
                        self._far_end.was_done(name)
            except _AskedToSlowDownError:
                streamed = Streamed(_TOO_MANY, {}, iter([b"{}"]))
            yield streamed
