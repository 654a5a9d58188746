"""Decides what a refusal of Google means: a table for the API, one each for sign-in's answers.

The order is the rule: the first row that fits counts. `reason` and OAuth's `error` decide, never a
text, which may be translated or change. What no row knows is retried, so that no doubt parks a
mailbox. Sources: developers.google.com/workspace/gmail/api/guides/handle-errors,
developers.google.com/identity/protocols/oauth2/web-server#authorization-errors, RFC 6749 5.2.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from shared.domain.errors import ErrorCode, MailroomError, RetryLaterError, SendRefusedError
from shared.providers.refusals import (
    Becomes,
    configure,
    reconnect,
    refuse,
    refuse_mail,
    retry,
)

_WORD = re.compile(r"[A-Za-z0-9_.]{1,60}")
_UNTIL = re.compile(r"[Rr]etry after (\d{4}-\d\d-\d\dT[0-9:.]+Z)")
_CONCURRENT = re.compile(r"concurrent", re.IGNORECASE)
_SENDING_LIMIT = re.compile(r"\(mail sending\)", re.IGNORECASE)
_RECIPIENTS = re.compile(r"invalid (?:to|cc|bcc) header|recipient address", re.IGNORECASE)
_TOO_LARGE = re.compile(r"too large", re.IGNORECASE)
_ANY_SERVER_FAILURE = frozenset(range(500, 600))


@dataclass(frozen=True, slots=True)
class ApiRow:
    """A row applies to a status and, where it names any, one of its reasons."""

    statuses: frozenset[int]
    reasons: frozenset[str]
    becomes: Becomes


def _row(status: int, becomes: Becomes, *reasons: str) -> ApiRow:
    return ApiRow(frozenset({status}), frozenset(reasons), becomes)


API: tuple[ApiRow, ...] = (
    _row(
        403,
        reconnect(ErrorCode.SCOPE_MISSING),
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "insufficientPermissions",
    ),
    _row(403, retry(ErrorCode.DAILY_LIMIT_REACHED), "dailyLimitExceeded", "quotaExceeded"),
    _row(
        403,
        retry(ErrorCode.RATE_LIMITED),
        "rateLimitExceeded",
        "userRateLimitExceeded",
        "RATE_LIMIT_EXCEEDED",
        "concurrentLimitExceeded",
    ),
    _row(403, configure(ErrorCode.ACCESS_BLOCKED), "domainPolicy", "ADMIN_POLICY_ENFORCED"),
    # The API is not switched on in the project of the OAuth client: its owner's to mend.
    _row(
        403,
        configure(ErrorCode.API_NOT_ENABLED),
        "accessNotConfigured",
        "SERVICE_DISABLED",
        "dailyLimitExceededUnreg",
        "CONSUMER_SUSPENDED",
    ),
    _row(403, retry(ErrorCode.PROVIDER_UNAVAILABLE)),
    # "Mail service not enabled": an account of Google without Gmail.
    _row(
        400,
        configure(ErrorCode.PROVIDER_API_DISABLED),
        "failedPrecondition",
        "FAILED_PRECONDITION",
    ),
    _row(401, reconnect(ErrorCode.GRANT_REVOKED, definitive=False)),
    _row(429, retry(ErrorCode.RATE_LIMITED)),
    _row(408, retry(ErrorCode.PROVIDER_UNAVAILABLE)),
    ApiRow(_ANY_SERVER_FAILURE, frozenset(), retry(ErrorCode.PROVIDER_UNAVAILABLE)),
)
"""What an answer of the Gmail API means that is none of what its caller expects."""

SENDING: tuple[ApiRow, ...] = (
    _row(413, refuse_mail(ErrorCode.MAIL_TOO_LARGE)),
    # "Delegation denied": it may not act for that address.
    _row(403, configure(ErrorCode.SENDER_NOT_ALLOWED), "forbidden"),
    _row(
        400,
        refuse_mail(ErrorCode.MAIL_REFUSED),
        "invalidArgument",
        "INVALID_ARGUMENT",
        "badRequest",
    ),
    *API,
)
"""What it means where a mail is handed over: there a wrong request is a wrong mail."""

WATCHING: tuple[ApiRow, ...] = (
    # "Error sending test message to Cloud PubSub": there is no such topic, or Gmail may not publish
    # to it; or the topic lies in another project than the client.
    _row(404, configure(ErrorCode.PUSH_REFUSED)),
    _row(403, configure(ErrorCode.PUSH_REFUSED), "forbidden"),
    _row(
        400,
        configure(ErrorCode.PUSH_REFUSED),
        "invalidArgument",
        "INVALID_ARGUMENT",
        "badRequest",
    ),
    *API,
)
"""What it means where Gmail is asked to publish changes: there a wrong request is a wrong topic."""

TOKEN: Mapping[str, Becomes] = {
    "invalid_grant": reconnect(ErrorCode.GRANT_REVOKED),
    "invalid_rapt": reconnect(ErrorCode.SIGN_IN_REQUIRED),
    "rapt_required": reconnect(ErrorCode.SIGN_IN_REQUIRED),
    "interaction_required": reconnect(ErrorCode.SIGN_IN_REQUIRED),
    "invalid_scope": reconnect(ErrorCode.SCOPE_MISSING),
    "admin_policy_enforced": configure(ErrorCode.ACCESS_BLOCKED),
    "access_denied": configure(ErrorCode.ACCESS_BLOCKED),
    "access_not_configured": configure(ErrorCode.ACCESS_BLOCKED),
    "org_internal": configure(ErrorCode.CLIENT_REJECTED),
    "invalid_client": configure(ErrorCode.CLIENT_REJECTED),
    "deleted_client": configure(ErrorCode.CLIENT_REJECTED),
    "disabled_client": configure(ErrorCode.CLIENT_REJECTED),
    "unauthorized_client": configure(ErrorCode.CLIENT_REJECTED),
    "redirect_uri_mismatch": configure(ErrorCode.CLIENT_REJECTED),
    "invalid_request": configure(ErrorCode.CLIENT_REJECTED),
    "unsupported_grant_type": configure(ErrorCode.CLIENT_REJECTED),
    "rate_limit_exceeded": retry(ErrorCode.RATE_LIMITED),
    "slow_down": retry(ErrorCode.RATE_LIMITED),
    "temporarily_unavailable": retry(ErrorCode.PROVIDER_UNAVAILABLE),
    "server_error": retry(ErrorCode.PROVIDER_UNAVAILABLE),
    "internal_failure": retry(ErrorCode.PROVIDER_UNAVAILABLE),
}
"""What the token endpoint's `error` means; a subtype that stands here counts first.

`invalid_grant` covers a withdrawn grant, a changed password, six months unused, a seventh day in
testing and the oldest of over a hundred; nothing tells them apart.
"""

CALLBACK: Mapping[str, Becomes] = {
    "access_denied": refuse(ErrorCode.CONSENT_DECLINED),
    "interaction_required": reconnect(ErrorCode.SIGN_IN_REQUIRED),
    "login_required": reconnect(ErrorCode.SIGN_IN_REQUIRED),
    "account_selection_required": reconnect(ErrorCode.SIGN_IN_REQUIRED),
    "consent_required": refuse(ErrorCode.CONSENT_DECLINED),
    "admin_policy_enforced": configure(ErrorCode.ACCESS_BLOCKED),
    "access_not_configured": configure(ErrorCode.ACCESS_BLOCKED),
    # The client is one of an organisation's own, and this account is not of it.
    "org_internal": refuse(ErrorCode.ACCOUNT_NOT_SUPPORTED),
    "invalid_client": configure(ErrorCode.CLIENT_REJECTED),
    "deleted_client": configure(ErrorCode.CLIENT_REJECTED),
    "disabled_client": configure(ErrorCode.CLIENT_REJECTED),
    "unauthorized_client": configure(ErrorCode.CLIENT_REJECTED),
    "redirect_uri_mismatch": configure(ErrorCode.CLIENT_REJECTED),
    "invalid_request": configure(ErrorCode.CLIENT_REJECTED),
    "invalid_scope": configure(ErrorCode.CLIENT_REJECTED),
    "unsupported_response_type": configure(ErrorCode.CLIENT_REJECTED),
    "temporarily_unavailable": retry(ErrorCode.PROVIDER_UNAVAILABLE),
    "server_error": retry(ErrorCode.PROVIDER_UNAVAILABLE),
}
"""What the `error` means that a person comes back with from the consent page."""


def from_api(status: int, headers: Mapping[str, str], body: bytes) -> MailroomError:
    """Return what a refusal of the Gmail API means."""
    return _by_table(API, status, headers, _error_object(body))


def from_sending(status: int, headers: Mapping[str, str], body: bytes) -> MailroomError:
    """Return what it means that a mail was not taken."""
    error = _error_object(body)
    found = _by_table(SENDING, status, headers, error)
    # What is wrong with a mail stands only in the text; nobody gets it either way.
    if found.code is ErrorCode.MAIL_REFUSED:
        if _says(error, _TOO_LARGE):
            return SendRefusedError(ErrorCode.MAIL_TOO_LARGE, cause=found.cause)
        if _says(error, _RECIPIENTS):
            return SendRefusedError(ErrorCode.RECIPIENT_REJECTED, cause=found.cause)
    # Nor does a reason tell the account's own limit from that of requests: both pass.
    if isinstance(found, RetryLaterError) and _says(error, _SENDING_LIMIT):
        return RetryLaterError(
            ErrorCode.SENDING_LIMIT_REACHED,
            cause=found.cause,
            retry_after_seconds=found.retry_after_seconds,
        )
    return found


def from_watching(status: int, headers: Mapping[str, str], body: bytes) -> MailroomError:
    """Return what it means that changes are not published."""
    return _by_table(WATCHING, status, headers, _error_object(body))


def _by_table(
    table: Iterable[ApiRow], status: int, headers: Mapping[str, str], error: Mapping[str, Any]
) -> MailroomError:
    reasons = _reasons(error)
    cause = " ".join([str(status), *sorted(reasons)])
    wish = _wish_seconds(headers, error)
    for row in table:
        if status in row.statuses and (not row.reasons or row.reasons & reasons):
            found = row.becomes(cause, wish)
            # Which of two pauses is meant stands only in the text; both are retried.
            if found.code is ErrorCode.RATE_LIMITED and _says(error, _CONCURRENT):
                return RetryLaterError(
                    ErrorCode.TOO_MANY_CONNECTIONS, cause=cause, retry_after_seconds=wish
                )
            return found
    return RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause=cause)


def is_passing(error: MailroomError) -> bool:
    """Whether the same request may well succeed in a moment: busy or failing, and nothing else."""
    return isinstance(error, RetryLaterError) and error.code in {
        ErrorCode.RATE_LIMITED,
        ErrorCode.TOO_MANY_CONNECTIONS,
        ErrorCode.PROVIDER_UNAVAILABLE,
    }


def from_token(status: int, headers: Mapping[str, str], body: bytes) -> MailroomError:
    """Return what a refusal of the token endpoint means."""
    answer = decoded_object(body) or {}
    error, subtype = _word(answer.get("error")), _word(answer.get("error_subtype"))
    cause = " ".join(word for word in (str(status), error, subtype) if word)
    wish = _wish_seconds(headers, {})
    if status == 429:  # noqa: PLR2004  # Too Many Requests
        return RetryLaterError(ErrorCode.RATE_LIMITED, cause=cause, retry_after_seconds=wish)
    # A failing server may send any JSON along; an error of 4xx alone is an answer about the grant.
    if 400 <= status < 500:  # noqa: PLR2004
        becomes = TOKEN.get(subtype) or TOKEN.get(error)
        if becomes:
            return becomes(cause, wish)
    return RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE, cause=cause, retry_after_seconds=wish)


def from_callback(error: str) -> MailroomError:
    """Return what the callback's `error` means."""
    word = _word(error)
    becomes = CALLBACK.get(word, retry(ErrorCode.PROVIDER_UNAVAILABLE))
    return becomes(f"callback {word}")


def decoded_object(body: bytes) -> dict[str, Any] | None:
    """Return a JSON object, or None for anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _error_object(body: bytes) -> dict[str, Any]:
    error = (decoded_object(body) or {}).get("error")
    return error if isinstance(error, dict) else {}


def _reasons(error: Mapping[str, Any]) -> set[str]:
    found = {_word(error.get("status"))}
    for name in ("errors", "details"):
        several = error.get(name)
        for one in several if isinstance(several, list) else ():
            if isinstance(one, dict):
                found.add(_word(one.get("reason")))
    return found - {""}


def _says(error: Mapping[str, Any], words: re.Pattern[str]) -> bool:
    return bool(words.search(str(error.get("message", ""))[:300]))


def _wish_seconds(headers: Mapping[str, str], error: Mapping[str, Any]) -> float | None:
    """Return how long the provider wants us to wait.

    By its header, which is seconds or a date, or by its text, which names an instant; against the
    answer's own date, because our clock may be another.
    """
    header = headers.get("retry-after", "").strip()
    if header.isascii() and header.isdecimal():
        return float(header[:9])
    said = _UNTIL.search(str(error.get("message", ""))[:300])
    try:
        now = parsedate_to_datetime(headers.get("date", ""))
        if header:
            until = parsedate_to_datetime(header)
        elif said:
            until = datetime.fromisoformat(said[1])
        else:
            return None
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):
        return None


def _word(value: object) -> str:
    """Return a code of the provider, or nothing where it is no plain word (threat T25)."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""
