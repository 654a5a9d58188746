"""The local token issuer: a key, the two documents that an OIDC authorizer reads, and tokens.

Stands in for the identity provider of a real deployment, so that the API's authorizer runs the
same code path here. Its key never leaves the stack's folder; anybody who can read that folder can
mint any token, which is what a developer wants and why it listens on loopback only.
"""

import json
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import RSAKey

from infra.local import ports
from infra.local.paths import Paths, read_json, write_whole

AUDIENCE: Final = "mailroom-local"
TOKEN_SECONDS: Final = 12 * 3600


class NotStartedError(Exception):
    """The stack was never started, so there is no issuer whose token it would accept."""


class Issuer:
    """Serves discovery and keys of one stack on loopback, in a thread."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """The claim `iss` of its tokens."""
        return issuer_url(self.paths)

    def start(self) -> None:
        """Make the key when there is none, and serve."""
        self.paths.create()
        port = ports.claim(self.paths, "issuer")
        documents = _documents(issuer_url(self.paths), _key(self.paths))
        self._server = _Server((ports.LOOPBACK, port), documents)
        threading.Thread(target=self._server.serve_forever, name="issuer", daemon=True).start()

    def stop(self) -> None:
        """Stop serving. Does nothing when not serving."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


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
) -> str:
    """Return a token of `user` in `tenant`, valid for `seconds` from now.

    Raises NotStartedError before the stack's first start.
    """
    # Before the key, which belongs to a stack that was started.
    url = issuer_url(paths)
    key = _key(paths)
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": url,
        "aud": AUDIENCE,
        "sub": user,
        "tenant_id": tenant,
        "roles": list(roles),
        "iat": now,
        "exp": now + seconds,
    }
    return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)


def _key(paths: Paths) -> RSAKey:
    file = paths.keys / "issuer.pem"
    if not file.exists():
        made = RSAKey.generate_key(2048)
        write_whole(file, made.as_pem(private=True).decode(), private=True)
    key = RSAKey.import_key(file.read_text())
    key.ensure_kid()
    return key


def _documents(url: str, key: RSAKey) -> dict[str, bytes]:
    public = {**key.as_dict(private=False), "use": "sig", "alg": "RS256"}
    documents: dict[str, dict[str, Any]] = {
        "/.well-known/openid-configuration": {
            "issuer": url,
            "jwks_uri": f"{url}/.well-known/jwks.json",
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
        },
        "/.well-known/jwks.json": {"keys": [public]},
    }
    return {path: json.dumps(document).encode() for path, document in documents.items()}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], documents: dict[str, bytes]) -> None:
        self.documents = documents
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Answer with the document at this path, or 404."""
        body = self.server.documents.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the authorizer's look-ups are of no interest."""
