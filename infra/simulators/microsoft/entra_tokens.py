"""Decides what the token endpoint answers, and what discovery says of it."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from infra.simulators.microsoft.accounts import AUDIENCES, CONSUMERS_TENANT, Client, User
from infra.simulators.microsoft.entra_errors import EntraError, json_answer, token_error
from infra.simulators.microsoft.entra_sign_in import check_audience, client_info
from infra.simulators.microsoft.grants import GRAPH, IDENTITY_SCOPES, Issued, known_scopes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from infra.simulators.kit.call import Call
    from infra.simulators.kit.store import Store
    from infra.simulators.microsoft.world import World

_KEY = "signing_key"
_LATE = 300
_CLAIMS = ("preferred_username", "name", "tid", "ver", "email")


class Signer:
    """Signs id tokens with a key that is kept with the state."""

    def __init__(self, store: Store) -> None:
        pem = store.meta(_KEY)
        if pem is None:
            pem = _new_key()
            store.set_meta(_KEY, pem)
        self._key = RSAKey.import_key(pem)
        self._key.ensure_kid()

    def sign(self, claims: dict[str, Any]) -> str:
        """Return the claims as a signed token."""
        header = {"typ": "JWT", "alg": "RS256", "kid": self._key.kid}
        return jwt.encode(header, claims, self._key)

    def keys(self, issuer: str) -> dict[str, Any]:
        """Return the public half, as discovery/keys has it."""
        public = {**self._key.as_dict(private=False), "use": "sig", "x5t": self._key.kid}
        return {"keys": [{**public, "issuer": issuer}]}


class Tokens:
    """Answers discovery and the token endpoint."""

    def __init__(self, world: World) -> None:
        self._world = world

    # ---- discovery ----------------------------------------------------------------------------

    def discovery(self, call: Call) -> Response:
        """Return the addresses of a tenant."""
        tenant = call.arguments["tenant"]
        secure, browser = self._world.addresses()
        known = {*AUDIENCES, CONSUMERS_TENANT, *self._world.accounts.tenants()}
        if tenant not in known:
            return token_error(EntraError(90002, tenant=tenant), self._world.clock.now())
        named = {"common": "{tenantid}", "organizations": "{tenantid}"}.get(tenant, tenant)
        named = CONSUMERS_TENANT if tenant == "consumers" else named
        return json_answer(
            {
                "token_endpoint": f"{secure}/{tenant}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post",
                    "private_key_jwt",
                    "client_secret_basic",
                ],
                "jwks_uri": f"{secure}/{tenant}/discovery/v2.0/keys",
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code"],
                "scopes_supported": list(IDENTITY_SCOPES),
                "issuer": f"{secure}/{named}/v2.0",
                "request_uri_parameter_supported": False,
                # A person's browser goes here, without our certificate.
                "authorization_endpoint": f"{browser}/{tenant}/oauth2/v2.0/authorize",
                "end_session_endpoint": f"{browser}/{tenant}/oauth2/v2.0/logout",
                "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", *_CLAIMS],
                "tenant_region_scope": None,
                "cloud_instance_name": "microsoftonline.com",
                "msgraph_host": secure.removeprefix("https://"),
            }
        )

    def instance(self, call: Call) -> Response:
        """Return which names this cloud has: its own."""
        secure, _ = self._world.addresses()
        host = secure.partition("://")[2]
        tenant = call.request.args.get("authorization_endpoint", "").split("/")[3:4]
        named = tenant[0] if tenant else "common"
        return json_answer(
            {
                "tenant_discovery_endpoint": (
                    f"{secure}/{named}/v2.0/.well-known/openid-configuration"
                ),
                "api-version": "1.1",
                "metadata": [
                    {"preferred_network": host, "preferred_cache": host, "aliases": [host]}
                ],
            }
        )

    def keys(self, call: Call) -> Response:
        """Return the keys that id tokens are checked with."""
        secure, _ = self._world.addresses()
        return json_answer(self._world.signer.keys(f"{secure}/{call.arguments['tenant']}/v2.0"))

    # ---- tokens -------------------------------------------------------------------------------

    def token(self, call: Call) -> Response:
        """Give out tokens for a code or a refresh token."""
        form = call.request.form.to_dict()
        try:
            return self._token(call, form)
        except EntraError as error:
            correlation = call.request.headers.get("client-request-id", "")
            return token_error(error, self._world.clock.now(), correlation)

    def _token(self, call: Call, form: dict[str, str]) -> Response:
        kind = form.get("grant_type")
        if not kind:
            raise EntraError(900144, value="grant_type")
        if kind not in ("authorization_code", "refresh_token"):
            raise EntraError(70003, value=kind)
        client = self._client(call, form)
        if kind == "authorization_code":
            user, scopes, nonce = self._by_code(call.arguments["tenant"], client, form)
        else:
            user, scopes = self._by_refresh_token(client, form)
            nonce = None
        call.user = user.address
        if not user.options.enabled:
            raise EntraError(50057)
        issued = self._world.grants.issue(client, user, scopes)
        return json_answer(self._given(client, user, issued, form, nonce))

    def _client(self, call: Call, form: dict[str, str]) -> Client:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        basic = call.request.authorization
        if basic is not None and basic.type == "basic":
            client_id, secret = basic.username or "", basic.password or ""
        if not client_id:
            raise EntraError(900144, value="client_id")
        tenant = call.arguments["tenant"]
        client = self._world.accounts.find_client(client_id)
        if client is None:
            raise EntraError(700016, client=client_id, tenant=tenant)
        check_audience(client, tenant, self._world.accounts.tenants())
        if client.disabled:
            raise EntraError(7000112, client=client.id, name=client.name)
        if not secret:
            raise EntraError(7000218)
        if not hmac.compare_digest(secret.encode(), client.secret.encode()):
            raise EntraError(7000215, client=client.id)
        if client.secret_expires is not None and client.secret_expires < self._world.clock.epoch():
            raise EntraError(7000222, client=client.id)
        return client

    def _by_code(
        self, tenant: str, client: Client, form: dict[str, str]
    ) -> tuple[User, tuple[str, ...], str | None]:
        found = self._world.grants.code(_needed(form, "code"))
        if found is None:
            raise EntraError(70000)
        data, is_redeemed, is_late = found
        if is_redeemed:
            raise EntraError(54005)
        if is_late:
            raise EntraError(70008)
        if data["client"] != client.id:
            raise EntraError(700009)
        if data["tenant"] != tenant:
            raise EntraError(700005)
        if _needed(form, "redirect_uri") != data["redirect_uri"]:
            raise EntraError(500112, value=form["redirect_uri"])
        _check_verifier(data["challenge"], form.get("code_verifier"))
        self._world.grants.redeem(form["code"])
        return self._world.accounts.user_of(data["user"]), tuple(data["scopes"]), data["nonce"]

    def _by_refresh_token(
        self, client: Client, form: dict[str, str]
    ) -> tuple[User, tuple[str, ...]]:
        grants = self._world.grants
        row = grants.refresh_row(_needed(form, "refresh_token"))
        if row is None:
            raise EntraError(70000)
        user = self._world.accounts.user_of(row["user"])
        names = {"client": client.id, "name": client.name, "user": user.address}
        if row["client"] != client.id:
            raise EntraError(700009)
        if row["ended"]:
            raise EntraError(row["ended"], **names)
        if grants.is_idle(row):
            raise EntraError(700082)
        asked, unknown = known_scopes(form.get("scope") or row["scopes"])
        if unknown:
            raise EntraError(70011, value=unknown[0])
        if set(asked) - grants.consented(client.id, user) - set(IDENTITY_SCOPES):
            raise EntraError(65001, **names)
        grants.use(row)
        # A refresh token comes back whether or not it is asked for again.
        return user, (*asked, *(() if "offline_access" in asked else ("offline_access",)))

    def _given(
        self,
        client: Client,
        user: User,
        issued: Issued,
        form: dict[str, str],
        nonce: str | None,
    ) -> dict[str, Any]:
        body: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": _told(issued.scopes, personal=user.options.personal),
            "expires_in": issued.expires_in,
            "ext_expires_in": issued.expires_in,
            "access_token": issued.access_token,
        }
        if issued.refresh_token is not None:
            body["refresh_token"] = issued.refresh_token
        if "openid" in issued.scopes:
            body["id_token"] = self._id_token(client, user, issued.scopes, nonce)
        if form.get("client_info") == "1":
            body["client_info"] = client_info(user)
        return body

    def _id_token(
        self, client: Client, user: User, scopes: tuple[str, ...], nonce: str | None
    ) -> str:
        secure, _ = self._world.addresses()
        now = int(self._world.clock.epoch())
        claims: dict[str, Any] = {
            "aud": client.id,
            "iss": f"{secure}/{user.tid}/v2.0",
            "iat": now - _LATE,
            "nbf": now - _LATE,
            "exp": now - _LATE + 3900,
            "rh": secrets.token_urlsafe(30),
            "sub": user.subject_for(client.id),
            "tid": user.tid,
            "uti": secrets.token_urlsafe(16),
            "ver": "2.0",
        }
        if nonce:
            claims["nonce"] = nonce
        if "profile" in scopes:
            claims |= {"name": user.name, "oid": user.oid, "preferred_username": user.address}
        if "email" in scopes:
            claims["email"] = user.address
        return self._world.signer.sign(claims)


@functools.cache
def _new_key() -> str:
    # One for all simulators of a process: making it is most of a simulator's start.
    return RSAKey.generate_key(2048).as_pem(private=True).decode()


def _needed(form: dict[str, str], name: str) -> str:
    value = form.get(name)
    if not value:
        raise EntraError(900144, value=name)
    return value


def _check_verifier(challenge: str | None, verifier: str | None) -> None:
    if challenge is None:
        return
    if not verifier:
        raise EntraError(90014, value="code_verifier")
    made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    if not hmac.compare_digest(made, challenge.encode()):
        raise EntraError(501481)


def _told(scopes: tuple[str, ...], *, personal: bool) -> str:
    """Return the scopes as the answer names them: never offline_access."""
    names = sorted(one for one in scopes if one not in IDENTITY_SCOPES)
    rest = [one for one in ("openid", "profile", "email") if one in scopes]
    # Consumer accounts are told in whole addresses.
    return " ".join([*(GRAPH + one if personal else one for one in names), *rest])
