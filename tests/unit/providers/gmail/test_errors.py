"""Each row of Google's failure tables: who acts, and that a doubt never parks a mailbox."""

import json

import pytest

from shared.domain.errors import (
    ConfigurationError,
    ErrorCode,
    MailroomError,
    ReconnectRequiredError,
    RequestError,
    RetryLaterError,
    SendRefusedError,
)
from shared.providers.gmail import errors

DATE = {"date": "Sat, 21 Nov 2026 12:00:00 GMT"}


def refusal(*reasons, message="canary@gmail.example", status="", details=()):
    return json.dumps(
        {
            "error": {
                "code": 0,
                "message": message,
                "status": status,
                "errors": [{"reason": one, "message": "canary"} for one in reasons],
                "details": [{"reason": one} for one in details],
            }
        }
    ).encode()


API = [
    (403, "insufficientPermissions", ReconnectRequiredError, ErrorCode.SCOPE_MISSING),
    (403, "dailyLimitExceeded", RetryLaterError, ErrorCode.DAILY_LIMIT_REACHED),
    (403, "quotaExceeded", RetryLaterError, ErrorCode.DAILY_LIMIT_REACHED),
    (403, "rateLimitExceeded", RetryLaterError, ErrorCode.RATE_LIMITED),
    (403, "userRateLimitExceeded", RetryLaterError, ErrorCode.RATE_LIMITED),
    (403, "concurrentLimitExceeded", RetryLaterError, ErrorCode.RATE_LIMITED),
    (403, "domainPolicy", ConfigurationError, ErrorCode.ACCESS_BLOCKED),
    (403, "accessNotConfigured", ConfigurationError, ErrorCode.API_NOT_ENABLED),
    (403, "dailyLimitExceededUnreg", ConfigurationError, ErrorCode.API_NOT_ENABLED),
    (403, "forbidden", RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE),
    (403, "", RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE),
    (400, "failedPrecondition", ConfigurationError, ErrorCode.PROVIDER_API_DISABLED),
    (400, "invalidArgument", RetryLaterError, ErrorCode.ANSWER_NOT_UNDERSTOOD),
    (401, "authError", ReconnectRequiredError, ErrorCode.GRANT_REVOKED),
    (404, "notFound", RetryLaterError, ErrorCode.ANSWER_NOT_UNDERSTOOD),
    (408, "", RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE),
    (429, "rateLimitExceeded", RetryLaterError, ErrorCode.RATE_LIMITED),
    (429, "", RetryLaterError, ErrorCode.RATE_LIMITED),
    (500, "backendError", RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE),
    (599, "", RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE),
    (302, "", RetryLaterError, ErrorCode.ANSWER_NOT_UNDERSTOOD),
    (204, "", RetryLaterError, ErrorCode.ANSWER_NOT_UNDERSTOOD),
]


@pytest.mark.parametrize(("status", "reason", "kind", "code"), API)
def test_a_refusal_of_the_api_means(status, reason, kind, code):
    found = errors.from_api(status, {}, refusal(reason))
    assert (type(found), found.code) == (kind, code)
    assert "canary" not in str(found)


def test_every_row_of_the_api_is_tried():
    tried = {(status, reason) for status, reason, _kind, _code in API}
    for row in errors.API:
        assert any(
            status in row.statuses and (not row.reasons or reason in row.reasons)
            for status, reason in tried
        ), row


SENDING = [
    (413, "uploadTooLarge", "", SendRefusedError, ErrorCode.MAIL_TOO_LARGE),
    (403, "forbidden", "", ConfigurationError, ErrorCode.SENDER_NOT_ALLOWED),
    (400, "invalidArgument", "", SendRefusedError, ErrorCode.MAIL_REFUSED),
    (400, "badRequest", "too large", SendRefusedError, ErrorCode.MAIL_TOO_LARGE),
    *(
        (400, "invalidArgument", said, SendRefusedError, ErrorCode.RECIPIENT_REJECTED)
        for said in ("Invalid To header", "Invalid bcc header", "Recipient address required")
    ),
    *(
        (status, reason, "", kind, code)
        for status, reason, kind, code in API
        if (status, reason) not in {(403, "forbidden"), (400, "invalidArgument")}
    ),
]


@pytest.mark.parametrize(("status", "reason", "said", "kind", "code"), SENDING)
def test_a_refusal_of_a_mail_means(status, reason, said, kind, code):
    found = errors.from_sending(status, {}, refusal(reason, message=f"canary {said}"))
    assert (type(found), found.code) == (kind, code)
    assert "canary" not in str(found)


OF_A_TOPIC = [(404, "notFound"), (403, "forbidden"), (400, "invalidArgument"), (400, "badRequest")]


@pytest.mark.parametrize(
    ("status", "reason", "kind", "code"),
    [
        *((*one, ConfigurationError, ErrorCode.PUSH_REFUSED) for one in OF_A_TOPIC),
        *(one for one in API if one[:2] not in OF_A_TOPIC),
    ],
)
def test_a_refusal_to_publish_changes_means(status, reason, kind, code):
    found = errors.from_watching(status, {}, refusal(reason))
    assert (type(found), found.code) == (kind, code)
    assert "canary" not in str(found)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("ACCESS_TOKEN_SCOPE_INSUFFICIENT", ErrorCode.SCOPE_MISSING),
        ("RATE_LIMIT_EXCEEDED", ErrorCode.RATE_LIMITED),
        ("SERVICE_DISABLED", ErrorCode.API_NOT_ENABLED),
    ],
)
def test_a_reason_in_the_details_counts_like_one_in_the_errors(reason, code):
    assert errors.from_api(403, {}, refusal(details=[reason])).code is code


def test_too_many_requests_at_once_are_told_from_too_many_a_minute():
    body = refusal("rateLimitExceeded", message="Too many concurrent requests for user")
    assert errors.from_api(429, {}, body).code is ErrorCode.TOO_MANY_CONNECTIONS


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"retry-after": "77"}, "", 77),
        ({"retry-after": "0"}, "", 0),
        ({"retry-after": "Sat, 21 Nov 2026 12:05:00 GMT", **DATE}, "", 300),
        ({"retry-after": "Sat, 21 Nov 2026 11:00:00 GMT", **DATE}, "", 0),
        (DATE, "User-rate limit exceeded.  Retry after 2026-11-21T12:10:00.500Z", 600.5),
        ({}, "User-rate limit exceeded.  Retry after 2026-11-21T12:10:00Z", None),
        (DATE, "Retry after 2026-99-99T12:10:00Z", None),
        ({"retry-after": "soon", **DATE}, "", None),
        ({"retry-after": "-5"}, "", None),
        ({"retry-after": "²"}, "", None),
        ({}, "", None),
    ],
)
def test_how_long_google_wants_us_to_wait(headers, message, seconds):
    found = errors.from_api(429, headers, refusal(message=message))
    assert found.retry_after_seconds == seconds


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>canary</html>",
        b"[]",
        b"null",
        b'{"error": "canary canary"}',
        b'{"error": {"errors": "canary", "details": 7}}',
        b'{"error": {"errors": [null, 7, {"reason": ["canary"]}, {"reason": "a canary <b>"}]}}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_a_refusal_without_words_is_told_by_its_status(body):
    for status, code in ((403, ErrorCode.PROVIDER_UNAVAILABLE), (429, ErrorCode.RATE_LIMITED)):
        found = errors.from_api(status, {}, body)
        assert (type(found), found.code) == (RetryLaterError, code)
        assert "canary" not in str(found)
    assert errors.from_token(400, {}, body).code is ErrorCode.PROVIDER_UNAVAILABLE


TOKEN = {
    "invalid_grant": (ReconnectRequiredError, ErrorCode.GRANT_REVOKED),
    "invalid_rapt": (ReconnectRequiredError, ErrorCode.SIGN_IN_REQUIRED),
    "rapt_required": (ReconnectRequiredError, ErrorCode.SIGN_IN_REQUIRED),
    "interaction_required": (ReconnectRequiredError, ErrorCode.SIGN_IN_REQUIRED),
    "invalid_scope": (ReconnectRequiredError, ErrorCode.SCOPE_MISSING),
    "admin_policy_enforced": (ConfigurationError, ErrorCode.ACCESS_BLOCKED),
    "access_denied": (ConfigurationError, ErrorCode.ACCESS_BLOCKED),
    "access_not_configured": (ConfigurationError, ErrorCode.ACCESS_BLOCKED),
    "org_internal": (ConfigurationError, ErrorCode.CLIENT_REJECTED),
    "invalid_client": (ConfigurationError, ErrorCode.CLIENT_REJECTED),
    "deleted_client": (ConfigurationError, ErrorCode.CLIENT_REJECTED),
    "disabled_client": (ConfigurationError, ErrorCode.CLIENT_REJECTED),
    "unauthorized_client": (ConfigurationError, ErrorCode.CLIENT_REJECTED),
    "redirect_uri_mismatch": (ConfigurationError, ErrorCode.CLIENT_REJECTED),
    "invalid_request": (ConfigurationError, ErrorCode.CLIENT_REJECTED),
    "unsupported_grant_type": (ConfigurationError, ErrorCode.CLIENT_REJECTED),
    "rate_limit_exceeded": (RetryLaterError, ErrorCode.RATE_LIMITED),
    "slow_down": (RetryLaterError, ErrorCode.RATE_LIMITED),
    "temporarily_unavailable": (RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE),
    "server_error": (RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE),
    "internal_failure": (RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE),
}


def test_every_error_of_the_token_endpoint_is_tried():
    assert set(TOKEN) == set(errors.TOKEN)


@pytest.mark.parametrize("error", TOKEN)
def test_a_refusal_of_the_token_endpoint_means(error):
    body = json.dumps({"error": error, "error_description": "canary"}).encode()
    for status in (400, 401, 403):
        found = errors.from_token(status, {}, body)
        assert (type(found), found.code) == TOKEN[error]
        assert getattr(found, "definitive", True)
        assert "canary" not in str(found)
    # A server in trouble is not believed, whatever it says.
    for status in (200, 302, 500, 503):
        found = errors.from_token(status, {}, body)
        assert (type(found), found.code) == (RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE)
    assert errors.from_token(429, {"retry-after": "9"}, body).retry_after_seconds == 9


def test_a_subtype_says_more_than_its_error():
    body = b'{"error": "invalid_grant", "error_subtype": "invalid_rapt"}'
    assert errors.from_token(400, {}, body).code is ErrorCode.SIGN_IN_REQUIRED
    body = b'{"error": "invalid_grant", "error_subtype": "never heard of"}'
    assert errors.from_token(400, {}, body).code is ErrorCode.GRANT_REVOKED


CALLBACK: dict[str, tuple[type[MailroomError], ErrorCode]] = {
    "access_denied": (RequestError, ErrorCode.CONSENT_DECLINED),
    "consent_required": (RequestError, ErrorCode.CONSENT_DECLINED),
    "interaction_required": (ReconnectRequiredError, ErrorCode.SIGN_IN_REQUIRED),
    "login_required": (ReconnectRequiredError, ErrorCode.SIGN_IN_REQUIRED),
    "account_selection_required": (ReconnectRequiredError, ErrorCode.SIGN_IN_REQUIRED),
    "admin_policy_enforced": (ConfigurationError, ErrorCode.ACCESS_BLOCKED),
    "access_not_configured": (ConfigurationError, ErrorCode.ACCESS_BLOCKED),
    "org_internal": (RequestError, ErrorCode.ACCOUNT_NOT_SUPPORTED),
    "invalid_client": (ConfigurationError, ErrorCode.CLIENT_REJECTED),
    "deleted_client": (ConfigurationError, ErrorCode.CLIENT_REJECTED),
    "disabled_client": (ConfigurationError, ErrorCode.CLIENT_REJECTED),
    "unauthorized_client": (ConfigurationError, ErrorCode.CLIENT_REJECTED),
    "redirect_uri_mismatch": (ConfigurationError, ErrorCode.CLIENT_REJECTED),
    "invalid_request": (ConfigurationError, ErrorCode.CLIENT_REJECTED),
    "invalid_scope": (ConfigurationError, ErrorCode.CLIENT_REJECTED),
    "unsupported_response_type": (ConfigurationError, ErrorCode.CLIENT_REJECTED),
    "temporarily_unavailable": (RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE),
    "server_error": (RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE),
}


def test_every_error_of_the_callback_is_tried():
    assert set(CALLBACK) == set(errors.CALLBACK)


@pytest.mark.parametrize("error", CALLBACK)
def test_an_error_a_person_comes_back_with_means(error):
    found = errors.from_callback(error)
    assert (type(found), found.code) == CALLBACK[error]


def test_an_unknown_error_a_person_comes_back_with_is_not_quoted():
    found = errors.from_callback("<script>canary</script>")
    assert (type(found), found.code) == (RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE)
    assert "canary" not in str(found)
