"""Writing mail, on the real handlers: what it begins with, that it leaves once, and that nothing written is lost."""

from dataclasses import replace
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from shared.domain.errors import ErrorCode
from shared.domain.ids import UserId
from shared.domain.sending import Recipient, RecipientStatus, SendStatus
from tests.browser.conftest import HERE
from tests.fakes.mail import START, add_contact, add_mailbox, message_of, store

CLEO = "cleo@client.example"


@pytest.fixture
def ann(app):
    app.clock.at = START.replace(hour=12)
    add_contact(app.world, "cleo", CLEO, name="Cleo Brandt")
    return add_mailbox(app.world, "ANN")


@pytest.fixture
def question(app, ann):
    """A mail to Ann and Ben that can be answered."""
    mail = message_of("a", subject="Our offer", to=("ann@ours.example", "ben@client.example"))
    store(app.world, ann, mail, text="Shall we?", html=None)
    return mail


def sends(app):
    """What was asked to be sent, the first first."""
    found = [send for box in app.world.sends.values() for send in box.values()]
    return sorted(found, key=lambda send: send.id)


def become(app, send, **changes):
    """Have a mail stand as a worker would leave it."""
    app.world.sends[send.tenant_id, send.mailbox_id][send.id] = replace(send, **changes)


def answering(mail, kind="reply"):
    return f"#/compose?answers={mail.id}&kind={kind}&thread={mail.thread_id}"


def chips(page, field="To"):
    return page.get_by_role("list", name=f"{field}: chosen").get_by_role("listitem")


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def test_without_a_mailbox_it_says_where_mail_leaves_from(open_on_fakes):
    visit = open_on_fakes("#/compose")
    expect(
        visit.page.get_by_role("heading", name="You have no mailbox to write from")
    ).to_be_visible()
    expect(visit.page.get_by_role("link", name="Connect a mailbox")).to_be_visible()
    visit.axe()


def test_an_answer_begins_with_whom_it_goes_to_and_joins_the_thread(app, question, open_on_fakes):
    app.ask("PUT", "/v1/signature", body={"text": "-- \nAnn of Ours"})
    page = (visit := open_on_fakes(answering(question))).page
    expect(page.get_by_label("Subject")).to_have_value("Re: Our offer")
    expect(page.get_by_label("Text")).to_be_focused()
    expect(chips(page)).to_have_text(["Cleo"])
    expect(page.get_by_text("Ann of Ours")).to_be_visible()
    page.get_by_text("Quoted text").click()
    expect(page.locator(".below")).to_contain_text("Shall we?")
    page.get_by_label("Text").fill("We shall.")
    visit.keep("compose-reply")
    page.get_by_label("Put my signature below").uncheck()
    button(page, "Send").click()
    expect(page.locator(".leaving")).to_contain_text("We shall.")
    expect(page.locator(".toast")).to_contain_text("Sending")
    expect(button(page, "Undo")).to_be_visible()
    visit.keep("thread-sending")
    (send,) = sends(app)
    assert (send.answers, send.subject) == (question.id, "Re: Our offer")
    assert send.due_at - send.created_at == timedelta(seconds=10)
    accepted = tuple(replace(one, status=RecipientStatus.ACCEPTED) for one in send.recipients)
    become(app, send, status=SendStatus.SENT, sent_at=app.clock.now(), recipients=accepted)
    page.clock.run_for(12_000)
    expect(page.locator(".toast")).to_contain_text("Sent to Cleo.")
    expect(page.locator(".leaving")).to_contain_text("It joins this thread")


def test_undo_leads_back_to_the_draft_with_all_that_was_in_it(app, question, open_on_fakes):
    page = open_on_fakes(answering(question, "reply_all")).page
    expect(chips(page, "Cc")).to_have_text(["ben@client.example"])
    page.get_by_label("Text").fill("We shall.")
    page.get_by_label("Subject").fill("Yes")
    button(page, "Send").click()
    button(page, "Undo").click()
    expect(page.get_by_label("Text")).to_have_value("We shall.")
    expect(page.get_by_label("Subject")).to_have_value("Yes")
    expect(chips(page, "Cc")).to_have_text(["ben@client.example"])
    button(page, "Send").click()
    expect(button(page, "Undo")).to_be_visible()
    assert {send.status for send in sends(app)} == {SendStatus.CANCELLED, SendStatus.QUEUED}


def lose_the_first_answer(app, visit):
    """Have the API take the first mail, and its answer be lost on the way; what it answered is added to the list."""
    lost = []

    def lose(route):
        if lost:
            return route.fallback()
        sent = route.request
        lost.append(app.ask("POST", "/v1/sends", body=sent.post_data, headers=sent.headers).status)
        return route.abort("connectionreset")

    visit.page.route(f"{HERE}/v1/sends", lose)
    visit.expects("failed: POST .*/v1/sends: net::ERR_CONNECTION_RESET")
    return lost


def test_a_click_too_many_and_a_broken_line_send_it_once(app, question, open_on_fakes):
    page = (visit := open_on_fakes(answering(question))).page
    lost = lose_the_first_answer(app, visit)
    page.get_by_label("Text").fill("We shall.")
    button(page, "Send").dblclick()
    expect(page.get_by_role("alert")).to_contain_text("Mailroom cannot be reached")
    visit.keep("compose-offline")
    button(page, "Send").click()
    expect(button(page, "Undo")).to_be_visible()
    assert lost == [202]
    assert len(sends(app)) == 1


def test_what_was_changed_after_a_broken_line_is_told_to_have_left(app, question, open_on_fakes):
    page = (visit := open_on_fakes(answering(question))).page
    lost = lose_the_first_answer(app, visit)
    visit.expects("409 POST .*/v1/sends")
    page.get_by_label("Text").fill("We shall.")
    button(page, "Send").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Text").fill("We shall not.")
    button(page, "Send").click()
    expect(page.get_by_text("leaves as it was then")).to_be_visible()
    expect(button(page, "Undo")).to_be_visible()
    assert lost == [202]
    assert len(sends(app)) == 1


def test_people_are_typed_pasted_and_taken_away_by_keyboard(ann, open_on_fakes):
    page = (visit := open_on_fakes("#/compose")).page
    box = page.get_by_label("To", exact=True)
    box.press_sequentially("Cleo Brandt,eve@else.example;")
    expect(chips(page)).to_have_text(["Cleo Brandt", "eve@else.example"])
    box.press_sequentially("not an address")
    box.press("Tab")
    expect(page.get_by_text("Not an e-mail address: not an address")).to_be_visible()
    visit.keep("compose-recipients")
    box.press("Backspace")
    expect(chips(page)).to_have_count(2)
    box.evaluate(
        "(box, text) => { const data = new DataTransfer(); data.setData('text', text);"
        " box.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})); }",
        "Dora Ilves <dora@client.example>\nfay@client.example",
    )
    expect(chips(page)).to_have_text(
        ["Cleo Brandt", "eve@else.example", "Dora Ilves", "fay@client.example"]
    )
    page.get_by_role("button", name="Remove eve@else.example").press("Enter")
    expect(chips(page)).to_have_count(3)
    expect(box).to_be_focused()


def test_a_contact_far_down_the_list_is_known_by_name(app, ann, open_on_fakes):
    for number in range(130):
        add_contact(
            app.world, f"c{number:03}", f"p{number}@client.example", name=f"Person {number}"
        )
    page = open_on_fakes("#/compose").page
    page.get_by_label("To", exact=True).press_sequentially("Person 129,")
    remove = page.get_by_role("button", name="Remove Person 129 <p129@client.example>")
    expect(remove).to_be_visible()


def test_it_goes_to_somebody(ann, open_on_fakes):
    page = (visit := open_on_fakes("#/compose")).page
    page.get_by_label("Text").fill("To whom it may concern")
    button(page, "Send").click()
    expect(page.get_by_text("Say whom it goes to.")).to_be_visible()
    expect(page.get_by_label("To", exact=True)).to_be_focused()
    visit.axe()


def test_a_draft_outlives_a_reload_and_is_found_again(ann, open_on_fakes):
    page = (visit := open_on_fakes(f"#/compose?to={CLEO}")).page
    page.get_by_label("Text").fill("Dear Cleo")
    page.reload()
    expect(page.get_by_label("Text")).to_have_value("Dear Cleo")
    page.get_by_role("link", name="Conversations").click()
    expect(page.get_by_text("Your draft is kept in this tab.")).to_be_visible()
    visit.axe()
    page.get_by_role("link", name=f"To {CLEO}").click()
    expect(page.get_by_label("Text")).to_have_value("Dear Cleo")
    button(page, "Discard").click()
    expect(page.get_by_text("A draft waits for you")).to_have_count(0)
    button(page, "Undo").click()
    expect(page.get_by_label("Text")).to_have_value("Dear Cleo")


def test_a_sign_in_that_ends_waits_with_what_is_written(app, ann, open_on_fakes):
    page = (visit := open_on_fakes(f"#/compose?to={CLEO}")).page
    page.get_by_label("Text").fill("Dear Cleo")
    page.route(
        f"{HERE}/v1/sends",
        lambda route: route.fulfill(status=401, json={"message": "Unauthorized"}),
    )
    visit.expects("401 POST .*/v1/sends")
    button(page, "Send").click()
    expect(page.get_by_text("Your sign-in has ended. Nothing you typed is lost")).to_be_visible()
    expect(page.get_by_label("Text")).to_have_value("Dear Cleo")
    assert not sends(app)
    page.unroute(f"{HERE}/v1/sends")
    page.reload()
    button(page, "Send").click()
    expect(button(page, "Undo")).to_be_visible()
    assert len(sends(app)) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": SendStatus.FAILED, "code": ErrorCode.RECIPIENT_REJECTED}, "Back to the draft"),
        ({"status": SendStatus.UNKNOWN, "code": ErrorCode.OUTCOME_UNKNOWN}, "The connection broke"),
    ],
)
def test_what_went_wrong_is_said_in_words(app, question, open_on_fakes, changes, words):
    page = (visit := open_on_fakes(answering(question))).page
    page.get_by_label("Text").fill("We shall.")
    button(page, "Send").click()
    expect(button(page, "Undo")).to_be_visible()
    become(app, sends(app)[0], **changes)
    page.clock.run_for(12_000)
    expect(page.locator(".toast")).to_contain_text(words)
    visit.keep(f"send-{changes['status'].value}")
    if changes["status"] is SendStatus.FAILED:
        button(page, "Back to the draft").click()
        expect(page.get_by_label("Text")).to_have_value("We shall.")


def test_a_file_is_uploaded_and_goes_along(app, ann, open_on_fakes, monkeypatch):
    place = app.uploads.place
    monkeypatch.setattr(
        app.uploads, "place", lambda *of, **when: replace(place(*of, **when), url=f"{HERE}/bucket")
    )
    page = (visit := open_on_fakes(f"#/compose?to={CLEO}")).page

    def take(route):
        (where,) = app.uploads.announced
        app.uploads.contents[where] = route.request.post_data_buffer
        route.fulfill(status=200)

    page.route(f"{HERE}/bucket", take)
    note = {"name": "note.txt", "mimeType": "text/plain", "buffer": b"The note."}
    page.get_by_label("Attach files").set_input_files(note)
    expect(page.get_by_role("button", name="Remove note.txt")).to_be_visible()
    page.get_by_label("Attach files").set_input_files({**note, "name": "empty.txt", "buffer": b""})
    expect(page.get_by_text("This file is empty.")).to_be_visible()
    visit.keep("compose-files")
    page.get_by_role("button", name="Remove empty.txt").click()
    page.get_by_label("Text").fill("See the note.")
    button(page, "Send").click()
    expect(button(page, "Undo")).to_be_visible()
    assert [send.files for send in sends(app)] == [("note.txt",)]


@pytest.fixture
def slow_bucket(app, monkeypatch):
    """Files come to where this page's requests go, and are held there until a test lets them pass."""
    place = app.uploads.place
    monkeypatch.setattr(
        app.uploads, "place", lambda *of, **when: replace(place(*of, **when), url=f"{HERE}/bucket")
    )
    held = []

    def hold(page):
        page.route(f"{HERE}/bucket", lambda route: held.append(route))
        note = {"name": "note.txt", "mimeType": "text/plain", "buffer": b"The note."}
        page.get_by_label("Attach files").set_input_files(note)
        expect(page.get_by_role("progressbar")).to_be_visible()
        return lambda: held[0].fulfill(status=200)

    return hold


def test_a_file_stays_with_the_draft_it_was_chosen_for(question, slow_bucket, open_on_fakes):
    page = open_on_fakes(f"#/compose?to={CLEO}").page
    page.get_by_label("Text").fill("See the note.")
    arrive = slow_bucket(page)
    page.evaluate("place => (location.hash = place)", answering(question))
    expect(page.get_by_label("Subject")).to_have_value("Re: Our offer")
    arrive()
    page.get_by_role("link", name="Conversations").click()
    expect(page.get_by_text("Your draft is kept in this tab.")).to_be_visible()
    page.get_by_role("link", name=f"To {CLEO}").click()
    expect(page.get_by_label("Text")).to_have_value("See the note.")
    expect(page.get_by_role("button", name="Remove note.txt")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_count(0)


def test_what_is_typed_stays_where_a_file_arrives_after_a_way_elsewhere(
    ann, slow_bucket, open_on_fakes
):
    page = open_on_fakes(f"#/compose?to={CLEO}").page
    page.get_by_label("Text").fill("See the note.")
    arrive = slow_bucket(page)
    page.get_by_role("link", name="Conversations").click()
    page.get_by_role("link", name=f"To {CLEO}").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.get_by_label("Text").fill("See the note, please.")
    arrive()
    expect(page.get_by_role("progressbar")).to_have_count(0)
    page.reload()
    expect(page.get_by_label("Text")).to_have_value("See the note, please.")
    expect(page.get_by_role("button", name="Remove note.txt")).to_be_visible()


def test_a_discarded_draft_does_not_come_back_with_its_file(ann, slow_bucket, open_on_fakes):
    page = open_on_fakes(f"#/compose?to={CLEO}").page
    page.get_by_label("Text").fill("See the note.")
    arrive = slow_bucket(page)
    button(page, "Discard").click()
    expect(page.get_by_text("Discarded")).to_be_visible()
    with page.expect_event("requestfinished"):
        arrive()
    assert page.evaluate("Object.keys(sessionStorage).filter((key) => key.includes('draft'))") == []
    button(page, "Undo").click()
    expect(page.get_by_label("Text")).to_have_value("See the note.")
    expect(page.get_by_role("button", name="Remove note.txt")).to_be_visible()


def test_an_answer_that_is_late_is_not_quoted_below_another(app, ann, question, open_on_fakes):
    other = message_of("b", subject="The invoice", minutes=5)
    store(app.world, ann, other, text="It is due.", html=None)
    page = open_on_fakes("#/conversations").page
    held = []
    page.route(f"{HERE}/v1/messages/{question.id}/answer*", lambda route: held.append(route))
    with page.expect_request(f"{HERE}/v1/messages/{question.id}/answer*"):
        page.evaluate("place => (location.hash = place)", answering(question))
    page.evaluate("place => (location.hash = place)", answering(other))
    expect(page.get_by_label("Subject")).to_have_value("Re: The invoice")
    with page.expect_response(f"{HERE}/v1/messages/{question.id}/answer*"):
        held[0].fallback()
    page.get_by_text("Quoted text").click()
    expect(page.locator(".below")).to_contain_text("It is due.")
    expect(page.locator(".below")).not_to_contain_text("Shall we?")


def test_what_leaves_later_is_listed_and_called_off(app, ann, open_on_fakes):
    page = (visit := open_on_fakes(f"#/compose?to={CLEO}")).page
    page.get_by_label("Subject").fill("Later")
    page.get_by_label("Text").fill("Dear Cleo")
    page.get_by_text("Send it later").click()
    page.get_by_label("When it is sent").fill("2026-01-01T09:00")
    button(page, "Send at that time").click()
    expect(page.get_by_text("Choose a time from now on")).to_be_visible()
    page.get_by_label("When it is sent").fill("2026-02-03T09:00")
    button(page, "Send at that time").click()
    expect(page.locator(".toast")).to_contain_text("It leaves on 3 Feb 2026, 09:00.")
    (send,) = sends(app)
    assert send.due_at == START.replace(day=3)
    become(app, send, user_id=UserId("ann"))
    page.evaluate("sessionStorage.removeItem('mailroom.outbox')")
    page.reload()
    page.get_by_role("link", name="Sent from here").click()
    expect(page.locator(".outgoing")).to_contain_text("Waiting")
    visit.keep("sent-from-here")
    button(page, "Cancel sending").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel sending").click()
    expect(page.locator(".outgoing")).to_contain_text("Cancelled")
    assert sends(app)[0].status is SendStatus.CANCELLED


def test_who_was_refused_is_named(app, ann, open_on_fakes):
    page = open_on_fakes(f"#/compose?to={CLEO}").page
    page.get_by_label("Text").fill("Dear Cleo")
    button(page, "Send").click()
    expect(button(page, "Undo")).to_be_visible()
    refused = Recipient("eve@gone.example", RecipientStatus.REFUSED, ErrorCode.RECIPIENT_REJECTED)
    send = sends(app)[0]
    become(
        app,
        send,
        status=SendStatus.SENT,
        sent_at=app.clock.now(),
        recipients=(Recipient(CLEO, RecipientStatus.ACCEPTED), refused),
    )
    page.clock.run_for(12_000)
    expect(page.locator(".toast")).to_contain_text("Not delivered to eve@gone.example")
