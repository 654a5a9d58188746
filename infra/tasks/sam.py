"""Where the SAM CLI lives: a hash-locked environment of its own, made on first use.

`python -m infra.tasks.sam validate --lint` hands its arguments to `sam`. The CLI caps click and
boto3 below what we use, so it cannot share our environment.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from infra.tasks.lock import ROOT, uv_path

REQUIREMENTS = ROOT / "infra" / "requirements-sam.txt"
ENVIRONMENT = ROOT / ".local" / "venvs" / "sam"
# `sam validate --lint` wants a region to exist, not an account.
REGION = "eu-central-1"


def ensure_environment(environment: Path, requirements: Path) -> Path:
    """The environment's bin folder, made anew when the lock has changed since it was made.

    The stamp is written last, so that an interrupted install is started over, not trusted.
    """
    stamp = environment / "requirements.sha256"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest() + sys.version
    if not (stamp.is_file() and stamp.read_text() == wanted):
        print(f"Setting up {environment.relative_to(ROOT)} (once)", file=sys.stderr)
        shutil.rmtree(environment, ignore_errors=True)
        uv = uv_path()
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, environment], check=True)
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--require-hashes", "--no-config",
             "--python", environment / "bin" / "python", "-r", requirements],
            check=True,
        )  # fmt: skip
        stamp.write_text(wanted)
    return environment / "bin"


def main() -> int:
    """Run sam with our arguments; its exit code is ours."""
    binaries = ensure_environment(ENVIRONMENT, REQUIREMENTS)
    settings = {
        "AWS_DEFAULT_REGION": REGION,
        **os.environ,
        "SAM_CLI_TELEMETRY": "0",
        # Otherwise the CLI leaves ~/.aws-sam behind.
        "__SAM_CLI_APP_DIR": str(ROOT / ".local" / "sam"),
    }
    return subprocess.run(
        [binaries / "sam", *sys.argv[1:]], check=False, cwd=ROOT, env=settings
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
