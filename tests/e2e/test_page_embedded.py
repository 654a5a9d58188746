"""A mailbox is connected from inside somebody else's site: providers let nobody frame them, so it takes a window."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.stack

AROUND = "http://localhost:3000/"
"""On the list of origins; what is asked of it is answered here."""
SHOWS = '<!doctype html><title>CRM</title><link rel="icon" href="data:,"><iframe src="%s" style="width:100%%;height:700px">'


def test_a_mailbox_is_connected_in_a_window_beside_the_site_that_shows_the_page(
    stack, providers, visit
):
    address = "embedded@gmail.example"
    providers.google.add_user(address, name="Embedded")
    ada = visit(stack.page_url, stack.issuer_url, providers.google.browser_url, AROUND)
    # A page that is answered here is of no network, and has to be let into this machine's.
    ada.page.context.grant_permissions(["local-network-access"])
    shows = SHOWS % f"{stack.page_url}#/connect"
    ada.page.route(AROUND, lambda route: route.fulfill(body=shows, content_type="text/html"))
    ada.page.goto(AROUND)
    inside = ada.page.frame_locator("iframe")
    with ada.page.expect_popup() as opened:
        inside.get_by_role("button", name="Sign in").click()
    with opened.value.expect_event("close"):
        ada.choose("embedded-mailbox", "ada", admin=True, window=opened.value)
    inside.get_by_role("button", name="Continue with Google").click()
    inside.get_by_label("Your name").fill("Ada of the CRM")
    inside.get_by_role("button", name="Continue", exact=True).click()
    with ada.page.expect_popup() as opened:
        inside.get_by_role("button", name="Sign in at Google").click()
    expect(inside.get_by_role("heading", name="Go on in Google's window")).to_be_visible()
    opened.value.get_by_role("radio", name=address).check()
    with opened.value.expect_event("close"):
        opened.value.get_by_role("button", name="Continue").click()
    expect(inside.get_by_role("heading", name="Connected", exact=True)).to_be_visible()
    [made] = stack.as_user("embedded-mailbox", "ada", "admin")("GET", "/v1/mailboxes").body["items"]
    assert (made["address"], made["display_name"]) == (address, "Ada of the CRM")
