"""`poe up`: the whole of Mailroom on this machine, from nothing to a contact's timeline."""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from infra.local import demo, lock
from infra.local.clients import forget_host_settings
from infra.local.deploy import DeploymentError
from infra.local.dovecot import DovecotError
from infra.local.mail import MailServers
from infra.local.mail_providers import MailProviders
from infra.local.ministack import EmulatorNotStartedError
from infra.local.paths import REPOSITORY, Paths
from infra.local.stack import LocalStack, MailAccess, description
from infra.local.venvs import EnvironmentNotBuiltError

_WATCH_SECONDS = 1.0
_FAILURES = (
    DeploymentError,
    DovecotError,
    EmulatorNotStartedError,
    EnvironmentNotBuiltError,
    demo.DemoFailedError,
)


class _StopRequestedError(Exception):
    """SIGINT or SIGTERM came in."""


def main() -> int:
    """Run the stack until stopped; 0 after a clean end or when it runs already."""
    parser = argparse.ArgumentParser(prog="poe up", description=__doc__, allow_abbrev=False)
    parser.add_argument("--detach", action="store_true", help="return once everything is ready")
    parser.add_argument("--empty", action="store_true", help="leave the demo out")
    parser.add_argument(
        "--mail-port", action="append", type=int, default=[], help="allow a mail server's odd port"
    )
    parser.add_argument("--root", type=Path, help="the stack's folder (default: .local)")
    given = parser.parse_args()
    forget_host_settings()
    paths = Paths.of(given.root)
    if (pid := lock.holder(paths.lock)) is not None:
        return _say_running(paths, pid)
    if given.detach:
        return _detach(paths, [argument for argument in sys.argv[1:] if argument != "--detach"])
    try:
        with lock.RunLock(paths.lock):
            return _run(paths, empty=given.empty, mail_ports=given.mail_port)
    except lock.AlreadyRunningError as error:
        return _say_running(paths, error.pid)


def _run(paths: Paths, *, empty: bool, mail_ports: Sequence[int]) -> int:
    """Start, show, watch, stop. Always stops what it started."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _request_stop)
    paths.create()
    paths.description.unlink(missing_ok=True)
    servers = MailServers(paths)
    stack = LocalStack(paths)
    providers = MailProviders(paths, servers.dovecot.certificates)
    try:
        _start(stack, servers, providers, mail_ports)
        mailbox_id = None if empty else demo.run(stack, servers, _say)
        demo.say_what_to_try(stack, _say)
        if mailbox_id is not None:
            demo.say_how_to_send(servers, mailbox_id, _say)
        demo.say_how_to_sign_in(providers, _say)
        # At the end as well: what is printed first has left the screen by now.
        _say(f"\nOpen    {stack.page_url}   and sign in as Ada or Ben\n")
        # Last: who waits for this file may use all of it, the demo included.
        _describe(stack, servers, providers, ready=True)
        _say("Running. Ctrl-C or `uv run poe down` stops it and keeps the data.")
        _watch(stack)
    except _StopRequestedError:
        return 0
    except _FAILURES as error:
        why = f"\nThe local stack could not start: {error}\nWhat its parts logged: {paths.logs}"
        print(why, file=sys.stderr, flush=True)
        return 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _say("Stopping; saving the data.")
        paths.description.unlink(missing_ok=True)
        stack.stop()
        providers.stop()
        servers.stop()
        _say("Stopped.")
    return 0


def _start(
    stack: LocalStack,
    servers: MailServers,
    providers: MailProviders,
    mail_ports: Sequence[int],
) -> None:
    _say("Starting the demo's mail servers, and Gmail's and Outlook's simulators")
    servers.start()
    providers.start()
    access = servers.access
    stack.mail = MailAccess(ports=(*access.ports, *mail_ports), authority=access.authority)
    stack.more |= servers.parameters() | providers.parameters()
    stack.start(_say)
    providers.register(stack)
    providers.fill()
    _describe(stack, servers, providers, ready=False)


def _describe(
    stack: LocalStack,
    servers: MailServers,
    providers: MailProviders,
    *,
    ready: bool,
) -> None:
    more: dict[str, Any] = {
        **servers.as_json(),
        "simulators": providers.as_json(),
        "pid": os.getpid(),
        "ready": ready,
    }
    stack.describe(more)


def _watch(stack: LocalStack) -> None:
    """Until a signal comes; bring the emulator back when it dies."""
    while True:
        time.sleep(_WATCH_SECONDS)
        if not stack.alive():
            _say("ministack ended by itself; starting it again with the data it saved.")
            stack.start()


def _say(line: str) -> None:
    print(line, flush=True)


def _say_running(paths: Paths, pid: int) -> int:
    url = description(paths).get("api_url")
    where = f" at {url}" if url else ", still starting"
    _say(f"Already running{where} (process {pid}). `uv run poe down` stops it.")
    return 0


def _request_stop(_number: int, _frame: FrameType | None) -> None:
    raise _StopRequestedError


def _detach(paths: Paths, arguments: Sequence[str]) -> int:
    """Start a child that runs on without this terminal; show its lines until it is ready."""
    paths.create()
    log = paths.logs / "up.log"
    with log.open("wb") as stream:
        child = subprocess.Popen(
            [sys.executable, "-m", "infra.local.up", *arguments],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with log.open() as lines:
        while True:
            ended = child.poll()
            found = description(paths)
            ready = found.get("ready") is True and found.get("pid") == child.pid
            for line in lines:
                print(line, end="", flush=True)
            if ended is not None:
                return ended
            if ready:
                _say(f"In the background as process {child.pid}; log: {log}")
                return 0
            time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
