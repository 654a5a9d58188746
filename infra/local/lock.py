"""Whether a stack is running and by whom: a lock that the system takes away with its holder.

A pid file alone would outlive a killed process and might name a stranger.
"""

import fcntl
import os
import time
from pathlib import Path
from typing import Self


class AlreadyRunningError(Exception):
    """Another process runs this stack; `pid` says which."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"already running as process {pid}")
        self.pid = pid


class RunLock:
    """Held by the process that runs the stack, from before its first part starts to its end."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Take the lock and write down who has it. Raises AlreadyRunningError."""
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _read(descriptor)
            os.close(descriptor)
            raise AlreadyRunningError(pid) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(self, *_error: object) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def holder(file: Path) -> int | None:
    """The process that holds the lock, or None when nobody does."""
    try:
        with RunLock(file):
            return None
    except AlreadyRunningError as error:
        return error.pid


def wait_until_free(file: Path, *, seconds: float) -> bool:
    """Wait until nobody holds the lock. Returns False when somebody still does after `seconds`."""
    deadline = time.monotonic() + seconds
    while holder(file) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _read(descriptor: int) -> int:
    # Between its lock and its write the holder's number is not there yet.
    text = os.pread(descriptor, 20, 0).decode()
    return int(text) if text.isdigit() else 0
