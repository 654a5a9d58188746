"""Starts the Google simulator alone, with a demo account, and prints where it listens."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

from infra.local.certificates import ensure_certificates
from infra.local.paths import DEFAULT_ROOT
from infra.simulators.google import GoogleSimulator

_USER, _CLIENT, _SECRET = "demo@gmail.example", "demo-client.apps.googleusercontent.com", "demo"
_CALLBACK = "http://127.0.0.1:8080/callback"
_LETTER = (
    b"From: Ada <ada@example.org>\r\nTo: demo@gmail.example\r\nSubject: Welcome\r\n"
    b"Message-ID: <welcome@example.org>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n\r\n"
    b"This mailbox is a simulator's.\r\n"
)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m infra.simulators.google", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="of https; 0 takes a free one")
    parser.add_argument("--browser-port", type=int, default=0, help="of http and control")
    parser.add_argument("--state", type=Path, help="a database that survives; else in memory")
    parser.add_argument(
        "--certificates",
        type=Path,
        default=DEFAULT_ROOT / "certificates",
        help="folder of the certificates, which are made when absent",
    )
    options = parser.parse_args()
    certificates = ensure_certificates(options.certificates)
    with GoogleSimulator(
        options.state,
        certificate=certificates.good.certificate,
        key=certificates.good.key,
        port=options.port,
        browser_port=options.browser_port,
    ) as google:
        if _USER not in google.users():
            google.add_user(_USER, name="Demo")
            google.mail(_USER).deliver(_LETTER)
            google.add_client(_CLIENT, _SECRET, [_CALLBACK])
        _print(google, certificates.authority)
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        ended.wait()


def _print(google: GoogleSimulator, authority: Path) -> None:
    lines = {
        "https": google.url,
        "http": google.browser_url,
        "control": f"{google.browser_url}/_control/",
        "authority": str(authority),
        "user": _USER,
        "client": f"{_CLIENT} (secret: {_SECRET}, redirect: {_CALLBACK})",
    }
    for name, value in lines.items():
        print(f"{name:<10}{value}", flush=True)


if __name__ == "__main__":
    main()
