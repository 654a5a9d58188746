"""Decides the words of Gmail's refusals: one function per refusal, in the API's own JSON shape.

The bodies are those that public bug reports quote; `reason` is what a client should look at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.simulators.kit.call import AnswerError, json_response

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from werkzeug.wrappers import Response

_REALM = 'Bearer realm="https://accounts.google.com/"'
_CREDENTIAL = (
    "Expected OAuth 2 access token, login cookie or other valid authentication credential. "
    "See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error_response(
    code: int,
    message: str,
    reason: str,
    *,
    domain: str = "global",
    short: str = "",
    status: str = "",
    headers: Mapping[str, str] | None = None,
    details: list[dict[str, Any]] | None = None,
    **item: str,
) -> Response:
    """Return an error in the JSON of Google's APIs; `short` is the inner message if it differs."""
    body: dict[str, Any] = {
        "code": code,
        "message": message,
        "errors": [{"message": short or message, "domain": domain, "reason": reason, **item}],
        "status": status or _STATUS[code],
    }
    if details:
        body["details"] = details
    return json_response({"error": body}, code, headers)


def _info(reason: str, **metadata: str) -> list[dict[str, Any]]:
    return [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": "googleapis.com",
            "metadata": {"service": "gmail.googleapis.com", **metadata},
        }
    ]


def invalid(message: str) -> AnswerError:
    """400: something in the request is wrong."""
    return AnswerError(error_response(400, message, "invalidArgument"))


def too_large(most: int) -> AnswerError:
    """413: more is uploaded than a method takes."""
    return AnswerError(
        error_response(
            413, f"Media too large. Limit: {most}", "uploadTooLarge", status="FAILED_PRECONDITION"
        )
    )


def not_found() -> AnswerError:
    """404: no such message, thread, label, draft, or a history id that is not known any more."""
    return AnswerError(error_response(404, "Requested entity was not found.", "notFound"))


def label_conflict() -> AnswerError:
    """409: a label of this name exists."""
    return AnswerError(error_response(409, "Label name exists or conflicts", "aborted"))


def forbidden(message: str) -> AnswerError:
    """403 without a better word."""
    return AnswerError(error_response(403, message, "forbidden"))


def no_such_topic(name: str) -> AnswerError:
    """404: `watch` tries the topic with a message of its own, and finds none of that name."""
    return AnswerError(error_response(404, _tried(name, "Resource not found"), "notFound"))


def may_not_publish(name: str) -> AnswerError:
    """403: Gmail's own service account is no publisher of the topic."""
    what = "User not authorized to perform this action."
    return AnswerError(error_response(403, _tried(name, what), "forbidden"))


def another_watch() -> AnswerError:
    """400: this project has the mailbox watched for another topic."""
    text = (
        "Only one user push notification client allowed per developer (call /stop then try again)"
    )
    return AnswerError(
        error_response(400, text, "failedPrecondition", status="FAILED_PRECONDITION")
    )


def _tried(topic: str, what: str) -> str:
    return f"Error sending test message to Cloud PubSub {topic} : {what}"


def missing_credentials() -> Response:
    """401: no token was sent."""
    return error_response(
        401,
        f"Request is missing required authentication credential. {_CREDENTIAL}",
        "required",
        short="Login Required.",
        location="Authorization",
        locationType="header",
        headers={"WWW-Authenticate": _REALM},
        details=_info("CREDENTIALS_MISSING"),
    )


def invalid_credentials() -> Response:
    """401: the token is unknown, over or revoked; nobody says which."""
    return error_response(
        401,
        f"Request had invalid authentication credentials. {_CREDENTIAL}",
        "authError",
        short="Invalid Credentials",
        location="Authorization",
        locationType="header",
        headers={"WWW-Authenticate": f'{_REALM}, error="invalid_token"'},
    )


def insufficient_scopes(method: str, scopes: Iterable[str]) -> Response:
    """403: the token was not granted any of the scopes that this method takes."""
    return error_response(
        403,
        "Request had insufficient authentication scopes.",
        "insufficientPermissions",
        short="Insufficient Permission",
        headers={
            "WWW-Authenticate": f'{_REALM}, error="insufficient_scope", scope="{" ".join(scopes)}"'
        },
        details=_info("ACCESS_TOKEN_SCOPE_INSUFFICIENT", method=method),
    )


def quota_exceeded(project: str, limit: str, value: int, *, per_user: bool) -> Response:
    """403: the units of this minute are used up, of the user or of the whole project."""
    scope = "Queries per minute per user" if per_user else "Queries per minute"
    return error_response(
        403,
        f"Quota exceeded for quota metric 'Queries' and limit '{scope}' of service "
        f"'gmail.googleapis.com' for consumer 'project_number:{project}'.",
        "rateLimitExceeded",
        domain="usageLimits",
        details=_info(
            "RATE_LIMIT_EXCEEDED",
            consumer=f"projects/{project}",
            quota_limit=limit,
            quota_limit_value=str(value),
            quota_location="global",
            quota_metric="gmail.googleapis.com/default",
        ),
    )


def user_rate_limit(code: int, until: dt.datetime, what: str = "") -> Response:
    """403 userRateLimitExceeded, or the 429 that names the end of a ban (in words only)."""
    at = until.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    text = f"User-rate limit exceeded{what}.  Retry after {at}"
    if code == 403:  # noqa: PLR2004 - the status itself
        return error_response(
            403, "User Rate Limit Exceeded", "userRateLimitExceeded", domain="usageLimits"
        )
    return error_response(429, text, "rateLimitExceeded")
