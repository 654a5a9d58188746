"""Decides what stands in for a deployed function's files: what infra/Makefile ships, copied locally.

The locked dependencies as they are installed here, botocore with the descriptions of the services
that the Makefile keeps, our own code, and bytecode that is never checked against its source. Not
built by the Makefile itself, because that takes the packages of another processor from the network.
"""

import compileall
import hashlib
import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from py_compile import PycInvalidationMode

from infra.local.paths import REPOSITORY
from tests.performance.server import HOME

_REQUIREMENTS = REPOSITORY / "requirements.txt"
_MAKEFILE = REPOSITORY / "infra" / "Makefile"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==\S+(.*?)\\?$", re.MULTILINE)
_CODE = ("functions", "shared")


def built() -> Path:
    """Return a folder with everything a function is deployed with, our code as it stands now."""
    key = hashlib.sha256(
        _REQUIREMENTS.read_bytes() + _MAKEFILE.read_bytes() + sys.version.encode()
    ).hexdigest()[:12]
    bundle = HOME / f"bundle-{key}"
    if not bundle.exists():
        for old in HOME.glob("bundle-*"):
            shutil.rmtree(old)
        half = HOME / "bundle-unfinished"
        _copy_dependencies(half)
        _compile(half)
        half.rename(bundle)
    for name in _CODE:
        shutil.rmtree(bundle / name, ignore_errors=True)
        shutil.copytree(
            REPOSITORY / name, bundle / name, ignore=shutil.ignore_patterns("__pycache__")
        )
        _compile(bundle / name)
    return bundle


def _copy_dependencies(target: Path) -> None:
    services = re.search(r"^SERVICES := (.+)$", _MAKEFILE.read_text(), re.MULTILINE)
    kept = set(services[1].split()) if services else set()
    for name, marker in _PINNED.findall(_REQUIREMENTS.read_text()):
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:
            if marker.strip():
                # For another system or another Python.
                continue
            raise
        for file in files:
            parts = file.parts
            if ".." in parts or "__pycache__" in parts or parts[:2] == ("boto3", "examples"):
                continue
            if parts[:2] == ("botocore", "data") and len(parts) > 3 and parts[2] not in kept:
                continue
            copy = target / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), copy)


def _compile(folder: Path) -> None:
    compileall.compile_dir(folder, quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
