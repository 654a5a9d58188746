"""Decides how a person signs in and agrees: authorize, the consent page, and what comes back."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlencode, urlsplit

from werkzeug.wrappers import Response

from infra.simulators.kit.call import AnswerError
from infra.simulators.microsoft.accounts import AUDIENCES, CONSUMERS_TENANT, Client, User
from infra.simulators.microsoft.entra_errors import EntraError, error_body
from infra.simulators.microsoft.entra_pages import (
    admin_page,
    approval_page,
    consent_page,
    error_page,
    form_post_page,
)
from infra.simulators.microsoft.grants import IDENTITY_SCOPES, known_scopes
from infra.simulators.microsoft.sealing import BadTokenError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.simulators.kit.call import Call
    from infra.simulators.microsoft.world import World

_KEPT = [
    "client_id",
    "redirect_uri",
    "response_mode",
    "state",
    "scope",
    "nonce",
    "code_challenge",
    "prompt",
    "login_hint",
    "domain_hint",
    "client_info",
    "tenant",
]
_CANCELLED = 65004
_NEEDS_ADMIN = 90094


@dataclass(slots=True)
class Asked:
    """An authorization request that was found good."""

    client: Client
    tenant: str
    scopes: tuple[str, ...]
    values: dict[str, str]


class SignIn:
    """Answers `authorize`, `consent` and `adminconsent`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def authorize(self, call: Call) -> Response:
        """Show who may sign in and what is asked of them, or send the application an error."""
        values = {**call.request.args.to_dict(), **call.request.form.to_dict()}
        values["tenant"] = call.arguments["tenant"]
        client = self._client(values)
        try:
            asked = self._asked(client, values)
        except EntraError as error:
            return self._back(values, {**_error(self._world, error)})
        users = [user for user in self._world.accounts.users() if user.options.enabled]
        hint = values.get("domain_hint", "")
        if hint == "consumers":
            users = [user for user in users if user.options.personal]
        elif hint == "organizations":
            users = [user for user in users if not user.options.personal]
        elif hint:
            users = [user for user in users if user.address.lower().endswith(f"@{hint.lower()}")]
        users = users or self._world.accounts.users()
        sealed = self._world.sealer.seal({k: values[k] for k in _KEPT if k in values})
        return consent_page(
            client, users, asked.scopes, chosen=values.get("login_hint", ""), sealed=sealed
        )

    def consent(self, call: Call) -> Response:
        """Take what the person chose, and send them back to the application."""
        values = self._opened(call)
        client = self._client(values)
        asked = self._asked(client, values)
        decision = call.request.form.get("decision")
        if decision == "cancel":
            error = EntraError(_CANCELLED)
            return self._back(values, {**_error(self._world, error), "error_subcode": "cancel"})
        if decision == "return":
            error = EntraError(_NEEDS_ADMIN, name=client.name)
            return self._back(values, _error(self._world, error))
        user = self._world.accounts.find_user(call.request.form.get("account", ""))
        if user is None:
            return error_page("AADSTS50034: pick an account.")
        call.user = user.address
        self._check_user(asked, user)
        new = set(asked.scopes) - self._world.grants.consented(client.id, user)
        if user.options.admin_consent and new - set(IDENTITY_SCOPES):
            return approval_page(client, self._world.sealer.seal(values))
        self._world.grants.consent(client.id, user, asked.scopes)
        code = self._world.grants.new_code(
            user,
            {
                "client": client.id,
                "redirect_uri": values["redirect_uri"],
                "scopes": list(asked.scopes),
                "nonce": values.get("nonce"),
                "challenge": values.get("code_challenge"),
                "tenant": asked.tenant,
            },
        )
        answer = {"code": code, "session_state": str(uuid.uuid4())}
        if values.get("client_info") == "1":
            answer["client_info"] = client_info(user)
        return self._back(values, answer)

    def admin_consent(self, call: Call) -> Response:
        """Ask an administrator to agree for a whole tenant, and take the answer."""
        is_answer = call.request.method == "POST"
        values = self._opened(call) if is_answer else call.request.args.to_dict()
        values["tenant"] = call.arguments["tenant"]
        client = self._client(values)
        scopes, _ = known_scopes(values.get("scope", ""))
        if values["tenant"] == "common":
            return error_page("AADSTS90002: use a tenant or organizations, not common.")
        if not is_answer:
            return admin_page(client, scopes, self._world.sealer.seal(values))
        if call.request.form.get("decision") != "allow":
            error = error_body(EntraError(_CANCELLED), self._world.clock.now())
            text = error["error_description"]
            return self._back(values, {"error": "consent_required", "error_description": text})
        members = [u for u in self._world.accounts.users() if self._is_member(u, values["tenant"])]
        for user in members:
            self._world.grants.consent(client.id, user, scopes)
        tenant = members[0].tid if members else values["tenant"]
        given = {"admin_consent": "True", "tenant": tenant, "scope": " ".join(scopes)}
        return self._back(values, given)

    # ---- checks -------------------------------------------------------------------------------

    def _client(self, values: Mapping[str, str]) -> Client:
        """Return who asks. Whoever is not known, or wants the answer elsewhere, is told nothing."""
        client_id, tenant = values.get("client_id", ""), values.get("tenant", "")
        client = self._world.accounts.find_client(client_id)
        if client is None:
            self._show(EntraError(700016, client=client_id, tenant=tenant))
        if values.get("redirect_uri", "") not in client.redirect_uris:
            wrong = values.get("redirect_uri", "")
            self._show(EntraError(50011, client=client_id, value=wrong))
        if client.disabled:
            self._show(EntraError(7000112, client=client.id, name=client.name))
        try:
            check_audience(client, tenant, self._world.accounts.tenants())
        except EntraError as error:
            self._show(error)
        return client

    def _show(self, error: EntraError) -> NoReturn:
        raise AnswerError(error_page(str(error)))

    def _asked(self, client: Client, values: Mapping[str, str]) -> Asked:
        if values.get("response_type", "code") != "code":
            raise EntraError(700054, value=values["response_type"])
        if values.get("response_mode", "query") not in ("query", "form_post", "fragment"):
            raise EntraError(90023, value="unsupported response_mode")
        if values.get("code_challenge_method", "S256") != "S256":
            raise EntraError(90023, value="code_challenge_method must be S256 here")
        if not values.get("scope", "").strip():
            raise EntraError(900144, value="scope")
        scopes, unknown = known_scopes(values["scope"])
        if unknown:
            raise EntraError(70011, value=unknown[0])
        if values.get("prompt") == "none":
            raise EntraError(50058)
        return Asked(client, values["tenant"], scopes, dict(values))

    def _check_user(self, asked: Asked, user: User) -> None:
        client = asked.client
        names = {"client": client.id, "name": client.name, "user": user.address}
        if not user.options.enabled:
            self._show(EntraError(50057))
        if not _may_use(asked.tenant, user) or not _may_use(client.audience, user):
            tenant = asked.tenant if not _may_use(asked.tenant, user) else client.audience
            self._show(EntraError(50020, tenant=tenant, **names))
        if not user.options.assigned:
            self._show(EntraError(50105, **names))

    def _is_member(self, user: User, tenant: str) -> bool:
        return user.tid == tenant or (tenant == "organizations" and not user.options.personal)

    # ---- answers ------------------------------------------------------------------------------

    def _opened(self, call: Call) -> dict[str, str]:
        try:
            values: dict[str, str] = self._world.sealer.open(call.request.form.get("request", ""))
        except BadTokenError:
            self._show(EntraError(90023, value="the form is not ours"))
        return values

    def _back(self, values: Mapping[str, str], answer: dict[str, Any]) -> Response:
        if "state" in values:
            answer = {**answer, "state": values["state"]}
        target = values["redirect_uri"]
        mode = values.get("response_mode", "query")
        if mode == "form_post":
            return form_post_page(target, answer)
        mark = "#" if mode == "fragment" else "&" if urlsplit(target).query else "?"
        return Response(status=302, headers={"Location": f"{target}{mark}{urlencode(answer)}"})


def check_audience(client: Client, tenant: str, tenants: set[str]) -> None:
    """Refuse an endpoint that the application is not configured for."""
    names = {"client": client.id, "name": client.name, "tenant": tenant}
    if tenant not in (*AUDIENCES, CONSUMERS_TENANT) and tenant not in tenants:
        raise EntraError(90002, tenant=tenant)
    personal = tenant in ("consumers", CONSUMERS_TENANT)
    if client.audience == "consumers" and not personal:
        raise EntraError(9002331, **names)
    if client.audience not in ("common", "consumers") and personal:
        raise EntraError(9002332, **names)
    if client.audience not in AUDIENCES and tenant in AUDIENCES:
        raise EntraError(50194, **names)
    if client.audience not in AUDIENCES and client.audience != tenant:
        raise EntraError(700016, **names)


def _may_use(audience: str, user: User) -> bool:
    if audience == "common":
        return True
    if audience in ("consumers", CONSUMERS_TENANT):
        return user.options.personal
    return not user.options.personal and audience in ("organizations", user.tid)


def client_info(user: User) -> str:
    """Return what msal makes the home account id of."""
    data = json.dumps({"uid": user.uid, "utid": user.tid}).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _error(world: World, error: EntraError) -> dict[str, str]:
    body = error_body(error, world.clock.now())
    names = ("error", "error_description", "error_uri")
    return {name: body[name] for name in names if name in body}
