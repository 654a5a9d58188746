"""The tokens of a local stack: its key, and what stands in a token.

The key never leaves the stack's folder; anybody who can read that folder can mint any token, which
is what a developer wants.
"""

import time
from collections.abc import Sequence
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import RSAKey

from infra.local import ports
from infra.local.paths import Paths, read_json, write_whole

AUDIENCE: Final = "mailroom-local"
TOKEN_SECONDS: Final = 12 * 3600


class NotStartedError(Exception):
    """The stack was never started, so there is no issuer whose token it would accept."""


def issuer_url(paths: Paths) -> str:
    """The issuer's address. Raises NotStartedError before the stack's first start."""
    port = read_json(paths.ports).get("issuer")
    if port is None:
        raise NotStartedError("the local stack has not been started yet: run `uv run poe up`")
    return f"http://{ports.LOOPBACK}:{port}"


def mint(
    paths: Paths,
    *,
    tenant: str,
    user: str,
    roles: Sequence[str] = (),
    seconds: int = TOKEN_SECONDS,
    audience: str = AUDIENCE,
    more: dict[str, Any] | None = None,
) -> str:
    """Return a token of `user` in `tenant`, valid for `seconds` from now, with `more` claims.

    Raises NotStartedError before the stack's first start.
    """
    # Before the key, which belongs to a stack that was started.
    url = issuer_url(paths)
    key = signing_key(paths)
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": url,
        "aud": audience,
        "sub": user,
        "tenant_id": tenant,
        "roles": list(roles),
        "iat": now,
        "exp": now + seconds,
        **(more or {}),
    }
    return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)


def signing_key(paths: Paths) -> RSAKey:
    """The stack's key, made when there is none."""
    file = paths.keys / "issuer.pem"
    if not file.exists():
        made = RSAKey.generate_key(2048)
        write_whole(file, made.as_pem(private=True).decode(), private=True)
    key = RSAKey.import_key(file.read_text())
    key.ensure_kid()
    return key
