"""Google's tokens as simulated: every way a grant ends, codes, clients, id tokens, revocation."""

import base64
import hashlib
import json

import pytest
import requests
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request
from google.oauth2 import id_token
from google.oauth2.credentials import Credentials
from jwt import PyJWTError

from tests.contract.simulators.google_world import (
    ADA,
    BOB,
    CALLBACK,
    CLIENT,
    MODIFY,
    SECRET,
    SEND,
    base64url,
)

ASKED = {
    "client_id": CLIENT,
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "scope": f"openid email {MODIFY}",
}


@pytest.fixture
def transport(google):
    session = requests.Session()
    session.trust_env = False  # an environment's own bundle would win over `verify`
    session.verify = str(google.authority)
    with session:
        yield Request(session)


def dead(answer):
    assert answer.status == 400
    assert answer.json["error"] == "invalid_grant"
    return answer.json["error_description"]


# ---- refresh tokens ---------------------------------------------------------------------------


def test_a_refresh_token_needs_offline_access(google):
    assert google.connect(access_type=None).refresh is None
    assert google.connect(access_type="online").refresh is None
    assert google.connect().refresh.startswith("1//0")


def test_a_second_consent_brings_no_refresh_token_unless_forced(google):
    assert google.connect(prompt=None).refresh
    assert google.connect(prompt=None).refresh is None
    assert google.connect(prompt="consent").refresh


def test_refreshing_keeps_the_refresh_token(google):
    found = google.connect()
    for _ in range(2):
        answer = google.refresh(found.refresh)
        assert answer.status == 200
        assert "refresh_token" not in answer.json
        assert answer.json["access_token"] != found.access


def test_an_access_token_lives_for_an_hour_less_a_second(google):
    found = google.connect()
    google.simulator.clock.advance(3590)
    assert google.api("GET", "profile", found.access).status == 200
    google.simulator.clock.advance(10)
    answer = google.api("GET", "profile", found.access)
    assert (answer.status, answer.reason) == (401, "authError")
    assert answer.error["status"] == "UNAUTHENTICATED"
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_fewer_scopes_may_be_asked_of_a_refresh_but_not_more(google):
    found = google.connect()
    assert google.refresh(found.refresh, scope=MODIFY).json["scope"] == MODIFY
    assert google.refresh(found.refresh, scope=SEND).json["error"] == "invalid_scope"


def test_a_client_in_testing_gets_seven_days(google):
    google.simulator.change_client(CLIENT, publishing_status="testing")
    found = google.connect()
    assert found.tokens["refresh_token_expires_in"] == 604_799
    google.simulator.clock.advance(7 * 86_400 - 60)
    assert google.refresh(found.refresh).json["refresh_token_expires_in"] < 60
    google.simulator.clock.advance(60)
    assert dead(google.refresh(found.refresh)) == "Token has been expired or revoked."


def test_a_grant_for_a_limited_time_says_when_it_ends(google):
    google.simulator.add_user(ADA, grant_seconds=3 * 86_400)
    found = google.connect()
    assert found.tokens["refresh_token_expires_in"] == 3 * 86_400 - 1
    google.simulator.clock.advance(3 * 86_400)
    assert dead(google.refresh(found.refresh))


def test_six_months_without_use_end_a_grant(google):
    found = google.connect()
    google.simulator.clock.advance(180 * 86_400)
    assert google.refresh(found.refresh).status == 200
    google.simulator.clock.advance(184 * 86_400)
    assert dead(google.refresh(found.refresh)) == "Token has been expired or revoked."


def test_the_oldest_of_too_many_refresh_tokens_dies_silently(google):
    google.simulator.limits.refresh_tokens = 3
    first, *others = [google.connect().refresh for _ in range(4)]
    assert dead(google.refresh(first)) == "Bad Request"
    assert [google.refresh(token).status for token in others] == [200, 200, 200]
    assert google.connect(address=BOB).refresh


@pytest.mark.parametrize(
    ("reason", "error", "description"),
    [
        ("user", "invalid_grant", "Token has been expired or revoked."),
        ("password_changed", "invalid_grant", "Token has been expired or revoked."),
        ("admin_policy", "admin_policy_enforced", "The Google Account is unable"),
        ("session_control", "invalid_grant", "reauth related error (invalid_rapt)"),
        ("account_deleted", "invalid_grant", "Bad Request"),
    ],
)
def test_a_grant_ends_for_each_reason_in_its_own_words(google, reason, error, description):
    found = google.connect()
    assert google.control("POST", f"/users/{ADA}/grants/revoke", {"reason": reason}).json == {
        "revoked": 1
    }
    answer = google.refresh(found.refresh)
    assert answer.status == 400
    assert answer.json["error"] == error
    assert answer.json["error_description"].startswith(description)
    assert (answer.json.get("error_subtype") == "invalid_rapt") == (reason == "session_control")
    assert google.api("GET", "profile", found.access).status == 401


def test_a_changed_password_leaves_grants_without_gmail_alone(google):
    found = google.connect("openid email")
    assert google.simulator.revoke_grants(ADA, "password_changed") == 0
    assert google.refresh(found.refresh).status == 200


def test_after_a_revocation_the_next_consent_is_a_first_one(google):
    google.connect()
    google.simulator.revoke_grants(ADA)
    assert google.connect(prompt=None).refresh


# ---- codes and clients ------------------------------------------------------------------------


def a_code(google, **more):
    page = google.browser.open(**{**ASKED, "access_type": "offline", **more})
    return google.browser.arrived(google.browser.send(page, account=ADA, action="allow"))["code"]


def test_a_code_used_twice_ends_what_it_was_exchanged_for(google):
    code = a_code(google)
    tokens = google.exchange(code).json
    assert dead(google.exchange(code)) == "Bad Request"
    assert google.api("GET", "profile", tokens["access_token"]).status == 401
    assert dead(google.refresh(tokens["refresh_token"]))


def test_a_code_is_good_for_ten_minutes(google):
    code = a_code(google)
    google.simulator.clock.advance(601)
    assert dead(google.exchange(code)) == "Bad Request"


def test_a_code_belongs_to_its_redirect_uri_and_its_client(google):
    code = a_code(google)
    answer = google.exchange(code, redirect_uri="https://crm.example/other")
    assert (answer.status, answer.json["error"]) == (400, "redirect_uri_mismatch")
    google.simulator.add_client("two", "secret", [CALLBACK])
    other = google.exchange(code, client_id="two", client_secret="secret")
    assert dead(other) == "Malformed auth code."
    assert google.exchange(code).status == 200
    assert dead(google.exchange("4/made-up")) == "Malformed auth code."


def test_a_code_with_a_challenge_needs_its_verifier(google):
    digest = hashlib.sha256(b"v" * 50).digest()
    challenge = {
        "code_challenge": base64url(digest).rstrip("="),
        "code_challenge_method": "S256",
    }
    code = a_code(google, **challenge)
    assert dead(google.exchange(code)) == "Missing code verifier."
    assert dead(google.exchange(code, code_verifier="w" * 50)) == "Invalid code verifier."
    assert google.exchange(code, code_verifier="v" * 50).status == 200
    assert dead(google.exchange(a_code(google), code_verifier="v" * 50))


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": None}, 400, "invalid_request"),
        ({"client_id": "unknown"}, 401, "invalid_client"),
        ({"client_id": None}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"refresh_token": "1//0made-up"}, 400, "invalid_grant"),
    ],
)
def test_the_token_endpoint_refuses_in_googles_words(google, change, status, error):
    answer = google.refresh(**{"refresh_token": google.connect().refresh, **change})
    assert (answer.status, answer.json["error"]) == (status, error)
    assert "no-store" in answer.headers["Cache-Control"]


def test_a_refresh_token_belongs_to_its_client(google):
    google.simulator.add_client("two", "secret", [CALLBACK])
    answer = google.refresh(google.connect().refresh, client_id="two", client_secret="secret")
    assert (answer.status, answer.json["error"]) == (401, "unauthorized_client")


def test_the_client_may_prove_itself_by_basic(google):
    basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
    answer = google.ask(
        "POST",
        "/token",
        form={"grant_type": "refresh_token", "refresh_token": google.connect().refresh},
        headers={"Authorization": f"Basic {basic}"},
    )
    assert answer.status == 200


def test_a_client_is_changed_switched_off_and_deleted(google):
    token = google.connect().refresh
    assert google.control("PATCH", f"/clients/{CLIENT}", {"client_secret": "new"}).status == 200
    assert google.refresh(token).json["error"] == "invalid_client"
    assert google.refresh(token, client_secret="new").status == 200
    for state in ("disabled", "deleted"):
        google.control("PATCH", f"/clients/{CLIENT}", {"state": state})
        assert google.refresh(token, client_secret="new").json["error"] == f"{state}_client"
        assert google.browser.open(**ASKED).status == 401


# ---- revocation -------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoking_either_token_ends_the_whole_grant(google, which):
    found = google.connect()
    other = google.refresh(found.refresh).json["access_token"]
    assert google.ask("POST", "/revoke", form={"token": found.tokens[which]}).status == 200
    for token in (found.access, other):
        assert google.api("GET", "profile", token).status == 401
    assert dead(google.refresh(found.refresh)) == "Token has been expired or revoked."


def test_revoking_what_is_no_token_is_an_error(google):
    found = google.connect()
    for token in ("", "made-up", found.access, found.refresh):
        answer = google.ask("POST", "/revoke", form={"token": token})
        if token == found.access:
            assert answer.status == 200
        else:
            assert (answer.status, answer.json["error"]) == (400, "invalid_token")


# ---- id tokens and Google's own library -------------------------------------------------------


def test_an_id_token_says_who_it_is_and_never_by_address_alone(google):
    found = google.connect()
    claims = json.loads(base64.urlsafe_b64decode(found.tokens["id_token"].split(".")[1] + "=="))
    assert claims["iss"] == "https://accounts.google.com"
    assert claims["aud"] == claims["azp"] == CLIENT
    assert len(claims["sub"]) == 21
    assert claims["sub"].isdigit()
    assert claims["email"] == ADA
    assert claims["email_verified"] is True
    assert claims["nonce"] == "nonce of the test"
    assert claims["exp"] - claims["iat"] == 3600
    half = hashlib.sha256(found.access.encode()).digest()[:16]
    assert claims["at_hash"] == base64url(half).rstrip("=")
    assert "id_token" not in google.connect(MODIFY).tokens


@pytest.mark.parametrize("certs", ["/oauth2/v1/certs", "/oauth2/v3/certs"])
def test_googles_library_verifies_an_id_token_with_either_kind_of_keys(google, transport, certs):
    token = google.connect().tokens["id_token"]
    url = google.simulator.url + certs
    claims = id_token.verify_token(token, transport, CLIENT, certs_url=url)
    assert claims["email"] == ADA
    with pytest.raises((GoogleAuthError, PyJWTError, ValueError)):
        id_token.verify_token(token, transport, "somebody else", certs_url=url)
    with pytest.raises((GoogleAuthError, PyJWTError, ValueError)):
        id_token.verify_token(token[:-8] + "AAAAAAAA", transport, CLIENT, certs_url=url)


def credentials(world, connected):
    return Credentials(
        None,
        refresh_token=connected.refresh,
        token_uri=f"{world.simulator.url}/token",
        client_id=CLIENT,
        client_secret=SECRET,
    )


def test_googles_library_refreshes(google, transport):
    found = credentials(google, google.connect())
    found.refresh(transport)
    assert google.api("GET", "profile", found.token).status == 200


def test_googles_library_reads_our_refusal(google, transport):
    connected = google.connect()
    google.simulator.revoke_grants(ADA)
    with pytest.raises(Exception, match=r"invalid_grant: Token has been expired") as raised:
        credentials(google, connected).refresh(transport)
    assert type(raised.value).__name__ == "RefreshError"
    assert raised.value.retryable is False


def test_discovery_names_the_addresses_of_whoever_asks(google):
    found = google.ask("GET", "/.well-known/openid-configuration").json
    assert found["issuer"] == "https://accounts.google.com"
    assert found["token_endpoint"] == f"{google.root}/token"
    assert found["code_challenge_methods_supported"] == ["S256"]


def test_userinfo_tells_what_the_scopes_allow(google):
    found = google.connect("openid email profile")
    sub = google.simulator.accounts.user(ADA).sub
    for path in ("/v1/userinfo", "/oauth2/v3/userinfo"):
        assert google.ask("GET", path, token=found.access).json == {
            "sub": sub,
            "email": ADA,
            "email_verified": True,
            "name": "Ada",
        }
    assert google.ask("GET", "/v1/userinfo", token=google.token(MODIFY)).status == 401
    assert google.ask("GET", "/v1/userinfo").status == 401
