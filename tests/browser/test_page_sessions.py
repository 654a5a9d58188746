"""session.js and api.js: what becomes of a sign-in and of a request when something goes wrong, at the stack's own issuer."""

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jws
from playwright.sync_api import expect

from infra.local.issuer import Issuer
from infra.local.issuer_tokens import mint
from infra.local.paths import Paths
from shared.api.page_routes import page_of, read_files
from shared.config import Settings
from tests.browser.conftest import FOLDER, on_fakes
from tests.fakes.mail import add_mailbox

ASK = """(path) => { globalThis.answer = import("./app/api.js").then(({ api }) => api.get(path)).catch((problem) => ({ code: problem.code })) }"""
NAME_IT = """() => { globalThis.answer = import("./app/api.js").then(({ api }) => api.put("/v1/signature", { text: "Ada", html: null })) }"""


@pytest.fixture
def issuer(tmp_path):
    made = Issuer(Paths.of(tmp_path))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def refused():
    """Tokens that are good no longer."""
    return set()


@pytest.fixture
def page_url(app, issuer, refused):
    """The page of a server of ours: a browser that is sent back goes where no test can answer for it."""
    answers = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            sent = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            asked = {name.lower(): value for name, value in self.headers.items()}
            status, headers, body = answers[0](self.command, self.path, asked, sent or None)
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body.encode()))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - http.server's

        def log_message(self, *_):
            pass

    def claims_of(headers):
        token = headers["authorization"].removeprefix("Bearer ")
        claims = json.loads(jws.extract_compact(token.encode()).payload)
        return None if token in refused or claims["exp"] <= time.time() else claims

    settings = {
        "MAILROOM_JWT_ISSUER": issuer.url,
        "MAILROOM_JWT_AUDIENCE": "mailroom",
        "MAILROOM_PAGE_CLIENT_ID": "mailroom-page",
        "MAILROOM_BUCKET_ORIGIN": "https://bucket.example",
        "MAILROOM_STAGE": "local",
    }
    answers.append(on_fakes(app, page_of(read_files(FOLDER), Settings(settings)), claims_of))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        issuer.page_url = f"http://127.0.0.1:{server.server_address[1]}/app"
        yield issuer.page_url
        server.shutdown()


@pytest.fixture
def nobody(issuer, page_url, visit):
    """Somebody at the page, not signed in."""
    ours = visit(page_url, issuer.url)
    ours.page.goto(f"{page_url}#/nowhere")
    return ours


@pytest.fixture
def ada(nobody):
    """Ada, signed in."""
    nobody.page.get_by_role("button", name="Sign in").click()
    nobody.choose("acme", "ada", admin=True)
    expect(nobody.page.get_by_role("heading", level=1)).to_have_text("There is nothing here")
    return nobody


def lose(ada, issuer, refused):
    """End the sign-in, as the page learns with its next request."""
    ada.expects(r"401 (GET|PUT|DELETE) .*/v1/")
    ada.expects(r"400 POST .*/token")
    issuer.end_sign_ins()
    refused.add(token(ada))


def token(ada):
    return ada.page.evaluate("JSON.parse(sessionStorage['mailroom.session']).token")


def sign_in_again(ada, user, tenant="acme"):
    with ada.page.expect_popup() as opened:
        ada.page.get_by_role("button", name="Sign in again").click()
    window = opened.value
    with window.expect_event("close"):
        ada.choose(tenant, user, admin=False, window=window)


def test_what_was_asked_for_goes_on_once_the_same_person_is_there_again(ada, app, issuer, refused):
    lose(ada, issuer, refused)
    ada.page.evaluate(NAME_IT)
    sign_in_again(ada, "ada")
    assert ada.page.evaluate("answer.then((made) => made.text)") == "Ada"
    assert [user for _, user in app.world.signatures] == ["ada"]


@pytest.mark.parametrize(("tenant", "user"), [("acme", "ben"), ("other", "ada")])
def test_what_one_person_asked_for_is_not_done_as_another(ada, app, issuer, refused, tenant, user):
    add_mailbox(app.world, "MB1", owner="ada")
    ada.page.evaluate("sessionStorage['mailroom.draft.new '] = '{}'")
    lose(ada, issuer, refused)
    ada.page.evaluate(NAME_IT)
    with ada.page.expect_event("load"):
        sign_in_again(ada, user, tenant)
    expect(ada.page.get_by_label(f"Signed in as {user}")).to_be_visible()
    expect(ada.page.get_by_role("link", name="Operations")).to_have_count(0)
    assert not app.world.signatures
    assert ada.page.evaluate("Object.keys(sessionStorage)") == ["mailroom.session"]


def test_what_one_person_wrote_is_not_there_for_another_after_a_reload(ada, issuer, refused):
    ada.page.evaluate("sessionStorage['mailroom.draft.new '] = '{}'")
    lose(ada, issuer, refused)
    ada.page.reload()
    ada.page.get_by_role("button", name="Sign in").click()
    ada.choose("other", "ada", admin=False)
    expect(ada.page.get_by_label("Signed in as ada")).to_be_visible()
    ada.page.wait_for_function("Object.keys(sessionStorage).length === 1")
    assert ada.page.evaluate("Object.keys(sessionStorage)") == ["mailroom.session"]


def test_a_request_in_a_dialogue_goes_on_once_one_is_signed_in_again(ada, app, issuer, refused):
    add_mailbox(app.world, "MB1", owner="ada")
    ada.page.evaluate("() => { location.hash = '#/mailboxes/MB1/settings' }")
    ada.page.get_by_role("button", name="Disconnect").click()
    dialogue = ada.page.get_by_role("dialog", name="Disconnect mb1@ours.example")
    expect(dialogue.get_by_text("Nobody has it as primary mailbox")).to_be_visible()
    lose(ada, issuer, refused)
    dialogue.get_by_role("button", name="Disconnect").click()
    expect(ada.page.get_by_role("dialog", name="Sign in again")).to_be_visible()
    ada.axe()
    sign_in_again(ada, "ada")
    expect(ada.page.get_by_text("mb1@ours.example is disconnected")).to_be_visible()
    expect(ada.page.get_by_role("dialog")).to_have_count(0)


def test_signing_out_leaves_nothing_in_the_tab(ada, page_url):
    ada.page.evaluate("() => { location.hash = '#/connect' }")
    expect(ada.page.get_by_role("heading", level=1)).to_contain_text("Connect")
    ada.page.evaluate("sessionStorage['mailroom.draft.new '] = '{}'")
    ada.page.get_by_label("Signed in as ada").click()
    with ada.page.expect_request("**/logout?*") as asked:
        ada.page.get_by_role("button", name="Sign out").click()
    told = parse_qs(urlsplit(asked.value.url).query)
    assert told["post_logout_redirect_uri"] == told["logout_uri"] == [page_url]
    expect(ada.page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(ada.page).to_have_url(re.compile(f"^{re.escape(page_url)}"))
    assert ada.page.evaluate("Object.keys(sessionStorage)") == []


def test_what_ends_after_somebody_signed_out_is_not_kept(ada):
    kept = ada.page.evaluate("""async () => {
      const { signOut } = await import("./app/session.js");
      const { begun, keep } = await import("./app/drafts.js");
      signOut();
      keep(begun({}));
      return Object.keys(sessionStorage);
    }""")
    assert kept == []
    expect(ada.page.get_by_role("button", name="Sign in")).to_be_visible()


def test_signing_out_while_the_provider_is_away_leads_out(ada, page_url):
    ada.page.reload()
    ada.page.route("**/openid-configuration", lambda route: route.abort("connectionreset"))
    ada.expects("failed: GET .*/openid-configuration")
    ada.page.get_by_label("Signed in as ada").click()
    with ada.page.expect_event("load"):
        ada.page.get_by_role("button", name="Sign out").click()
    expect(ada.page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(ada.page).to_have_url(page_url)


def test_a_page_put_away_by_the_browser_is_loaded_anew_once_its_person_is_gone(ada):
    ada.page.evaluate("sessionStorage.clear()")
    with ada.page.expect_event("load"):
        ada.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(ada.page.get_by_role("button", name="Sign in")).to_be_visible()


def test_the_way_back_from_a_sign_in_leads_to_the_page(ada):
    ada.expects("Scripts may close only the windows that were opened by them")
    ada.page.go_back()
    expect(ada.page.get_by_label("Signed in as ada")).to_be_visible()


@pytest.mark.parametrize("query", ["error=Call%20555", "error=&code=x", "error=x&state=x"])
def test_a_link_with_an_error_is_not_ours_and_says_nothing_of_its_own(nobody, page_url, query):
    nobody.expects("Scripts may close only the windows that were opened by them")
    nobody.page.goto(f"{page_url}?{query}")
    expect(nobody.page.get_by_text("did not come to its end (other_sign_in)")).to_be_visible()


def test_a_sign_in_that_was_cancelled_is_told_as_that(nobody):
    nobody.page.get_by_role("button", name="Sign in").click()
    nobody.page.get_by_role("button", name="Cancel").click()
    expect(nobody.page.get_by_text("The sign-in was cancelled")).to_be_visible()
    expect(nobody.page.get_by_role("button", name="Sign in")).to_be_visible()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"message": "Unauthorized"}, "did not come to its end (unauthenticated)"),
        (
            {
                "code": "unauthenticated",
                "detail": "The tenant's claim is missing.",
                "fix": "Add it.",
                "request_id": "r1",
            },
            "The tenant's claim is missing.",
        ),
    ],
)
def test_a_token_that_the_api_does_not_take_is_told_and_not_asked_for_again(
    nobody, issuer, body, words
):
    def without_refreshing(route):
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "refresh_token": None})

    nobody.expects("401 GET .*/v1/me")
    nobody.page.route(f"{issuer.url}/token", without_refreshing)
    nobody.page.route("**/v1/me", lambda route: route.fulfill(status=401, json=body))
    nobody.page.get_by_role("button", name="Sign in").click()
    nobody.choose("acme", "ada", admin=False)
    expect(nobody.page.get_by_text(words)).to_be_visible()


@pytest.mark.parametrize("outcome", ["signed in again", "signed out"])
def test_a_renewal_that_ends_late_changes_nothing(ada, issuer, refused, outcome):
    ada.expects("401 GET .*/v1/mailboxes")
    late = []
    ada.page.route(f"{issuer.url}/token", lambda route: late.append(route))
    refused.add(token(ada))
    with ada.page.expect_request(f"{issuer.url}/token"):
        ada.page.evaluate(ASK, "/v1/mailboxes")
    if outcome == "signed out":
        ada.page.evaluate("sessionStorage.clear()")
        with ada.page.expect_response(f"{issuer.url}/token"):
            late[0].continue_()
        expect(ada.page.get_by_role("button", name="Sign in again")).to_be_visible()
        assert ada.page.evaluate("Object.keys(sessionStorage)") == []
        return
    ada.expects("400 POST .*/token")
    fresh = mint(issuer.paths, tenant="acme", user="ada", roles=(), seconds=600)
    ada.page.evaluate(
        "(token) => { sessionStorage['mailroom.session'] = JSON.stringify({ ...JSON.parse(sessionStorage['mailroom.session']), token, refresh: null }) }",
        fresh,
    )
    late[0].fulfill(status=400, json={"error": "invalid_grant"})
    assert ada.page.evaluate("answer.then((found) => found.items)") == []
    expect(ada.page.get_by_role("button", name="Sign in again")).to_have_count(0)


def test_a_refresh_token_that_was_refused_is_not_sent_again(ada, issuer, refused):
    asked = []
    ada.page.on("request", lambda request: asked.append(request.url))
    lose(ada, issuer, refused)
    for path in ("/v1/me", "/v1/mailboxes"):
        with ada.page.expect_response(f"**{path}"):
            ada.page.evaluate(ASK, path)
        expect(ada.page.get_by_role("button", name="Sign in again")).to_be_visible()
    assert asked.count(f"{issuer.url}/token") == 1


def test_a_provider_in_trouble_ends_no_sign_in(ada, issuer, refused):
    ada.expects("401 GET .*/v1/me")
    ada.expects("503 POST .*/token")
    refused.add(token(ada))
    ada.page.route(f"{issuer.url}/token", lambda route: route.fulfill(status=503, json={}), times=1)
    ada.page.evaluate(ASK, "/v1/me")
    assert ada.page.evaluate("answer") == {"code": "offline"}
    expect(ada.page.get_by_role("button", name="Sign in again")).to_have_count(0)
    ada.page.evaluate(ASK, "/v1/me")
    assert ada.page.evaluate("answer.then((me) => me.user_id)") == "ada"


def test_a_provider_that_cannot_be_reached_is_asked_again(nobody, issuer):
    nobody.expects("502 GET .*/openid-configuration")
    where = f"{issuer.url}/.well-known/openid-configuration"
    nobody.page.route(where, lambda route: route.fulfill(status=502, json={}), times=1)
    nobody.page.get_by_role("button", name="Sign in").click()
    expect(nobody.page.get_by_text("The sign-in service cannot be reached")).to_be_visible()
    nobody.axe()
    nobody.page.get_by_role("button", name="Load again").click()
    nobody.page.get_by_role("button", name="Sign in").click()
    expect(nobody.page.get_by_label("Tenant")).to_be_visible()


def test_where_no_window_may_be_opened_the_page_itself_goes_and_comes_back(
    ada, issuer, refused, page_url
):
    lose(ada, issuer, refused)
    ada.page.evaluate("window.open = () => null")
    ada.page.evaluate(ASK, "/v1/me")
    ada.page.get_by_role("button", name="Sign in again").click()
    ada.choose("acme", "ada", admin=False)
    expect(ada.page.get_by_label("Signed in as ada")).to_be_visible()
    expect(ada.page).to_have_url(f"{page_url}#/nowhere")


def test_a_window_that_could_not_go_to_the_provider_is_closed(ada, issuer, refused):
    lose(ada, issuer, refused)
    ada.page.evaluate(ASK, "/v1/me")
    ada.page.evaluate(
        "void (crypto.subtle.digest = () => Promise.reject(Object.assign(new Error(), { code: 'offline' })))"
    )
    with ada.page.expect_popup() as opened:
        ada.page.get_by_role("button", name="Sign in again").click()
    if not opened.value.is_closed():
        opened.value.wait_for_event("close")
    expect(ada.page.get_by_text("Mailroom cannot be reached")).to_be_visible()


@pytest.mark.parametrize("hours", [-30, 30])
def test_a_clock_that_is_wrong_renews_no_sooner(nobody, hours):
    nobody.page.clock.install(time=time.time() + hours * 3600)
    asked = []
    nobody.page.on("request", lambda request: asked.append(request.url))
    nobody.page.get_by_role("button", name="Sign in").click()
    nobody.choose("acme", "ada", admin=True)
    expect(nobody.page.get_by_role("heading", level=1)).to_have_text("There is nothing here")
    for _ in range(3):
        nobody.page.evaluate(ASK, "/v1/me")
        assert nobody.page.evaluate("answer.then((me) => me.user_id)") == "ada"
    assert sum(url.endswith("/token") for url in asked) == 1


@pytest.mark.parametrize(
    "answer", [{"body": '{"items": ['}, {"body": "<html>", "content_type": "text/html"}]
)
def test_an_answer_that_was_cut_off_is_a_broken_line(ada, answer):
    ada.page.route("**/v1/mailboxes", lambda route: route.fulfill(status=200, **answer))
    ada.page.evaluate(ASK, "/v1/mailboxes")
    assert ada.page.evaluate("answer") == {"code": "offline"}


def test_a_token_the_api_never_takes_is_not_renewed_for_ever(ada):
    ada.expects("401 GET .*/v1/mailboxes")
    asked = []
    ada.page.on("request", lambda request: asked.append(request.url))
    ada.page.route(
        "**/v1/mailboxes", lambda route: route.fulfill(status=401, json={"message": "Unauthorized"})
    )
    ada.page.evaluate(ASK, "/v1/mailboxes")
    assert ada.page.evaluate("answer") == {"code": "unauthenticated"}
    assert sum(bool(re.search("/token$", url)) for url in asked) == 2
