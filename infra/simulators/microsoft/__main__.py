"""Decides what starting the simulator alone gives: a demo user with mail, and its addresses."""

from __future__ import annotations

import argparse
import datetime as dt
import signal
import threading
from pathlib import Path

from infra.local.certificates import ensure_certificates
from infra.local.paths import DEFAULT_ROOT
from infra.simulators.kit.mailbox import Delivery
from infra.simulators.microsoft.simulator import MicrosoftSimulator

_CLIENT = "00000000-1111-4222-8333-444444444444"
_SECRET = "demo-secret-of-the-simulator"  # noqa: S105 - a demo's
_CALLBACK = "http://127.0.0.1:8080/callback"
_USER = "demo@contoso.example"
_PERSONAL = "demo@outlook.example"
_DEMO_MAILS = 25


def main() -> None:
    """Serve until told to stop."""
    options = _options()
    certificates = ensure_certificates(options.certificates)
    simulator = MicrosoftSimulator(
        options.state,
        certificate=certificates.good.certificate,
        key=certificates.good.key,
        port=options.port,
        browser_port=options.browser_port,
    )
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with simulator:
        _fill(simulator, options.redirect_uri or [_CALLBACK])
        _print(simulator, certificates.authority)
        ended.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.simulators.microsoft", description="Simulate Entra and Graph mail."
    )
    parser.add_argument("--port", type=int, default=0, help="of https; 0 takes a free one")
    parser.add_argument("--browser-port", type=int, default=0, help="of http and control")
    parser.add_argument("--state", type=Path, help="a database that survives; else in memory")
    parser.add_argument(
        "--certificates",
        type=Path,
        default=DEFAULT_ROOT / "certificates",
        help="folder of the certificates, which are made when absent",
    )
    parser.add_argument(
        "--redirect-uri",
        action="append",
        help=f"where the demo client's users are sent back to; {_CALLBACK} when not given",
    )
    return parser.parse_args()


def _print(simulator: MicrosoftSimulator, authority: Path) -> None:
    lines = {
        "https": simulator.url,
        "http": simulator.browser_url,
        "control": f"{simulator.browser_url}/_control/",
        "authority": str(authority),
        "users": ", ".join(simulator.users()),
        "client": f"{_CLIENT} (secret: {_SECRET})",
    }
    for name, value in lines.items():
        print(f"{name:<10}{value}", flush=True)


def _fill(simulator: MicrosoftSimulator, redirect_uris: list[str]) -> None:
    simulator.add_client(_CLIENT, _SECRET, redirect_uris)
    if _USER in simulator.users():
        return
    simulator.add_user(_USER, name="Demo User")
    simulator.add_user(_PERSONAL, name="Demo at home")
    now = simulator.clock.now()
    mails = [_demo_mail(number, now) for number in range(_DEMO_MAILS)]
    simulator.mail(_USER).deliver_all(mails)


def _demo_mail(number: int, now: dt.datetime) -> Delivery:
    at = now - dt.timedelta(hours=7 * (_DEMO_MAILS - number))
    text = (
        f"From: Grace Example <grace@example.org>\r\nTo: Demo User <{_USER}>\r\n"
        f"Subject: Demo message {number + 1}\r\nDate: {at:%a, %d %b %Y %H:%M:%S} +0000\r\n"
        f"Message-ID: <demo-{number + 1}@example.org>\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\n"
        f"This is message {number + 1} of the demo.\r\n"
    )
    return Delivery(text.encode(), received_at=at, seen=number % 3 > 0)


if __name__ == "__main__":
    main()
