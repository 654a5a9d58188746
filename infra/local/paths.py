"""Where everything of a local stack lies on the disk: one folder, which may be deleted."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
"""The checkout: what is deployed comes from here."""

DEFAULT_ROOT = REPOSITORY / ".local"
"""The stack that `poe up` runs. Ignored by git."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The folders and files of one stack.

    `root` holds what belongs to this stack. `cache` holds what any stack of this checkout may
    share because its name says its content (virtual environments): the tests' throw-away stacks
    point it at the checkout's own, so that they need not install ministack each time.
    """

    root: Path
    cache: Path

    @classmethod
    def of(cls, root: Path | None = None) -> "Paths":
        """Paths of the stack in `root` (default: the checkout's `.local/`), resolved."""
        return cls((root or DEFAULT_ROOT).resolve(), DEFAULT_ROOT.resolve())

    @property
    def state(self) -> Path:
        """ministack's saved state, one folder per generation (see launcher.py)."""
        return self.root / "state"

    @property
    def objects(self) -> Path:
        """S3 objects, which ministack writes at once."""
        return self.root / "s3"

    @property
    def temporary(self) -> Path:
        """Unpacked functions. Emptied at each start: ministack leaves them behind."""
        return self.root / "tmp"

    @property
    def logs(self) -> Path:
        """A log per process."""
        return self.root / "logs"

    @property
    def permissions(self) -> Path:
        """What the stack's roles were asked for (see permissions.py)."""
        return self.logs / "permissions.jsonl"

    @property
    def keys(self) -> Path:
        """The token issuer's private key."""
        return self.root / "keys"

    @property
    def mail(self) -> Path:
        """The demo mail servers: certificates, configuration and mail."""
        return self.root / "mail"

    @property
    def simulators(self) -> Path:
        """What the simulated providers keep: accounts, mail, grants."""
        return self.root / "simulators"

    @property
    def ports(self) -> Path:
        """Which port each part got, so that addresses stay the same."""
        return self.root / "ports.json"

    @property
    def lock(self) -> Path:
        """Held by the process that runs this stack, for as long as it lives."""
        return self.root / "up.lock"

    @property
    def description(self) -> Path:
        """What is running and where: `stack.json`, the contract of the HTTP API page."""
        return self.root / "stack.json"

    @property
    def venvs(self) -> Path:
        """Virtual environments: ministack's, and the functions' own."""
        return self.cache / "venvs"

    def create(self) -> None:
        """Make the folders that must exist before anything starts. Private: mail lies in them."""
        for folder in (self.root, self.state, self.objects, self.temporary, self.logs, self.keys):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def write_whole(path: Path, content: str, *, private: bool = False) -> None:
    """Replace `path` with `content` in one step: a reader sees the old or the new, never a part."""
    beside = path.with_name(path.name + ".new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(content)
    if not private:
        beside.chmod(0o644)
    beside.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; empty when the file is absent or was cut off."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}
