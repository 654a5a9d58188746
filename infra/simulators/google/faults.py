"""Decides what can go wrong with Google on demand, beyond what any service has (see the kit).

Faults of the API strike `/gmail/v1/` requests, also as parts of a batch; those of OAuth the token
endpoint, those of consent the authorization page. `route` narrows or widens that.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from infra.simulators.google import answers
from infra.simulators.google.batch_faults import batch_faults
from infra.simulators.google.oauth_faults import oauth_faults
from infra.simulators.google.uploads import MOST_BYTES
from infra.simulators.kit.faults import FaultKind, Proceed

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from infra.simulators.google.world import World
    from infra.simulators.kit.call import Call

API = r"^\w+ (/upload)?/gmail/v1/"
_HISTORY = r"^GET /gmail/v1/users/[^/]+/history$"
_GET = r"^GET /gmail/v1/users/[^/]+/messages/[0-9a-f]+$"
_LISTS = r"^GET /gmail/v1/users/[^/]+/(messages|threads|drafts|history)$"
_SENDS = r"^POST (/upload)?/gmail/v1/users/[^/]+/(messages|drafts)/send$"
_WRITES = r"^POST (/upload)?/gmail/v1/users/[^/]+/(messages/send|drafts/send|drafts)$"
Parameters = Mapping[str, Any]
Change = Callable[[str, str], None]
"""Changes the message of an address, if both exist."""


def google_faults(world: World, changes: Mapping[str, Change]) -> dict[str, FaultKind]:
    """Return Google's faults by name.

    Args:
        world: for its clock.
        changes: what happens to a message between its list and its get: `delete`, `trash`, `move`.
    """

    def until(parameters: Parameters) -> dt.datetime:
        return world.clock.now() + dt.timedelta(seconds=float(parameters["seconds"]))

    def user_rate(code: int, what: str) -> Callable[[Parameters], Response]:
        return lambda parameters: answers.user_rate_limit(code, until(parameters), what)

    return {
        # ---- limits ---------------------------------------------------------------------------
        "rate_limit_403": _limit(
            lambda _p: answers.quota_exceeded(
                "123456789012", "defaultPerMinutePerUser", 6000, per_user=True
            )
        ),
        "user_rate_limit_403": _limit(user_rate(403, "")),
        "daily_limit_403": _limit(
            lambda _p: answers.error_response(
                403, "Daily Limit Exceeded", "dailyLimitExceeded", domain="usageLimits"
            )
        ),
        "rate_limit_429": _limit(
            lambda _p: answers.error_response(
                429, "Resource has been exhausted (e.g. check quota).", "rateLimitExceeded"
            )
        ),
        "user_rate_limit_429": _limit(user_rate(429, ""), seconds=900),
        "concurrent_429": _limit(
            lambda _p: answers.error_response(
                429, "Too many concurrent requests for user.", "rateLimitExceeded"
            )
        ),
        "sending_429": _limit(user_rate(429, " (Mail sending)"), route=_SENDS, seconds=3600),
        # ---- mail that is refused -------------------------------------------------------------
        "invalid_recipient_400": _says(
            lambda _p: answers.invalid("Invalid To header").response, route=_WRITES
        ),
        "too_large_413": _says(lambda _p: answers.too_large(MOST_BYTES).response, route=_WRITES),
        "delegation_denied_403": _says(
            lambda _p: answers.forbidden("Delegation denied for ada@gmail.example").response,
            route=_WRITES,
        ),
        # ---- refusals -------------------------------------------------------------------------
        "invalid_credentials_401": _says(lambda _p: answers.invalid_credentials()),
        "insufficient_scope_403": _says(
            lambda _p: answers.insufficient_scopes("gmail.users", ["https://mail.google.com/"])
        ),
        "domain_policy_403": _says(
            lambda _p: answers.error_response(
                403, "The domain administrators have disabled Gmail apps.", "domainPolicy"
            )
        ),
        "api_disabled_403": _says(lambda _p: _api_disabled()),
        "mail_not_enabled_400": _says(
            lambda _p: answers.error_response(
                400,
                "Mail service not enabled",
                "failedPrecondition",
                status="FAILED_PRECONDITION",
            )
        ),
        "backend_error": _says(_backend_error, status=500, retry_after=None),
        "not_found_404": _says(lambda _p: answers.not_found().response, route=_GET),
        # ---- sync -----------------------------------------------------------------------------
        "history_404": _says(lambda _p: answers.not_found().response, route=_HISTORY),
        "page_token_expired": FaultKind(_page_token_expired, _LISTS),
        "history_duplicated": FaultKind(_history(lambda records: records + records), _HISTORY),
        "history_reordered": FaultKind(_history(lambda records: records[::-1]), _HISTORY),
        "history_empty_page": FaultKind(_history(lambda _records: []), _HISTORY),
        **{
            f"{name}_on_get": FaultKind(_before_get(change), _GET)
            for name, change in changes.items()
        },
        **batch_faults(),
        **oauth_faults(),
    }


def _says(
    answer: Callable[[Parameters], Response], route: str = API, **parameters: Any
) -> FaultKind:
    return FaultKind(lambda p, _call, _proceed: answer(p), route, parameters)


def _limit(
    answer: Callable[[Parameters], Response], route: str = API, seconds: float = 60
) -> FaultKind:
    """Return a fault that refuses for a limit; `retry_after` adds the header, which is rare."""

    def around(parameters: Parameters, _call: Call, _proceed: Proceed) -> Response:
        response = answer(parameters)
        if parameters["retry_after"] is not None:
            response.headers["Retry-After"] = str(parameters["retry_after"])
        return response

    return FaultKind(around, route, {"retry_after": None, "seconds": seconds})


def _backend_error(parameters: Parameters) -> Response:
    status = int(parameters["status"])
    texts = {
        500: ("Internal error encountered.", "backendError"),
        502: ("Bad Gateway", "badGateway"),
        503: ("The service is currently unavailable.", "backendError"),
        504: ("Deadline expired before operation could complete.", "backendError"),
    }
    text, reason = texts.get(status, texts[500])
    response = answers.error_response(status if status in texts else 500, text, reason)
    if parameters["retry_after"] is not None:
        response.headers["Retry-After"] = str(parameters["retry_after"])
    return response


def _api_disabled() -> Response:
    return answers.error_response(
        403,
        "Gmail API has not been used in project 123456789012 before or it is disabled.",
        "accessNotConfigured",
        domain="usageLimits",
    )


def _page_token_expired(_parameters: Parameters, call: Call, proceed: Proceed) -> Response:
    if "pageToken" in call.request.args:
        return answers.invalid("Invalid pageToken").response
    return proceed()


def _before_get(change: Change) -> Callable[[Parameters, Call, Proceed], Response]:
    def around(_parameters: Parameters, call: Call, proceed: Proceed) -> Response:
        change(call.user, str(call.arguments.get("id", "")))
        return proceed()

    return around


def _history(
    change: Callable[[list[Any]], list[Any]],
) -> Callable[[Parameters, Call, Proceed], Response]:
    def around(_parameters: Parameters, _call: Call, proceed: Proceed) -> Response:
        response = proceed()
        body = response.get_json(silent=True)
        if response.status_code == 200 and isinstance(body, dict):  # noqa: PLR2004 - the status
            body["history"] = change(body.get("history", []))
            response.set_data(json.dumps(body))
        return response

    return around
