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
    expect(ben.page.get_by_role("link", name="Mailboxes")).to_be_visible()
    expect(ben.page.get_by_role("link", name="Operations")).to_have_count(0)


def test_a_token_that_ends_is_renewed_without_a_word(open_page, short_tokens):
    ada = open_page(NOWHERE)
    with ada.page.expect_request(re.compile(r"/token$")):
        ada.page.evaluate(ASK)
    assert ada.page.evaluate("answer.then((me) => me.user_id)") == "ada"


def test_signing_out_ends_the_sign_in_at_the_issuer_too(open_page, stack):
    ada = open_page(NOWHERE)
    ada.page.get_by_label("Signed in as ada").click()
    ada.page.get_by_role("button", name="Sign out").click()
    ada.page.wait_for_url(lambda url: not url.startswith(stack.page_url) or "#" not in url)
    ada.page.goto(stack.page_url)
    ada.page.get_by_role("button", name="Sign in").click()
    expect(ada.page.get_by_label("Tenant")).to_be_visible()
