"""app.js: which view is shown, whatever happens on the way there, on the real handlers."""

import pytest
from playwright.sync_api import expect

from tests.fakes.mail import add_mailbox

BROKEN = "export const open = () => ({ title: () => 'Broken', render: () => nothing.here });"
BROKEN_AT_ONCE = "export const open = () => nothing.here;"


@pytest.fixture
def ann(app, open_on_fakes):
    """An administrator of two mailboxes, at their list."""
    add_mailbox(app.world, "MB1")
    add_mailbox(app.world, "MB2")
    ann = open_on_fakes("#/mailboxes", roles=["admin"])
    expect(ann.page.get_by_role("heading", name="Mailboxes", level=1)).to_be_visible()
    return ann


def go(page, place):
    page.evaluate("(place) => { location.hash = place }", place)


def held(page, name):
    """Keep a module on its way; what is returned lets it go on."""
    waiting, open_now = [], []

    def answer(route):
        if open_now:
            route.fallback()
        else:
            waiting.append(route)

    def let_go():
        open_now.append(True)
        for route in waiting:
            route.fallback()

    page.route(f"**/app/{name}", answer)
    return let_go


def test_a_view_that_was_left_and_come_back_to_on_its_way_is_opened_once(ann):
    asked = []
    ann.page.on("request", lambda request: asked.append(request.url.split("?")[0]))
    let_go = held(ann.page, "operations.js")
    go(ann.page, "#/operations")
    go(ann.page, "#/mailboxes")
    expect(ann.page.get_by_role("heading", name="Mailboxes", level=1)).to_be_visible()
    go(ann.page, "#/operations")
    let_go()
    expect(ann.page.get_by_text("Nothing was given up")).to_be_visible()
    assert sum(url.endswith("/v1/activity") for url in asked) == 1


def test_a_view_on_its_way_opens_at_the_place_of_then(ann):
    let_go = held(ann.page, "mailbox.js")
    go(ann.page, "#/mailboxes/MB1")
    go(ann.page, "#/mailboxes/MB1/settings")
    let_go()
    parts = ann.page.locator("nav.tabs")
    expect(parts.locator("[aria-current]")).to_have_attribute("href", "#/mailboxes/MB1/settings")


def test_back_and_forward_go_through_the_views(ann):
    for place in ("#/mailboxes/MB1", "#/mailboxes/MB1/settings", "#/mailboxes/MB2", "#/operations"):
        go(ann.page, place)
    expect(ann.page.get_by_role("heading", name="Operations", level=1)).to_be_focused()
    heading = ann.page.get_by_role("heading", level=1)
    for place, title in {
        "#/mailboxes/MB2": "mb2@ours.example",
        "#/mailboxes/MB1/settings": "mb1@ours.example",
        "#/mailboxes/MB1": "mb1@ours.example",
        "#/mailboxes": "Mailboxes",
    }.items():
        ann.page.go_back()
        expect(ann.page).to_have_url(f"http://localhost:9/app{place}")
        expect(heading).to_contain_text(title)
    ann.page.go_forward()
    expect(heading).to_contain_text("mb1@ours.example")


@pytest.mark.parametrize("place", ["#/nowhere", "#/nowhere/%E0%A4%A", "#//?a?b&%"])
def test_an_address_of_nothing_says_so(ann, place):
    go(ann.page, "#/operations")
    expect(ann.page.get_by_role("heading", name="Operations", level=1)).to_be_visible()
    go(ann.page, place)
    there = "Mailboxes" if place.startswith("#//") else "There is nothing here"
    expect(ann.page.get_by_role("heading", name=there, level=1)).to_be_visible()
    if there != "Mailboxes":
        ann.page.get_by_role("main").get_by_role("link", name="Mailboxes").click()
        expect(ann.page.get_by_role("heading", name="Mailboxes", level=1)).to_be_visible()


@pytest.mark.parametrize("module", [BROKEN, BROKEN_AT_ONCE])
def test_a_fault_in_one_view_leaves_the_others(ann, module):
    ann.expects("console error: ReferenceError: nothing is not defined")
    ann.page.route(
        "**/app/operations.js",
        lambda route: route.fulfill(content_type="text/javascript", body=module),
    )
    go(ann.page, "#/operations")
    expect(ann.page.get_by_role("heading", name="Something went wrong on our side")).to_be_visible()
    ann.axe()
    ann.page.get_by_role("link", name="Mailboxes", exact=True).click()
    expect(ann.page.get_by_role("heading", name="Mailboxes", level=1)).to_be_visible()


def test_a_view_that_cannot_be_loaded_says_so(ann):
    ann.expects("failed: GET .*operations.js")
    ann.page.route("**/app/operations.js", lambda route: route.abort("connectionreset"))
    go(ann.page, "#/operations")
    words = "This part of the page could not be loaded"
    expect(ann.page.get_by_role("heading", name=words)).to_be_visible()


def test_a_menu_closes_by_escape_a_click_elsewhere_and_going_on(ann):
    menu = ann.page.get_by_label("Signed in as ann")
    out = ann.page.get_by_role("button", name="Sign out")
    menu.click()
    expect(out).to_be_visible()
    ann.page.keyboard.press("Tab")
    expect(out).to_be_focused()
    ann.page.keyboard.press("Escape")
    expect(out).to_be_hidden()
    expect(menu).to_be_focused()
    ann.page.keyboard.press("Enter")
    expect(out).to_be_visible()
    ann.page.get_by_role("heading", name="Mailboxes", level=1).click()
    expect(out).to_be_hidden()
    menu.click()
    ann.page.keyboard.press("Tab")
    ann.page.keyboard.press("Tab")
    expect(out).to_be_hidden()


def test_nothing_is_too_wide_for_the_narrowest_screens(ann):
    ann.page.set_viewport_size({"width": 320, "height": 640})
    for place, title in {
        "#/mailboxes": "Mailboxes",
        "#/mailboxes/MB1": "mb1@ours.example",
        "#/conversations": "Conversations",
        "#/operations": "Operations",
    }.items():
        go(ann.page, place)
        expect(ann.page.get_by_role("heading", level=1)).to_contain_text(title)
        assert ann.page.evaluate("document.documentElement.scrollWidth") <= 320, place


def test_all_parts_of_a_mailbox_are_in_sight_on_a_phone(ann):
    ann.page.set_viewport_size({"width": 360, "height": 740})
    go(ann.page, "#/mailboxes/MB1")
    for part in ("Overview", "Import", "Runs", "Folders", "Settings"):
        link = ann.page.locator("nav.tabs").get_by_role("link", name=part)
        expect(link).to_be_in_viewport(ratio=0.95)


def test_what_was_said_is_one_step_before_what_is_shown(ann):
    go(ann.page, "#/mailboxes/MB1/settings")
    ann.page.get_by_label("Name", exact=True).fill("Ours")
    ann.page.get_by_role("button", name="Save", exact=True).click()
    close = ann.page.locator(".toast").get_by_role("button", name="Close")
    expect(close).to_be_visible()
    ann.page.locator("#content").focus()
    ann.page.keyboard.press("Shift+Tab")
    expect(close).to_be_focused()
    ann.keep("mailbox-settings-saved")


def test_one_mailbox_that_is_refused_leaves_the_list_of_all(ann):
    go(ann.page, "#/operations")
    expect(ann.page.get_by_role("heading", name="Operations", level=1)).to_be_visible()
    ann.expects("404 GET .*/MB1/backfills")
    ann.page.route(
        "**/v1/mailboxes/MB1/backfills",
        lambda route: route.fulfill(status=404, json={"error": {"code": "not_found"}}),
    )
    with ann.page.expect_response("**/v1/mailboxes/MB1/backfills"):
        go(ann.page, "#/mailboxes")
    for name in ("mb1@ours.example", "mb2@ours.example"):
        expect(ann.page.get_by_role("link", name=name)).to_be_visible()
    expect(ann.page.get_by_role("alert")).to_have_count(0)
