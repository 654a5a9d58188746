"""How the emulator's state lies on the disk: a folder per save, and a link to the valid one.

Runs in ministack's interpreter and uses private names of ministack 1.5.33, which is pinned.
"""

import hashlib
import json
import logging
import os
import shutil
import sys
import time
from pathlib import Path

import ministack.app as emulator  # type: ignore[import-not-found]
from ministack.core import persistence  # type: ignore[import-not-found]

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
            vars(functions)["CODE_BLOB_DIR"] = str(new / "lambda-blobs")

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
