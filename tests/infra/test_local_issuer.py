"""Signing in at the stack's own issuer: what the page gets, and what nobody gets."""

import base64
import hashlib
import http.client
import json
import re
import secrets
import time
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from infra.local.issuer import Issuer
from infra.local.issuer_exchange import CODE_SECONDS
from infra.local.issuer_requests import CLIENT_ID
from infra.local.issuer_sign_ins import KEPT_SECONDS
from infra.local.issuer_tokens import AUDIENCE, mint
from infra.local.paths import Paths

PAGE_ORIGIN = "http://127.0.0.1:1234"
PAGE = f"{PAGE_ORIGIN}/_aws/execute-api/abc/app"
FORM = "application/x-www-form-urlencoded"


class Clock:
    def __init__(self):
        self.now = time.time()

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def issuer(tmp_path, clock):
    made = Issuer(Paths.of(tmp_path), now=clock)
    made.start()
    made.page_url = PAGE
    yield made
    made.stop()


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def location(self):
        """Where a redirect leads, without what it takes along."""
        return self.headers["Location"].partition("?")[0]

    @property
    def taken_along(self):
        query = parse_qs(urlsplit(self.headers["Location"]).query)
        return {name: value for name, (value,) in query.items()}


class Browser:
    """Keeps the issuer's cookie and the verifier of the sign-in that it began last."""

    def __init__(self, issuer):
        self.issuer = issuer
        self.cookie = ""
        self.verifier = ""

    def send(self, method, path, body=None, **headers):
        where = urlsplit(self.issuer.url)
        line = http.client.HTTPConnection(where.hostname, where.port, timeout=10)
        if self.cookie:
            headers["Cookie"] = self.cookie
        try:
            line.request(method, path, body, headers)
            answer = Answer(line.getresponse())
        finally:
            line.close()
        if cookie := answer.headers["Set-Cookie"]:
            self.cookie = cookie.partition(";")[0]
        return answer

    def asked(self, **other):
        """The page's request, anew. `other` changes it; None leaves a part out."""
        self.verifier = secrets.token_urlsafe(48)
        request = {
            "client_id": CLIENT_ID,
            "redirect_uri": PAGE,
            "response_type": "code",
            "scope": "openid",
            "state": "s1",
            "nonce": "n1",
            "code_challenge": s256(self.verifier),
            "code_challenge_method": "S256",
            **other,
        }
        return {name: value for name, value in request.items() if value is not None}

    def authorize(self, **other):
        return self.send("GET", f"/authorize?{urlencode(self.asked(**other), doseq=True)}")

    def choose(self, choice="ada", **other):
        return self.post("/authorize", **self.asked(**other), choice=choice)

    def post(self, path, **fields):
        return self.send("POST", path, urlencode(fields), **{"Content-Type": FORM})

    def redeem(self, code, **other):
        fields = {
            "grant_type": "authorization_code",
            "client_id": CLIENT_ID,
            "redirect_uri": PAGE,
            "code": code,
            "code_verifier": self.verifier,
            **other,
        }
        return self.post("/token", **fields)

    def sign_in(self, choice="ada"):
        """Returns the tokens."""
        return self.redeem(self.choose(choice).taken_along["code"]).json

    def renew(self, refresh_token, **other):
        fields = {"grant_type": "refresh_token", "client_id": CLIENT_ID, **other}
        return self.post("/token", **fields, refresh_token=refresh_token)


@pytest.fixture
def browser(issuer):
    return Browser(issuer)


def s256(verifier):
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def claims(browser, token):
    """What stands in a token that the published keys have signed."""
    keys = KeySet.import_key_set(browser.send("GET", "/.well-known/jwks.json").json)
    return jwt.decode(token, keys, algorithms=["RS256"]).claims


def refused(answer):
    assert answer.status == 400
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json["error"]


class Forms(HTMLParser):
    """The forms of a page: what each sends when its button is pressed, by the button's name."""

    def __init__(self, page):
        super().__init__()
        self.sent_by = {}
        self.inputs = set()
        self._hidden = {}
        self._button = None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "form":
            self._hidden = {}
        if tag == "input":
            self.inputs.add(given["name"])
            if given.get("type") == "hidden":
                self._hidden[given["name"]] = given["value"]
        if tag == "button":
            self._button = {**self._hidden, given["name"]: given["value"]}

    def handle_data(self, data):
        if self._button:
            self.sent_by[data] = self._button
            self._button = None


def test_discovery_says_where_everything_is_to_any_page(issuer, browser):
    found = browser.send("GET", "/.well-known/openid-configuration")
    assert found.headers["Access-Control-Allow-Origin"] == "*"
    assert found.json["issuer"] == issuer.url
    for endpoint in ("authorization", "token", "end_session"):
        assert found.json[f"{endpoint}_endpoint"].startswith(f"{issuer.url}/")
    assert found.json["code_challenge_methods_supported"] == ["S256"]
    assert found.json["grant_types_supported"] == ["authorization_code", "refresh_token"]


# ---- signing in ----


@pytest.mark.parametrize(
    ("button", "user", "roles"), [("Ada", "ada", ["admin"]), ("Ben", "ben", [])]
)
def test_a_press_of_a_button_brings_the_tokens_of_that_person(browser, button, user, roles):
    page = browser.authorize()
    assert page.status == 200
    (sent,) = [form for name, form in Forms(page.text).sent_by.items() if name.startswith(button)]
    back = browser.post("/authorize", **sent)
    assert (back.status, back.location) == (303, PAGE)
    code = back.taken_along["code"]
    assert back.taken_along == {"code": code, "state": "s1", "iss": browser.issuer.url}
    got = browser.redeem(code)
    assert got.headers["Access-Control-Allow-Origin"] == PAGE_ORIGIN
    assert got.headers["Cache-Control"] == "no-store"
    tokens = got.json
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3600)
    access = claims(browser, tokens["access_token"])
    ours = mint(browser.issuer.paths, tenant="demo", user=user, roles=roles, seconds=3600)
    expected = claims(browser, ours)
    assert access["exp"] - access["iat"] == 3600
    assert {**access, "iat": 0, "exp": 0} == {**expected, "iat": 0, "exp": 0}
    assert access["aud"] == AUDIENCE
    identity = claims(browser, tokens["id_token"])
    assert (identity["aud"], identity["nonce"], identity["sub"]) == (CLIENT_ID, "n1", user)


def test_anybody_else_signs_in_by_tenant_user_and_role(browser):
    assert {"tenant", "user", "role"} <= Forms(browser.authorize().text).inputs
    back = browser.choose("other", tenant="acme", user=" eve ", role="admin")
    access = claims(browser, browser.redeem(back.taken_along["code"]).json["access_token"])
    assert (access["tenant_id"], access["sub"], access["roles"]) == ("acme", "eve", ["admin"])


def test_who_names_nobody_is_asked_again(browser):
    again = browser.choose("other", tenant="acme", user=" ")
    assert again.status == 400
    assert "Type a tenant and a user." in again.text


def test_a_link_cannot_fill_in_who_signs_in(browser):
    page = browser.authorize(user="mallory", choice="other", tenant="acme", role="admin")
    for sent in Forms(page.text).sent_by.values():
        assert not {"user", "tenant", "role"} & set(sent)


def test_nothing_of_a_request_becomes_markup(browser):
    page = browser.authorize(nonce='"><script>alert(1)</script>', state="'><b>")
    assert "<script>" not in page.text
    assert "<b>" not in page.text
    assert Forms(page.text).sent_by["Cancel"]["nonce"] == '"><script>alert(1)</script>'


def test_the_sign_in_page_runs_nothing_is_in_no_frame_and_returns_to_the_page_alone(browser):
    policy = browser.authorize().headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert f"form-action 'self' {PAGE_ORIGIN};" in policy


def test_who_is_signed_in_goes_straight_on_unless_asked_to_choose(browser):
    browser.sign_in()
    back = browser.authorize()
    assert (back.status, back.location) == (303, PAGE)
    assert browser.redeem(back.taken_along["code"]).status == 200
    assert browser.authorize(prompt="login").status == 200
    assert browser.authorize(prompt="select_account").status == 200


# ---- requests that are refused ----


@pytest.mark.parametrize(
    "other",
    [
        {"client_id": "somebody-else"},
        {"client_id": None},
        {"redirect_uri": "https://evil.example/app"},
        {"redirect_uri": PAGE + "/"},
        {"redirect_uri": PAGE + "?x=1"},
        {"redirect_uri": None},
        {"redirect_uri": [PAGE, "https://evil.example/app"]},
    ],
)
@pytest.mark.parametrize("signed_in", [False, True])
def test_a_request_of_another_client_or_address_is_never_answered_by_a_redirect(
    browser, other, signed_in
):
    if signed_in:
        browser.sign_in()
    for answer in (browser.authorize(**other), browser.authorize(**other, prompt="none")):
        assert answer.status == 400
        assert "Location" not in answer.headers
        assert "evil.example" not in answer.text


def test_before_the_stack_is_deployed_nobody_signs_in(browser):
    browser.issuer.page_url = None
    assert browser.authorize().status == 400


@pytest.mark.parametrize(
    ("other", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"nonce": ["n1", "n2"]}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
        ({"request": "e30.e30."}, "request_not_supported"),
    ],
)
def test_a_request_that_cannot_be_served_is_told_to_the_page(browser, other, error):
    back = browser.authorize(**other)
    assert (back.status, back.location) == (303, PAGE)
    assert back.taken_along.pop("error_description")
    told = {name: back.taken_along[name] for name in ("error", "state", "iss")}
    assert told == {"error": error, "state": "s1", "iss": browser.issuer.url}


def test_a_form_is_held_to_the_same_rules_as_the_link(browser):
    assert browser.choose(redirect_uri="https://evil.example/app").status == 400
    assert browser.choose(code_challenge="short").taken_along["error"] == "invalid_request"


def test_cancelling_is_told_to_the_page(browser):
    sent = Forms(browser.authorize().text).sent_by["Cancel"]
    assert browser.post("/authorize", **sent).taken_along["error"] == "access_denied"


# ---- codes ----


def test_a_code_without_its_verifier_is_worth_nothing_and_then_used_up(browser):
    for wrong in (
        lambda _: secrets.token_urlsafe(48),
        s256,
        lambda _: "",
        lambda right: right + "x",
    ):
        code = browser.choose().taken_along["code"]
        assert (
            refused(browser.redeem(code, code_verifier=wrong(browser.verifier))) == "invalid_grant"
        )
        assert refused(browser.redeem(code)) == "invalid_grant"


def test_a_code_that_comes_twice_ends_what_it_brought_the_first_time(browser):
    code = browser.choose().taken_along["code"]
    tokens = browser.redeem(code).json
    assert refused(browser.redeem(code)) == "invalid_grant"
    assert refused(browser.renew(tokens["refresh_token"])) == "invalid_grant"


def test_a_code_is_for_the_address_it_was_sent_to(browser):
    code = browser.choose().taken_along["code"]
    assert refused(browser.redeem(code, redirect_uri=PAGE + "/")) == "invalid_grant"


def test_a_code_is_good_for_a_minute(browser, clock):
    in_time = browser.choose().taken_along["code"]
    clock.now += CODE_SECONDS - 1
    assert browser.redeem(in_time).status == 200
    late = browser.choose().taken_along["code"]
    clock.now += CODE_SECONDS
    assert refused(browser.redeem(late)) == "invalid_grant"


@pytest.mark.parametrize(
    ("other", "error"),
    [
        ({"client_id": "somebody-else"}, "invalid_client"),
        ({"client_id": ""}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
        ({"code": "guessed"}, "invalid_grant"),
        ({"code": ""}, "invalid_grant"),
    ],
)
def test_a_request_for_tokens_is_refused_in_the_words_of_the_standard(browser, other, error):
    code = browser.choose().taken_along["code"]
    assert refused(browser.redeem(**{"code": code, **other})) == error


def test_only_a_form_asks_for_tokens(browser):
    asked = json.dumps({"grant_type": "refresh_token"})
    answer = browser.send("POST", "/token", asked, **{"Content-Type": "application/json"})
    assert answer.status == 400
    assert browser.send("GET", "/token").status == 404


# ---- refresh tokens ----


def test_a_refresh_token_brings_fresh_tokens_and_its_successor(browser):
    first = browser.sign_in("ben")
    second = browser.renew(first["refresh_token"]).json
    assert claims(browser, second["access_token"])["sub"] == "ben"
    assert "nonce" not in claims(browser, second["id_token"])
    assert browser.renew(second["refresh_token"]).status == 200


def test_a_refresh_token_that_comes_twice_ends_its_successors(browser):
    first = browser.sign_in()
    second = browser.renew(first["refresh_token"]).json
    assert refused(browser.renew(first["refresh_token"])) == "invalid_grant"
    assert refused(browser.renew(second["refresh_token"])) == "invalid_grant"


def test_two_tabs_of_one_sign_in_do_not_end_each_other(browser):
    one = browser.sign_in()
    other = browser.redeem(browser.authorize().taken_along["code"]).json
    assert browser.renew(one["refresh_token"]).status == 200
    assert browser.renew(one["refresh_token"]).status == 400
    assert browser.renew(other["refresh_token"]).status == 200


@pytest.mark.parametrize("token", ["", "guessed", "a.b", "."])
def test_a_guessed_refresh_token_brings_nothing(browser, token):
    browser.sign_in()
    assert refused(browser.renew(token)) == "invalid_grant"


def test_sign_ins_and_refresh_tokens_outlive_a_restart(issuer, browser, clock):
    tokens = browser.sign_in()
    issuer.stop()
    again = Issuer(issuer.paths, now=clock)
    again.start()
    try:
        again.page_url = PAGE
        assert again.url == issuer.url
        assert browser.renew(tokens["refresh_token"]).status == 200
        assert browser.authorize(prompt="none").taken_along["code"]
    finally:
        again.stop()


def test_a_sign_in_ends_by_itself_after_a_month(browser, clock):
    tokens = browser.sign_in()
    clock.now += KEPT_SECONDS
    assert refused(browser.renew(tokens["refresh_token"])) == "invalid_grant"
    assert browser.authorize(prompt="none").taken_along["error"] == "login_required"


def test_how_long_tokens_are_valid_can_be_changed_while_it_runs(issuer, browser):
    first = browser.sign_in()
    issuer.token_seconds = 2
    renewed = browser.renew(first["refresh_token"]).json
    access = claims(browser, renewed["access_token"])
    assert renewed["expires_in"] == access["exp"] - access["iat"] == 2


# ---- signing out ----


def test_signing_out_ends_the_sign_in_and_goes_back_to_the_page_alone(browser):
    tokens = browser.sign_in()
    query = urlencode({"post_logout_redirect_uri": PAGE, "state": "s2"})
    back = browser.send("GET", f"/logout?{query}")
    assert (back.status, back.location, back.taken_along) == (303, PAGE, {"state": "s2"})
    assert refused(browser.renew(tokens["refresh_token"])) == "invalid_grant"
    assert browser.authorize(prompt="none").taken_along["error"] == "login_required"
    elsewhere = urlencode({"post_logout_redirect_uri": "https://evil.example/app"})
    shown = browser.send("GET", f"/logout?{elsewhere}")
    assert (shown.status, shown.headers["Location"]) == (200, None)
    assert "You are signed out" in shown.text


def test_a_code_of_a_sign_in_that_has_ended_brings_nothing(browser):
    code = browser.choose().taken_along["code"]
    browser.send("GET", "/logout")
    assert refused(browser.redeem(code)) == "invalid_grant"


def test_all_sign_ins_can_be_ended_at_once(issuer, browser):
    tokens = browser.sign_in()
    issuer.end_sign_ins()
    assert refused(browser.renew(tokens["refresh_token"])) == "invalid_grant"
    assert browser.authorize(prompt="none").taken_along["error"] == "login_required"


# ---- who may ask ----


def test_a_script_of_another_origin_reads_no_tokens(browser):
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    allowed = browser.send("OPTIONS", "/token", **asked)
    assert allowed.headers["Access-Control-Allow-Origin"] == PAGE_ORIGIN
    got = browser.send("POST", "/token", "", **{"Content-Type": FORM, **asked})
    assert got.headers["Access-Control-Allow-Origin"] == PAGE_ORIGIN


def test_under_another_name_the_issuer_answers_nobody(browser):
    browser.sign_in()
    for path in ("/authorize?" + urlencode(browser.asked()), "/.well-known/jwks.json"):
        answer = browser.send("GET", path, Host="rebound.example")
        assert answer.status == 421
        assert "Location" not in answer.headers


def test_cookies_of_other_programs_on_this_machine_hide_nobody(browser):
    browser.sign_in()
    browser.cookie = f'odd={{"a":[1]}}; {browser.cookie}; mailroom_sign_in_1=x'
    assert browser.authorize(prompt="none").taken_along["code"]


def test_the_cookie_of_a_sign_in_is_out_of_reach_of_scripts(browser):
    cookie = browser.choose().headers["Set-Cookie"]
    assert re.search(r"; HttpOnly; SameSite=Lax$", cookie)


def test_what_lies_on_the_disk_is_its_owners_alone(issuer, browser):
    browser.sign_in()
    for file in issuer.paths.keys.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file.name
