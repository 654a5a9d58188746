"""Connecting through a provider's sign-in, by HTTP, and everything somebody else may try with it."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from shared.domain.connecting import Outcome
from shared.domain.errors import (
    ConfigurationError,
    ErrorCode,
    ReconnectRequiredError,
    RetryLaterError,
    StoreThrottledError,
)
from shared.domain.ids import FolderId, MailboxId, UserId
from shared.domain.mailbox import MailboxStatus, Provider, Readers
from shared.domain.secret import Secret
from shared.ports.sign_in import OAuthClient
from tests.fakes.deployment import http_event
from tests.fakes.mail import add_mailbox
from tests.fakes.sign_in import OURS, rewritten, with_nonce

HERE = "https://app.example/settings?tab=mail"
ANN = "ann@ours.example"
COOKIE = "__Host-mailroom-attempt"
GMAIL, OUTLOOK = Provider.GMAIL, Provider.OUTLOOK


@pytest.fixture
def accounts(app):
    for fake in app.accounts.values():
        fake.add(ANN)
        fake.add("eve@else.example")
    return app.accounts[GMAIL]


def begin(app, *, provider="gmail", headers=None, tenant="acme", user="ann", roles=None, **body):
    return app.ask(
        "POST",
        "/v1/mailboxes/authorize",
        body={"provider": provider, "return_url": HERE, **body},
        headers=headers,
        tenant=tenant,
        user=user,
        roles=roles,
    )


def cookie_of(answer):
    (cookie,) = answer.cookies
    return cookie.split(";")[0]


def come_back(app, query, *cookies, provider="gmail", headers=None):
    """A browser arrives from the provider: no token, whatever cookies it holds."""
    target = f"/v1/oauth/{provider}/callback"
    return app.handle(http_event("GET", target, query=query, cookies=cookies, headers=headers))


def outcome_of(answer):
    assert answer.status == 302, answer.text
    assert answer.text == ""
    where = urlsplit(answer.headers["Location"])
    assert f"{where.scheme}://{where.netloc}{where.path}" == "https://app.example/settings"
    query = dict(parse_qsl(where.query))
    assert query.pop("tab") == "mail"
    return query, dict(parse_qsl(where.fragment))


def confirm(app, fragment, *, user="ann", tenant="acme", **changes):
    return app.ask(
        "POST",
        "/v1/mailboxes/authorize/complete",
        body={**fragment, **changes},
        user=user,
        tenant=tenant,
    )


def connect(app, accounts, address=ANN, **body):
    begun = begin(app, provider=str(accounts.provider), **body)
    assert begun.status == 200, begun.text
    answer = accounts.allow(begun.json["authorize_url"], address)
    query, _ = outcome_of(come_back(app, answer, cookie_of(begun), provider=str(accounts.provider)))
    return query


def boxes(app):
    return sorted(app.world.mailboxes.values(), key=lambda box: box.id)


def nothing_happened(app, accounts):
    return (boxes(app), app.secrets.secrets, accounts.redeemed, app.queues.syncs) == (
        [],
        {},
        [],
        [],
    )


# ---- the way it is meant ----


def test_the_browser_that_began_comes_back_to_a_connected_mailbox(app, accounts):
    begun = begin(app, backfill_days=30, display_name="Ann")
    assert begun.status == 200
    assert begun.json["expires_at"].startswith("2026-03-01T12:10:00")
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    query, fragment = outcome_of(come_back(app, answer, cookie_of(begun)))
    (box,) = boxes(app)
    assert query == {
        "mailroom_outcome": "connected",
        "mailroom_provider": "gmail",
        "mailbox_id": box.id,
    }
    assert fragment == {}
    assert (box.provider, box.address, box.status) == (GMAIL, ANN, MailboxStatus.ACTIVE)
    assert (box.subject, box.owner_user_id) == (accounts.subjects[ANN], "ann")
    assert (box.display_name, box.imap, box.smtp) == ("Ann", None, None)
    assert (len(app.queues.syncs), len(app.queues.plans)) == (1, 1)


def test_the_cookie_is_this_host_s_alone_and_lives_as_long_as_the_attempt(app, accounts):
    begun = begin(app)
    (cookie,) = begun.cookies
    assert cookie.startswith(f"{COOKIE}=")
    flags = [part.strip() for part in cookie.split(";")[1:]]
    assert set(flags) == {"Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=600"}
    assert len(cookie_of(begun).partition("=")[2]) >= 40
    (attempt,) = app.attempts.attempts.values()
    assert cookie_of(begun).partition("=")[2] not in repr(attempt)


def test_a_front_end_elsewhere_confirms_with_its_user_s_token(app, accounts):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    query, fragment = outcome_of(come_back(app, answer))
    assert query == {"mailroom_outcome": "confirm", "mailroom_provider": "gmail"}
    assert fragment == {
        "provider": "gmail",
        "state": answer["state"],
        "code": answer["code"],
        "iss": answer["iss"],
    }
    assert nothing_happened(app, accounts)
    done = confirm(app, fragment)
    assert done.status == 201, done.text
    assert (done.json["provider"], done.json["address"]) == ("gmail", ANN)
    assert (done.json["imap"], done.json["smtp"]) == (None, None)
    assert done.headers["Location"] == f"/v1/mailboxes/{done.json['id']}"


def test_outlook_connects_the_same_way(app, accounts):
    query = connect(app, app.accounts[OUTLOOK])
    assert query["mailroom_outcome"] == "connected"
    assert boxes(app)[0].provider is OUTLOOK


def test_a_tenants_own_client_is_used_before_the_operators(app, accounts):
    own = OAuthClient("client-of-acme", Secret("also-not-real"))
    app.oauth_clients.tenants["acme", GMAIL] = own
    accounts.secrets[own.client_id] = own.client_secret
    asked = parse_qs(urlsplit(begin(app).json["authorize_url"]).query)
    assert asked["client_id"] == ["client-of-acme"]
    asked = parse_qs(urlsplit(begin(app, tenant="other").json["authorize_url"]).query)
    assert asked["client_id"] == [OURS.client_id]
    assert connect(app, accounts)["mailroom_outcome"] == "connected"


def test_the_address_fills_in_the_form_and_decides_nothing(app, accounts):
    begun = begin(app, address="someone@else.example")
    assert "login_hint=someone%40else.example" in begun.json["authorize_url"]
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    come_back(app, answer, cookie_of(begun))
    assert boxes(app)[0].address == ANN


def test_no_answer_tells_where_it_came_from_or_is_kept(app, accounts):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    for got in (begun, come_back(app, {}), come_back(app, answer, cookie_of(begun))):
        assert got.headers["Referrer-Policy"] == "no-referrer"
        assert got.headers["Cache-Control"] == "no-store"
        assert got.headers["X-Content-Type-Options"] == "nosniff"


# ---- T7: whose attempt it is ----


def test_a_victim_who_follows_an_attacker_s_link_connects_nothing_for_the_attacker(app, accounts):
    begun = begin(app, user="mallory", tenant="mallorys")
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    query, fragment = outcome_of(come_back(app, answer))
    assert query["mailroom_outcome"] == "confirm"
    refused = confirm(app, fragment, user="ann", tenant="acme")
    assert (refused.status, refused.json["code"]) == (403, "attempt_not_yours")
    assert nothing_happened(app, accounts)


def test_an_attacker_s_code_in_a_victim_s_browser_connects_nothing_for_the_victim(app, accounts):
    of_victim = begin(app)
    of_attacker = begin(app, user="mallory", tenant="mallorys")
    answer = accounts.allow(of_attacker.json["authorize_url"], "eve@else.example")
    query, fragment = outcome_of(come_back(app, answer, cookie_of(of_victim)))
    assert query["mailroom_outcome"] == "confirm"
    assert confirm(app, fragment).json["code"] == "attempt_not_yours"
    assert nothing_happened(app, accounts)


@pytest.mark.parametrize(
    ("user", "tenant"), [("bob", "acme"), ("ann", "other"), ("mallory", "mallorys")]
)
def test_nobody_else_s_token_finishes_an_attempt_and_nothing_is_used_up(
    app, accounts, user, tenant
):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    _, fragment = outcome_of(come_back(app, answer))
    refused = confirm(app, fragment, user=user, tenant=tenant)
    assert (refused.status, refused.json["code"]) == (403, "attempt_not_yours")
    assert nothing_happened(app, accounts)
    assert confirm(app, fragment).status == 201


def test_a_confirmation_needs_a_token(app, accounts):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    _, fragment = outcome_of(come_back(app, answer))
    event = http_event(
        "POST", "/v1/mailboxes/authorize/complete", body=fragment, cookies=[cookie_of(begun)]
    )
    assert app.handle(event).status == 401
    assert nothing_happened(app, accounts)


@pytest.mark.parametrize(
    "cookies",
    [
        [],
        [f"{COOKIE}="],
        [f"{COOKIE}=guessed"],
        ["mailroom-attempt={value}"],
        ["__Host-mailroom-attempt-x={value}"],
        ["__Secure-mailroom-attempt={value}"],
        [f"{COOKIE}={{value}}x"],
    ],
)
def test_without_the_very_cookie_nothing_is_redeemed(app, accounts, cookies):
    begun = begin(app)
    value = cookie_of(begun).partition("=")[2]
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    given = [one.format(value=value) for one in cookies]
    query, _ = outcome_of(come_back(app, answer, *given))
    assert query["mailroom_outcome"] == "confirm"
    assert nothing_happened(app, accounts)


def test_a_cookie_is_found_among_others_and_in_a_header(app, accounts):
    for given in ("list", "header"):
        begun = begin(app)
        answer = accounts.allow(begun.json["authorize_url"], ANN)
        all_of_them = ["theme=dark", f"{COOKIE}=of-an-older-attempt", cookie_of(begun)]
        if given == "list":
            got = come_back(app, answer, *all_of_them)
        else:
            got = come_back(app, answer, headers={"cookie": "; ".join(all_of_them)})
        assert outcome_of(got)[0]["mailroom_outcome"] in {"connected", "already_connected"}


def test_a_state_of_128_random_bits_is_not_found_by_another(app, accounts):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    for state in ("", "x", answer["state"][:-1], answer["state"].upper()):
        got = come_back(app, rewritten(answer, state=state), cookie_of(begun))
        assert (got.status, "Location" in got.headers) == (400, False)
        assert confirm(app, {"provider": "gmail", "state": state or "y", "code": "c"}).status == 410
    assert nothing_happened(app, accounts)


def test_an_attempt_is_over_after_ten_minutes(app, accounts):
    for way in ("cookie", "token"):
        begun = begin(app)
        answer = accounts.allow(begun.json["authorize_url"], ANN)
        app.clock.advance(minutes=10)
        if way == "cookie":
            query, fragment = outcome_of(come_back(app, answer, cookie_of(begun)))
            assert (query["mailroom_outcome"], fragment) == ("attempt_expired", {})
        else:
            body = {"provider": "gmail", "state": answer["state"], "code": answer["code"]}
            refused = confirm(app, body)
            assert (refused.status, refused.json["code"]) == (410, "attempt_expired")
    assert nothing_happened(app, accounts)


def test_an_attempt_the_store_has_forgotten_ends_on_a_page_of_ours(app, accounts):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    app.attempts.attempts.clear()
    got = come_back(app, answer, cookie_of(begun))
    assert got.status == 400
    assert got.headers["Content-Type"].startswith("text/html")
    assert got.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert answer["code"] not in got.text
    assert "Location" not in got.headers


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"code": "c"},
        {"state": "<script>alert(1)</script>", "code": "<b>"},
        {"error": "access_denied", "error_description": "<script>alert(1)</script>"},
        {"state": "s" * 9_000},
        {"admin_consent": "True", "tenant": "<script>", "error": "x"},
    ],
)
def test_a_page_shows_nothing_of_what_the_request_brought(app, accounts, query):
    got = come_back(app, query)
    assert got.status == 400
    assert "script" not in got.text
    assert got.text == come_back(app, {}).text


def test_an_administrator_who_approved_is_thanked_and_believed_in_nothing(app, accounts):
    got = come_back(app, {"admin_consent": "True", "tenant": "<script>"}, provider="outlook")
    assert got.status == 200
    assert "Thank you" in got.text
    assert "script" not in got.text


# ---- once, and told again ----


def test_a_double_click_gets_the_same_outcome_and_redeems_once(app, accounts):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    first = come_back(app, answer, cookie_of(begun))
    again = come_back(app, answer, cookie_of(begun))
    without = come_back(app, answer)
    assert first.headers["Location"] == again.headers["Location"] == without.headers["Location"]
    assert len(accounts.redeemed) == 1
    body = {"provider": "gmail", "state": answer["state"], "code": answer["code"]}
    assert confirm(app, body).status == 201
    assert len(boxes(app)) == len(accounts.redeemed) == len(app.queues.syncs) == 1


def test_a_second_confirmation_gets_the_same_mailbox(app, accounts):
    begun = begin(app)
    _, fragment = outcome_of(come_back(app, accounts.allow(begun.json["authorize_url"], ANN)))
    assert confirm(app, fragment).json == confirm(app, fragment).json
    assert len(accounts.redeemed) == 1


def test_one_that_comes_while_the_first_is_at_work_waits_for_its_outcome(
    app, accounts, monkeypatch
):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    state, waits = answer["state"], []
    app.attempts.take(state, owner="first", now=app.clock.now())

    def first_ends_in_time(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            app.attempts.end(state, Outcome(MailboxId("OFTHEFIRST")))

    monkeypatch.setattr(app.clock, "advance", first_ends_in_time)
    query, _ = outcome_of(come_back(app, answer, cookie_of(begun)))
    assert (query["mailroom_outcome"], query["mailbox_id"]) == ("connected", "OFTHEFIRST")
    assert len(waits) == 3
    assert accounts.redeemed == []


def test_nobody_waits_longer_than_a_browser_would(app, accounts, monkeypatch):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    app.attempts.take(answer["state"], owner="first", now=app.clock.now())
    waits = []
    monkeypatch.setattr(app.clock, "advance", waits.append)
    query, _ = outcome_of(come_back(app, answer, cookie_of(begun)))
    assert query["mailroom_outcome"] == "attempt_expired"
    assert sum(waits) == 20


def test_one_that_died_at_work_is_not_waited_for(app, accounts):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    app.attempts.take(answer["state"], owner="dead", now=app.clock.now())
    app.clock.advance(31)
    at = app.clock.at
    query, _ = outcome_of(come_back(app, answer, cookie_of(begun)))
    assert query["mailroom_outcome"] == "attempt_expired"
    assert app.clock.at == at
    assert nothing_happened(app, accounts)


def test_a_failure_is_told_again_too_and_logged_with_its_cause(app, accounts, caplog):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    failure = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE, cause="503 backendError")
    accounts.failure = ("complete", failure)
    _, fragment = outcome_of(come_back(app, answer))
    first = confirm(app, fragment)
    (line,) = (one for one in caplog.records if one.getMessage() == "sign_in_failed")
    assert (line.provider, line.tenant_id, line.cause) == ("gmail", "acme", "503 backendError")
    assert line.request_id == first.json["request_id"]
    accounts.failure = None
    again = confirm(app, fragment)
    for answered in (first, again):
        # No 503: what is over succeeds by no repetition, and nobody tries it again.
        assert (answered.status, answered.json["code"]) == (409, "provider_unavailable")
        assert answered.json["fix"].startswith("Connect again from the start")
        assert "retry-after" not in {name.lower() for name in answered.headers}
    query, _ = outcome_of(come_back(app, answer, cookie_of(begun)))
    assert query["mailroom_outcome"] == "provider_unavailable"
    assert nothing_happened(app, accounts)


# ---- T8, T9, T13: code, provider, nonce ----


def test_a_code_of_another_attempt_does_not_fit_its_verifier(app, accounts):
    begun, other = begin(app), begin(app, user="mallory", tenant="mallorys")
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    theirs = accounts.allow(other.json["authorize_url"], "eve@else.example")
    got = come_back(app, rewritten(answer, code=theirs["code"]), cookie_of(begun))
    assert outcome_of(got)[0]["mailroom_outcome"] == "attempt_expired"
    assert nothing_happened(app, accounts)


def test_the_challenge_is_never_plain_and_the_verifier_goes_to_nobody(app, accounts):
    begun = begin(app)
    asked = parse_qs(urlsplit(begun.json["authorize_url"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    (attempt,) = app.attempts.attempts.values()
    assert attempt.kept.reveal() not in begun.text
    assert "verifier" not in begun.text


def test_the_answer_of_one_provider_does_nothing_at_the_other_s_address(app, accounts):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    got = come_back(app, answer, cookie_of(begun), provider="outlook")
    query, fragment = outcome_of(got)
    assert (query["mailroom_outcome"], fragment) == ("attempt_not_yours", {})
    body = {"provider": "outlook", "state": answer["state"], "code": answer["code"]}
    assert confirm(app, body).json["code"] == "attempt_not_yours"
    assert nothing_happened(app, accounts)
    got = come_back(app, answer, cookie_of(begun))
    assert outcome_of(got)[0]["mailroom_outcome"] == "connected"


def test_each_provider_has_a_redirect_uri_of_its_own(app, accounts):
    uris = {
        name: parse_qs(urlsplit(begin(app, provider=name).json["authorize_url"]).query)[
            "redirect_uri"
        ]
        for name in ("gmail", "outlook")
    }
    assert uris == {
        name: [f"https://api.example/v1/oauth/{name}/callback"] for name in ("gmail", "outlook")
    }


def test_another_issuer_is_refused(app, accounts):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    got = come_back(app, rewritten(answer, iss="https://evil.example"), cookie_of(begun))
    assert outcome_of(got)[0]["mailroom_outcome"] == "attempt_expired"
    assert nothing_happened(app, accounts)


def test_an_id_token_with_another_nonce_is_refused(app, accounts):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    with_nonce(accounts, answer["code"], "another")
    got = come_back(app, answer, cookie_of(begun))
    assert outcome_of(got)[0]["mailroom_outcome"] == "attempt_expired"
    assert (boxes(app), app.secrets.secrets) == ([], {})


def test_who_signed_in_is_the_subject_and_never_the_address(app, accounts):
    connect(app, accounts)
    accounts.add(ANN, subject="somebody-else-with-the-same-address")
    assert connect(app, accounts)["mailroom_outcome"] == "connected"
    assert [box.address for box in boxes(app)] == [ANN, ANN]
    accounts.subjects = {"renamed@ours.example": boxes(app)[0].subject}
    assert connect(app, accounts, "renamed@ours.example")["mailroom_outcome"] == "already_connected"


def test_a_microsoft_client_info_in_the_callback_goes_nowhere(app, accounts):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    _, fragment = outcome_of(come_back(app, {**answer, "client_info": "forged", "other": "x"}))
    assert set(fragment) == {"provider", "state", "code", "iss"}
    refused = confirm(app, {**fragment, "client_info": "forged"})
    assert (refused.status, refused.json["errors"][0]["field"]) == (400, "client_info")


# ---- T10, T11: where people come back to ----


@pytest.mark.parametrize("header", ["host", "x-forwarded-host", "x-forwarded-proto", "forwarded"])
def test_no_header_changes_the_redirect_uri(app, accounts, header, monkeypatch):
    begun = begin(app, headers={header: "evil.example"})
    assert "evil" not in begun.text
    (attempt,) = app.attempts.attempts.values()
    assert attempt.redirect_uri == "https://api.example/v1/oauth/gmail/callback"


@pytest.mark.parametrize(
    "url",
    [
        "//evil.example",
        "/\\evil.example",
        "https:evil.example",
        "%2f%2fevil.example",
        "https://app.example@evil.example/",
        "https://app.example/\r\nSet-Cookie: a=b",
        "http://app.example/",
        "https://app.example/#x",
        "javascript:alert(1)",
        "https://evil.example/",
        "",
    ],
)
def test_a_return_url_that_is_not_ours_begins_nothing(app, accounts, url):
    refused = begin(app, return_url=url)
    assert (refused.status, refused.json["code"]) == (400, "return_url_not_allowed")
    assert refused.cookies == []
    assert "evil" not in refused.text
    assert app.attempts.attempts == {}


def test_loopback_is_for_the_stack_on_one_machine(app, accounts):
    here = "http://localhost:3000/x"
    assert begin(app, return_url=here).json["code"] == "return_url_not_allowed"
    app.sign_ins = replace(app.sign_ins, allow_loopback=True)
    assert begin(app, return_url=here).status == 200


# ---- named failures ----


def test_a_person_who_declines_comes_back_told_so_whatever_browser_they_use(app, accounts):
    for with_cookie in (True, False):
        begun = begin(app)
        answer = accounts.deny(begun.json["authorize_url"])
        got = come_back(app, answer, *([cookie_of(begun)] if with_cookie else []))
        query, fragment = outcome_of(got)
        assert query == {
            "mailroom_outcome": "consent_declined",
            "mailroom_provider": "gmail",
            "mailroom_request_id": "request-of-gateway",
        }
        assert fragment == {}
    assert nothing_happened(app, accounts)


def test_an_error_that_brings_a_code_too_redeems_nothing_without_the_cookie(
    app, accounts, monkeypatch
):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    seen = []
    complete = accounts.complete
    monkeypatch.setattr(
        accounts, "complete", lambda *given, **how: seen.append(given[2]) or complete(*given, **how)
    )
    come_back(app, {**answer, "error": "server_error"})
    assert [set(one) & {"code"} for one in seen] == [set()]
    assert nothing_happened(app, accounts)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError(ErrorCode.ADMIN_CONSENT_REQUIRED), "admin_consent_required"),
        (ConfigurationError(ErrorCode.ACCESS_BLOCKED), "access_blocked"),
        (ConfigurationError(ErrorCode.CLIENT_REJECTED), "client_rejected"),
        (RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE), "provider_unavailable"),
        (ReconnectRequiredError(ErrorCode.SIGN_IN_REQUIRED), "sign_in_required"),
        (RuntimeError("secret-of-a-library"), "internal"),
    ],
)
def test_each_failure_of_a_provider_has_its_name(app, accounts, error, code, caplog):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    accounts.failure = ("complete", error)
    query, _ = outcome_of(come_back(app, answer, cookie_of(begun)))
    assert query["mailroom_outcome"] == code
    (line,) = (one for one in caplog.records if one.getMessage() == "sign_in_failed")
    assert query["mailroom_request_id"] == line.request_id == "request-of-gateway"
    assert nothing_happened(app, accounts)


def test_where_an_administrator_must_approve_the_link_comes_along(app, accounts):
    outlook = app.accounts[OUTLOOK]
    outlook.failure = ("complete", ConfigurationError(ErrorCode.ADMIN_CONSENT_REQUIRED))
    url = f"{outlook.issuer}/adminconsent?client_id={OURS.client_id}"
    query = connect(app, outlook)
    assert query["mailroom_admin_consent_url"] == url
    begun = begin(app, provider="outlook")
    answer = outlook.allow(begun.json["authorize_url"], ANN)
    _, fragment = outcome_of(come_back(app, answer, provider="outlook"))
    for _ in range(2):
        refused = confirm(app, fragment)
        assert (refused.status, refused.json["code"]) == (409, "admin_consent_required")
        assert refused.json["admin_consent_url"] == url


def test_a_permission_left_out_connects_nothing(app, accounts):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN, scopes=("openid", "email"))
    query, _ = outcome_of(come_back(app, answer, cookie_of(begun)))
    assert query["mailroom_outcome"] == "scope_missing"
    assert (boxes(app), app.secrets.secrets) == ([], {})


def test_an_account_without_mail_is_named_and_its_grant_given_back(app, accounts):
    accounts.failure = ("address", ConfigurationError(ErrorCode.PROVIDER_API_DISABLED))
    assert connect(app, accounts)["mailroom_outcome"] == "provider_api_disabled"
    assert (boxes(app), app.secrets.secrets, accounts.grants) == ([], {}, {})
    assert len(accounts.revoked) == 1


def test_an_account_that_is_connected_already_keeps_its_living_grant(app, accounts):
    connect(app, accounts)
    (kept,) = app.secrets.secrets.values()
    query = connect(app, accounts)
    assert query["mailroom_outcome"] == "already_connected"
    assert list(app.secrets.secrets.values()) == [kept]
    assert accounts.revoked == []
    assert connect(app, accounts, tenant="other")["mailroom_outcome"] == "connected"


def test_without_a_registration_nobody_is_sent_anywhere(app, accounts):
    app.oauth_clients.operators.clear()
    refused = begin(app)
    assert (refused.status, refused.json["code"]) == (502, "client_missing")
    assert refused.json["acts"] == "operator"
    assert (refused.cookies, app.attempts.attempts) == ([], {})


def test_a_registration_that_went_away_meanwhile_is_named(app, accounts):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    app.oauth_clients.operators[GMAIL] = OAuthClient("a-newer-client", Secret("x"))
    query, _ = outcome_of(come_back(app, answer, cookie_of(begun)))
    assert query["mailroom_outcome"] == "client_missing"
    assert nothing_happened(app, accounts)


def test_a_busy_store_uses_nothing_up(app, accounts):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    app.attempts.failure = StoreThrottledError()
    got = come_back(app, answer, cookie_of(begun))
    assert (got.status, "Location" in got.headers) == (503, False)
    assert got.headers["Retry-After"]
    # Nobody tries a sign-in again but the person.
    assert "by itself" not in got.text
    app.attempts.failure = None
    assert (
        outcome_of(come_back(app, answer, cookie_of(begun)))[0]["mailroom_outcome"] == "connected"
    )


# ---- what may be wished for ----


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"provider": "imap"}, 400, "invalid_request"),
        ({"provider": None}, 400, "invalid_request"),
        ({"backfill_days": 366}, 400, "invalid_request"),
        ({"reply_to": "nobody"}, 400, "invalid_request"),
        ({"reply_to": "jörg@ours.example"}, 400, "invalid_request"),
        ({"unknown": 1}, 400, "invalid_request"),
        ({"kind": "shared"}, 403, "admin_required"),
        ({"owner_user_id": "bob"}, 403, "admin_required"),
        ({"mailbox_id": "NOSUCH"}, 404, "mailbox_not_found"),
        ({"mailbox_id": "../x"}, 404, "mailbox_not_found"),
    ],
)
def test_what_cannot_be_wished_for_is_said_before_anybody_goes_anywhere(
    app, accounts, body, status, code
):
    refused = begin(app, **body)
    assert (refused.status, refused.json["code"]) == (status, code)
    assert app.attempts.attempts == {}


def test_wishes_are_those_of_a_mailbox_connected_by_password(app, accounts):
    wishes = {
        "display_name": "Support",
        "reply_to": "support@ours.example",
        "kind": "shared",
        "granted_to": ["cyd", "dan", "cyd"],
        "purpose": "support",
        "create_contacts": True,
        "owner_user_id": "bob",
        "recovery_note": "Ask Bob",
        "active_folders": ["INBOX"],
    }
    assert connect(app, accounts, roles="admin", **wishes)["mailroom_outcome"] == "connected"
    (box,) = boxes(app)
    assert (box.display_name, box.owner_user_id, box.kind) == ("Support", "bob", "shared")
    assert (box.visibility, box.active_folders) == ("full", (FolderId("INBOX"),))
    assert box.granted_to == Readers((UserId("cyd"), UserId("dan")))
    assert box.create_contacts


def test_an_administrator_who_is_none_any_more_connects_no_shared_mailbox(app, accounts):
    begun = begin(app, kind="shared", granted_to="everyone", roles="admin")
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    _, fragment = outcome_of(come_back(app, answer))
    refused = confirm(app, fragment)
    assert (refused.status, refused.json["code"]) == (403, "admin_required")
    assert nothing_happened(app, accounts)


# ---- reconnecting ----


def parked(app):
    """Ann's Gmail mailbox, whose grant died."""
    (box,) = boxes(app)
    app.world.mailboxes[box.tenant_id, box.id] = replace(
        box, status=MailboxStatus.RECONNECT_REQUIRED
    )
    app.queues.take_syncs(), app.queues.take_plans()
    return box


def test_a_mailbox_whose_grant_died_comes_back_as_itself(app, accounts):
    connect(app, accounts, backfill_days=30)
    box = parked(app)
    accounts.grants.clear()
    before = app.secrets.secrets[box.tenant_id, box.id]
    query = connect(app, accounts, mailbox_id=box.id)
    assert query["mailroom_outcome"] == "connected"
    assert query["mailbox_id"] == box.id
    (after,) = boxes(app)
    assert (after.id, after.status) == (box.id, MailboxStatus.ACTIVE)
    assert after.generation > box.generation
    assert app.secrets.secrets[box.tenant_id, box.id] != before
    assert (len(app.queues.syncs), app.queues.plans) == (1, [])


def test_a_front_end_elsewhere_is_told_200_when_it_was_a_reconnect(app, accounts):
    connect(app, accounts)
    box = parked(app)
    begun = begin(app, mailbox_id=box.id)
    _, fragment = outcome_of(come_back(app, accounts.allow(begun.json["authorize_url"], ANN)))
    done = confirm(app, fragment)
    assert (done.status, done.json["id"]) == (200, box.id)


def test_another_account_is_refused_and_the_mailbox_and_its_grant_stay(app, accounts):
    connect(app, accounts)
    box = parked(app)
    before = (app.world.mailboxes.copy(), app.secrets.secrets.copy(), accounts.grants.copy())
    query = connect(app, accounts, "eve@else.example", mailbox_id=box.id)
    assert query["mailroom_outcome"] == "wrong_mailbox"
    assert query["mailbox_id"] == box.id
    assert (app.world.mailboxes, app.secrets.secrets, accounts.grants) == before
    assert accounts.revoked == [(accounts.subjects["eve@else.example"], OURS.client_id)]
    assert app.queues.syncs == []


def test_an_account_that_was_renamed_is_still_the_same(app, accounts):
    connect(app, accounts)
    box = parked(app)
    accounts.subjects = {"ann.new@ours.example": box.subject}
    query = connect(app, accounts, "ann.new@ours.example", mailbox_id=box.id)
    assert query["mailroom_outcome"] == "connected"
    assert boxes(app)[0].address == "ann.new@ours.example"
    assert boxes(app)[0].former_addresses == (ANN,)
    accounts.subjects = {ANN: box.subject}
    connect(app, accounts, ANN, mailbox_id=box.id)
    assert (boxes(app)[0].address, boxes(app)[0].former_addresses) == (
        ANN, ("ann.new@ours.example",)
    )  # fmt: skip


def keep_out(app, address, mail="all_mail"):
    body = {"addresses": [address], "confirm": [address], "keeps_out": mail}
    return app.ask("POST", "/v1/erasures", body=body, roles="[admin]")


def test_an_account_whose_address_is_kept_out_is_not_connected(app, accounts):
    assert keep_out(app, ANN).status == 202
    assert connect(app, accounts)["mailroom_outcome"] == "address_kept_out"
    assert (boxes(app), app.secrets.secrets, app.queues.syncs) == ([], {}, [])
    assert accounts.revoked == [(accounts.subjects[ANN], OURS.client_id)]


def test_an_account_that_took_an_address_that_is_kept_out_does_not_come_back(app, accounts):
    connect(app, accounts)
    box = parked(app)
    assert keep_out(app, "eve@else.example").status == 202
    accounts.subjects = {"eve@else.example": box.subject}
    query = connect(app, accounts, "eve@else.example", mailbox_id=box.id)
    assert query["mailroom_outcome"] == "address_kept_out"
    assert boxes(app) == [replace(box, status=MailboxStatus.RECONNECT_REQUIRED)]
    assert app.queues.syncs == []


def test_of_a_mailbox_that_was_disconnected_the_refused_grant_is_not_kept(app, accounts):
    connect(app, accounts)
    (box,) = boxes(app)
    assert app.ask("DELETE", f"/v1/mailboxes/{box.id}").status == 204
    assert keep_out(app, "eve@else.example").status == 202
    accounts.subjects, accounts.revoked = {"eve@else.example": box.subject}, []
    query = connect(app, accounts, "eve@else.example", mailbox_id=box.id)
    assert query["mailroom_outcome"] == "address_kept_out"
    assert app.secrets.secrets == {}
    assert accounts.revoked == [(box.subject, OURS.client_id)]


def test_who_had_an_address_before_is_erased_as_a_mailbox(app, accounts):
    """All mail of that time names the address, and is not found by it: it was the mailbox's own."""
    connect(app, accounts)
    box = parked(app)
    accounts.subjects = {"ann.new@ours.example": box.subject}
    connect(app, accounts, "ann.new@ours.example", mailbox_id=box.id)
    for mail in ("all_mail", "stored_mail"):
        answer = keep_out(app, ANN, mail)
        assert answer.status == 400
        assert [one["field"] for one in answer.json["errors"]] == ["addresses.0"]


def test_only_who_may_change_a_mailbox_reconnects_it(app, accounts):
    connect(app, accounts)
    box = parked(app)
    assert begin(app, mailbox_id=box.id, user="bob").json["code"] == "mailbox_not_found"
    assert begin(app, mailbox_id=box.id, tenant="other").json["code"] == "mailbox_not_found"
    assert begin(app, mailbox_id=box.id, user="bob", roles="admin").status == 200


def test_a_mailbox_comes_back_only_at_its_own_provider(app, accounts):
    connect(app, accounts)
    imap = add_mailbox(app.world, "IMAPBOX", owner="ann")
    refused = begin(app, provider="outlook", mailbox_id=boxes(app)[0].id)
    assert (refused.status, refused.json["code"]) == (409, "wrong_mailbox")
    assert begin(app, mailbox_id=imap.id).json["code"] == "wrong_mailbox"


def test_settings_are_not_changed_by_the_way(app, accounts):
    connect(app, accounts)
    box = parked(app)
    refused = begin(app, mailbox_id=box.id, display_name="Else", backfill_days=3)
    assert refused.status == 400
    assert [one["field"] for one in refused.json["errors"]] == ["backfill_days", "display_name"]
    refused = begin(app, mailbox_id=box.id, active_folders=["nowhere"])
    assert [one["field"] for one in refused.json["errors"]] == ["active_folders"]


def test_a_mailbox_without_a_password_is_sent_to_its_provider_s_sign_in(app, accounts):
    connect(app, accounts)
    (box,) = boxes(app)
    login = {"host": "imap.example.org", "username": ANN, "password": "not-a-real-one"}
    refused = app.ask(
        "POST", f"/v1/mailboxes/{box.id}/reconnect", body={"imap": login, "smtp": login}
    )
    assert (refused.status, refused.json["code"]) == (409, "oauth_required")
    assert "/v1/mailboxes/authorize" in refused.json["detail"]


def test_settings_of_a_mailbox_that_signs_in_are_changed_as_any_other_s(app, accounts):
    connect(app, accounts)
    (box,) = boxes(app)
    changed = app.ask("PATCH", f"/v1/mailboxes/{box.id}", body={"display_name": "Ann L."})
    assert (changed.status, changed.json["display_name"]) == (200, "Ann L.")
    assert changed.json["imap"] is None
    assert app.ask("PUT", f"/v1/mailboxes/{box.id}/primary").status == 200
    assert app.ask("POST", f"/v1/mailboxes/{box.id}/sync").status == 202
    assert boxes(app)[0].subject == box.subject


# ---- disconnecting ----


def disconnect(app, box, tenant="acme", user="ann"):
    answer = app.ask("DELETE", f"/v1/mailboxes/{box.id}", tenant=tenant, user=user)
    assert answer.status == 204, answer.text


def test_disconnecting_withdraws_the_grant_and_deletes_the_secret(app, accounts):
    connect(app, accounts, backfill_days=30)
    (box,) = boxes(app)
    disconnect(app, box)
    assert (app.secrets.secrets, accounts.grants) == ({}, {})
    assert boxes(app)[0].status is MailboxStatus.DISCONNECTED
    assert not any(app.grant_holders.holders.values())
    disconnect(app, box)
    assert len(accounts.revoked) == 1


@pytest.mark.parametrize(
    "failure",
    [
        RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE),
        ConfigurationError(ErrorCode.CLIENT_REJECTED),
        RuntimeError("a bug of an adapter"),
    ],
)
def test_a_provider_that_fails_never_keeps_the_secret(app, accounts, failure, capsys, caplog):
    connect(app, accounts)
    accounts.failure = ("revoke", failure)
    disconnect(app, boxes(app)[0])
    assert app.secrets.secrets == {}
    assert "GrantNotRevoked" in capsys.readouterr().out
    (line,) = (one for one in caplog.records if one.getMessage() == "grant_not_revoked")
    assert ANN not in repr(line.__dict__)


def test_a_grant_is_withdrawn_at_a_second_try(app, accounts, monkeypatch, capsys):
    connect(app, accounts)
    revoke, tries = accounts.revoke, []

    def fails_once(*given):
        tries.append(given)
        if len(tries) == 1:
            raise RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
        revoke(*given)

    monkeypatch.setattr(accounts, "revoke", fails_once)
    disconnect(app, boxes(app)[0])
    assert (app.secrets.secrets, accounts.grants, len(tries)) == ({}, {}, 2)
    assert "GrantNotRevoked" not in capsys.readouterr().out


def test_a_client_that_is_gone_never_keeps_the_secret(app, accounts):
    connect(app, accounts)
    app.oauth_clients.operators.clear()
    disconnect(app, boxes(app)[0])
    assert app.secrets.secrets == {}


def test_another_tenants_mailbox_on_the_same_account_keeps_its_grant(app, accounts):
    connect(app, accounts)
    connect(app, accounts, tenant="other")
    first, second = boxes(app)
    disconnect(app, first, tenant=first.tenant_id)
    assert accounts.revoked == []
    assert app.secrets.secrets.keys() == {(second.tenant_id, second.id)}
    disconnect(app, second, tenant=second.tenant_id)
    assert len(accounts.revoked) == 1
    assert accounts.grants == {}


def test_a_tenant_with_hundreds_of_mailboxes_leaves_no_grant_and_no_secret_behind(app, accounts):
    people = [f"person{number}@ours.example" for number in range(500)]
    for address in people:
        accounts.add(address)
        assert connect(app, accounts, address)["mailroom_outcome"] == "connected"
    assert len(app.secrets.secrets) == len(people)
    for box in boxes(app):
        disconnect(app, box)
    assert {subject for subject, _ in accounts.revoked} == {
        accounts.subjects[address] for address in people
    }
    assert (accounts.grants, app.secrets.secrets) == ({}, {})


def test_one_that_was_disconnected_can_be_connected_anew_and_reconnected(app, accounts):
    connect(app, accounts)
    (box,) = boxes(app)
    disconnect(app, box)
    assert connect(app, accounts, mailbox_id=box.id)["mailroom_outcome"] == "connected"
    assert boxes(app)[0].status is MailboxStatus.ACTIVE
    disconnect(app, box)
    app.clock.advance(1)
    assert connect(app, accounts)["mailroom_outcome"] == "connected"
    again = connect(app, accounts, mailbox_id=box.id)
    assert again["mailroom_outcome"] == "already_connected"
    assert len(app.secrets.secrets) == 1
    assert len(accounts.revoked) == 2


# ---- T12: what is written down ----


def test_no_code_no_token_and_no_address_gets_into_the_log(app, accounts, capsys, caplog):
    caplog.set_level("INFO", logger="mailroom")
    for failure in (None, ("complete", RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE))):
        accounts.failure = failure
        begun = begin(app)
        answer = accounts.allow(begun.json["authorize_url"], ANN)
        come_back(app, answer, cookie_of(begun))
        accounts.failure = None
        _, fragment = outcome_of(
            come_back(app, accounts.allow(begin(app).json["authorize_url"], ANN))
        )
        confirm(app, fragment)
    written = capsys.readouterr().out + repr([record.__dict__ for record in caplog.records])
    secrets = [one.reveal() for one in app.secrets.secrets.values()]
    secrets += [answer["code"], answer["state"], fragment["code"], cookie_of(begun), ANN]
    secrets += accounts.subjects.values()
    assert "sign_in_ended" in written
    assert [one for one in secrets if one in written] == []


def test_a_sign_in_that_lasts_too_long_at_the_provider_is_named_for_the_table_s_late_deletion(
    app, accounts
):
    begun = begin(app)
    answer = accounts.allow(begun.json["authorize_url"], ANN)
    app.clock.at += timedelta(hours=47)
    query, _ = outcome_of(come_back(app, answer, cookie_of(begun)))
    assert query["mailroom_outcome"] == "attempt_expired"
