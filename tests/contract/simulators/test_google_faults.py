"""Every fault switch of the Google simulator provoked, over HTTP as a test would."""

import gzip
import http.client
import json
import urllib.error
from pathlib import Path

import pytest

from tests.contract.simulators.google_world import ADA, BOB, MODIFY, ask, base64url, letter
from tests.contract.simulators.test_google_contract import part, send_batch

README = Path(__file__).resolve().parents[3] / "infra/simulators/google/README.md"
REFUSALS = {
    "rate_limit_403": (403, "rateLimitExceeded", "usageLimits"),
    "user_rate_limit_403": (403, "userRateLimitExceeded", "usageLimits"),
    "daily_limit_403": (403, "dailyLimitExceeded", "usageLimits"),
    "rate_limit_429": (429, "rateLimitExceeded", "global"),
    "user_rate_limit_429": (429, "rateLimitExceeded", "global"),
    "concurrent_429": (429, "rateLimitExceeded", "global"),
    "invalid_credentials_401": (401, "authError", "global"),
    "insufficient_scope_403": (403, "insufficientPermissions", "global"),
    "domain_policy_403": (403, "domainPolicy", "global"),
    "api_disabled_403": (403, "accessNotConfigured", "usageLimits"),
    "mail_not_enabled_400": (400, "failedPrecondition", "global"),
    "backend_error": (500, "backendError", "global"),
    "not_found_404": (404, "notFound", "global"),
}
REFUSED_MAIL = {
    "invalid_recipient_400": (400, "invalidArgument"),
    "too_large_413": (413, "uploadTooLarge"),
    "delegation_denied_403": (403, "forbidden"),
}
TOKEN_ERRORS = {
    "token_error": (400, "invalid_grant"),
    "token_revoked": (400, "invalid_grant"),
    "token_unknown": (400, "invalid_grant"),
    "token_invalid_rapt": (400, "invalid_grant"),
    "token_admin_policy_enforced": (400, "admin_policy_enforced"),
    "token_account_deleted": (400, "invalid_grant"),
    "token_invalid_client": (401, "invalid_client"),
    "token_deleted_client": (401, "deleted_client"),
    "token_unauthorized_client": (401, "unauthorized_client"),
    "token_rate_limited": (403, "rate_limit_exceeded"),
    "token_too_many_requests": (429, "quota_exceeded"),
    "token_unavailable": (503, "internal_failure"),
}
TOKEN_FIELDS = {
    "token_expires_in": "expires_in",
    "token_scope": "scope",
    "token_refresh_token": "refresh_token",
    "token_id_token": "id_token",
    "token_access_token": "access_token",
    "token_type": "token_type",
}
PAGES = {
    "consent_admin_policy_enforced": "admin_policy_enforced",
    "consent_org_internal": "org_internal",
    "consent_disallowed_useragent": "disallowed_useragent",
}
ELSEWHERE = {
    "sending_429", "history_404", "page_token_expired", "history_duplicated", "history_reordered",
    "history_empty_page", "delete_on_get", "trash_on_get", "move_on_get", "batch_parts_missing",
    "batch_parts_reordered", "batch_without_content_ids", "batch_part_garbled",
    "batch_part_doubled", "revoke_unavailable", "slow", "cut_body", "cut_after_work",
    "cut_before_work", "status", "html", "broken_json", "not_an_object", "empty_body", "redirect",
    "huge_body", "gzip_bomb",
}  # fmt: skip
"""Provoked by the tests below, by name."""


def test_no_fault_is_left_untried(google):
    # Those of what goes out are tried in test_google_push.
    kinds = google.simulator.faults.kinds
    known = {name for name, kind in kinds.items() if not kind.is_push}
    assert known == {*REFUSALS, *REFUSED_MAIL, *TOKEN_ERRORS, *TOKEN_FIELDS, *PAGES, *ELSEWHERE}


def test_the_readme_names_every_fault_and_its_parameters(google):
    text = README.read_text()
    for name, parameters in google.control("GET", "/faults").json["known"].items():
        for word in (name, *parameters):
            assert f"`{word}`" in text, word


def arm(google, fault, **more):
    answer = google.control("POST", "/faults", {"fault": fault, **more})
    assert answer.status == 200, answer.body
    return answer.json


@pytest.fixture
def made(google):
    return google.mail().deliver(letter())


@pytest.fixture
def get(google, made):
    token = google.token()
    return lambda: google.api("GET", f"messages/{made}?format=minimal", token)


# ---- when a fault strikes ---------------------------------------------------------------------


def test_a_fault_strikes_so_many_requests_after_so_many(google, get):
    armed = arm(google, "rate_limit_429", times=2, after=1)
    assert [get().status for _ in range(5)] == [200, 429, 429, 200, 200]
    [shown] = google.control("GET", "/faults").json["armed"]
    assert (shown["id"], shown["struck"], shown["times"]) == (armed["id"], 2, 0)


def test_a_fault_without_a_number_strikes_until_it_is_disarmed(google, get):
    armed = arm(google, "rate_limit_429", times=None)
    assert [get().status for _ in range(3)] == [429] * 3
    assert google.control("DELETE", f"/faults/{armed['id']}").status == 200
    assert get().status == 200
    arm(google, "rate_limit_429", times=None)
    google.control("DELETE", "/faults")
    assert get().status == 200


def test_a_fault_is_narrowed_to_a_route_or_a_user(google, get):
    arm(google, "rate_limit_429", route="^GET .*/history$")
    arm(google, "rate_limit_403", user=BOB)
    assert get().status == 200
    assert google.api("GET", "profile", google.token(address=BOB)).status == 403
    assert google.api("GET", "history?startHistoryId=1", google.token()).status == 429
    assert google.simulator.log.entries()[-1].fault == "rate_limit_429"


def test_a_wrong_fault_is_told_what_is_known(google):
    for body, hint in (
        ({"fault": "nonsense"}, "rate_limit_429"),
        ({}, "rate_limit_429"),
        ({"fault": "slow", "minutes": 1}, "seconds"),
        ({"fault": "slow", "route": "("}, "regular expression"),
    ):
        answer = google.control("POST", "/faults", body)
        assert answer.status == 400
        assert hint in answer.json["error"]


# ---- the API ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", REFUSALS)
def test_the_api_refuses_as_google_does(google, get, fault):
    arm(google, fault)
    answer = get()
    error = answer.error["errors"][0]
    assert (answer.status, error["reason"], error["domain"]) == REFUSALS[fault]
    assert answer.error["code"] == answer.status
    assert "Retry-After" not in answer.headers
    assert get().status == 200


@pytest.mark.parametrize("fault", ["rate_limit_403", "rate_limit_429", "backend_error"])
def test_a_refusal_may_say_when_to_come_back(google, get, fault):
    arm(google, fault, retry_after=17)
    assert get().headers["Retry-After"] == "17"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_the_backend_fails_with_each_status(google, get, status):
    arm(google, "backend_error", status=status)
    assert get().status == status


def test_a_ban_names_its_end_in_words(google, get):
    arm(google, "user_rate_limit_429", seconds=600)
    assert "Retry after 20" in get().error["message"]


def test_the_sending_limit_strikes_sending_only(google, get):
    arm(google, "sending_429")
    assert get().status == 200
    body = {"raw": base64url(letter(to=BOB))}
    answer = google.api("POST", "messages/send", google.token(), body=body)
    assert answer.status == 429
    assert "(Mail sending)" in answer.error["message"]
    assert google.mail(BOB).messages() == []


@pytest.mark.parametrize("fault", REFUSED_MAIL)
def test_a_mail_is_refused_and_stays_a_draft(google, fault):
    token = google.token()
    draft = {"message": {"raw": base64url(letter(to=BOB))}}
    made = google.api("POST", "drafts", token, body=draft).json["id"]
    for path, body in (("drafts", draft), ("drafts/send", {"id": made})):
        arm(google, fault)
        answer = google.api("POST", path, token, body=body)
        assert (answer.status, answer.reason) == REFUSED_MAIL[fault]
    assert google.mail(BOB).messages() == []
    assert google.api("POST", "drafts/send", token, body={"id": made}).status == 200


def test_history_can_be_gone(google, get):
    start = google.mail().history_id()
    arm(google, "history_404")
    assert get().status == 200
    path = f"history?startHistoryId={start}"
    assert google.api("GET", path, google.token()).status == 404
    assert google.api("GET", path, google.token()).status == 200


def test_a_page_token_can_expire_between_two_pages(google):
    for number in range(3):
        google.mail().deliver(letter(number))
    arm(google, "page_token_expired", times=None)
    first = google.api("GET", "messages?maxResults=1", google.token())
    path = f"messages?maxResults=1&pageToken={first.json['nextPageToken']}"
    assert google.api("GET", path, google.token()).error["message"] == "Invalid pageToken"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("history_duplicated", [0, 1, 0, 1]),
        ("history_reordered", [1, 0]),
        ("history_empty_page", []),
    ],
)
def test_history_records_come_twice_or_out_of_order_or_not(google, fault, expected):
    start = google.mail().history_id()
    made = [google.mail().deliver(letter(n)) for n in range(2)]
    arm(google, fault)
    found = google.api("GET", f"history?startHistoryId={start}", google.token()).json["history"]
    assert [made.index(record["messages"][0]["id"]) for record in found] == expected


@pytest.mark.parametrize(
    ("fault", "status", "folders"),
    [
        ("delete_on_get", 404, None),
        ("trash_on_get", 200, ["TRASH"]),
        ("move_on_get", 200, []),
    ],
)
def test_a_message_goes_between_its_list_and_its_get(google, get, fault, status, folders):
    arm(google, fault)
    assert get().status == status
    left = google.mail().messages()
    assert [list(m.folders) for m in left] == ([] if folders is None else [folders])


# ---- batches ----------------------------------------------------------------------------------


def test_some_parts_of_a_batch_fail(google, made):
    arm(google, "rate_limit_429", after=1, times=2)
    parts = [part(f"/gmail/v1/users/me/messages/{made}", str(n)) for n in range(4)]
    _, found = send_batch(google, parts, google.token())
    assert [status for _, status, _ in found] == [200, 429, 429, 200]


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        ("batch_parts_missing", ["0", "1"]),
        ("batch_parts_reordered", ["2", "1", "0"]),
        ("batch_part_doubled", ["0", "1", "2", "0"]),
        ("batch_without_content_ids", ["", "", ""]),
    ],
)
def test_a_batch_answers_too_little_too_much_or_in_any_order(google, made, fault, names):
    arm(google, fault)
    parts = [part(f"/gmail/v1/users/me/messages/{made}", str(n)) for n in range(3)]
    _, found = send_batch(google, parts, google.token())
    assert [name for name, _, _ in found] == [f"<response-{n}>" if n else "" for n in names]


def test_a_part_of_a_batch_is_garbled(google, made):
    arm(google, "batch_part_garbled")
    body = f"--b\r\n{part(f'/gmail/v1/users/me/messages/{made}', '1')}\r\n--b--\r\n".encode()
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    answer = google.ask("POST", "/batch", token=google.token(), body=body, headers=headers)
    assert answer.status == 200
    assert b"what?" in answer.body


# ---- OAuth ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", TOKEN_ERRORS)
def test_the_token_endpoint_refuses_on_demand(google, fault):
    refresh = google.connect().refresh
    arm(google, fault)
    answer = google.refresh(refresh)
    assert (answer.status, answer.json["error"]) == TOKEN_ERRORS[fault]
    assert (answer.json.get("error_subtype") == "invalid_rapt") == (fault == "token_invalid_rapt")
    assert google.refresh(refresh).status == 200


def test_any_token_error_can_be_made(google):
    refresh = google.connect().refresh
    arm(google, "token_error", error="invalid_scope", description="d", subtype="s", status=418)
    answer = google.refresh(refresh)
    assert answer.status == 418
    assert answer.json == {"error": "invalid_scope", "error_description": "d", "error_subtype": "s"}


@pytest.mark.parametrize("fault", TOKEN_FIELDS)
def test_a_field_of_the_token_answer_is_missing_or_odd(google, fault):
    refresh = google.connect().refresh
    for value in (None, "odd", -1):
        arm(google, fault, value=value)
        answer = google.refresh(refresh)
        assert answer.status == 200
        assert answer.json.get(TOKEN_FIELDS[fault]) == value


@pytest.mark.parametrize("fault", PAGES)
def test_consent_ends_on_a_page_that_never_comes_back(google, fault):
    arm(google, fault)
    answer = google.browser.open()
    assert answer.status == 403
    assert PAGES[fault] in answer.body.decode()


def test_revocation_can_be_out_of_order(google):
    found = google.connect()
    arm(google, "revoke_unavailable")
    form = {"token": found.refresh}
    assert google.ask("POST", "/revoke", form=form).status == 503
    assert google.ask("POST", "/revoke", form=form).status == 200


# ---- any service ------------------------------------------------------------------------------


def test_a_slow_answer_is_waited_for(google, get):
    arm(google, "slow", seconds=30, route="^GET /gmail")
    with pytest.raises((TimeoutError, urllib.error.URLError)):
        ask("GET", f"{google.root}/gmail/v1/users/me/profile", timeout=0.2)
    assert get().status == 200


def test_an_answer_is_cut_in_the_middle(google, made, get):
    arm(google, "cut_body", after_bytes=5)
    with pytest.raises(http.client.IncompleteRead) as raised:
        get()
    assert len(raised.value.partial) == 5


@pytest.mark.parametrize(
    ("fault", "is_done"), [("cut_after_work", True), ("cut_before_work", False)]
)
def test_the_line_goes_dead_and_nobody_says_whether_it_was_sent(google, fault, is_done):
    arm(google, fault, route="/send$")
    with pytest.raises((http.client.RemoteDisconnected, urllib.error.URLError)):
        google.api("POST", "messages/send", google.token(), body={"raw": base64url(letter(to=BOB))})
    assert len(google.mail(BOB).messages()) == int(is_done)


def test_answers_are_no_json(google, get):
    right = get().body
    arm(google, "html")
    assert get().headers["Content-Type"].startswith("text/html")
    arm(google, "broken_json")
    broken = get().body
    assert right.startswith(broken)
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken)
    arm(google, "not_an_object")
    assert get().json == []
    arm(google, "empty_body")
    assert get().body == b""


def test_answers_come_from_elsewhere_or_with_any_status(google, get):
    arm(google, "redirect", status=307, location="https://elsewhere.invalid/x")
    found = get()
    assert (found.status, found.headers["Location"]) == (307, "https://elsewhere.invalid/x")
    arm(google, "status", status=418, body="teapot", retry_after=3)
    found = get()
    assert (found.status, found.body, found.headers["Retry-After"]) == (418, b"teapot", "3")


def test_answers_are_huge_or_become_so(google, get):
    arm(google, "huge_body", mebibytes=2)
    assert len(get().json["padding"]) == 2 * 1024 * 1024
    arm(google, "gzip_bomb", mebibytes=4)
    bomb = get()
    assert bomb.headers["Content-Encoding"] == "gzip"
    assert len(bomb.body) < 20_000
    assert len(gzip.decompress(bomb.body)) > 4 * 1024 * 1024


def test_a_valid_token_is_refused_and_then_taken(google):
    found = google.connect(MODIFY)
    arm(google, "invalid_credentials_401", user=ADA)
    assert google.api("GET", "profile", found.access).status == 401
    assert google.api("GET", "profile", found.access).status == 200
