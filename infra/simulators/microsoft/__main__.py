"""Decides what starting the simulator alone gives: a demo user with mail, and its addresses."""

from __future__ import annotations

import argparse
import datetime as dt
import signal
import threading
from pathlib import Path

from infra.simulators.kit.mailbox import Delivery
from infra.simulators.microsoft.simulator import MicrosoftSimulator

_CLIENT = "00000000-1111-4222-8333-444444444444"
_SECRET = "demo-secret-of-the-simulator"  # noqa: S105 - a demo's
_USER = "demo@contoso.example"
_PERSONAL = "demo@outlook.example"
_DEMO_MAILS = 25


def main() -> None:
    """Start, print the addresses, and stay until told to stop."""
    arguments = _arguments()
    simulator = MicrosoftSimulator(
        arguments.state,
        certificate=arguments.certificate,
        key=arguments.key,
        port=arguments.port if arguments.certificate else 0,
        browser_port=arguments.browser_port if arguments.certificate else arguments.port,
    )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with simulator:
        _fill(simulator, arguments.redirect_uri)
        print(f"Graph and Entra: {simulator.url}")
        print(f"browser:         {simulator.browser_url}")
        print(f"control:         {simulator.browser_url}/_control/")
        print(f"users:           {', '.join(simulator.users())}")
        print(f"client:          {_CLIENT} with the secret {_SECRET}", flush=True)
        stop.wait()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.simulators.microsoft", description="Simulate Entra and Graph mail."
    )
    parser.add_argument("--port", type=int, default=0, help="https with a certificate, else http")
    parser.add_argument("--browser-port", type=int, default=0, help="http beside https")
    parser.add_argument("--state", type=Path, help="file to keep everything in; else in memory")
    parser.add_argument("--certificate", type=Path, help="PEM; its https port is for servers")
    parser.add_argument("--key", type=Path, help="PEM")
    parser.add_argument(
        "--redirect-uri",
        action="append",
        default=[],
        help="where the demo client's users may be sent back to (repeat for several)",
    )
    return parser.parse_args()


def _fill(simulator: MicrosoftSimulator, redirect_uris: list[str]) -> None:
    uris = redirect_uris or ["http://localhost:8080/callback"]
    simulator.add_client(_CLIENT, _SECRET, uris)
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
