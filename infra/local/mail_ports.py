"""Decides where the mail servers listen: on both loopback addresses, on remembered free ports.

A connected mailbox has the port written into it, so a server that starts again has to come back
on the same one.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import time
from typing import TYPE_CHECKING

from infra.local.ports import hold

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Below where systems take the local ends of outgoing connections, which would be busy at times.
_FIRST, _LAST = 20_000, 32_000
_WAIT_SECONDS = 5.0


def loopback_addresses() -> tuple[str, ...]:
    """Return 127.0.0.1, and 127.0.0.2 where the system has it (Linux; macOS after an alias)."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.2", 0))
        except OSError:
            return ("127.0.0.1",)
    return ("127.0.0.1", "127.0.0.2")


def choose_ports(remembered_in: Path, names: Sequence[str]) -> dict[str, int]:
    """Return a port for each name, those written in ``remembered_in`` when they are still free.

    Children of a killed server hold its ports for a moment, so busy ones get a few seconds.
    """
    before: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError, TypeError):
        before = json.loads(remembered_in.read_text())
    addresses = loopback_addresses()
    deadline = time.monotonic() + _WAIT_SECONDS
    while before and set(before) == set(names) and time.monotonic() < deadline:
        if all(
            _is_free(port, addresses) and hold(port, f"{remembered_in} {name}")
            for name, port in before.items()
        ):
            return before
        time.sleep(0.05)
    chosen: dict[str, int] = {}
    for name in names:
        chosen[name] = _free_port(addresses, set(chosen.values()), f"{remembered_in} {name}")
    return chosen


def _free_port(addresses: Sequence[str], taken: set[int], owner: str) -> int:
    for _ in range(1000):
        port = random.SystemRandom().randint(_FIRST, _LAST)
        if port not in taken and _is_free(port, addresses) and hold(port, owner):
            return port
    raise OSError(f"no free port between {_FIRST} and {_LAST}")


def _is_free(port: int, addresses: Sequence[str]) -> bool:
    for address in addresses:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True
