"""A page to connect mailboxes on, as a front end on another origin than the API would be.

Each visit gets a token of the demo's administrator, so that it listens on loopback only.
"""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from infra.local import ports
from infra.local.paths import Paths

_FILES: Final = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}


class DemoPage:
    """Serves the page of one stack, in a thread."""

    def __init__(
        self, paths: Paths, *, api_url: Callable[[], str], token: Callable[[], str]
    ) -> None:
        port = ports.claim(paths, "demo page")
        self.origin = f"http://{ports.LOOPBACK}:{port}"
        self._server = _Server((ports.LOOPBACK, port), api_url, token)
        threading.Thread(target=self._server.serve_forever, name="page", daemon=True).start()

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], api_url: Callable[[], str], token: Callable[[], str]
    ) -> None:
        self.api_url = api_url
        self.token = token
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Answer with a file of the page, or with its settings."""
        path = self.path.partition("?")[0]
        if path == "/settings.js":
            settings = {"api": self.server.api_url(), "token": self.server.token()}
            body = f"const settings = {json.dumps(settings)};".encode()
            return self._send(200, "text/javascript; charset=utf-8", body)
        if path not in _FILES:
            # A browser asks for /favicon.ico by itself.
            return self._send(204 if path == "/favicon.ico" else 404, "text/plain", b"")
        name, content_type = _FILES[path]
        return self._send(200, content_type, (Path(__file__).parent / name).read_bytes())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header(
            "Content-Security-Policy",
            f"default-src 'self'; connect-src {self.server.api_url()}/; frame-ancestors 'none'",
        )
        self.end_headers()
        self.wfile.write(body)
