"""A headless Chromium whose every request, to wherever, is answered and noted here.

It is told to use this process as its proxy and to look up no name, so that nothing it does reaches
a network, and whatever it asks for stands in `Browser.requests`.

    python -m tests.browser.chromium --ensure
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from infra.local.packages import install

PAGE = "http://page.test"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ON_A_MAC = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
_BY_HAND = """Chromium is not installed and cannot be installed from here: {why}
Install it yourself, then run this again:
  Debian:  sudo apt-get install chromium
  Fedora:  sudo dnf install chromium
  macOS:   brew install --cask chromium"""
# Silence is not to be had: it looks for news of itself and of an account.
_ITS_OWN = re.compile(r"https?://[\w.-]+\.(?:google|googleapis|gvt1)\.com\b")
QUIET = (
    "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio", "--no-first-run",
    "--no-default-browser-check", "--disable-background-networking", "--disable-component-update",
    "--disable-domain-reliability", "--disable-sync", "--disable-default-apps", "--disable-extensions",
    "--disable-client-side-phishing-detection", "--autoplay-policy=no-user-gesture-required",
    "--disable-features=AutofillServerCommunication,NetworkTimeServiceQuerying,OptimizationHints,MediaRouter,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable",
)  # fmt: skip


def find() -> str | None:
    """The browser's program, or None."""
    found = (shutil.which(name) for name in _NAMES)
    return next(filter(None, found), None) or next(filter(os.path.exists, _ON_A_MAC), None)


def ensure_installed() -> str:
    """The browser's program, installed first where it is absent."""
    program = find()
    if program is None:
        install(["chromium"], ["--cask", "chromium"], by_hand=_BY_HAND)
        program = find()
    if program is None:
        raise SystemExit(_BY_HAND.format(why="the package brought no program of a known name."))
    return program


@dataclass
class Browser:
    """What one start of the browser is shown, and what it asked for."""

    pages: Mapping[str, tuple[str, str]]
    """Type and text by path of `PAGE`; all else is answered with nothing."""
    requests: list[str] = field(default_factory=list)
    """Addresses asked for, beside `pages` and what it asks for itself; of what is encrypted the host."""
    said: str | None = None
    """What the page sent to /done."""
    done: threading.Event = field(default_factory=threading.Event)

    def show(self, path: str, profile: Path, seconds: float) -> str:
        """Open a page, wait until it has sent its findings to /done and return them.

        `profile` is a folder it may fill; it may still write there when it is gone from here.
        """
        with self._proxy() as port:
            command = [
                ensure_installed(), *QUIET, f"--user-data-dir={profile}",
                f"--proxy-server=http://127.0.0.1:{port}", "--proxy-bypass-list=<-loopback>",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                *(["--no-sandbox"] if os.geteuid() == 0 else []), PAGE + path,
            ]  # fmt: skip
            log = profile / "log"
            with log.open("w") as said:
                process = subprocess.Popen(
                    command, stdout=said, stderr=said, cwd=profile, start_new_session=True
                )
            try:
                assert self.done.wait(seconds), f"{self.requests[-3:]}\n{log.read_text()[-2000:]}"
            finally:
                # With its children, which outlive it by a moment.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)
        assert self.said is not None
        return self.said

    def note(self, url: str) -> None:
        if not _ITS_OWN.match(url):
            self.requests.append(url)

    @contextlib.contextmanager
    def _proxy(self) -> Iterator[int]:
        browser = self

        class Proxy(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length).decode()
                kind, text = "text/plain", ""
                url = urlsplit(self.path)
                if self.path == PAGE + "/done":
                    browser.said = body
                    browser.done.set()
                elif f"{url.scheme}://{url.netloc}" == PAGE and url.path in browser.pages:
                    kind, text = browser.pages[url.path]
                else:
                    browser.note(self.path)
                data = text.encode()
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_HEAD = do_OPTIONS = do_PUT = do_GET  # noqa: N815 - http.server's

            def do_CONNECT(self):
                browser.note(f"https://{self.path}")
                self.send_error(502)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                """Say nothing of connections the browser gives up when it ends."""

        with Server(("127.0.0.1", 0), Proxy) as server:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            try:
                yield server.server_address[1]
            finally:
                server.shutdown()


def main() -> None:
    """Install Chromium when it is absent, and print where it is."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--ensure", action="store_true", required=True, help="install if absent")
    parser.parse_args()
    print(f"Chromium at {ensure_installed()}")


if __name__ == "__main__":
    main()
