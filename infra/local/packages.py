"""Decides how a program the tests or the demo need comes onto this machine: by its packager."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence


def install(debian: Sequence[str], brew: Sequence[str], *, by_hand: str) -> None:
    """Install packages with apt-get, or on a Mac with brew.

    Args:
        debian: what apt-get is to install.
        brew: the same, as brew names it.
        by_hand: what to tell a person where that cannot be done; `{why}` says why not.

    Raises:
        SystemExit: with `by_hand`.
    """
    for command in _commands(debian, brew, by_hand):
        print("+", " ".join(command), flush=True)
        # A package may start a server of its own on a port of ours; the demo starts another.
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        done = subprocess.run(command, env=environment, check=False)
        if done.returncode != 0:
            raise SystemExit(by_hand.format(why=f"`{' '.join(command)}` failed."))


def _commands(debian: Sequence[str], brew: Sequence[str], by_hand: str) -> list[list[str]]:
    if sys.platform == "darwin":
        if shutil.which("brew") is None:
            raise SystemExit(by_hand.format(why="Homebrew is not on PATH."))
        return [["brew", "install", *brew]]
    if shutil.which("apt-get") is None:
        raise SystemExit(by_hand.format(why="this system has no apt-get."))
    install_them = ["apt-get", "install", "-y", "--no-install-recommends", *debian]
    commands = [["apt-get", "update"], install_them]
    if os.geteuid() == 0:
        return commands
    sudo = ["sudo", "--non-interactive"]
    if shutil.which("sudo") is None or subprocess.run([*sudo, "true"], check=False).returncode:
        raise SystemExit(by_hand.format(why="this needs root, or sudo without a password."))
    return [[*sudo, "env", "DEBIAN_FRONTEND=noninteractive", *command] for command in commands]
