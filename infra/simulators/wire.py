"""Decides how a scripted server holds its sockets: a thread each, every byte recorded.

Scripts are blocking code, because what they test is order and silence: which byte came before
which, and who waited for whom. Nothing here sleeps on the wall clock: a wait ends when the server
stops or the client hangs up.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_POLL_SECONDS = 0.05
_SEND_SECONDS = 5.0
_CHUNK = 65_536


class HungUpError(Exception):
    """The client closed the connection, or this server is stopping: the script ends."""


@dataclass(slots=True)
class Recording:
    """What one client sent.

    Attributes:
        clear: before TLS, or all of it where there is none.
        secure: inside TLS.
        tls_error: why the handshake failed, as the server saw it.
    """

    clear: bytearray = field(default_factory=bytearray)
    secure: bytearray = field(default_factory=bytearray)
    tls_error: str = ""


class Wire:
    """One accepted connection, as a script uses it.

    Every method raises HungUpError when the client is gone or the server stops.
    """

    def __init__(self, sock: socket.socket, stopping: threading.Event) -> None:
        self._socket = sock
        self._stopping = stopping
        self._buffer = b""
        self.recording = Recording()
        self.is_secure = False

    def send(self, data: bytes) -> None:
        """Send all of it, at the pace the client reads."""
        view = memoryview(data)
        while view:
            self._check()
            try:
                sent = self._socket.send(view[:_CHUNK])
            except (TimeoutError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                continue
            except OSError:
                raise HungUpError from None
            view = view[sent:]

    def read_line(self) -> bytes:
        """Return the next line without its end."""
        while b"\n" not in self._buffer:
            self._receive()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.removesuffix(b"\r")

    def read_exactly(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        while len(self._buffer) < count:
            self._receive()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Do the server's side of a handshake; what came in clear and unread is forgotten."""
        self._buffer = b""
        self._socket.settimeout(_SEND_SECONDS)
        try:
            self._socket = context.wrap_socket(self._socket, server_side=True)
        except OSError as error:  # SSLError is one: a client that does not trust us ends here
            self.recording.tls_error = str(error)
            raise HungUpError from None
        self._socket.settimeout(_POLL_SECONDS)
        self.is_secure = True

    def hold(self) -> None:
        """Say nothing, and read, until the client gives up."""
        while True:
            self._receive()

    def wait(self, seconds: float) -> None:
        """Pause; ends early with HungUpError when the server stops or the client hangs up."""
        if self._stopping.wait(seconds):
            raise HungUpError
        readable, _, _ = select.select([self._socket], [], [], 0)
        if readable and not self.is_secure and self._socket.recv(1, socket.MSG_PEEK) == b"":
            raise HungUpError

    def drip(self, data: bytes, seconds: float) -> None:
        """Send one byte every ``seconds``, starting over at the end, until the client gives up."""
        while True:
            for at in range(len(data)):
                self.send(data[at : at + 1])
                self.wait(seconds)

    def reset(self) -> None:
        """Break the connection as a crashed server does: RST instead of a polite end."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()
        raise HungUpError

    def drop(self) -> None:
        """Close the connection without a word."""
        self.close()
        raise HungUpError

    def close(self) -> None:
        """Close the socket; safe to call twice."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _check(self) -> None:
        if self._stopping.is_set():
            raise HungUpError

    def _receive(self) -> None:
        self._check()
        try:
            data = self._socket.recv(_CHUNK)
        except (TimeoutError, ssl.SSLWantReadError):
            return
        except OSError:
            raise HungUpError from None
        if not data:
            raise HungUpError
        (self.recording.secure if self.is_secure else self.recording.clear).extend(data)
        self._buffer += data


class ScriptedServer:
    """Listens on a loopback port and runs ``script`` for each connection in its thread.

    Args:
        script: talks to one client; ends by returning or by HungUpError.
        host: the address listened on.
        port: listened on; 0 takes a free one.
    """

    def __init__(
        self, script: Callable[[Wire], None], *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.host = host
        self._script = script
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._wires: list[Wire] = []
        self._failures: list[Exception] = []
        self._listener = socket.create_server((host, port), backlog=128)
        self._listener.settimeout(_POLL_SECONDS)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._threads.append(threading.Thread(target=self._accept, daemon=True))
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(_SEND_SECONDS * 2)
        self._listener.close()
        if self._failures and error is None:
            raise self._failures[0]

    @property
    def recordings(self) -> list[Recording]:
        """What each client sent, in the order they connected."""
        return [wire.recording for wire in self._wires]

    @property
    def received(self) -> bytes:
        """All that clients sent, TLS taken off."""
        return b"".join(bytes(one.clear + one.secure) for one in self.recordings)

    @property
    def received_in_clear(self) -> bytes:
        """What clients sent outside TLS."""
        return b"".join(bytes(one.clear) for one in self.recordings)

    @property
    def commands(self) -> list[bytes]:
        """Every line that clients sent, without its end."""
        return self.received.replace(b"\r\n", b"\n").split(b"\n")[:-1]

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except TimeoutError:
                continue
            sock.settimeout(_POLL_SECONDS)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire = Wire(sock, self._stopping)
            self._wires.append(wire)
            thread = threading.Thread(target=self._serve, args=(wire,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, wire: Wire) -> None:
        try:
            self._script(wire)
        except HungUpError:
            pass
        except Exception as error:  # boundary: a wrong script fails its test, not a lost thread
            self._failures.append(error)
        finally:
            wire.close()
