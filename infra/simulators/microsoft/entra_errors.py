"""Decides how Entra words its errors: the OAuth error, the number, the text, the status.

From Microsoft's reference of AADSTS numbers; clients must go by `error`, for numbers and texts
change. Which `error` goes with which number is not in that reference: where no answer of the real
service was found, it is the one that RFC 6749 or OpenID Connect has for the case.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

if TYPE_CHECKING:
    import datetime as dt


@dataclass(frozen=True, slots=True)
class Aadsts:
    """One of Entra's errors.

    Attributes:
        error: OAuth's word.
        text: with places for ``{client}``, ``{name}``, ``{tenant}``, ``{user}``, ``{value}``.
        status: of the token endpoint's answer.
        suberror: what msal shows as such.
        claims: asks for a further step; only where a policy does.
    """

    error: str
    text: str
    status: int = 400
    suberror: str = ""
    claims: str = ""


_AGAIN = "Send a new interactive authorization request for this user and resource."
_MFA = "you must use multi-factor authentication to access '00000003-0000-0000-c000-000000000000'."
_CLAIMS = '{"access_token":{"capolids":{"essential":true,"values":["c8b1a5b0-0000-4000-8000"]}}}'
ERRORS: dict[int, Aadsts] = {
    50011: Aadsts(
        "invalid_request",
        "The redirect URI '{value}' specified in the request does not match the redirect URIs"
        " configured for the application '{client}'.",
    ),
    50020: Aadsts(
        "invalid_request",
        "User account '{user}' from identity provider 'live.com' does not exist in tenant"
        " '{tenant}' and cannot access the application '{client}'({name}) in that tenant.",
    ),
    50034: Aadsts(
        "invalid_grant", "The user account {user} does not exist in the {tenant} directory."
    ),
    50053: Aadsts(
        "invalid_grant",
        "The account is locked, you've tried to sign in too many times with an incorrect user ID or"
        " password.",
    ),
    50057: Aadsts("invalid_grant", "The user account is disabled."),
    50058: Aadsts(
        "login_required",
        "A silent sign-in request was sent but no user is signed in.",
    ),
    50074: Aadsts("invalid_grant", "Strong Authentication is required.", suberror="basic_action"),
    50076: Aadsts(
        "invalid_grant",
        "Due to a configuration change made by your administrator, or because you moved to a new"
        f" location, {_MFA}",
        suberror="basic_action",
    ),
    50079: Aadsts(
        "invalid_grant",
        "Due to a configuration change made by your administrator, or because you moved to a new"
        " location, you must enroll in multi-factor authentication to access"
        " '00000003-0000-0000-c000-000000000000'.",
        suberror="basic_action",
    ),
    50089: Aadsts(
        "invalid_grant",
        "Authentication failed due to flow token expired.",
        suberror="bad_token",
    ),
    50105: Aadsts(
        "invalid_grant",
        "Your administrator has configured the application {name} ('{client}') to block users"
        " unless they are specifically granted access. The signed in user '{user}' is blocked.",
    ),
    50126: Aadsts(
        "invalid_grant", "Error validating credentials due to invalid username or password."
    ),
    50132: Aadsts(
        "invalid_grant",
        "The session is not valid due to the following reasons: password expiration or recent"
        " password change.",
        suberror="bad_token",
    ),
    50133: Aadsts(
        "invalid_grant",
        "Session is invalid due to expiration or recent password change.",
        suberror="bad_token",
    ),
    50158: Aadsts(
        "interaction_required",
        "External security challenge not satisfied. User will be redirected to another page or"
        " authentication provider to satisfy additional authentication challenges.",
        suberror="basic_action",
        claims=_CLAIMS,
    ),
    50173: Aadsts(
        "invalid_grant",
        "The provided grant has expired due to it being revoked, a fresh auth token is needed."
        " The user might have changed or reset their password.",
        suberror="bad_token",
    ),
    50194: Aadsts(
        "invalid_request",
        "Application '{client}'({name}) is not configured as a multi-tenant application. Usage of"
        " the /common endpoint is not supported for such apps created after '10/15/2018'. Use a"
        " tenant-specific endpoint or configure the application to be multi-tenant.",
    ),
    50196: Aadsts(
        "invalid_grant",
        "The server terminated an operation because it encountered a client request loop."
        " Please contact your app vendor.",
    ),
    53000: Aadsts(
        "interaction_required",
        "Device is not in required device state: {{state}}.",
        suberror="message_only",
        claims=_CLAIMS,
    ),
    53001: Aadsts(
        "interaction_required",
        "Device is not in required device state: not domain joined.",
        suberror="message_only",
        claims=_CLAIMS,
    ),
    53002: Aadsts(
        "interaction_required",
        "Application used is not an approved application for Conditional Access.",
        suberror="message_only",
        claims=_CLAIMS,
    ),
    53003: Aadsts(
        "interaction_required",
        "Access has been blocked by Conditional Access policies. The access policy does not allow"
        " token issuance.",
        suberror="message_only",
        claims=_CLAIMS,
    ),
    530032: Aadsts(
        "interaction_required",
        "Blocked by a tenant-wide security policy.",
        suberror="message_only",
    ),
    54005: Aadsts(
        "invalid_grant",
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use"
        " an existing refresh token.",
    ),
    65001: Aadsts(
        "invalid_grant",
        "The user or administrator has not consented to use the application with ID '{client}'"
        " named '{name}'. Send an interactive authorization request for this user and resource.",
        suberror="consent_required",
    ),
    65004: Aadsts("access_denied", "User declined to consent to access the app."),
    70000: Aadsts("invalid_grant", "Provided grant is invalid or malformed."),
    70003: Aadsts(
        "unsupported_grant_type", "The app requested an unsupported grant type '{value}'."
    ),
    70008: Aadsts(
        "invalid_grant",
        f"The provided authorization code or refresh token has expired due to inactivity. {_AGAIN}",
    ),
    70011: Aadsts(
        "invalid_scope",
        "The provided value for the input parameter 'scope' is not valid. The scope '{value}' does"
        " not exist.",
    ),
    70043: Aadsts(
        "invalid_grant",
        "The refresh token has expired or is invalid due to sign-in frequency checks by"
        " conditional access.",
        suberror="bad_token",
    ),
    90002: Aadsts("invalid_request", "Tenant '{tenant}' not found."),
    90014: Aadsts(
        "invalid_request", "The required field '{value}' is missing from the credential."
    ),
    90023: Aadsts("invalid_request", "Invalid STS request: {value}."),
    90033: Aadsts(
        "temporarily_unavailable", "A transient error has occurred. Please try again.", status=503
    ),
    90055: Aadsts(
        "temporarily_unavailable", "Tenant request rejected: too many requests.", status=429
    ),
    90094: Aadsts(
        "access_denied",
        "{name} needs permission to access resources in your organization that only an admin can"
        " grant.",
    ),
    90095: Aadsts(
        "access_denied",
        "Admin consent is required for the permissions requested by this application.",
    ),
    500112: Aadsts(
        "invalid_client",
        "The reply address '{value}' does not match the reply address provided when requesting"
        " Authorization code.",
    ),
    501481: Aadsts(
        "invalid_grant",
        "The Code_Verifier does not match the code_challenge supplied in the authorization"
        " request.",
    ),
    700005: Aadsts(
        "invalid_grant", "Provided Authorization Code is intended to use against other tenant."
    ),
    700009: Aadsts("invalid_grant", "The grant was issued to another application."),
    700016: Aadsts(
        "unauthorized_client",
        "Application with identifier '{client}' was not found in the directory '{tenant}'.",
    ),
    700054: Aadsts(
        "unsupported_response_type",
        "response_type '{value}' is not enabled for the application.",
    ),
    700082: Aadsts(
        "invalid_grant",
        "The refresh token has expired due to inactivity. The token was inactive for 90.00:00:00.",
        suberror="bad_token",
    ),
    900144: Aadsts(
        "invalid_request", "The request body must contain the following parameter: '{value}'."
    ),
    7000112: Aadsts(
        "unauthorized_client", "Application '{client}'({name}) is disabled.", status=401
    ),
    7000215: Aadsts(
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the client"
        " secret value, not the client secret ID, for a secret added to app '{client}'.",
        status=401,
    ),
    7000218: Aadsts(
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or"
        " 'client_secret'.",
        status=401,
    ),
    7000222: Aadsts(
        "invalid_client",
        "The provided client secret keys for app '{client}' are expired.",
        status=401,
    ),
    9002331: Aadsts(
        "invalid_request",
        "Application '{client}'({name}) is configured for use by Microsoft Account users only."
        " Please use the /consumers endpoint to serve this request.",
    ),
    9002332: Aadsts(
        "invalid_request",
        "Application '{client}'({name}) is configured for use by Microsoft Entra users only."
        " Please do not use the /consumers endpoint to serve this request.",
    ),
}


class EntraError(Exception):
    """One of Entra's errors, on its way to whoever asked.

    Args:
        number: of ERRORS.
        values: of the places in its text.
    """

    def __init__(self, number: int, **values: str) -> None:
        self.number = number
        self.known = ERRORS[number]
        blank = dict.fromkeys(("client", "name", "tenant", "user", "value"), "")
        self.text = f"AADSTS{number}: {self.known.text.format(**{**blank, **values})}"
        super().__init__(self.text)


def error_body(error: EntraError, now: dt.datetime, correlation: str = "") -> dict[str, Any]:
    """Return the token endpoint's error as JSON."""
    trace, correlation = str(uuid.uuid4()), correlation or str(uuid.uuid4())
    when = now.strftime("%Y-%m-%d %H:%M:%SZ")
    body: dict[str, Any] = {
        "error": error.known.error,
        "error_description": (
            f"{error.text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {when}"
        ),
        "error_codes": [error.number],
        "timestamp": when,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://login.microsoftonline.com/error?code={error.number}",
    }
    if error.known.suberror:
        body["suberror"] = error.known.suberror
    if error.known.claims:
        body["claims"] = error.known.claims
    return body


def token_error(error: EntraError, now: dt.datetime, correlation: str = "") -> Response:
    """Return the token endpoint's refusal."""
    response = json_answer(error_body(error, now, correlation), error.known.status)
    if error.known.status == 429:  # noqa: PLR2004 - HTTP
        response.headers["Retry-After"] = "10"
    return response


def json_answer(body: Any, status: int = 200) -> Response:
    """Return JSON as Entra does, not to be kept by anybody."""
    return Response(
        json.dumps(body),
        status,
        headers={"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"},
        content_type="application/json; charset=utf-8",
    )
