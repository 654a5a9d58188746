"""Beginning an answer while the API takes its time, on the real handlers."""

from playwright.sync_api import expect

from tests.browser.conftest import HERE
from tests.fakes.mail import START, add_mailbox, message_of, store


def test_an_answer_is_written_once_it_is_known_whom_it_goes_to(app, open_on_fakes):
    app.clock.at = START.replace(hour=12)
    mail = message_of("a", subject="Our offer", to=("ann@ours.example",))
    store(app.world, add_mailbox(app.world, "ANN"), mail, text="Shall we?", html=None)
    page = open_on_fakes("#/conversations").page
    expect(page.get_by_role("heading", name="Conversations")).to_be_visible()
    asked = f"{HERE}/v1/messages/{mail.id}/answer*"
    contacts = f"{HERE}/v1/contacts*"
    held, held_contacts = [], []
    page.route(asked, lambda route: held.append(route))
    page.route(contacts, lambda route: held_contacts.append(route))
    with page.expect_request(asked):
        page.evaluate("place => (location.hash = place)", f"#/compose?answers={mail.id}")
    with page.expect_response(contacts):
        held_contacts[-1].fallback()
    # All else is here, and has been drawn.
    page.evaluate(
        "new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
    )
    expect(page.get_by_text("Loading…")).to_be_visible()
    expect(page.get_by_label("Text")).to_have_count(0)
    held[0].fallback()
    expect(page.get_by_label("Subject")).to_have_value("Re: Our offer")
    chosen = page.get_by_role("list", name="To: chosen").get_by_role("listitem")
    expect(chosen).to_have_text(["Cleo"])
