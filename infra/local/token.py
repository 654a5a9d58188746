"""`poe token`: a token for the local stack, printed alone so that a shell can take it."""

import argparse
import sys
from pathlib import Path

from infra.local import issuer_tokens
from infra.local.paths import Paths


def main() -> int:
    """Print a token; 1 when the stack has never been started."""
    parser = argparse.ArgumentParser(prog="poe token", description=__doc__, allow_abbrev=False)
    parser.add_argument("--tenant", required=True, help="the claim tenant_id")
    parser.add_argument("--user", required=True, help="the claim sub")
    parser.add_argument("--role", action="append", default=[], help="repeat for several; `admin`")
    parser.add_argument("--hours", type=float, default=issuer_tokens.TOKEN_SECONDS / 3600)
    parser.add_argument("--root", type=Path, help="the stack's folder (default: .local)")
    given = parser.parse_args()
    try:
        token = issuer_tokens.mint(
            Paths.of(given.root),
            tenant=given.tenant,
            user=given.user,
            roles=given.role,
            seconds=int(given.hours * 3600),
        )
    except issuer_tokens.NotStartedError as error:
        print(error, file=sys.stderr)
        return 1
    print(token)
    return 0


if __name__ == "__main__":
    sys.exit(main())
