"""Builds what the functions are deployed as, by the same rule as `sam build`, and weighs it.

For this machine it can be imported from: that is how the tests see each function in an environment
that holds nothing but its bundle. For Lambda it is the one that is deployed.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from infra.local import packages
from infra.local.paths import REPOSITORY

LARGEST_BYTES = 100_000_000
"""Unpacked. Lambda takes 250 MB; a package that doubles what a cold start unpacks is to be seen."""
OWN = ("functions", "shared")


@dataclass(frozen=True, slots=True)
class Weight:
    """What an artifact weighs, in bytes: unpacked, as an archive, and by its largest parts."""

    unpacked: int
    packed: int
    own: int
    parts: tuple[tuple[str, int], ...]


def for_this_machine(target: Path) -> Path:
    """Build into `target`, which is empty, with this interpreter for this interpreter."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    here = [f"PYTHON={sys.executable}", f"PYTHON_VERSION={version}", "PLATFORM=", "CACHE="]
    return _make(target, *here)


def for_lambda(target: Path) -> Path:
    """Build into `target`, which is empty, as `sam build` has it built."""
    return _make(target)


def _make(target: Path, *settings: str) -> Path:
    if shutil.which("make") is None:
        packages.install(["make"], ["make"], by_hand="{why} Install make.")
    rule = ["make", "-f", str(REPOSITORY / "infra" / "Makefile"), "build-Any"]
    done = subprocess.run(
        [*rule, f"ARTIFACTS_DIR={target}", *settings], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"The artifact cannot be built:\n{done.stderr.strip()[-2000:]}")
    return target


def files_of(artifact: Path) -> dict[str, Path]:
    """Return its files by their names in it, in order."""
    found = (path for path in artifact.rglob("*") if path.is_file())
    return {path.relative_to(artifact).as_posix(): path for path in sorted(found)}


def digest_of(artifact: Path) -> str:
    """Return a digest of every name and byte: equal ones are one object in S3."""
    digest = hashlib.sha256()
    for name, path in files_of(artifact).items():
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def weight_of(artifact: Path) -> Weight:
    """Weigh it; packing takes some seconds."""
    files = files_of(artifact)
    parts: Counter[str] = Counter()
    for name, path in files.items():
        parts[name.partition("/")[0]] += path.stat().st_size
    with tempfile.TemporaryFile() as packed:
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, path in files.items():
                archive.write(path, name)
        size = packed.tell()
    own = sum(parts[name] for name in OWN)
    others = [(name, size) for name, size in parts.most_common() if name not in OWN]
    return Weight(parts.total(), size, own, tuple(others))


def main() -> int:
    """Build twice, say whether both are equal byte for byte, and what they weigh."""
    with tempfile.TemporaryDirectory() as folder:
        one, other = (for_lambda(_new(Path(folder) / name)) for name in ("one", "other"))
        digests = digest_of(one), digest_of(other)
        shutil.rmtree(other)
        weight = weight_of(one)
    print(f"{digests[0]}\n{digests[1]}\n{weight.unpacked:,} bytes, {weight.packed:,} as an archive")
    for name, size in weight.parts[:8]:
        print(f"{size:>12,}  {name}")
    return 0 if digests[0] == digests[1] else 1


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    sys.exit(main())
