"""The locks agree with each other and with pyproject.toml, and name no place to download from."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from infra.tasks.lock import LOCKS, constraints, pins

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FILES = [lock.file for lock in LOCKS]

# In two parts, so that this file does not hold what it forbids.
REGISTRY_HOSTS = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "npm" + "js.org",
    "yarn" + "pkg.com",
    "crates" + ".io",
    "proxy.go" + "lang.org",
    "rubygems" + ".org",
    "maven" + ".org",
    "deb.deb" + "ian.org",
]


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def versions(file: str) -> set[str]:
    return set(pins((ROOT / file).read_text()))


def without_extras(requirement: str) -> str:
    name, _, version = re.sub(r"\[.*?\]", "", requirement).partition("==")
    return f"{normalised(name)}=={version}"


def test_every_requirement_is_an_exact_pin():
    project = PYPROJECT["project"]["dependencies"]
    groups = [pin for group in PYPROJECT["dependency-groups"].values() for pin in group]
    loose = [pin for pin in [*project, *groups] if not re.fullmatch(r"[\w.-]+(\[.*\])?==\S+", pin)]
    assert not loose


def test_the_locks_hold_what_the_project_asks_for():
    project = {without_extras(pin) for pin in PYPROJECT["project"]["dependencies"]}
    dev = {without_extras(pin) for pin in PYPROJECT["dependency-groups"]["dev"]}
    assert project <= versions("requirements.txt")
    assert project | dev <= versions("requirements-dev.txt")


def test_what_ships_is_what_is_tested():
    assert versions("requirements.txt") <= versions("requirements-dev.txt")


def test_uv_resolves_to_the_locked_versions():
    locked = constraints((ROOT / "requirements-dev.txt").read_text())
    assert PYPROJECT["tool"]["uv"]["constraint-dependencies"] == locked, "run: uv run poe lock"


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if lock.packages], ids=lambda it: it.file)
def test_separate_locks_hold_what_the_task_asks_for(lock):
    names = {pin.partition("==")[0] for pin in versions(lock.file)}
    for package in lock.packages:
        assert package in (versions(lock.file) if "==" in package else names)


@pytest.mark.parametrize("file", FILES)
def test_every_pin_has_hashes_and_nothing_else(file):
    text = (ROOT / file).read_text()
    assert "://" not in text
    entries = re.split(r"\n(?=\S)", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).strip())
    for entry in entries:
        pin, *hashes = [line.strip().removesuffix(" \\") for line in entry.splitlines()]
        assert pins(pin), f"not a pin: {pin!r}"
        assert hashes
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in hashes), pin
    assert len(entries) == len(pins(text))


def test_no_file_names_a_package_registry():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        check=True,
        cwd=ROOT,
        capture_output=True,
    ).stdout.decode()
    found = []
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        text = path.read_bytes().decode("utf-8", "replace").lower() if path.is_file() else ""
        found += [f"{name}: {host}" for host in REGISTRY_HOSTS if host in text]
    assert not found


def test_uvs_own_lock_is_not_committed():
    ignored = subprocess.run(
        ["git", "check-ignore", "--quiet", "uv.lock"], check=False, cwd=ROOT
    ).returncode
    assert ignored == 0
