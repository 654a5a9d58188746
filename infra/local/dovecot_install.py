"""Decides how Dovecot comes onto this machine: found, else installed by the system's packager."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from infra.local.packages import install

_SYSTEM_PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", "/opt/homebrew/bin")
_BY_HAND = (
    "Dovecot, the demo's IMAP server, is not installed and cannot be installed from here: {why}\n"
    "Install it yourself, then run this again:\n"
    "  Debian, Ubuntu:  sudo apt-get install dovecot-imapd\n"
    "  Fedora:          sudo dnf install dovecot\n"
    "  macOS:           brew install dovecot"
)


def find_dovecot() -> Path | None:
    """Return the server's program, from PATH or from where packagers put it, or None."""
    places = os.pathsep.join((os.environ.get("PATH", ""), *_SYSTEM_PLACES))
    found = shutil.which("dovecot", path=places)
    # dovecot-core alone has the server but not the IMAP service.
    return Path(found) if found and _speaks_imap(Path(found)) else None


def ensure_installed() -> Path:
    """Return the server's program, installing the package first when it is absent.

    Raises:
        SystemExit: it is absent and cannot be installed; the text says what to do.
    """
    found = find_dovecot()
    if found is None:
        install(["dovecot-imapd"], ["dovecot"], by_hand=_BY_HAND)
        found = find_dovecot()
    if found is None:
        raise SystemExit(_BY_HAND.format(why="the package was installed, but has no IMAP server."))
    return found


def version_of(program: Path) -> tuple[int, int]:
    """Return the version of that Dovecot as (major, minor).

    Raises:
        SystemExit: the program does not say.
    """
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    match = re.match(r"(\d+)\.(\d+)", answer.stdout)
    if match is None:
        raise SystemExit(f"{program} --version answers {answer.stdout!r}: not a Dovecot we know.")
    return int(match[1]), int(match[2])


def _speaks_imap(program: Path) -> bool:
    prefix = program.resolve().parent.parent
    folders = ("lib/dovecot", "libexec/dovecot", "lib64/dovecot")
    return any((prefix / folder / "imap").exists() for folder in folders)
