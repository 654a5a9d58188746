"""What of the checkout becomes the functions' code on the local stack, and how a change is noticed.

The archive holds `functions/` and `shared/` with their bytecode. The locked dependencies are not
in it: the emulator unpacks the archive for each worker, and 60 MB each would make every cold call
take seconds. They are installed once, in the functions' own virtual environment (venvs.py).
"""

import hashlib
import importlib.util
import py_compile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from infra.local.paths import REPOSITORY

_SOURCES = ("functions", "shared")
_MOMENT = (1980, 1, 1, 0, 0, 0)
"""Every entry's time, so that equal content makes an equal archive."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The functions' code: `digest` names its content, `archive` is the zip."""

    digest: str
    archive: bytes


def build(source: Path = REPOSITORY) -> Bundle:
    """Return the code in `source` as an archive."""
    files = sorted(_files(source))
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(source)}\0".encode() + path.read_bytes() + b"\0")
    with tempfile.SpooledTemporaryFile() as buffer:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for path in files:
                name = str(path.relative_to(source))
                archive.writestr(zipfile.ZipInfo(name, _MOMENT), path.read_bytes())
                if path.suffix == ".py":
                    compiled = importlib.util.cache_from_source(name)
                    archive.writestr(zipfile.ZipInfo(compiled, _MOMENT), _bytecode(path, name))
        buffer.seek(0)
        return Bundle(digest.hexdigest()[:16], buffer.read())


def _files(source: Path) -> list[Path]:
    return [
        path
        for folder in _SOURCES
        for path in (source / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]


def _bytecode(path: Path, name: str) -> bytes:
    """`path` compiled so that its time is not asked: unpacking gives every file a new one."""
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "module.pyc"
        py_compile.compile(
            str(path),
            cfile=str(compiled),
            dfile=name,
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        return compiled.read_bytes()
