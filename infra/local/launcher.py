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
import hashlib
import json
import logging
import os
import shutil
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
from ministack.core import (  # type: ignore[import-not-found]
    lambda_runtime,
    persistence,
)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

QUIET_SECONDS = 1.0
"""Wait at least this long between two saves: what `kill -9` can cost."""

LOAD_FACTOR = 5
"""Wait at least this many times as long as the last save took: at most a sixth of one core."""

COPY_TIMEOUT_SECONDS = 120.0
"""A copy that takes longer caught a lock some other thread held; the next one will not."""

END_TIMEOUT_SECONDS = 600.0
"""The last save may take long with a great deal of data; it must not be cut short."""

log = logging.getLogger("mailroom.launcher")


class Generations:
    """The saved states in `folder`: `current` links to the valid one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.current = folder / "current"

    def prepare(self) -> None:
        """Remove what an interrupted save left; make an empty generation when there is none."""
        self.folder.mkdir(parents=True, exist_ok=True)
        valid = self.current.resolve() if self.current.exists() else None
        for entry in self.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink() and entry != valid:
                shutil.rmtree(entry)
        if valid is None:
            self._publish(self._new())

    def save(self) -> None:
        """Write the state of every service and make it the valid one.

        A service whose state cannot be read keeps its file of the last save.
        """
        last = self.current.resolve()
        new = self._new()
        self._keep_code(last, new)
        for service, state_of in emulator._build_persistence_save_dict().items():  # noqa: SLF001
            try:
                content = self._encode(service, state_of())
            except Exception:  # boundary: one broken service must not cost the others' state
                log.exception("the state of %s was not saved", service)
                content = None
            _write(new / f"{service}.json", content, last / f"{service}.json")
        self._publish(new)
        shutil.rmtree(last, ignore_errors=True)

    def _new(self) -> Path:
        folder = self.folder / f"{time.time_ns():x}"
        folder.mkdir()
        return folder

    def _publish(self, generation: Path) -> None:
        link = self.folder / "current.new"
        link.unlink(missing_ok=True)
        link.symlink_to(generation.name)
        _flush(generation)
        link.replace(self.current)
        _flush(self.folder)

    @staticmethod
    def _keep_code(last: Path, new: Path) -> None:
        """Carry the functions' code over by hard links, and let new code go to the new folder."""
        (new / "lambda-blobs").mkdir()
        for blob in last.glob("lambda-blobs/*.zip"):
            (new / "lambda-blobs" / blob.name).hardlink_to(blob)
        functions = sys.modules.get("ministack.services.lambda_svc")
        if functions is not None:
            functions.CODE_BLOB_DIR = str(new / "lambda-blobs")

    @staticmethod
    def _encode(service: str, state: object) -> bytes | None:
        if state is None:
            return None
        version = persistence._state_format_version(service)  # noqa: SLF001
        return json.dumps(
            {"__ministack_format__": version, "payload": state},
            default=persistence._json_default,  # noqa: SLF001
        ).encode()


def _write(path: Path, content: bytes | None, last: Path) -> None:
    """Write `content`, or link the last save's file when it is equal or there is nothing new."""
    if last.exists() and (content is None or _equal(last, content)):
        path.hardlink_to(last)
    elif content is not None:
        with path.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())


def _equal(path: Path, content: bytes) -> bool:
    if path.stat().st_size != len(content):
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest() == hashlib.sha256(content).digest()


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Autosave:
    """Saves soon after changes; wraps ministack's ASGI application to see them."""

    def __init__(self, generations: Generations) -> None:
        self.generations = generations
        self.changed = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's scope; requests of any kind count as a change."""
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

    async def _copy(self) -> bool:
        """Save. Returns whether the save is valid."""
        if _deploying():
            return False
        copied = Copy(self.generations)
        try:
            while (valid := copied.ended()) is None:
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
        copy.deepcopy = _itself
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
    script = lambda_runtime._PYTHON_WORKER_SCRIPT  # noqa: SLF001
    lambda_runtime._detect_runtime_binary = lambda _runtime: (  # noqa: SLF001
        given.functions_python,
        script,
    )
    emulator.save_all = lambda _services: save_last(generations)
    asyncio.run(_serve(int(os.environ["GATEWAY_PORT"]), generations))


if __name__ == "__main__":
    main()
