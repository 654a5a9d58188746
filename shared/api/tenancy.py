"""Who asks: the only place that reads a token's claims.

API Gateway's JWT authorizer has verified signature, issuer, audience and times before a function
runs; what it hands over is trusted, and nothing else is: no header, no body, no path says which
tenant a request is for.
"""

from collections.abc import Mapping
from typing import Any

from shared.domain.errors import ErrorCode, RequestError
from shared.domain.ids import TenantId, UserId
from shared.domain.visibility import Viewer

ADMIN = "admin"
_LONGEST_ID = 256


def viewer_of(event: Mapping[str, Any], *, tenant_claim: str, roles_claim: str) -> Viewer:
    """Return the viewer of an HTTP API event (payload 2.0); raises `RequestError(UNAUTHENTICATED)`.

    `roles` comes as a list in local tests and as text from API Gateway, which writes a list as `[a
    b]`.
    """
    claims = _claims(event)
    tenant_id = _named(claims, tenant_claim)
    user_id = _named(claims, "sub")
    return Viewer(
        TenantId(tenant_id), UserId(user_id), is_admin=ADMIN in _roles(claims, roles_claim)
    )


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


def _roles(claims: Mapping[str, Any], name: str) -> frozenset[str]:
    value = claims.get(name)
    if isinstance(value, str):
        return frozenset(value.removeprefix("[").removesuffix("]").replace(",", " ").split())
    if isinstance(value, list | tuple):
        return frozenset(role for role in value if isinstance(role, str))
    return frozenset()
