"""Google's sign-in from the first page to the withdrawal, against its simulator over https."""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from shared.domain.errors import (
    ConfigurationError,
    ErrorCode,
    MailroomError,
    ReconnectRequiredError,
    RequestError,
    RetryLaterError,
)
from shared.domain.secret import Secret
from shared.ports.sign_in import OAuthClient
from shared.providers.gmail.endpoints import GoogleEndpoints
from shared.providers.gmail.sign_in import MODIFY
from tests.contract.gmail_world import CALLBACK, CLIENT, OTHER, OWNER, come_back, sign_in_as

pytestmark = pytest.mark.usefixtures("gmail")
SECRETS = ("canary", CLIENT.client_secret.reveal(), "ya29.", "1//0", "@gmail.example", "eyJ")


def begun(gmail, **more):
    return gmail.sign_in.begin(CLIENT, redirect_uri=CALLBACK, **more)


def completed(gmail, kept, answer, client=CLIENT):
    now = gmail.simulator.clock.now()
    return gmail.sign_in.complete(client, kept, answer, redirect_uri=CALLBACK, now=now)


def arm(gmail, fault, **more):
    gmail.simulator.faults.arm(fault, **more)


def renewed(gmail, kept=None, client=CLIENT):
    kept = kept or gmail.grant.tokens.tokens.kept
    return gmail.sign_in.renew(client, kept, now=gmail.simulator.clock.now())


class _Raises:
    """Expects an error of a kind and code that quotes no secret, also not in what caused it."""

    def __init__(self, kind: type[MailroomError], code: ErrorCode) -> None:
        self._raises = pytest.raises(kind)
        self._code = code

    def __enter__(self):
        self.info = self._raises.__enter__()
        return self

    def __exit__(self, *error):
        found = self._raises.__exit__(*error)
        assert self.info.value.code is self._code
        assert not [secret for secret in SECRETS if secret in str(self.info.value)]
        return found


# ---- the way there ----


def test_the_page_asks_for_what_is_needed_and_keeps_the_rest_to_us(gmail):
    page = begun(gmail, login_hint="ada@gmail.example")
    url = urlsplit(page.url)
    asked = {name: value for name, (value,) in parse_qs(url.query).items()}
    kept = json.loads(page.kept.reveal())
    digest = hashlib.sha256(kept["verifier"].encode()).digest()
    assert asked == {
        "client_id": CLIENT.client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": f"openid email {MODIFY}",
        "access_type": "offline",
        "prompt": "consent",
        "state": page.state,
        "nonce": kept["nonce"],
        "code_challenge": base64url(digest),
        "code_challenge_method": "S256",
        "login_hint": "ada@gmail.example",
    }
    assert kept["verifier"] not in page.url
    assert CLIENT.client_secret.reveal() not in page.url
    assert 43 <= len(kept["verifier"]) <= 128
    assert kept["verifier"] not in repr(page)
    assert "login_hint" not in begun(gmail).url


def test_without_a_hint_the_account_is_chosen_and_consented_to(gmail):
    page = begun(gmail)
    asked = parse_qs(urlsplit(page.url).query)
    assert asked["prompt"] == ["consent select_account"]
    back = come_back(gmail.simulator, page.url)
    assert completed(gmail, page.kept, back).tokens.kept


def test_no_two_pages_share_anything_secret(gmail):
    one, other = begun(gmail), begun(gmail)
    kept, also = json.loads(one.kept.reveal()), json.loads(other.kept.reveal())
    assert all(kept[name] != also[name] for name in ("state", "nonce", "verifier"))
    assert one.state != other.state


def test_by_default_it_is_googles_own_hosts_that_are_asked():
    endpoints = GoogleEndpoints()
    assert urlsplit(endpoints.authorize).netloc == "accounts.google.com"
    assert endpoints.origins == {
        "https://oauth2.googleapis.com",
        "https://www.googleapis.com",
        "https://gmail.googleapis.com",
    }


def test_who_signed_in_is_the_id_tokens_subject_and_the_tokens_work(gmail):
    signed_in = sign_in_as(gmail.simulator, gmail.sign_in, OTHER)
    assert signed_in.subject == gmail.simulator.accounts.user(OTHER).sub
    assert gmail.sign_in.tokens(signed_in.tokens.kept) == signed_in.tokens
    assert sign_in_as(gmail.simulator, gmail.sign_in, OTHER).subject == signed_in.subject
    assert sign_in_as(gmail.simulator, gmail.sign_in, OWNER).subject != signed_in.subject
    left = signed_in.tokens.expires_at - gmail.simulator.clock.now()
    assert timedelta(seconds=3_500) < left <= timedelta(seconds=3_600)


def test_a_grant_shows_nothing_of_itself(gmail):
    assert not [one for one in SECRETS if one in repr(gmail.grant.tokens.tokens)]


# ---- what comes back ----


def test_a_person_who_declines_is_told_so(gmail):
    page = begun(gmail)
    back = come_back(gmail.simulator, page.url, action="deny")
    with _Raises(RequestError, ErrorCode.CONSENT_DECLINED):
        completed(gmail, page.kept, back)


@pytest.mark.parametrize("change", [{"state": "canary"}, {"state": ""}, {"iss": "https://canary"}])
def test_an_answer_to_something_else_is_not_redeemed(gmail, change):
    page = begun(gmail)
    back = come_back(gmail.simulator, page.url) | change
    gmail.simulator.log.clear()
    with _Raises(RequestError, ErrorCode.ATTEMPT_NOT_YOURS):
        completed(gmail, page.kept, back)
    assert gmail.simulator.log.entries() == []
    with _Raises(RequestError, ErrorCode.ATTEMPT_NOT_YOURS):
        completed(gmail, page.kept, {"error": "access_denied", "state": "canary"})


def test_a_code_of_another_attempt_is_refused(gmail):
    mine, theirs = begun(gmail), begun(gmail)
    back = come_back(gmail.simulator, theirs.url) | {"state": mine.state}
    with _Raises(RequestError, ErrorCode.ATTEMPT_EXPIRED):
        completed(gmail, mine.kept, back)


def test_a_code_is_good_once_and_for_ten_minutes(gmail):
    page = begun(gmail)
    back = come_back(gmail.simulator, page.url)
    completed(gmail, page.kept, back)
    with _Raises(RequestError, ErrorCode.ATTEMPT_EXPIRED):
        completed(gmail, page.kept, back)
    page = begun(gmail)
    back = come_back(gmail.simulator, page.url)
    gmail.simulator.clock.advance(601)
    with _Raises(RequestError, ErrorCode.ATTEMPT_EXPIRED):
        completed(gmail, page.kept, back)
    with _Raises(RequestError, ErrorCode.ATTEMPT_EXPIRED):
        completed(gmail, page.kept, {"state": page.state})


def test_an_id_token_of_another_attempt_is_refused(gmail):
    page = begun(gmail)
    kept = json.loads(page.kept.reveal()) | {"nonce": "canary"}
    with _Raises(RequestError, ErrorCode.ATTEMPT_NOT_YOURS):
        completed(gmail, Secret(json.dumps(kept)), come_back(gmail.simulator, page.url))


def forged(gmail, page, **changes):
    """An id token as Google would sign it, with changes."""
    kept = json.loads(page.kept.reveal())
    user = gmail.simulator.accounts.user(OWNER)
    claims = {"nonce": kept["nonce"], **changes}
    return gmail.simulator.signer.id_token(user, CLIENT.client_id, "access", **claims)


def signed_with(gmail, page, key, alg):
    header, claims, _ = forged(gmail, page).split(".")
    kid = json.loads(base64.urlsafe_b64decode(header + "=="))["kid"]
    body = json.loads(base64.urlsafe_b64decode(claims + "=="))
    return jwt.encode({"alg": alg, "kid": kid}, body, key, algorithms=[alg])


def signed_with_the_public_key(gmail, page):
    """What a verifier takes that lets the token choose the algorithm."""
    _header, claims, _ = forged(gmail, page).split(".")
    ((kid, certificate),) = gmail.simulator.signer.certificates().items()
    header = base64url(json.dumps({"alg": "HS256", "kid": kid}).encode())
    digest = hmac.digest(certificate.encode(), f"{header}.{claims}".encode(), "sha256")
    return f"{header}.{claims}.{base64url(digest)}"


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.mark.parametrize(
    "make",
    [
        lambda _gmail, _page: None,
        lambda _gmail, _page: "canary",
        lambda _gmail, _page: "eyJ.canary.x",
        lambda gmail, page: forged(gmail, page)[:-6] + "AAAAAA",
        lambda gmail, page: forged(gmail, page, aud="another client"),
        lambda gmail, page: forged(gmail, page, iss="https://canary.example"),
        lambda gmail, page: forged(gmail, page, exp=1_000_000_000),
        lambda gmail, page: forged(gmail, page, iat=9_000_000_000, exp=9_000_003_600),
        lambda gmail, page: forged(gmail, page, iat="canary"),
        lambda gmail, page: forged(gmail, page, sub=""),
        lambda gmail, page: forged(gmail, page, sub=7),
        lambda gmail, page: signed_with(gmail, page, RSAKey.generate_key(2048), "RS256"),
        lambda gmail, page: signed_with_the_public_key(gmail, page),
        lambda gmail, page: base64url(b'{"alg":"none"}') + f".{forged(gmail, page).split('.')[1]}.",
    ],
)
def test_an_id_token_that_is_not_googles_ours_and_of_now_names_nobody(gmail, make):
    page = begun(gmail)
    back = come_back(gmail.simulator, page.url)
    arm(gmail, "token_id_token", value=make(gmail, page))
    with _Raises(RetryLaterError, ErrorCode.ANSWER_NOT_UNDERSTOOD):
        completed(gmail, page.kept, back)


def test_without_certificates_the_sign_in_waits(gmail):
    page = begun(gmail)
    back = come_back(gmail.simulator, page.url)
    arm(gmail, "html", status=200, route="certs")
    with _Raises(RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE):
        completed(gmail, page.kept, back)


@pytest.mark.parametrize(
    ("scope", "enough"),
    [
        (f"openid {MODIFY}", True),
        ("https://mail.google.com/ openid", True),
        (None, True),
        ("openid email", False),
        ("https://www.googleapis.com/auth/gmail.readonly openid", False),
        ("", False),
    ],
)
def test_what_was_granted_is_checked_and_not_what_was_asked(gmail, scope, enough):
    page = begun(gmail)
    back = come_back(gmail.simulator, page.url)
    arm(gmail, "token_scope", value=scope)
    if enough:
        assert completed(gmail, page.kept, back).subject
        return
    with _Raises(ReconnectRequiredError, ErrorCode.SCOPE_MISSING):
        completed(gmail, page.kept, back)


def test_a_permission_that_was_taken_back_shows_at_the_next_renewal(gmail):
    arm(gmail, "token_scope", value="openid email")
    with _Raises(ReconnectRequiredError, ErrorCode.SCOPE_MISSING):
        renewed(gmail)


def test_without_a_refresh_token_the_person_has_to_come_again(gmail):
    page = begun(gmail)
    back = come_back(gmail.simulator, page.url)
    arm(gmail, "token_refresh_token")
    with _Raises(ReconnectRequiredError, ErrorCode.SIGN_IN_REQUIRED):
        completed(gmail, page.kept, back)


@pytest.mark.parametrize(
    "value", [None, 0, "3599", "0", "", "soon", -5, 3599.9, 10**12, "1e400", True, [], {"a": 1}]
)
@pytest.mark.parametrize("step", ["complete", "renew"])
def test_any_expires_in_is_survived(gmail, step, value):
    page = begun(gmail)
    back = come_back(gmail.simulator, page.url)
    arm(gmail, "token_expires_in", value=value)
    now = gmail.simulator.clock.now()
    tokens = completed(gmail, page.kept, back).tokens if step == "complete" else renewed(gmail)
    assert now + timedelta(minutes=10) < tokens.expires_at <= now + timedelta(days=1, minutes=1)


# ---- renewing ----


def test_a_renewed_token_works_and_the_refresh_token_stays(gmail):
    before = gmail.grant.tokens.tokens
    gmail.simulator.clock.advance(3_600)
    after = renewed(gmail)
    assert after.access_token != before.access_token
    kept, was = json.loads(after.kept.reveal()), json.loads(before.kept.reveal())
    assert (kept["refresh_token"], kept["subject"]) == (was["refresh_token"], was["subject"])
    gmail.grant.tokens.tokens = after
    assert gmail.provider.address(gmail.grant) == OWNER
    assert gmail.grant.tokens.renewals == 0


def test_a_new_refresh_token_is_taken_over(gmail):
    arm(gmail, "token_refresh_token", value="1//0another")
    assert json.loads(renewed(gmail).kept.reveal())["refresh_token"] == "1//0another"


@pytest.mark.parametrize(
    ("reason", "kind", "code"),
    [
        ("user", ReconnectRequiredError, ErrorCode.GRANT_REVOKED),
        ("password_changed", ReconnectRequiredError, ErrorCode.GRANT_REVOKED),
        ("account_deleted", ReconnectRequiredError, ErrorCode.GRANT_REVOKED),
        ("session_control", ReconnectRequiredError, ErrorCode.SIGN_IN_REQUIRED),
        ("admin_policy", ConfigurationError, ErrorCode.ACCESS_BLOCKED),
    ],
)
def test_a_grant_that_ended_says_who_has_to_act(gmail, reason, kind, code):
    gmail.simulator.revoke_grants(OWNER, reason)
    with _Raises(kind, code):
        renewed(gmail)


def test_a_grant_for_a_time_is_expired_when_it_is_over(gmail):
    gmail.simulator.add_user(OTHER, grant_seconds=7_200)
    signed_in = sign_in_as(gmail.simulator, gmail.sign_in, OTHER)
    gmail.simulator.clock.advance(3_600)
    kept = renewed(gmail, signed_in.tokens.kept).kept
    gmail.simulator.clock.advance(3_700)
    with _Raises(ReconnectRequiredError, ErrorCode.GRANT_EXPIRED):
        renewed(gmail, kept)


def test_the_oldest_of_over_a_hundred_grants_is_dead(gmail):
    gmail.simulator.limits.refresh_tokens = 2
    first = gmail.grant.tokens.tokens.kept
    for _ in range(2):
        sign_in_as(gmail.simulator, gmail.sign_in)
    with _Raises(ReconnectRequiredError, ErrorCode.GRANT_REVOKED):
        renewed(gmail, first)


def test_our_own_registration_is_the_operators_matter_and_works_again_when_mended(gmail):
    wrong = OAuthClient(CLIENT.client_id, Secret("canary"))
    with _Raises(ConfigurationError, ErrorCode.CLIENT_REJECTED):
        renewed(gmail, client=wrong)
    for state in ("disabled", "deleted"):
        gmail.simulator.change_client(CLIENT.client_id, state=state)
        with _Raises(ConfigurationError, ErrorCode.CLIENT_REJECTED):
            renewed(gmail)
    gmail.simulator.change_client(CLIENT.client_id, state="active")
    assert renewed(gmail).access_token


@pytest.mark.parametrize(
    ("fault", "more", "code"),
    [
        ("token_unavailable", {}, ErrorCode.PROVIDER_UNAVAILABLE),
        ("token_rate_limited", {}, ErrorCode.RATE_LIMITED),
        ("token_too_many_requests", {}, ErrorCode.RATE_LIMITED),
        ("token_error", {"error": "temporarily_unavailable"}, ErrorCode.PROVIDER_UNAVAILABLE),
        ("token_error", {"error": "invalid_grant", "status": 500}, ErrorCode.PROVIDER_UNAVAILABLE),
        ("token_error", {"error": "never heard of"}, ErrorCode.PROVIDER_UNAVAILABLE),
        ("token_access_token", {}, ErrorCode.PROVIDER_UNAVAILABLE),
        ("token_access_token", {"value": 7}, ErrorCode.PROVIDER_UNAVAILABLE),
        ("html", {"status": 200}, ErrorCode.PROVIDER_UNAVAILABLE),
        ("html", {"status": 400}, ErrorCode.PROVIDER_UNAVAILABLE),
        ("html", {"status": 502}, ErrorCode.PROVIDER_UNAVAILABLE),
        ("broken_json", {}, ErrorCode.PROVIDER_UNAVAILABLE),
        ("not_an_object", {}, ErrorCode.PROVIDER_UNAVAILABLE),
        ("empty_body", {}, ErrorCode.PROVIDER_UNAVAILABLE),
        ("redirect", {}, ErrorCode.PROVIDER_UNAVAILABLE),
        ("cut_body", {}, ErrorCode.CONNECTION_DROPPED),
    ],
)
def test_a_token_endpoint_in_trouble_is_asked_once_and_never_taken_for_a_refusal(
    gmail, fault, more, code
):
    gmail.simulator.log.clear()
    arm(gmail, fault, times=None, route="^POST /token$", **more)
    with _Raises(RetryLaterError, code):
        renewed(gmail)
    assert len(gmail.simulator.log.entries(route="oauth.token")) <= 1
    gmail.simulator.faults.clear()
    assert renewed(gmail).access_token


# ---- withdrawing ----


def test_a_withdrawn_grant_is_dead_and_withdrawing_it_again_is_no_error(gmail):
    kept = gmail.grant.tokens.tokens.kept
    gmail.sign_in.revoke(CLIENT, kept)
    with _Raises(ReconnectRequiredError, ErrorCode.GRANT_REVOKED):
        renewed(gmail, kept)
    gmail.sign_in.revoke(CLIENT, kept)


def test_a_withdrawal_that_could_not_be_made_is_to_be_tried_again(gmail):
    kept = gmail.grant.tokens.tokens.kept
    arm(gmail, "revoke_unavailable")
    with _Raises(RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE):
        gmail.sign_in.revoke(CLIENT, kept)
    gmail.sign_in.revoke(CLIENT, kept)


# ---- the rest ----


@pytest.mark.parametrize(
    "text",
    ["", "canary", "{}", "[]", '{"format": 1}', '{"imap": {"password": "canary"}}', "null"],
)
def test_what_is_no_grant_of_googles_is_not_read_and_not_quoted(gmail, text):
    with pytest.raises(ValueError, match="not a grant of Google") as caught:
        gmail.sign_in.tokens(Secret(text))
    assert "canary" not in str(caught.value)
    kept = json.loads(gmail.grant.tokens.tokens.kept.reveal())
    with pytest.raises(ValueError, match="in this format"):
        gmail.sign_in.tokens(Secret(json.dumps(kept | {"format": 2})))


def test_no_administrator_has_to_be_sent_anywhere(gmail):
    assert gmail.sign_in.admin_consent_url(CLIENT, redirect_uri=CALLBACK) is None


def test_googles_library_is_loaded_when_it_is_needed_and_not_before():
    script = (
        "import sys; import shared.providers.gmail.adapter, shared.providers.gmail.sign_in;"
        "found = {name.partition('.')[0] for name in sys.modules};"
        "print(sorted(found & {'google', 'cryptography', 'msal', 'requests', 'jwt'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
