"""Decides what happens between the client's redirect to Google and Google's redirect back."""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from werkzeug.wrappers import Response

from infra.simulators.google import scopes
from infra.simulators.google.pages import consent_page, error_page
from infra.simulators.google.signing import ISSUER
from infra.simulators.kit.service import Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.simulators.google.accounts import Accounts, Client, User
    from infra.simulators.google.world import World
    from infra.simulators.kit.call import Call

_REQUEST_SECONDS = 3600
_CODE_SECONDS = 600
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_PROMPTS = {"none", "consent", "select_account"}
_BLOCKED = "You can't sign in because this app sent an invalid request."


class Consent:
    """The authorization endpoint and its form."""

    def __init__(self, world: World, accounts: Accounts) -> None:
        self._world = world
        self._store = world.store
        self._accounts = accounts

    def routes(self) -> list[Route]:
        """Return the routes a browser visits."""
        return [
            Route("GET", "/o/oauth2/v2/auth", "oauth.authorize", self._authorize),
            Route("GET", "/o/oauth2/auth", "oauth.authorize", self._authorize),
            Route("POST", "/o/oauth2/v2/auth/consent", "oauth.consent", self._decide),
        ]

    def _authorize(self, call: Call) -> Response:
        asked = dict(call.request.args.items())
        client = self._accounts.client(asked.get("client_id", ""))
        refusal = self._refusal(client, asked)
        if refusal is not None or client is None:
            return refusal or error_page("invalid_client", "The OAuth client was not found.", 401)
        wanted = scopes.full_names(asked["scope"])
        hinted = self._hinted(asked.get("login_hint", ""))
        if "none" in asked.get("prompt", "").split():
            if hinted is None:
                return self._back(asked, error="interaction_required")
            if not set(wanted) <= set(self._consented(hinted.address, client)):
                return self._back(asked, error="consent_required")
            return self._with_code(asked, client, hinted, wanted)
        request_id = secrets.token_urlsafe(24)
        self._store.execute(
            "INSERT INTO auth_requests VALUES (?, ?, ?)",
            request_id,
            json.dumps(asked),
            self._world.clock.epoch() + _REQUEST_SECONDS,
        )
        users = [u for a in self._accounts.users() if (u := self._accounts.user(a)) is not None]
        granular = scopes.beyond_sign_in(wanted)
        return consent_page(
            request_id,
            client,
            users=users,
            chosen=hinted.address if hinted else "",
            asked=wanted,
            separate=granular if len(granular) > 1 else [],
        )

    def _refusal(self, client: Client | None, asked: Mapping[str, str]) -> Response | None:
        """Return the page that ends a wrong request. Nothing goes back to a wrong address."""
        if client is None:
            return error_page("invalid_client", "The OAuth client was not found.", 401)
        if client.options.state != "active":
            return error_page(
                f"{client.options.state}_client",
                f"The OAuth client is {client.options.state}.",
                401,
            )
        if asked.get("redirect_uri", "") not in client.redirect_uris:
            return error_page("redirect_uri_mismatch", _BLOCKED)
        wrong = _wrong(asked)
        if wrong:
            return error_page("invalid_request", f"{_BLOCKED} {wrong}")
        unknown = sorted(set(scopes.full_names(asked["scope"])) - scopes.KNOWN)
        if unknown:
            return error_page(
                "invalid_scope", f"Some requested scopes were invalid. {{invalid={unknown}}}"
            )
        return None

    def _decide(self, call: Call) -> Response:
        form = call.request.form
        row = self._store.row(
            "SELECT request FROM auth_requests WHERE id = ? AND expires_at > ?",
            form.get("request", ""),
            self._world.clock.epoch(),
        )
        if row is None:
            return error_page("invalid_request", "This sign-in has ended. Please start again.")
        asked: dict[str, str] = json.loads(row["request"])
        client = self._accounts.client(asked["client_id"])
        refusal = self._refusal(client, asked)
        if refusal is not None or client is None:
            return refusal or error_page("invalid_client", "The OAuth client was not found.", 401)
        if form.get("action") != "allow":
            self._forget(form["request"])
            return self._back(asked, error="access_denied")
        user = self._accounts.user(form.get("account", ""))
        if user is None:
            return error_page("invalid_request", "No such account.")
        if client.options.internal_domain not in ("", user.options.hosted_domain):
            return error_page(
                "org_internal",
                f"{client.options.name} is restricted to users within its organization.",
                403,
            )
        self._forget(form["request"])
        return self._with_code(asked, client, user, _allowed(asked, form.getlist("scope")))

    def _with_code(
        self, asked: Mapping[str, str], client: Client, user: User, allowed: list[str]
    ) -> Response:
        before = self._consented(user.address, client)
        if asked.get("include_granted_scopes") == "true":
            allowed = list(dict.fromkeys([*allowed, *before]))
        # Google hands out a refresh token for the first consent, or when asked to ask again.
        fresh = not set(allowed) <= set(before) or "consent" in asked.get("prompt", "").split()
        is_offline = asked.get("access_type") == "offline" and fresh
        self._store.execute(
            "INSERT OR REPLACE INTO consents VALUES (?, ?, ?)",
            user.address,
            client.client_id,
            json.dumps(list(dict.fromkeys([*before, *allowed]))),
        )
        code = f"4/0A{secrets.token_urlsafe(54)}"
        self._store.execute(
            "INSERT INTO codes (code, address, client_id, redirect_uri, scopes, challenge, nonce,"
            " is_offline, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            code,
            user.address,
            client.client_id,
            asked["redirect_uri"],
            json.dumps(allowed),
            asked.get("code_challenge", ""),
            asked.get("nonce", ""),
            int(is_offline),
            self._world.clock.epoch() + _CODE_SECONDS,
        )
        return self._back(asked, code=code, scope=" ".join(allowed), authuser="0", prompt="consent")

    def _back(self, asked: Mapping[str, str], **answer: str) -> Response:
        """Redirect to the client with an answer."""
        # RFC 9207's issuer, which Google sends so that a client can tell a mixed-up answer.
        found: dict[str, Any] = {"state": asked["state"]} if "state" in asked else {}
        found |= {"iss": ISSUER, **answer}
        parts = urlsplit(asked["redirect_uri"])
        query = "&".join(filter(None, [parts.query, urlencode(found)]))
        return Response(
            status=302,
            headers={
                "Location": urlunsplit(parts._replace(query=query)),
                "Cache-Control": "no-store",
            },
        )

    def _hinted(self, hint: str) -> User | None:
        """Return the account of a `login_hint`: an address or a `sub`."""
        found = self._accounts.user(hint)
        if found is not None or not hint:
            return found
        users = [self._accounts.user(address) for address in self._accounts.users()]
        return next((user for user in users if user is not None and user.sub == hint), None)

    def _consented(self, address: str, client: Client) -> list[str]:
        text = self._store.value(
            "SELECT scopes FROM consents WHERE address = ? AND client_id = ?",
            address,
            client.client_id,
        )
        found: list[str] = json.loads(text) if text else []
        return found

    def _forget(self, request_id: str) -> None:
        self._store.execute("DELETE FROM auth_requests WHERE id = ?", request_id)


def _allowed(asked: Mapping[str, str], ticked: list[str]) -> list[str]:
    wanted = scopes.full_names(asked["scope"])
    granular = scopes.beyond_sign_in(wanted)
    if len(granular) <= 1:
        return wanted  # no checkbox: all or nothing
    return [scope for scope in wanted if scope not in granular or scope in ticked]


def _wrong(asked: Mapping[str, str]) -> str:
    """Return what is wrong with a request of a known client, or ""."""
    if asked.get("response_type") != "code":
        return f"Invalid response_type: {asked.get('response_type', '')}"
    if not asked.get("scope", "").strip():
        return "Missing required parameter: scope"
    method = asked.get("code_challenge_method", "plain")
    if "code_challenge" in asked and (
        method != "S256" or not _CHALLENGE.fullmatch(asked["code_challenge"])
    ):
        return "code_challenge must be the S256 of a verifier"
    if asked.get("access_type", "online") not in ("online", "offline"):
        return f"Invalid access_type: {asked['access_type']}"
    prompts = set(asked.get("prompt", "").split())
    if prompts - _PROMPTS or ("none" in prompts and len(prompts) > 1):
        return f"Invalid prompt: {asked['prompt']}"
    return ""
