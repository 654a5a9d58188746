"""Decides by which path Dovecot sees the folder of its instance, and whether a process is its.

A socket's name holds 104 bytes, and Dovecot's settings cannot hold every character. Where the
folder's own path will not do, a short folder in /tmp holds the sockets and a link to the folder.
It exists while the server runs; a killed one leaves it to the next start or stop.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

_LONGEST_HOME = 70  # leaves room for `/run/token-login/imap-urlauth`
_CANNOT_HOLD = frozenset(" \t%#\"'<>{}$\\")


class PlaceTakenError(Exception):
    """Somebody else has what should be our folder in /tmp; the text says which."""


@dataclass(frozen=True, slots=True)
class Place:
    """The paths of one instance.

    Attributes:
        root: the folder itself.
        home: how Dovecot's settings name it.
        run: of the sockets and the pid file; never reached through a link.
        alias: the short folder in /tmp, where one is needed.
    """

    root: Path
    home: Path
    run: Path
    alias: Path | None

    def prepare(self) -> None:
        """Make the folders. Raises PlaceTakenError."""
        self.root.mkdir(parents=True, exist_ok=True)
        if self.alias is not None:
            self.alias.mkdir(mode=0o755, exist_ok=True)
            found = self.alias.lstat()
            # In a folder everybody may write to, somebody could have been here first.
            if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode):
                raise PlaceTakenError(f"{self.alias} is in the way and is not ours; delete it.")
            self.home.unlink(missing_ok=True)
            self.home.symlink_to(self.root)
        self.run.mkdir(exist_ok=True)

    def tidy(self) -> None:
        """Delete what lies outside ``root``."""
        if self.alias is not None:
            shutil.rmtree(self.alias, ignore_errors=True)


def place_of(root: Path) -> Place:
    """Return the paths to use for an instance in ``root``, which must be absolute."""
    text = str(root)
    if len(text.encode()) <= _LONGEST_HOME and text.isascii() and not _CANNOT_HOLD & set(text):
        return Place(root, root, root / "run", alias=None)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    alias = Path("/tmp") / f"mailroom-dovecot-{digest}"  # noqa: S108 - TMPDIR is long on macOS
    return Place(root, alias / "home", alias / "run", alias)


def command_line(pid: int) -> str:
    """Return how that process was started; empty when there is none (or only a zombie)."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return ""
    answer = subprocess.run(
        ["ps", "-p", str(pid), "-o", "command="], capture_output=True, text=True, check=False
    )
    return answer.stdout
