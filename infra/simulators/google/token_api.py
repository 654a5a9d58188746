"""Decides the answers of the token endpoint, of revocation, and of discovery and keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from infra.simulators.google import scopes
from infra.simulators.google.signing import ISSUER
from infra.simulators.kit.call import AnswerError, json_response
from infra.simulators.kit.service import Route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from werkzeug.wrappers import Request, Response

    from infra.simulators.google.accounts import Accounts, Client, User
    from infra.simulators.google.grants import Grants, RefreshToken
    from infra.simulators.google.signing import Signer
    from infra.simulators.google.world import World
    from infra.simulators.kit.call import Call

_NO_STORE = {
    "Cache-Control": "no-cache, no-store, max-age=0, must-revalidate",
    "Pragma": "no-cache",
}
_UNKNOWN = frozenset({"account_deleted", "too_many", "code_reused"})


def refusal(error: str, description: str = "", status: int = 400, **more: str) -> Response:
    """Return an OAuth error as Google's token endpoint words it."""
    body = {"error": error, "error_description": description} if description else {"error": error}
    return json_response({**body, **more}, status, _NO_STORE)


def dead_grant(reason: str) -> Response:
    """Return what a refresh with a dead token is told; most causes sound the same."""
    if reason == "session_control":
        return refusal(
            "invalid_grant",
            "reauth related error (invalid_rapt)",
            error_uri="https://support.google.com/a/answer/9368756",
            error_subtype="invalid_rapt",
        )
    if reason == "admin_policy":
        return refusal(
            "admin_policy_enforced",
            "The Google Account is unable to authorize one or more scopes requested due to the"
            " policies of their Google Workspace administrator.",
        )
    if reason in _UNKNOWN:
        return refusal("invalid_grant", "Bad Request")
    return refusal("invalid_grant", "Token has been expired or revoked.")


class TokenApi:
    """What a server asks of Google's OAuth."""

    def __init__(self, world: World, accounts: Accounts, grants: Grants, signer: Signer) -> None:
        self._world = world
        self._store = world.store
        self._accounts = accounts
        self._grants = grants
        self._signer = signer

    def routes(self) -> list[Route]:
        """Return the routes of all hosts that Google spreads them over."""
        return [
            Route("POST", "/token", "oauth.token", self._token),
            Route("POST", "/revoke", "oauth.revoke", self._revoke),
            Route("POST", "/o/oauth2/revoke", "oauth.revoke", self._revoke),
            Route("GET POST", "/v1/userinfo", "oauth.userinfo", self._userinfo),
            Route("GET POST", "/oauth2/v3/userinfo", "oauth.userinfo", self._userinfo),
            Route("GET", "/oauth2/v3/certs", "oauth.certs", self._jwks),
            Route("GET", "/oauth2/v1/certs", "oauth.certs", self._certificates),
            Route(
                "GET", "/.well-known/openid-configuration", "oauth.discovery", self._configuration
            ),
        ]

    # ---- token --------------------------------------------------------------------------------

    def _token(self, call: Call) -> Response:
        form = call.request.form
        grant_type = form.get("grant_type", "")
        if grant_type not in ("authorization_code", "refresh_token"):
            return refusal("unsupported_grant_type", f"Invalid grant_type: {grant_type}")
        client = self._client(call.request)
        if grant_type == "refresh_token":
            return self._refresh(call, client)
        return self._exchange(call, client)

    def _client(self, request: Request) -> Client:
        """Return the client that a request proves to be. Raises AnswerError."""
        client_id, secret = _credentials(request)
        if not client_id:
            raise AnswerError(
                refusal("invalid_request", "Could not determine client ID from request.")
            )
        client = self._accounts.client(client_id)
        if client is None:
            raise AnswerError(refusal("invalid_client", "The OAuth client was not found.", 401))
        if client.options.state != "active":
            raise AnswerError(
                refusal(
                    f"{client.options.state}_client",
                    f"The OAuth client was {client.options.state}.",
                    401,
                )
            )
        if not secret:
            raise AnswerError(refusal("invalid_request", "client_secret is missing."))
        if not hmac.compare_digest(secret.encode(), client.client_secret.encode()):
            raise AnswerError(
                refusal("invalid_client", "The provided client secret is invalid.", 401)
            )
        return client

    def _exchange(self, call: Call, client: Client) -> Response:
        form = call.request.form
        row = self._store.row("SELECT * FROM codes WHERE code = ?", form.get("code", ""))
        if row is None or row["client_id"] != client.client_id:
            return refusal("invalid_grant", "Malformed auth code.")
        call.user = row["address"]
        if row["is_used"]:
            # Somebody else may have it: what it was exchanged for ends too.
            self._grants.end_code(row["code"])
            return refusal("invalid_grant", "Bad Request")
        if row["expires_at"] <= self._world.clock.epoch():
            return refusal("invalid_grant", "Bad Request")
        if row["redirect_uri"] != form.get("redirect_uri"):
            return refusal("redirect_uri_mismatch", "Bad Request")
        wrong = _wrong_verifier(row["challenge"], form.get("code_verifier", ""))
        if wrong:
            return refusal("invalid_grant", wrong)
        self._store.execute("UPDATE codes SET is_used = 1 WHERE code = ?", row["code"])
        granted = json.loads(row["scopes"])
        refresh = None
        if row["is_offline"]:
            refresh = self._grants.issue_refresh(row["address"], client, granted, row["code"])
        return self._answer(
            client, row["address"], granted, refresh, code=row["code"], nonce=row["nonce"]
        )

    def _refresh(self, call: Call, client: Client) -> Response:
        token = self._grants.refresh_token(call.request.form.get("refresh_token", ""))
        if token is None:
            return refusal("invalid_grant", "Bad Request")
        call.user = token.address
        if token.client_id != client.client_id:
            return refusal("unauthorized_client", "Unauthorized", 401)
        dead = self._grants.use_refresh(token)
        if dead:
            return dead_grant(dead)
        wanted = scopes.full_names(call.request.form.get("scope", ""))
        if set(wanted) - set(token.scopes):
            return refusal("invalid_scope", "Bad Request")
        return self._answer(client, token.address, wanted or token.scopes, None, refreshed=token)

    def _answer(
        self,
        client: Client,
        address: str,
        granted: Sequence[str],
        refresh: RefreshToken | None,
        *,
        refreshed: RefreshToken | None = None,
        code: str = "",
        nonce: str = "",
    ) -> Response:
        grant = refresh or refreshed
        access = self._grants.issue_access(
            address,
            client.client_id,
            granted,
            refresh_token=grant.token if grant else "",
            code=code,
        )
        body: dict[str, Any] = {
            "access_token": access,
            "expires_in": 3599,
            "scope": " ".join(granted),
            "token_type": "Bearer",
        }
        if refresh is not None:
            body["refresh_token"] = refresh.token
        left = self._grants.seconds_left(grant) if grant else None
        if left is not None:
            body["refresh_token_expires_in"] = left
        user = self._accounts.user(address)
        if "openid" in granted and user is not None:
            claims = {**({"nonce": nonce} if nonce else {}), **_claims(user, granted)}
            body["id_token"] = self._signer.id_token(user, client.client_id, access, **claims)
        return json_response(body, headers=_NO_STORE)

    # ---- the rest -----------------------------------------------------------------------------

    def _revoke(self, call: Call) -> Response:
        token = call.request.form.get("token") or call.request.args.get("token", "")
        found = self._grants.refresh_token(token) or self._grants.access_token(token)
        if found is not None:
            call.user = found.address
        if not self._grants.revoke(token):
            return refusal("invalid_token", "Token expired or revoked")
        return json_response({})

    def _userinfo(self, call: Call) -> Response:
        scheme, _, text = call.request.headers.get("Authorization", "").partition(" ")
        token = self._grants.access_token(text) if scheme.lower() == "bearer" else None
        user = self._accounts.user(token.address) if token else None
        if token is None or user is None or "openid" not in token.scopes:
            return refusal("invalid_request", "Invalid Credentials", 401)
        return json_response({"sub": user.sub, **_claims(user, token.scopes)})

    def _jwks(self, _call: Call) -> Response:
        return json_response(
            self._signer.jwks(), headers={"Cache-Control": "public, max-age=21600"}
        )

    def _certificates(self, _call: Call) -> Response:
        return json_response(
            self._signer.certificates(), headers={"Cache-Control": "public, max-age=21600"}
        )

    def _configuration(self, call: Call) -> Response:
        root = call.request.host_url.rstrip("/")
        return json_response(
            {
                # The tokens' issuer, wherever the simulator listens: clients compare it.
                "issuer": ISSUER,
                "authorization_endpoint": f"{root}/o/oauth2/v2/auth",
                "token_endpoint": f"{root}/token",
                "revocation_endpoint": f"{root}/revoke",
                "userinfo_endpoint": f"{root}/v1/userinfo",
                "jwks_uri": f"{root}/oauth2/v3/certs",
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid", "email", "profile"],
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post",
                    "client_secret_basic",
                ],
                "code_challenge_methods_supported": ["S256"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
            }
        )


def _claims(user: User, granted: Sequence[str]) -> dict[str, Any]:
    """Return what a grant lets a client know of the user."""
    claims: dict[str, Any] = {}
    if scopes.EMAIL in granted:
        claims |= {"email": user.address, "email_verified": True}
    if scopes.PROFILE in granted:
        claims["name"] = user.options.name
    return claims


def _credentials(request: Request) -> tuple[str, str]:
    """Return the client's id and secret, of the body or of HTTP Basic (RFC 6749 2.3.1)."""
    try:
        basic = request.authorization
    except ValueError:  # no ASCII
        return "", ""
    if basic is not None and basic.type == "basic":
        return unquote(basic.username or ""), unquote(basic.password or "")
    return request.form.get("client_id", ""), request.form.get("client_secret", "")


def _wrong_verifier(challenge: str, verifier: str) -> str:
    if not challenge:
        return "code_verifier or verifier is not needed." if verifier else ""
    if not verifier:
        return "Missing code verifier."
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    made = digest.decode().rstrip("=")
    return "" if hmac.compare_digest(made, challenge) else "Invalid code verifier."
