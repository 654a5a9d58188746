"""Where the SAM CLI lives: a hash-locked environment of its own, made on first use.

`python -m infra.tasks.sam validate --lint` hands its arguments to `sam`. The CLI caps click and
boto3 below what we use, so it cannot share our environment.
"""

import os
import subprocess
import sys

from infra.local import venvs
from infra.tasks.lock import ROOT

REQUIREMENTS = ROOT / "infra" / "requirements-sam.txt"
ENVIRONMENT = ROOT / ".local" / "venvs" / "sam"
# `sam validate --lint` wants a region to exist, not an account.
REGION = "eu-central-1"


def main() -> int:
    """Run sam with our arguments; its exit code is ours."""
    binaries = venvs.ensure(ENVIRONMENT, REQUIREMENTS).parent
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
