"""The virtual environments of a local stack: built from hash-locked files, anew when they change.

Two, both beside the app's own: ministack's, because it pins a botocore that the app's lock
refuses; and the functions', which holds exactly what the artifact on AWS holds, so that a
function importing something that is not locked fails here as it would there (ministack by
itself runs functions with its own packages in sight).
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from infra.local.paths import REPOSITORY, Paths

MINISTACK_LOCK = REPOSITORY / "infra" / "local" / "requirements.txt"
FUNCTIONS_LOCK = REPOSITORY / "requirements.txt"

_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
"""Part of each name, so that runs under two Pythons do not build over each other."""


class EnvironmentNotBuiltError(Exception):
    """The installer failed; the message holds its last lines."""


def ministack_python(paths: Paths) -> Path:
    """The interpreter that runs ministack, installed first when needed."""
    return ensure(paths.venvs / f"ministack-{_VERSION}", MINISTACK_LOCK)


def functions_python(paths: Paths) -> Path:
    """The interpreter that runs the functions, installed first when needed."""
    return ensure(paths.venvs / f"functions-{_VERSION}", FUNCTIONS_LOCK)


def ensure(venv: Path, lock: Path) -> Path:
    """Return `venv`'s interpreter; (re)build it unless it was built from this `lock` and Python.

    The marker is written last, so an interrupted build is begun again.
    """
    venv.parent.mkdir(parents=True, exist_ok=True)
    with venv.with_name(f"{venv.name}.lock").open("w") as held:
        # Two stacks may start at once; the second finds what the first has built.
        fcntl.flock(held, fcntl.LOCK_EX)
        return _build(venv, lock)


def _build(venv: Path, lock: Path) -> Path:
    python = venv / "bin" / "python"
    marker = venv / "built-from"
    wanted = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    if python.exists() and marker.exists() and marker.read_text() == wanted:
        return python
    shutil.rmtree(venv, ignore_errors=True)
    for command in _commands(venv, python, lock):
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode != 0:
            tail = "\n".join(done.stdout.splitlines()[-15:])
            raise EnvironmentNotBuiltError(f"{' '.join(command)} failed:\n{tail}")
    marker.write_text(wanted)
    return python


def _commands(venv: Path, python: Path, lock: Path) -> list[list[str]]:
    """How to build `venv` with the interpreter that runs this: by uv, else by the standard tools.

    Bytecode is compiled here, once: without it each function's first call imports 2.7 times slower.
    """
    lock_of = ["--require-hashes", "-r", str(lock)]
    if uv := shutil.which("uv"):
        install = [uv, "pip", "install", "--quiet", "--no-config", "--compile-bytecode"]
        return [
            [uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(venv)],
            [*install, "--python", str(python), *lock_of],
        ]
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [[sys.executable, "-m", "venv", str(venv)], [*install, *lock_of]]
