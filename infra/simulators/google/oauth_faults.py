"""Decides how Google's OAuth can refuse or answer oddly, on demand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from infra.simulators.google.pages import error_page
from infra.simulators.google.token_api import dead_grant, refusal
from infra.simulators.kit.call import json_response
from infra.simulators.kit.faults import FaultKind, Proceed

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from infra.simulators.kit.call import Call

_EXCHANGE = r"^POST /token$"
_REVOKE = r"^POST /(o/oauth2/)?revoke$"
_CONSENT = r"^GET /o/oauth2/(v2/)?auth$"
Parameters = Mapping[str, Any]


def oauth_faults() -> dict[str, FaultKind]:
    """Return the faults by name."""
    return {
        # Any error the token endpoint could give, in its own shape.
        "token_error": FaultKind(
            _token_error,
            _EXCHANGE,
            {"error": "invalid_grant", "description": "Bad Request", "subtype": "", "status": 400},
        ),
        "token_revoked": _says(lambda: dead_grant("user")),
        "token_unknown": _says(lambda: dead_grant("too_many")),
        "token_invalid_rapt": _says(lambda: dead_grant("session_control")),
        "token_admin_policy_enforced": _says(lambda: dead_grant("admin_policy")),
        "token_account_deleted": _says(
            lambda: refusal("invalid_grant", "Account has been deleted")
        ),
        "token_invalid_client": _says(
            lambda: refusal("invalid_client", "The provided client secret is invalid.", 401)
        ),
        "token_deleted_client": _says(
            lambda: refusal("deleted_client", "The OAuth client was deleted.", 401)
        ),
        "token_unauthorized_client": _says(
            lambda: refusal("unauthorized_client", "Unauthorized", 401)
        ),
        "token_rate_limited": _says(
            lambda: refusal("rate_limit_exceeded", "Rate Limit Exceeded", 403)
        ),
        "token_too_many_requests": _says(lambda: json_response({"error": "quota_exceeded"}, 429)),
        "token_unavailable": _says(lambda: refusal("internal_failure", "Backend Error", 503)),
        # Right answers with one thing odd; `value` null leaves the field out.
        "token_expires_in": FaultKind(_field("expires_in"), _EXCHANGE, {"value": None}),
        "token_scope": FaultKind(_field("scope"), _EXCHANGE, {"value": None}),
        "token_refresh_token": FaultKind(_field("refresh_token"), _EXCHANGE, {"value": None}),
        "token_id_token": FaultKind(_field("id_token"), _EXCHANGE, {"value": None}),
        "token_access_token": FaultKind(_field("access_token"), _EXCHANGE, {"value": None}),
        "token_type": FaultKind(_field("token_type"), _EXCHANGE, {"value": None}),
        "revoke_unavailable": FaultKind(
            lambda _p, _call, _proceed: refusal("internal_failure", "Backend Error", 503), _REVOKE
        ),
        # Ends of the browser's way that do not come back to the client.
        "consent_admin_policy_enforced": _page(
            "admin_policy_enforced",
            "The Google Account is unable to authorize one or more scopes requested due to the "
            "policies of your organization's administrator.",
        ),
        "consent_org_internal": _page(
            "org_internal", "This app is restricted to users within its organization."
        ),
        "consent_disallowed_useragent": _page(
            "disallowed_useragent", "You can't sign in from this screen."
        ),
    }


def _says(answer: Callable[[], Response]) -> FaultKind:
    return FaultKind(lambda _p, _call, _proceed: answer(), _EXCHANGE)


def _page(code: str, text: str) -> FaultKind:
    return FaultKind(lambda _p, _call, _proceed: error_page(code, text, 403), _CONSENT)


def _token_error(parameters: Parameters, _call: Call, _proceed: Proceed) -> Response:
    more = {"error_subtype": str(parameters["subtype"])} if parameters["subtype"] else {}
    return refusal(
        str(parameters["error"]),
        str(parameters["description"]),
        int(parameters["status"]),
        **more,
    )


def _field(name: str) -> Callable[[Parameters, Call, Proceed], Response]:
    def around(parameters: Parameters, _call: Call, proceed: Proceed) -> Response:
        response = proceed()
        body = response.get_json(silent=True)
        if response.status_code == 200 and isinstance(body, dict):  # noqa: PLR2004 - the status
            body.pop(name, None)
            if parameters["value"] is not None:
                body[name] = parameters["value"]
            response.set_data(json.dumps(body))
        return response

    return around
