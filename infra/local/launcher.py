"""How ministack runs and saves itself: started by its own interpreter, not imported by ours.

ministack saves its state only on a clean end, file by file. Killed, it forgets everything since
its start; killed while saving, it comes back with a queue from one instant and a table from
another, and a message taken off the queue whose work is not in the table is lost for good. So:

- The state is saved soon after each change, by a forked copy of the process. The copy is taken
  between two requests, so all services are of one instant, and the server is not held up while
  the copy writes. (Functions delete a queue message only after their writes were answered, hence
  no saved instant can lack work whose message is gone.)
- Each save is a folder of its own; one rename of the link `current` makes it valid. Files equal
  to the last save's are hard links to them.
- No save is taken while a deployment runs: restored from there, it would never end.
- When its standard input closes, whoever started it is gone: it saves and ends.

Uses private names of ministack 1.5.33, which is pinned; tests/infra/test_local_stack.py proves
the whole by kill -9.
"""

import argparse
import asyncio
import copy
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import ministack.app as emulator  # type: ignore[import-not-found]
from hypercorn.asyncio import serve  # type: ignore[import-not-found]
from hypercorn.config import Config  # type: ignore[import-not-found]

from infra.local import corrections, permissions
from infra.local.generations import Generations

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

QUIET_SECONDS = 1.0
"""Wait at least this long between two saves: what `kill -9` can cost."""

LOAD_FACTOR = 5
"""Wait at least this many times as long as the last save took: at most a sixth of one core."""

RETRY_SECONDS = 0.1
"""How long to wait for a deployment to end before a save is tried again."""

SAVE_PATH = "/_mailroom/save"
"""A request to this path is answered once everything is saved."""

COPY_TIMEOUT_SECONDS = 120.0
"""A copy that takes longer caught a lock some other thread held; the next one will not."""

END_TIMEOUT_SECONDS = 600.0
"""The last save may take long with a great deal of data; it must not be cut short."""

log = logging.getLogger("mailroom.launcher")


class Autosave:
    """Saves soon after changes; wraps ministack's ASGI application to see them."""

    def __init__(self, generations: Generations) -> None:
        self.generations = generations
        self.changed = asyncio.Event()
        self.copying = asyncio.Lock()
        self.task: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's scope; requests of any kind count as a change."""
        if scope.get("path") == SAVE_PATH:
            await self._save_now(send)
            return
        if scope["type"] != "lifespan":
            await emulator.app(scope, receive, send)
            if not str(scope.get("path", "")).startswith("/_ministack/"):
                self.changed.set()
            return
        self.task = asyncio.create_task(self._run())
        await emulator.app(scope, receive, send)

    async def end(self) -> None:
        """Stop saving, so that the last save of ministack's own end is the only one."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self.changed.wait()
            # Workers answer to ministack outside of HTTP: what a change set off gets a save too.
            for _ in range(2):
                self.changed.clear()
                began = time.monotonic()
                saved = await self._copy()
                pause = LOAD_FACTOR * (time.monotonic() - began)
                await asyncio.sleep(max(QUIET_SECONDS, pause))
                if not saved:
                    self.changed.set()

    async def _save_now(self, send: Send) -> None:
        """Answer when what was there at the request is saved."""
        while not await self._copy():  # noqa: ASYNC110 - the emulator tells nobody of it
            await asyncio.sleep(RETRY_SECONDS)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def _copy(self) -> bool:
        """Save. Returns whether the save is valid."""
        async with self.copying:
            return await self._copy_alone()

    async def _copy_alone(self) -> bool:
        if _deploying():
            return False
        copied = Copy(self.generations)
        try:
            # A process tells its end to nobody but who asks.
            while (valid := copied.ended()) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            copied.abandon()
            raise
        return valid


class Copy:
    """A save under way in a forked copy of this process."""

    def __init__(self, generations: Generations) -> None:
        self.deadline = time.monotonic() + COPY_TIMEOUT_SECONDS
        self.pid: int | None = None
        if sys.platform == "darwin":  # macOS libraries do not survive a fork without exec
            generations.save()
            return
        parent = os.getpid()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: threads are running
            self.pid = os.fork()
        if self.pid == 0:
            _save_and_exit(generations, parent)

    def ended(self) -> bool | None:
        """None while it runs, then whether its save is valid."""
        if self.pid is None:
            return True
        done, status = os.waitpid(self.pid, os.WNOHANG)
        if done:
            return status == 0
        if time.monotonic() > self.deadline:
            log.error("saving took over %s s and was given up", COPY_TIMEOUT_SECONDS)
            self.abandon()
            return False
        return None

    def abandon(self) -> None:
        """Kill it; the last valid save stays valid."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def save_last(generations: Generations) -> None:
    """Save at the end of the process, and wait for it. A deployment cut off stays unsaved."""
    while not _deploying():
        copied = Copy(generations)
        while (valid := copied.ended()) is None:
            time.sleep(0.02)
        if valid:
            return
        log.error("the last save failed; trying again")
        time.sleep(QUIET_SECONDS)


def _save_and_exit(generations: Generations, parent: int) -> None:
    """In the copy: nothing here changes any more, so nothing needs to be copied to be read."""
    status = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        vars(copy)["deepcopy"] = _itself
        if os.getppid() == parent:
            generations.save()
            status = 0
    except BaseException:  # boundary: a copy of a server must never run on
        log.exception("the state was not saved")
    finally:
        os._exit(status)


def _itself(value: Any, _memo: object = None) -> Any:
    return value


def _deploying() -> bool:
    stacks = sys.modules.get("ministack.services.cloudformation")
    records = list(stacks._stacks._data.values()) if stacks else []  # noqa: SLF001
    return any(str(record.get("StackStatus")).endswith("_IN_PROGRESS") for record in records)


def _when_orphaned(stop: Callable[[], None]) -> None:
    """Call `stop` when standard input closes."""
    while os.read(0, 1):
        pass
    stop()


async def _serve(port: int, generations: Generations) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    autosave = Autosave(generations)

    async def until_stopped() -> None:
        await stopping.wait()
        await autosave.end()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    watch = threading.Thread(
        target=_when_orphaned, args=[lambda: loop.call_soon_threadsafe(stopping.set)], daemon=True
    )
    watch.start()
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.keep_alive_timeout = 75
    config.shutdown_timeout = END_TIMEOUT_SECONDS
    config.loglevel = "WARNING"
    await serve(autosave, config, shutdown_trigger=until_stopped)


def main() -> None:
    """Run ministack on 127.0.0.1 until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--functions-python", required=True, help="interpreter of the functions")
    # Last, because the command line's end tells whose process this is (processes.py).
    parser.add_argument("--root", type=Path, required=True, help="the stack's folder")
    given = parser.parse_args()
    generations = Generations(given.root / "state")
    generations.prepare()
    corrections.run_functions_with(given.functions_python)
    corrections.log_functions_to(given.root / "logs" / "functions.log")
    permissions.watch(given.root / "logs" / "permissions.jsonl")
    corrections.log_messages_to(given.root / "logs" / "messages.log")
    corrections.authorise_batches_as_single_calls()
    corrections.answer_without_a_body()
    corrections.know_encryption_contexts()
    # Not before the state's folder is prepared: services make it as they are loaded.
    from infra.local import metrics, table_streams  # noqa: PLC0415

    metrics.collect()
    table_streams.follow()
    emulator.save_all = lambda _services: save_last(generations)
    asyncio.run(_serve(int(os.environ["GATEWAY_PORT"]), generations))


if __name__ == "__main__":
    main()
