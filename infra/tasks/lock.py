"""Which versions we stand on: writes the hash-pinned requirements files and uv's constraints.

No committed file may name a package registry, and `uv.lock` records an address for every file.
So the locks are requirements files without addresses, and `[tool.uv] constraint-dependencies`
repeats their versions, which makes `uv run` resolve to the same ones.

Each file is resolved once for every Python we support and every platform (`--universal`).
A version that is already in a file stays unless `--upgrade` is given.
"""

import argparse
import os
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OLDEST_PYTHON = "3.11"
DEV_FILE = "requirements-dev.txt"


@dataclass(frozen=True, slots=True)
class Lock:
    """One requirements file: what it is resolved from, and which file's versions it keeps to."""

    file: str
    project_group: str | None = None
    packages: tuple[str, ...] = ()
    keep_to: str | None = None


# The order matters: the runtime file takes its versions from the file with everything in it.
LOCKS = (
    Lock(DEV_FILE, project_group="dev"),
    Lock("requirements.txt", project_group="", keep_to=DEV_FILE),
    # ministack pins a botocore that boto3 1.44 refuses: never in the application's environment.
    Lock(
        "infra/local/requirements.txt",
        packages=(
            "aws-sam-translator==1.115.0",
            "boto3",
            "cryptography==50.0.2",
            "ministack==1.5.33",
        ),
    ),
    # The SAM CLI caps click and boto3 below what we use.
    Lock("infra/requirements-sam.txt", packages=("aws-sam-cli==1.170.0",)),
)

_PIN = re.compile(r"^(?P<pin>[A-Za-z0-9._-]+==[^\s;\\]+)(?: ; (?P<marker>[^\\]+?))?(?: \\)?$")
_CONSTRAINTS = re.compile(r"^constraint-dependencies = \[\n.*?^\]\n", re.MULTILINE | re.DOTALL)


def pins(text: str) -> dict[str, str | None]:
    """Every `name==version` of a requirements file, with its marker if it has one."""
    found = (_PIN.match(line) for line in text.splitlines())
    return {match["pin"]: match["marker"] for match in found if match}


def constraints(text: str) -> list[str]:
    """The pins as uv constraints.

    A marker is kept only where one package has several versions: elsewhere the bare pin says
    more, because it holds for a resolution that asks for the package on other grounds too.
    """
    pinned = pins(text)
    names = [pin.partition("==")[0] for pin in pinned]
    return [
        f"{pin} ; {marker}" if marker and names.count(pin.partition("==")[0]) > 1 else pin
        for pin, marker in pinned.items()
    ]


def with_constraints(pyproject: str, lines: list[str]) -> str:
    """The text of pyproject.toml with its constraints replaced by these lines."""
    block = "".join(f'    "{line}",\n' for line in lines)
    written, count = _CONSTRAINTS.subn(f"constraint-dependencies = [\n{block}]\n", pyproject)
    if count != 1:
        raise SystemExit("pyproject.toml: [tool.uv] needs one constraint-dependencies list")
    return written


def uv_path() -> str:
    """The uv that runs us, else the one on PATH; without one there is nothing to resolve with."""
    found = os.environ.get("UV") or shutil.which("uv")
    if not found:
        raise SystemExit("uv is not on PATH: pip install uv")
    return found


def _clean_environment() -> dict[str, str]:
    """This machine's own folders of wheels and constraints must not leak into a committed file.

    A mirror of the index may stay: its files have the same hashes, and no address is written.
    """
    kept = {"UV_CACHE_DIR", "UV_DEFAULT_INDEX"}
    return {
        key: value
        for key, value in os.environ.items()
        if key in kept or not key.startswith(("UV_", "PIP_"))
    }


def _compile(lock: Lock, *, upgrade: bool) -> None:
    target = ROOT / lock.file
    command = [
        uv_path(), "pip", "compile",
        # Not pyproject's own [tool.uv]: the old constraints would hold every new version back.
        "--no-config",
        "--universal", "--python-version", OLDEST_PYTHON,
        "--generate-hashes",
        "--no-emit-index-url", "--no-emit-find-links",
        "--custom-compile-command", "uv run poe lock",
        "--quiet",
        "--output-file", lock.file,
    ]  # fmt: skip
    if upgrade:
        command.append("--upgrade")
    if lock.keep_to:
        command += ["--constraints", lock.keep_to]
    if lock.project_group is None:
        command.append("-")
    else:
        command.append("pyproject.toml")
        if lock.project_group:
            command += ["--group", lock.project_group]
    subprocess.run(
        command,
        check=True,
        cwd=ROOT,
        env=_clean_environment(),
        input="\n".join(lock.packages),
        text=True,
    )
    text = target.read_text()
    if "://" in text:
        raise SystemExit(f"{lock.file} holds an address; nothing about this machine may be in it")
    print(f"{lock.file}: {len(pins(text))} packages")


def main() -> None:
    """Write every lock, then the constraints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--upgrade", action="store_true", help="take newer versions")
    upgrade = parser.parse_args().upgrade
    for lock in LOCKS:
        _compile(lock, upgrade=upgrade)
    pyproject = ROOT / "pyproject.toml"
    lines = constraints((ROOT / DEV_FILE).read_text())
    written = with_constraints(pyproject.read_text(), lines)
    tomllib.loads(written)
    pyproject.write_text(written)
    print(f"pyproject.toml: {len(lines)} constraints")


if __name__ == "__main__":
    main()
