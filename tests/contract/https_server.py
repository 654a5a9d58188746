"""A small HTTPS server of scripts: each request gets the next answer, byte for byte.

For what no simulator does: bodies that are cut, drip or never end, and connections that die.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self

Script = Callable[["Peer"], None]


@dataclass
class Asked:
    """One request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Peer:
    """The server's side of one connection, while one request is answered."""

    sock: socket.socket
    asked: Asked
    stopping: threading.Event

    def say(self, *pieces: bytes) -> None:
        self.sock.sendall(b"".join(pieces))

    def drip(self, piece: bytes, every: float) -> None:
        """Send a piece again and again until the client has had enough."""
        with contextlib.suppress(OSError):
            while not self.stopping.wait(every):
                self.sock.sendall(piece)

    def cut(self) -> None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


def answer(body: bytes = b"{}", status: int = 200, **headers: str) -> Script:
    named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n{named}\r\n".encode()
    return lambda peer: peer.say(head, body)


@dataclass
class HttpsServer:
    """Answers with one script after another; the last one goes on for ever."""

    context: object
    scripts: list[Script]
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        # A thread that waits in accept() keeps a closed listener open.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        self.hang_up()
        for thread in self._threads:
            thread.join()

    def hang_up(self) -> None:
        """End every open connection, as a server does with idle ones."""
        for sock in self._open:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _address = self._listener.accept()
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(plain,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, plain: socket.socket) -> None:
        with plain, contextlib.suppress(OSError, ValueError):
            plain.settimeout(10)
            with self.context.wrap_socket(plain, server_side=True) as sock:
                self._open.append(sock)
                with sock.makefile("rb") as reader:
                    for asked in _requests(reader):
                        self._next_script(asked)(Peer(sock, asked, self._stopping))

    def _next_script(self, asked: Asked) -> Script:
        with self._lock:
            self.asked.append(asked)
            return self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]


def _requests(reader) -> Iterator[Asked]:
    while line := reader.readline().decode().strip():
        headers = {}
        while text := reader.readline().decode().strip():
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        yield Asked(line, headers, reader.read(int(headers.get("content-length", 0))))
