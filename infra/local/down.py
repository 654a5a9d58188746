"""`poe down`: end whatever of the local stack runs, wait for its save, leave nothing running."""

import argparse
import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

from infra.local import lock, processes
from infra.local.mail import end_leftovers as end_mail_servers
from infra.local.ministack import Ministack
from infra.local.paths import Paths

_STOP_SECONDS = 660.0
"""A little longer than ministack may take for its last save."""

_EXIT_SECONDS = 10.0
"""What the interpreter may take to end after its last line."""


def stop(paths: Paths) -> bool:
    """End the stack of `paths`, whoever started it. Returns False when it would not end."""
    pid = lock.holder(paths.lock)
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        if not lock.wait_until_free(paths.lock, seconds=_STOP_SECONDS):
            return False
        processes.wait_for(pid, seconds=_EXIT_SECONDS)
    # After a kill -9 parts of it may still run without the process that watched over them.
    Ministack(paths).end_leftovers()
    end_mail_servers(paths)
    paths.description.unlink(missing_ok=True)
    return True


def wipe(paths: Paths) -> None:
    """Delete all state. The virtual environments stay: they hold nothing of anybody's."""
    if not paths.root.exists():
        return
    for entry in paths.root.iterdir():
        if entry == paths.venvs:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def main() -> int:
    """Stop the stack; 1 when it would not end."""
    parser = argparse.ArgumentParser(prog="poe down", description=__doc__, allow_abbrev=False)
    parser.add_argument("--wipe", action="store_true", help="also delete all local data")
    parser.add_argument("--root", type=Path, help="the stack's folder (default: .local)")
    given = parser.parse_args()
    paths = Paths.of(given.root)
    was_running = lock.holder(paths.lock) is not None
    if not stop(paths):
        print("The local stack did not end; look into", paths.logs, file=sys.stderr)
        return 1
    if given.wipe:
        wipe(paths)
    said = "Stopped." if was_running else "Nothing was running."
    print(said, "All local data is deleted." if given.wipe else "The data is kept.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
