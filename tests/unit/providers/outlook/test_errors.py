"""Each row of both tables, and what no row knows."""

import pytest

from shared.domain.errors import (
    ConfigurationError,
    CursorExpiredError,
    ErrorCode,
    ReconnectRequiredError,
    RequestError,
    RetryLaterError,
)
from shared.providers.outlook.errors import (
    GRAPH,
    OAUTH_ERRORS,
    OAUTH_NUMBERS,
    Moment,
    codes_of,
    from_graph,
    from_oauth,
    wants_claims,
)

CONNECTING, RENEWING = Moment.CONNECTING, Moment.RENEWING
RECONNECT, CONFIGURE, REQUEST, RETRY = (
    ReconnectRequiredError,
    ConfigurationError,
    RequestError,
    RetryLaterError,
)


def said(error, *numbers):
    return {"error": error, "error_codes": list(numbers), "error_description": "words of theirs"}


# ---- the OAuth error ----

BY_ERROR = {
    "access_denied": ((REQUEST, "consent_declined"), (RECONNECT, "grant_revoked")),
    "consent_required": ((RECONNECT, "scope_missing"), (RECONNECT, "grant_revoked")),
    "interaction_required": ((RECONNECT, "sign_in_required"), (RECONNECT, "sign_in_required")),
    "login_required": ((RECONNECT, "sign_in_required"), (RECONNECT, "sign_in_required")),
    "invalid_grant": ((REQUEST, "attempt_expired"), (RECONNECT, "grant_revoked")),
    "invalid_client": ((CONFIGURE, "client_rejected"), (CONFIGURE, "client_rejected")),
    "unauthorized_client": ((CONFIGURE, "client_rejected"), (CONFIGURE, "client_rejected")),
    "invalid_request": ((CONFIGURE, "client_rejected"), (CONFIGURE, "client_rejected")),
    "invalid_scope": ((CONFIGURE, "client_rejected"), (CONFIGURE, "client_rejected")),
    "invalid_resource": ((CONFIGURE, "client_rejected"), (CONFIGURE, "client_rejected")),
    "unsupported_grant_type": ((CONFIGURE, "client_rejected"), (CONFIGURE, "client_rejected")),
    "unsupported_response_type": ((CONFIGURE, "client_rejected"), (CONFIGURE, "client_rejected")),
    "server_error": ((RETRY, "provider_unavailable"), (RETRY, "provider_unavailable")),
    "temporarily_unavailable": ((RETRY, "provider_unavailable"), (RETRY, "provider_unavailable")),
}


@pytest.mark.parametrize("error", BY_ERROR)
@pytest.mark.parametrize("moment", list(Moment))
def test_the_oauth_error_decides(error, moment):
    kind, code = BY_ERROR[error][moment is RENEWING]
    found = from_oauth(said(error), moment)
    assert (type(found), found.code) == (kind, ErrorCode(code))


def test_every_oauth_error_of_the_table_is_tested():
    assert BY_ERROR.keys() == OAUTH_ERRORS.keys()


# ---- the number ----

BY_NUMBER = {
    65001: ("consent_required", (RECONNECT, "scope_missing"), (RECONNECT, "grant_revoked")),
    65004: ("access_denied", (REQUEST, "consent_declined"), (RECONNECT, "grant_revoked")),
    90094: ("access_denied", (CONFIGURE, "admin_consent_required"), None),
    90095: ("access_denied", (CONFIGURE, "admin_consent_required"), None),
    50074: ("invalid_grant", (RECONNECT, "sign_in_required"), None),
    50076: ("invalid_grant", (RECONNECT, "sign_in_required"), None),
    50079: ("interaction_required", (RECONNECT, "sign_in_required"), None),
    50158: ("invalid_grant", (CONFIGURE, "access_blocked"), None),
    53000: ("invalid_grant", (CONFIGURE, "access_blocked"), None),
    53001: ("invalid_grant", (CONFIGURE, "access_blocked"), None),
    53002: ("invalid_grant", (CONFIGURE, "access_blocked"), None),
    53003: ("invalid_grant", (CONFIGURE, "access_blocked"), None),
    530032: ("interaction_required", (CONFIGURE, "access_blocked"), None),
    50105: ("invalid_grant", (CONFIGURE, "access_blocked"), None),
    50057: ("invalid_grant", (CONFIGURE, "access_blocked"), None),
    50053: ("invalid_grant", (CONFIGURE, "access_blocked"), None),
    50126: ("invalid_grant", (RECONNECT, "sign_in_required"), None),
    50034: (
        "invalid_grant",
        (REQUEST, "account_not_supported"),
        (CONFIGURE, "account_not_supported"),
    ),
    70008: ("invalid_grant", (REQUEST, "attempt_expired"), (RECONNECT, "grant_expired")),
    700082: ("invalid_grant", (REQUEST, "attempt_expired"), (RECONNECT, "grant_expired")),
    50173: ("invalid_grant", (RECONNECT, "sign_in_required"), (RECONNECT, "grant_revoked")),
    50132: ("invalid_grant", (RECONNECT, "sign_in_required"), (RECONNECT, "grant_revoked")),
    50133: ("invalid_grant", (RECONNECT, "sign_in_required"), (RECONNECT, "grant_revoked")),
    70043: ("invalid_grant", (RECONNECT, "sign_in_required"), None),
    50089: ("invalid_grant", (RECONNECT, "sign_in_required"), None),
    70000: ("invalid_grant", (REQUEST, "attempt_expired"), (RECONNECT, "grant_revoked")),
    54005: ("invalid_grant", (REQUEST, "attempt_expired"), (RECONNECT, "grant_revoked")),
    700016: ("unauthorized_client", (CONFIGURE, "client_missing"), None),
    7000215: ("invalid_client", (CONFIGURE, "client_rejected"), None),
    7000222: ("invalid_client", (CONFIGURE, "client_rejected"), None),
    50011: ("invalid_request", (CONFIGURE, "client_rejected"), None),
    50020: (
        "invalid_request",
        (REQUEST, "account_not_supported"),
        (CONFIGURE, "account_not_supported"),
    ),
    50194: (
        "invalid_request",
        (REQUEST, "account_not_supported"),
        (CONFIGURE, "account_not_supported"),
    ),
    9002332: (
        "invalid_request",
        (REQUEST, "account_not_supported"),
        (CONFIGURE, "account_not_supported"),
    ),
    50196: ("invalid_grant", (RETRY, "rate_limited"), None),
}


@pytest.mark.parametrize("number", BY_NUMBER)
@pytest.mark.parametrize("moment", list(Moment))
def test_the_number_chooses_the_words(number, moment):
    error, connecting, renewing = BY_NUMBER[number]
    kind, code = connecting if moment is CONNECTING else renewing or connecting
    found = from_oauth(said(error, number), moment)
    assert (type(found), found.code) == (kind, ErrorCode(code))


def test_every_number_of_the_table_is_tested():
    assert BY_NUMBER.keys() == OAUTH_NUMBERS.keys()


@pytest.mark.parametrize("error", OAUTH_ERRORS)
@pytest.mark.parametrize("number", OAUTH_NUMBERS)
def test_no_number_parks_a_mailbox_that_its_error_does_not_park(error, number):
    plain = from_oauth(said(error), RENEWING)
    worded = from_oauth(said(error, number), RENEWING)
    if isinstance(worded, ReconnectRequiredError):
        assert isinstance(plain, ReconnectRequiredError)
    if isinstance(plain, RetryLaterError):
        assert (type(worded), worded.code) == (type(plain), plain.code)


def test_a_number_nobody_knows_changes_nothing_and_the_first_known_one_counts():
    assert from_oauth(said("invalid_grant", 1), RENEWING).code is ErrorCode.GRANT_REVOKED
    assert from_oauth(said("invalid_grant", 1, 53003), RENEWING).code is ErrorCode.ACCESS_BLOCKED


def test_a_redirect_has_its_number_in_its_text():
    answer = {"error": "access_denied", "error_description": "AADSTS90094: The grant requires …"}
    assert from_oauth(answer, CONNECTING).code is ErrorCode.ADMIN_CONSENT_REQUIRED


@pytest.mark.parametrize(
    "error", [None, "", "brand_new_error", 7, ["invalid_grant"], "Invalid_Grant"]
)
def test_an_error_nobody_knows_passes_by_itself(error):
    found = from_oauth({"error": error, "error_codes": [700082]}, RENEWING)
    assert (type(found), found.code) == (RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE)


def test_a_cause_has_words_and_numbers_and_nothing_of_their_text():
    answer = {
        "error": "invalid_grant",
        "error_codes": [700082, "x", None],
        "error_description": "AADSTS700082: token eyJ0 of ada@contoso.example",
        "claims": "secret",
    }
    assert from_oauth(answer, RENEWING).cause == "sign-in: invalid_grant 700082"
    assert from_oauth({"error": "a b=c"}, RENEWING).cause == "sign-in: (other)"


# ---- Graph ----

BY_GRAPH = {
    (410, ""): (CursorExpiredError, "cursor_expired"),
    (400, "syncStateNotFound"): (CursorExpiredError, "cursor_expired"),
    (404, "SyncStateNotFound"): (CursorExpiredError, "cursor_expired"),
    (400, "syncStateInvalid"): (CursorExpiredError, "cursor_expired"),
    (409, "resyncRequired"): (CursorExpiredError, "cursor_expired"),
    (404, "MailboxNotEnabledForRESTAPI"): (CONFIGURE, "provider_api_disabled"),
    (403, "MailboxNotSupportedForRESTAPI"): (CONFIGURE, "provider_api_disabled"),
    (429, "ApplicationThrottled"): (RETRY, "rate_limited"),
    (503, "ErrorServerBusy"): (RETRY, "rate_limited"),
    (509, ""): (RETRY, "rate_limited"),
    (503, "serviceNotAvailable"): (RETRY, "provider_unavailable"),
    (500, "InternalServerError"): (RETRY, "provider_unavailable"),
    (502, ""): (RETRY, "provider_unavailable"),
    (504, ""): (RETRY, "provider_unavailable"),
    (408, ""): (RETRY, "provider_unavailable"),
    (423, "resourceLocked"): (RETRY, "provider_unavailable"),
    (400, "ErrorMailboxMoveInProgress"): (RETRY, "provider_unavailable"),
    (599, "newThing"): (RETRY, "provider_unavailable"),
    (507, "quotaLimitReached"): (RETRY, "mailbox_full"),
    (400, "ErrorQuotaExceeded"): (RETRY, "mailbox_full"),
    (401, "InvalidAuthenticationToken"): (RECONNECT, "grant_revoked"),
    (403, "ErrorAccessDenied"): (RECONNECT, "scope_missing"),
    (403, "Authorization_RequestDenied"): (RECONNECT, "scope_missing"),
    (403, "somethingElse"): (CONFIGURE, "access_blocked"),
    (400, "BadRequest"): (RETRY, "answer_not_understood"),
    (404, "ErrorItemNotFound"): (RETRY, "answer_not_understood"),
    (302, ""): (RETRY, "answer_not_understood"),
}


@pytest.mark.parametrize("answer", BY_GRAPH)
def test_an_error_of_graph_means(answer):
    status, word = answer
    kind, code = BY_GRAPH[answer]
    found = from_graph(status, {"error": {"code": word, "message": "of theirs"}})
    assert (type(found), found.code) == (kind, ErrorCode(code))
    assert "of theirs" not in found.cause


CHALLENGE = (
    'Bearer realm="", authorization_uri="https://x", error="insufficient_claims", claims="e"'
)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (CHALLENGE, True),
        ("bearer ERROR = insufficient_claims", True),
        ('Bearer realm="", authorization_uri="https://x", client_id="y"', False),
        ('Bearer error="invalid_token"', False),
        ('Bearer error="insufficient_claims_of_another_kind"', False),
        ("", False),
    ],
)
def test_a_challenge_for_claims_is_told_from_a_plain_one(header, wanted):
    assert wants_claims({"www-authenticate": header} if header else {}) is wanted


def test_a_challenge_for_claims_wants_a_sign_in_and_is_doubted_first():
    body = {"error": {"code": "InvalidAuthenticationToken"}}
    found = from_graph(401, body, wants_claims=True)
    assert (type(found), found.code) == (RECONNECT, ErrorCode.SIGN_IN_REQUIRED)
    assert not found.definitive
    assert found.cause == "Graph: 401 invalidauthenticationtoken insufficient_claims"
    assert from_graph(503, body, wants_claims=True).code is ErrorCode.PROVIDER_UNAVAILABLE


def test_every_row_of_graphs_table_applies_to_something():
    hit = {
        next(n for n, row in enumerate(GRAPH) if row.applies(status, (word.lower(),)))
        for (status, word) in BY_GRAPH
        if any(row.applies(status, (word.lower(),)) for row in GRAPH)
    }
    assert hit == set(range(len(GRAPH)))


def test_a_doubtful_answer_of_graph_never_parks_a_mailbox_at_once():
    for status, word in BY_GRAPH:
        found = from_graph(status, {"error": {"code": word}})
        assert not (isinstance(found, ReconnectRequiredError) and found.definitive)


def test_codes_are_found_at_any_depth_and_in_any_case():
    body = {
        "error": {"code": "BadRequest", "innerError": {"innererror": {"Code": "SyncStateNotFound"}}}
    }
    assert codes_of(body) == ("badrequest", "syncstatenotfound")
    assert isinstance(from_graph(400, body), CursorExpiredError)


@pytest.mark.parametrize("body", [None, "", [], {}, {"error": "x"}, {"error": {"code": 7}}])
def test_a_body_without_a_code_leaves_the_status_to_decide(body):
    assert from_graph(503, body).code is ErrorCode.PROVIDER_UNAVAILABLE


def test_a_body_that_nests_without_end_is_left():
    body = inner = {}
    for _ in range(5_000):
        inner["error" if inner is body else "innerError"] = inner = {}
    assert codes_of(body) == ()


def test_a_wish_is_handed_on():
    assert from_graph(429, None, retry_after=3600.0).retry_after_seconds == 3600
    assert from_graph(503, None).retry_after_seconds is None
