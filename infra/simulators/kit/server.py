"""Decides how a simulator listens: one WSGI app on a loopback http port and an https port.

Connections stay open (HTTP/1.1), because clients pool them: a whole request is read before the app
is called, and every answer says its length. werkzeug's own server closes each connection, which
would hide every bug of a client's pool.
"""

from __future__ import annotations

import contextlib
import io
import socket
import socketserver
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from infra.simulators.kit.call import CUT_AFTER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from wsgiref.types import WSGIApplication

LOOPBACK = "127.0.0.1"
_HANDSHAKE_SECONDS = 10.0
_JOIN_SECONDS = 5.0
_NO_BODY = (204, 304)


class Listener:
    """Serves an app on one port, in threads.

    Args:
        app: called for every request.
        port: 0 takes a free one.
        certificate: PEM file; speaks TLS when given, with its key.
        key: PEM file.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        port: int = 0,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(certificate, key)
        self._server = _Server((LOOPBACK, port), app, context)
        self.port: int = self._server.server_address[1]
        self.url = f"{'https' if context else 'http'}://{LOOPBACK}:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every open connection."""
        self._server.shutdown()
        self._thread.join(_JOIN_SECONDS)
        self._server.server_close()
        self._server.hang_up()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], app: WSGIApplication, context: ssl.SSLContext | None
    ) -> None:
        self.app = app
        self.context = context
        self._open: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection in its own thread; the handshake too, for some clients are slow."""
        connection: socket.socket = request
        if self.context is not None:
            connection.settimeout(_HANDSHAKE_SECONDS)
            connection = self.context.wrap_socket(connection, server_side=True)
            connection.settimeout(None)
        with self._lock:
            self._open[threading.current_thread()] = connection
        try:
            _Handler(connection, client_address, self)
        finally:
            with self._lock:
                del self._open[threading.current_thread()]
            _close(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away or does not trust us; the rest is a bug."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """End every connection and wait for its thread."""
        with self._lock:
            still = dict(self._open)
        for connection in still.values():
            with contextlib.suppress(OSError, ValueError):
                # The plain socket's shutdown: TLS state belongs to the thread that reads.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in still:
            thread.join(_JOIN_SECONDS)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle_one_request(self) -> None:
        """Read one request whole and answer it."""
        try:
            self.raw_requestline = self.rfile.readline(65_537)
            if not self.raw_requestline:
                self.close_connection = True
            elif self.parse_request():
                self._answer(self._body())
        except (OSError, ValueError):  # the client hung up, or sent no HTTP
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the request log knows more."""

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = bytearray()
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return bytes(body)

    def _answer(self, body: bytes) -> None:
        environ = self._environ(body)
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _error: object = None
        ) -> Callable[[bytes], object]:
            started[:] = [(status, headers)]
            return lambda _data: None

        chunks: Iterable[bytes] = self.server.app(environ, start_response)
        answer = b"".join(chunks)
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
        status, headers = started[0]
        self._send(status, headers, answer, environ.get(CUT_AFTER))

    def _send(
        self, status: str, headers: list[tuple[str, str]], body: bytes, cut_after: int | None
    ) -> None:
        if cut_after is not None:
            self.close_connection = True
        if cut_after is not None and cut_after < 0:
            return
        code, _, phrase = status.partition(" ")
        self.send_response_only(int(code), phrase)
        # A simulator's own clock may be ahead of ours.
        dates = [value for name, value in headers if name.lower() == "date"]
        self.send_header("Date", dates[0] if dates else self.date_time_string())
        for name, value in headers:
            if name.lower() not in ("content-length", "connection", "date"):
                self.send_header(name, value)
        has_body = int(code) not in _NO_BODY
        if has_body:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if has_body and self.command != "HEAD":
            self.wfile.write(body if cut_after is None else body[:cut_after])

    def _environ(self, body: bytes) -> dict[str, Any]:
        path, _, query = self.path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": query,
            "SERVER_PROTOCOL": self.request_version,
            "SERVER_NAME": LOOPBACK,
            "SERVER_PORT": str(self.server.server_address[1]),
            "REMOTE_ADDR": self.client_address[0],
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http" if self.server.context is None else "https",
            "wsgi.input": io.BytesIO(body),
            "wsgi.input_terminated": True,  # read whole here, chunked or not
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in self.headers.items():
            key = "HTTP_" + name.upper().replace("-", "_")
            if key not in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"):
                environ[key] = f"{environ[key]},{value}" if key in environ else value
        return environ
