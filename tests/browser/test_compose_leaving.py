"""Going elsewhere while a mail is sent, and what keeps it from being sent, on the real handlers."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import HERE
from tests.fakes.mail import START, add_contact, add_mailbox

CLEO = "cleo@client.example"
REFUSED = {
    "code": "validation_failed",
    "detail": "The mail cannot be sent.",
    "fix": "Change it.",
    "request_id": "r-1",
    "errors": [],
}


@pytest.fixture
def composing(app, open_on_fakes):
    """A mail to Cleo that is written and can be sent."""
    app.clock.at = START.replace(hour=12)
    add_contact(app.world, "cleo", CLEO, name="Cleo Brandt")
    add_mailbox(app.world, "ANN")
    visit = open_on_fakes(f"#/compose?to={CLEO}")
    visit.page.get_by_label("Text").fill("Dear Cleo")
    return visit


def sends(app):
    return [send for box in app.world.sends.values() for send in box.values()]


def send_and_go_elsewhere(page):
    """Press Send, and be at the mailboxes before the API answers; return the request that waits."""
    held = []
    page.route(f"{HERE}/v1/sends", lambda route: held.append(route))
    with page.expect_request(f"{HERE}/v1/sends"):
        page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_role("link", name="Mailboxes", exact=True).click()
    expect(page.get_by_role("heading", name="Mailboxes", exact=True)).to_be_visible()
    return held[0]


def test_a_mail_does_not_leave_without_a_file_that_failed(app, composing):
    page = composing.page
    empty = {"name": "contract.pdf", "mimeType": "application/pdf", "buffer": b""}
    page.get_by_label("Attach files").set_input_files(empty)
    expect(page.get_by_text("This file is empty.")).to_be_visible()
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("A file could not be attached.")).to_be_visible()
    composing.axe()
    assert not sends(app)
    page.get_by_role("button", name="Remove contract.pdf").click()
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    assert len(sends(app)) == 1


def test_who_goes_elsewhere_while_it_is_sent_stays_there(app, composing):
    page = composing.page
    send_and_go_elsewhere(page).fallback()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    expect(page.get_by_role("heading", name="Mailboxes", exact=True)).to_be_visible()
    expect(page.get_by_text("draft is kept")).to_have_count(0)
    assert page.url.endswith("#/mailboxes")
    assert len(sends(app)) == 1


def test_who_went_elsewhere_hears_that_it_was_refused(app, composing):
    composing.expects("422 POST .*/v1/sends")
    page = composing.page
    send_and_go_elsewhere(page).fulfill(status=422, json=REFUSED)
    expect(page.get_by_role("alert")).to_contain_text("The mail cannot be sent.")
    expect(page.get_by_text("Your draft is kept in this tab. Send it again")).to_be_visible()
    page.get_by_role("link", name="Conversations").click()
    page.get_by_role("link", name=f"To {CLEO}").click()
    expect(page.get_by_label("Text")).to_have_value("Dear Cleo")
    assert not sends(app)
