"""A mailbox's view and its dialogues, on the real handlers: nothing typed is lost, and each refusal has a way on."""

import pytest
from playwright.sync_api import expect

from tests.fakes.mail import add_mailbox


@pytest.fixture
def ann(app, open_on_fakes):
    """The owner of a mailbox, at its settings."""
    add_mailbox(app.world, "MB1")
    ann = open_on_fakes("#/mailboxes/MB1/settings", roles=["admin"])
    expect(ann.page.get_by_label("Name", exact=True)).to_be_visible()
    return ann


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def test_a_dialogue_closes_by_a_press_beside_it_and_not_by_one_that_began_inside(ann):
    button(ann.page, "Erase its mail…").click()
    typed = ann.page.get_by_label("Type mb1@ours.example to confirm")
    typed.fill("mb1@ours")
    box = typed.bounding_box()
    ann.page.mouse.move(box["x"] + 20, box["y"] + box["height"] / 2)
    ann.page.mouse.down()
    ann.page.mouse.move(20, 400)
    ann.page.mouse.up()
    expect(typed).to_have_value("mb1@ours")
    ann.page.mouse.click(20, 400)
    expect(ann.page.get_by_role("dialog")).to_have_count(0)


def test_disconnecting_can_be_asked_again_where_what_it_touches_was_refused(ann):
    ann.expects("503 GET .*/disconnection")
    ann.page.route("**/disconnection", lambda route: route.fulfill(status=503, json={}), times=1)
    button(ann.page, "Disconnect…").click()
    dialog = ann.page.get_by_role("dialog")
    expect(button(dialog, "Disconnect")).to_be_disabled()
    button(dialog, "Try again").click()
    expect(button(dialog, "Disconnect")).to_be_enabled()


def test_what_cannot_be_copied_is_said(modules):
    says = "const { copied } = await import('/app/parts.js'); return copied('a');"
    modules.run("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    assert "Select the text and copy it." in modules.run(says)


def test_what_is_typed_stays_while_other_views_are_looked_at(app, ann):
    page = ann.page
    page.get_by_label("Name", exact=True).fill("Ann of Ours")
    page.get_by_label("Address", exact=True).fill("anna@ours.example")
    page.get_by_label("Signature", exact=True).fill("Ann, Ours")
    page.get_by_role("link", name="Operations", exact=True).click()
    expect(page.get_by_role("heading", name="Operations", level=1)).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Ann of Ours")
    expect(page.get_by_label("Address", exact=True)).to_have_value("anna@ours.example")
    expect(page.get_by_label("Signature", exact=True)).to_have_value("Ann, Ours")
    button(page, "Save").click()
    expect(page.get_by_role("heading", name="Ann of Ours", level=1)).to_be_visible()
    button(page, "Save signature").click()
    expect(button(page, "Save signature")).to_be_disabled()
    assert app.ask("GET", "/v1/signature").json["text"] == "Ann, Ours"


def test_what_is_wrong_with_a_field_is_said_until_it_is_another(ann):
    ann.expects("400 PATCH .*/v1/mailboxes/MB1")
    reply_to = ann.page.get_by_label("Replies go to")
    reply_to.fill("nobody")
    button(ann.page, "Save").click()
    expect(reply_to).to_have_attribute("aria-invalid", "true")
    expect(reply_to).to_be_focused()
    reply_to.fill("nobody@ours.example")
    expect(reply_to).not_to_have_attribute("aria-invalid", "true")


def test_a_part_that_a_disconnected_mailbox_has_no_more_gives_way_to_the_overview(app, ann):
    ann.page.evaluate("location.hash = '#/mailboxes/MB1/import'")
    expect(button(ann.page, "Start the import")).to_be_visible()
    app.ask("DELETE", "/v1/mailboxes/MB1")
    ann.page.clock.fast_forward(31_000)
    parts = ann.page.locator("nav.tabs")
    expect(parts.locator("[aria-current]")).to_have_text("Overview")
    expect(button(ann.page, "Start the import")).to_have_count(0)
