"""Which running processes belong to a stack: known by the stack's folder in their command line.

A number in a pid file may by now belong to somebody else's process, and after `kill -9` there may
be no file at all. A command line that names this stack's folder in our own marker cannot.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from infra.local.paths import Paths

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """A running process: its number and its command line, arguments joined by blanks."""

    pid: int
    command: str


def running() -> list[Process]:
    """Every process this user can see, but for this one."""
    found = _from_proc() if (_PROC / "self" / "cmdline").exists() else _from_ps()
    return [process for process in found if process.pid != os.getpid()]


def _from_proc() -> Iterable[Process]:
    """From /proc: slim Linux images have no ps."""
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it ended while we looked
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if command:  # empty for a zombie, which is no longer running
                yield Process(int(entry.name), command.strip())


def _from_ps() -> Iterable[Process]:
    """From ps, as on macOS."""
    table = subprocess.run(
        ["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True
    ).stdout
    for line in table.splitlines():
        number, _, command = line.strip().partition(" ")
        yield Process(int(number), command)


def emulators(paths: Paths) -> list[Process]:
    """ministack processes of this stack."""
    # Not by the folder alone: `poe up` and `poe down` take the same option.
    return [
        process
        for process in running()
        if " infra.local.launcher " in process.command
        and process.command.endswith(f" --root {paths.root}")
    ]


def workers(paths: Paths) -> list[Process]:
    """Function processes of this stack, which may outlive a killed ministack by one call."""
    mark = f"{paths.temporary}{os.sep}ministack-lambda-"
    return [process for process in running() if mark in process.command]


def end(processes: Iterable[Process], *, within: float) -> None:
    """Ask `processes` to stop, wait up to `within` seconds, then kill what is left."""
    waiting = {process.pid: process for process in processes}
    for pid in waiting:
        _send(pid, signal.SIGTERM)
    deadline = time.monotonic() + within
    while waiting and time.monotonic() < deadline:
        time.sleep(0.05)
        alive = {process.pid: process for process in running()}
        # Same number and same command: a number given to a newcomer is not ours to kill.
        waiting = {pid: was for pid, was in waiting.items() if alive.get(pid) == was}
    kill(waiting.values())


def wait_for(pid: int, *, seconds: float) -> None:
    """Wait up to `seconds` until process `pid` is gone."""
    deadline = time.monotonic() + seconds
    while any(process.pid == pid for process in running()) and time.monotonic() < deadline:
        time.sleep(0.02)


def kill(processes: Iterable[Process]) -> None:
    """Kill `processes` without asking."""
    for process in processes:
        _send(process.pid, signal.SIGKILL)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
