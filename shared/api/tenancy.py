"""Who asks: the only place that reads a token's claims.

API Gateway's JWT authorizer has verified signature, issuer, audience and times before a function
runs; what it hands over is trusted, and nothing else is: no header, no body, no path says which
tenant a request is for. The token in the header is looked at for one thing only, which is where in
the authorizer's text of a list one role ends and the next begins.
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from shared.domain.errors import ErrorCode, RequestError
from shared.domain.ids import TenantId, UserId
from shared.domain.visibility import Viewer

ADMIN = "admin"
_LONGEST_ID = 256
_DOTS = 2
"""A signed token is three parts with dots between."""


def viewer_of(event: Mapping[str, Any], *, tenant_claim: str, roles_claim: str) -> Viewer:
    """Return the viewer of an HTTP API event (payload 2.0); raises `RequestError(UNAUTHENTICATED)`.

    `roles` is one role as text, or several, which API Gateway writes as `[a b]`.
    """
    claims = _claims(event)
    tenant_id = _named(claims, tenant_claim)
    user_id = _named(claims, "sub")
    return Viewer(
        TenantId(tenant_id),
        UserId(user_id),
        is_admin=ADMIN in _roles(event, claims, roles_claim),
        asks_at=_came_at(event),
    )


def _came_at(event: Mapping[str, Any]) -> datetime | None:
    context = event.get("requestContext")
    came = context.get("timeEpoch") if isinstance(context, Mapping) else None
    return datetime.fromtimestamp(came / 1000, UTC) if isinstance(came, int) else None


def _claims(event: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = event
    for key in ("requestContext", "authorizer", "jwt", "claims"):
        found = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        raise RequestError(ErrorCode.UNAUTHENTICATED, cause="no verified claims on the event")
    return found


def _named(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_ID:
        raise RequestError(ErrorCode.UNAUTHENTICATED, cause=f"claim {name} missing or unusable")
    return value


def _roles(event: Mapping[str, Any], claims: Mapping[str, Any], name: str) -> frozenset[str]:
    value = claims.get(name)
    if isinstance(value, str):
        if not (value.startswith("[") and value.endswith("]")):
            return frozenset({value})
        if " " not in value:
            return frozenset({value[1:-1]})
        # `[billing admin]` is two roles, or one with a space: only the token itself knows.
        listed = _listed_in_token(event, name)
        return frozenset(listed) if f"[{' '.join(listed)}]" == value else frozenset()
    if isinstance(value, list | tuple):
        return frozenset(role for role in value if isinstance(role, str))
    return frozenset()


def _listed_in_token(event: Mapping[str, Any], name: str) -> list[str]:
    """Return a list of the token in the header: no more than a hint, since nobody verifies it."""
    headers = event.get("headers")
    token = headers.get("authorization") if isinstance(headers, Mapping) else None
    if not isinstance(token, str) or token.count(".") != _DOTS:
        return []
    payload = token.split(".")[1]
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, ValueError):
        return []
    found = claims.get(name) if isinstance(claims, dict) else None
    return [str(role) for role in found] if isinstance(found, list) else []
