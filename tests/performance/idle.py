"""Decides how an idle poll is measured: a login, one look at four folders, nothing found.

Beside it, by turns, the least that any poll must do: a connection, TLS, a login, and goodbye.
"""

import socket
import ssl
import time
from datetime import UTC, datetime
from statistics import median
from typing import Any

from shared.domain.cursor import Cursor
from shared.domain.folders import Folder
from shared.domain.ids import FolderId
from shared.providers.imap.adapter import ImapProvider, ImapSession
from tests.performance.server import HOST, PASSWORD, MeasuredMailbox, measured_mailbox
from tests.performance.synthetic_mail import FOLDERS, OWNER

Figures = dict[str, Any]
AIM_ROUND_TRIPS = 4
"""Capabilities and login, the look, and goodbye unwaited for; one to spare."""


class NotIdleError(Exception):
    """The poll found a change where there was none, so it was not idle."""


def measure(messages: int, pairs: int) -> Figures:
    """Return what an idle poll sends, receives and lasts, and a bare login beside it."""
    with measured_mailbox(messages) as mailbox:
        provider = mailbox.provider()
        cursors = _positions(provider, mailbox)
        context = ssl.create_default_context(cafile=str(mailbox.authority))
        _poll(provider, mailbox, cursors)
        polls: list[Figures] = []
        logins: list[float] = []
        for _ in range(pairs):
            logins.append(_bare_login(mailbox, context))
            polls.append(_poll(provider, mailbox, cursors))
        cold = [_poll(mailbox.provider(), mailbox, cursors)["seconds"] for _ in range(5)]
    poll = {key: median(one[key] for one in polls) for key in polls[0]}
    return {
        **poll,
        "messages": messages,
        "folders": len(FOLDERS),
        "bare_login_seconds": median(logins),
        "first_in_a_process_seconds": median(cold),
        "ratio_wall": median(
            poll["seconds"] / login for poll, login in zip(polls, logins, strict=True)
        ),
    }


def rows(figures: Figures) -> list[tuple[str, str, str]]:
    """Return lines of the table: what, figure, aim."""
    login = figures["bare_login_seconds"]
    return [
        (
            "idle poll of four folders: round trips (login included, TLS not)",
            f"{figures['round_trips']:.0f}",
            f"≤ {AIM_ROUND_TRIPS}",
        ),
        (
            "idle poll: bytes received and sent, inside TLS",
            f"{figures['bytes_received']:.0f} + {figures['bytes_sent']:.0f}",
            "",
        ),
        (
            "idle poll: wall, against a bare TLS login",
            f"{figures['ratio_wall']:.2f} × ({figures['seconds'] * 1000:.1f}"
            f" : {login * 1000:.1f} ms)",
            "",
        ),
        (
            "the first poll of a process (loads authorities), against a bare TLS login",
            f"{figures['first_in_a_process_seconds'] / login:.2f} ×",
            "",
        ),
    ]


def _is_polled(folder: Folder) -> bool:
    return folder.name.upper() in {name.upper() for name in FOLDERS}


def _positions(provider: ImapProvider, mailbox: MeasuredMailbox) -> dict[FolderId, Cursor | None]:
    now = datetime.now(UTC)
    with provider.open(mailbox.grant()) as session:
        found = [folder for folder in session.folders() if _is_polled(folder)]
        if len(found) != len(FOLDERS):
            raise NotIdleError(f"{len(found)} folders")
        return {folder.id: session.baseline(folder, now=now) for folder in found}


def _poll(
    provider: ImapProvider, mailbox: MeasuredMailbox, cursors: dict[FolderId, Cursor | None]
) -> Figures:
    started = time.perf_counter()
    session: ImapSession
    with provider.open(mailbox.grant()) as session:
        look = session.look(cursors, _is_polled, now=datetime.now(UTC))
    seconds = time.perf_counter() - started
    if look.changed:
        raise NotIdleError(f"changed: {sorted(look.changed)}")
    return {
        "seconds": seconds,
        "round_trips": session.round_trips,
        "bytes_received": session.bytes_received,
        "bytes_sent": session.bytes_sent,
    }


def _bare_login(mailbox: MeasuredMailbox, context: ssl.SSLContext) -> float:
    started = time.perf_counter()
    with socket.create_connection((HOST, mailbox.port), timeout=10) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(plain, server_hostname=HOST) as stream:
            _until(stream, b"* OK")
            stream.sendall(f'A LOGIN "{OWNER}" "{PASSWORD}"\r\n'.encode())
            _until(stream, b"A OK")
            stream.sendall(b"B LOGOUT\r\n")
    return time.perf_counter() - started


def _until(stream: ssl.SSLSocket, start: bytes) -> None:
    received = b""
    while not (received.startswith(start) or b"\n" + start in received) or received[-1:] != b"\n":
        received += stream.recv(65_536)
