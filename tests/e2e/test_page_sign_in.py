"""Who uses the page, and that a sign-in that ends takes nothing with it."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.stack

NOWHERE = "#/nowhere"
"""A place with no view of its own: the frame alone."""
ASK = "globalThis.answer = import('./app/api.js').then(({ api }) => api.get('/v1/me'))"


@pytest.fixture
def short_tokens(stack):
    """The page renews a token half a minute before its end: these, whenever it needs one."""
    usual, stack.issuer.token_seconds = stack.issuer.token_seconds, 20
    yield
    stack.issuer.token_seconds = usual


def test_before_signing_in_the_page_says_what_it_is_for(stack, visit):
    nobody = visit(stack.page_url, stack.issuer_url)
    nobody.page.goto(stack.page_url)
    expect(nobody.page.get_by_role("button", name="Sign in")).to_be_visible()
    nobody.keep("signed-out")


def test_signing_in_leads_back_to_where_one_was(open_page):
    ada = open_page(NOWHERE)
    assert ada.page.url.endswith("/app" + NOWHERE)
    expect(ada.page.get_by_role("heading", level=1)).to_have_text("There is nothing here")
    expect(ada.page.get_by_role("link", name="Operations")).to_be_visible()
    ada.keep("nothing-here")


def test_a_member_is_not_led_to_what_administrators_do(open_page):
    ben = open_page(NOWHERE, user="ben", admin=False)
    expect(ben.page.get_by_role("navigation").get_by_role("link", name="Mailboxes")).to_be_visible()
    expect(ben.page.get_by_role("link", name="Operations")).to_have_count(0)


def test_a_token_that_ends_is_renewed_without_a_word(open_page, short_tokens):
    ada = open_page(NOWHERE)
    with ada.page.expect_request(re.compile(r"/token$")):
        ada.page.evaluate(ASK)
    assert ada.page.evaluate("answer.then((me) => me.user_id)") == "ada"


def cut_off(route):
    """As providers do whose sign-in page may not know what opened it."""
    answer = route.fetch()
    headers = answer.headers | {"cross-origin-opener-policy": "same-origin"}
    route.fulfill(response=answer, headers=headers)


@pytest.mark.parametrize("is_cut_off", [False, True], ids=["together", "cut-off"])
def test_a_sign_in_that_ends_is_taken_up_in_a_window_and_what_was_asked_goes_on(
    open_page, short_tokens, stack, is_cut_off
):
    ada = open_page(NOWHERE)
    ada.expects(r"400 POST .*/token")
    if is_cut_off:
        ada.page.context.route(f"{stack.issuer_url}/authorize?*", cut_off)
    stack.issuer.end_sign_ins()
    ada.page.evaluate(f"void ({ASK})")
    again = ada.page.get_by_role("button", name="Sign in again")
    expect(again).to_be_visible()
    ada.keep("sign-in-ended")
    with ada.page.expect_popup() as opened:
        again.click()
    window = opened.value
    with window.expect_event("close"):
        ada.choose(ada.tenant, "ada", admin=True, window=window)
    expect(again).to_have_count(0)
    assert ada.page.evaluate("answer.then((me) => me.user_id)") == "ada"
    assert ada.page.url.endswith("/app" + NOWHERE)


def test_embedded_in_another_site_one_signs_in_in_a_window(stack, visit):
    around = "http://localhost:3000/"
    shows = f'<!doctype html><title>CRM</title><link rel="icon" href="data:,"><iframe src="{stack.page_url}{NOWHERE}" style="width:100%;height:600px">'
    ada = visit(stack.page_url, stack.issuer_url, around)
    # A page that is answered here is of no network, and has to be let into this machine's.
    ada.page.context.grant_permissions(["local-network-access"])
    ada.page.route(around, lambda route: route.fulfill(body=shows, content_type="text/html"))
    ada.page.goto(around)
    inside = ada.page.frame_locator("iframe")
    with ada.page.expect_popup() as opened:
        inside.get_by_role("button", name="Sign in").click()
    window = opened.value
    with window.expect_event("close"):
        ada.choose("embedded", "ada", admin=True, window=window)
    expect(inside.get_by_role("heading", level=1)).to_have_text("There is nothing here")
    expect(inside.get_by_role("link", name="Operations")).to_be_visible()


def test_a_sign_in_that_was_not_begun_here_signs_nobody_in(stack, visit):
    nobody = visit(stack.page_url, stack.issuer_url)
    nobody.expects("Scripts may close only the windows that were opened by them")
    nobody.page.goto(f"{stack.page_url}?code=somebodys&state=somebodys")
    expect(nobody.page.get_by_role("heading", level=1)).to_have_text("You are not signed in")
    assert nobody.page.url == stack.page_url
    assert nobody.page.evaluate("Object.keys(sessionStorage)") == []
    nobody.keep("not-signed-in")
    nobody.page.get_by_role("button", name="Sign in").click()
    expect(nobody.page.get_by_label("Tenant")).to_be_visible()


def test_signing_out_ends_the_sign_in_at_the_issuer_too(open_page, stack):
    ada = open_page(NOWHERE)
    ada.page.get_by_label("Signed in as ada").click()
    ada.page.get_by_role("button", name="Sign out").click()
    ada.page.wait_for_url(lambda url: not url.startswith(stack.page_url) or "#" not in url)
    ada.page.goto(stack.page_url)
    ada.page.get_by_role("button", name="Sign in").click()
    expect(ada.page.get_by_label("Tenant")).to_be_visible()
