"""A thread as it is read, on the real handlers: what is shown, what is not loaded, and what is done with its mail."""

import base64
import re
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from shared.domain.contents import AttachedMail, Delivery, DeliveryReport, Invite, Moment
from shared.domain.mailbox import Direction
from shared.domain.message import StoredAttachment
from tests.fakes.mail import SENT, START, add_contact, add_mailbox, message_of, store

CLEO = "cleo@client.example"
HOSTILE = (
    '<p>Our <b>offer</b>, <a href="https://client.example/offer">as agreed</a>.</p>'
    '<img src="https://pictures.example/pixel.gif"><img src="https://pictures.example/logo.gif">'
    "<script>parent.document.title = 'taken'</script><img src=x onerror=\"top.location='https://evil.example'\">"
)
DOT = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
UNDO_MILLISECONDS = 6_500


@pytest.fixture
def ann(app):
    app.clock.at = START.replace(hour=12)
    add_contact(app.world, "cleo", CLEO, name="Cleo Brandt")
    return add_mailbox(app.world, "ANN")


def a_thread(app, ann, *, html=None):
    """Three mails; the last, unread, has attachments."""
    files = (
        StoredAttachment("offer.pdf", "application/pdf", 91_000, digest="d1"),
        StoredAttachment("film.mov", "video/quicktime", 91_000_000, missing="message_too_large"),
    )
    mails = [
        message_of("a", subject="Our offer"),
        replace(message_of("b", sender="ann@ours.example", to=(CLEO,), thread="a", subject="Re: Our offer", minutes=30), direction=Direction.OUTBOUND),
        message_of("c", thread="a", to=("ann@ours.example", "ben@client.example"), subject="Re: Our offer", minutes=60, attachments=files),
    ]  # fmt: skip
    store(app.world, ann, mails[0], text="The first word.", html=None, seen=True)
    store(app.world, ann, mails[1], folder=SENT, html=None, seen=True)
    text = (
        "Our offer, as agreed.\n-- \nCleo\n\nOn Tue, Ann <ann@ours.example> wrote:\n> Shall we?\n"
    )
    store(app.world, ann, mails[2], text=text, html=html)
    return mails


def with_frame(visit):
    """The clock that tests set wants to run in the message's frame too, where nothing runs."""
    visit.expects("Blocked script execution in 'about:srcdoc'")
    return visit


def items(page):
    return page.locator(".mails > li")


def test_the_newest_is_open_and_the_older_open_when_asked(app, ann, open_on_fakes):
    mails = a_thread(app, ann, html=HOSTILE)
    page = (visit := with_frame(open_on_fakes(f"#/threads/{mails[0].thread_id}"))).page
    expect(page.get_by_role("heading", name="Our offer")).to_be_visible()
    expect(items(page)).to_have_count(3)
    expect(items(page).last.get_by_text("cleo@client.example")).to_be_visible()
    first = items(page).first.get_by_role("button", expanded=False)
    first.press("Enter")
    expect(items(page).first.get_by_text("The first word.")).to_be_visible()
    items(page).first.get_by_role("button", expanded=True).press("Enter")
    expect(items(page).first.get_by_text("The first word.")).to_be_hidden()
    expect(page.get_by_role("link", name="Cleo Brandt").first).to_have_attribute(
        "href", "#/conversations?contact=cleo"
    )
    visit.keep("thread")


def test_html_stands_in_a_frame_that_can_do_nothing(app, ann, open_on_fakes):
    mails = a_thread(app, ann, html=HOSTILE)
    page = with_frame(open_on_fakes(f"#/threads/{mails[0].thread_id}")).page
    frame = page.get_by_title("What Cleo wrote")
    expect(frame).to_have_attribute("sandbox", "allow-popups allow-popups-to-escape-sandbox")
    expect(frame).to_have_attribute("referrerpolicy", "no-referrer")
    expect(page.frame_locator("iframe").get_by_role("link", name="as agreed")).to_be_visible()
    expect(page).to_have_title("Our offer · Mailroom")
    page.get_by_role("button", name="Show as text").click()
    expect(frame).to_have_count(0)
    expect(page.locator(".words")).to_contain_text("Our offer, as agreed.")
    expect(page.locator(".words").get_by_text("> Shall we?")).to_be_hidden()
    page.get_by_text("Quoted text").click()
    expect(page.locator(".words").get_by_text("> Shall we?")).to_be_visible()
    page.get_by_role("button", name="Show as it was sent").click()
    expect(frame).to_be_visible()


def test_pictures_of_the_web_come_when_they_are_asked_for(app, ann, open_on_fakes):
    mails = a_thread(app, ann, html=HOSTILE)
    visit = with_frame(open_on_fakes(f"#/threads/{mails[0].thread_id}"))
    page, pictures = visit.page, visit.page.frame_locator("iframe").locator("img[src]")
    # What a frame of another process asks for first, a test may see or miss.
    visit.noise.origins |= {"https://pictures.example"}
    dot = base64.b64decode(DOT)
    page.context.route(
        "https://pictures.example/**",
        lambda route: route.fulfill(content_type="image/gif", body=dot),
    )
    expect(page.get_by_text("the sender learns that you read this")).to_be_visible()
    expect(pictures).to_have_count(0)
    page.get_by_role("button", name="Show 2 pictures").click()
    expect(pictures).to_have_count(2)
    expect(page.get_by_role("button", name="Show 2 pictures")).to_have_count(0)
    admitted = page.locator("iframe").get_attribute("srcdoc")
    assert "img-src http: https:;" in admitted


def test_a_file_is_fetched_when_somebody_wants_it(app, ann, open_on_fakes):
    mails = a_thread(app, ann)
    page = (visit := open_on_fakes(f"#/threads/{mails[0].thread_id}")).page
    expect(page.get_by_text("Too large to be kept here")).to_be_visible()
    visit.expects("asked elsewhere: GET https://objects.invalid/.*/d1")
    page.context.route("https://objects.invalid/**", lambda route: route.fulfill(
        body="the offer", headers={"Content-Disposition": 'attachment; filename="offer.pdf"'}))  # fmt: skip
    with page.expect_popup() as opened, page.context.expect_event("requestfinished"):
        page.get_by_role("button", name="Download offer.pdf").click()
    opened.value.close()


def test_a_strangers_word_for_a_delivery_is_shown_as_it_is(app, ann, open_on_fakes):
    report = DeliveryReport((Delivery("eve@gone.example", "constructor", "5.1.1", "550 no"),))
    files = (StoredAttachment("r.txt", "message/delivery-status", 9, seen=report),)
    bounce = message_of("r", subject="Undelivered", attachments=files)
    bounce = replace(
        bounce, headers={"content-type": "multipart/report; report-type=delivery-status"}
    )
    store(app.world, ann, bounce, html=None)
    page = open_on_fakes(f"#/threads/{bounce.thread_id}").page
    expect(page.get_by_text("constructor")).to_be_visible()
    expect(page.get_by_text("eve@gone.example")).to_be_visible()


def test_an_invitation_and_a_bounce_are_told_in_words(app, ann, open_on_fakes):
    starts, ends = Moment("2026-03-03T10:15:00", "Europe/Berlin"), Moment("2026-03-03T11:00:00", "Europe/Berlin")  # fmt: skip
    invite = Invite(
        "request", "u", "Kick-off", "Room 4", "mailto:cleo@client.example", starts, ends
    )
    invitation = message_of(
        "i",
        subject="Kick-off",
        attachments=(StoredAttachment("i.ics", "text/calendar", 9, seen=invite),),
    )
    store(app.world, ann, invitation, html=None)
    report = DeliveryReport((Delivery("eve@gone.example", "failed", "5.1.1", "550 no such user"),))
    about = message_of("sent", sender="ann@ours.example", subject="Are you there?")
    bounce = replace(
        message_of("r", sender="mailer-daemon@ours.example", subject="Undelivered", minutes=5, attachments=(
            StoredAttachment("r.txt", "message/delivery-status", 9, seen=report),
            StoredAttachment("m.eml", "message/rfc822", 9, seen=AttachedMail("sent@ours.example", "sent@ours.example")),
        )), headers={"content-type": "multipart/report; report-type=delivery-status"},
    )  # fmt: skip
    store(app.world, ann, bounce, html=None)
    store(app.world, ann, about, folder=SENT, html=None)
    page = (visit := open_on_fakes(f"#/threads/{invitation.thread_id}")).page
    expect(page.locator(".enclosed")).to_contain_text("Kick-off")
    expect(page.locator(".enclosed")).to_contain_text("3 Mar 2026, 09:15 to 3 Mar 2026, 10:00")
    expect(page.locator(".enclosed")).to_contain_text("Where: Room 4")
    visit.keep("thread-invitation")
    page.evaluate(f"location.hash = '#/threads/{bounce.thread_id}'")
    expect(page.locator(".enclosed")).to_contain_text("Not delivered eve@gone.example")
    expect(page.locator(".enclosed")).to_contain_text("The other server said: 550 no such user")
    visit.keep("thread-bounce")


def choose(page, name):
    items(page).last.get_by_label("More for this message").click()
    items(page).last.get_by_role("button", name=name).click()


def test_mail_is_marked_and_moved_and_an_undo_asks_for_nothing(app, ann, open_on_fakes):
    mails = a_thread(app, ann)
    page = (visit := open_on_fakes(f"#/threads/{mails[0].thread_id}")).page
    who = items(page).last.locator(".who")
    expect(who).to_contain_text("unread")
    items(page).last.get_by_role("button", name="Mark as read").press("Enter")
    expect(who).not_to_contain_text("unread")
    expect(items(page).last.get_by_role("button", name="Mark as unread")).to_be_focused()
    choose(page, "Move…")
    dialog = page.get_by_role("dialog", name="Move to a folder")
    dialog.get_by_label("Folder").select_option("Sent")
    visit.axe()
    dialog.get_by_role("button", name="Move").click()
    expect(items(page).last).to_contain_text("Moving to Sent")
    page.get_by_role("button", name="Undo").click()
    expect(items(page).last).not_to_contain_text("Moving to Sent")
    choose(page, "Move to trash")
    with page.expect_response(re.compile("/messages/")) as answered:
        page.clock.run_for(UNDO_MILLISECONDS)
    assert answered.value.request.method == "PATCH"
    (change,) = answered.value.json()["mailboxes"]
    assert (change["folder_id"], change["seen"], sorted(change["pending"])) == (
        "Trash",
        True,
        ["folder_id", "seen"],
    )
    expect(items(page).last).to_contain_text("Moved to trash")


def test_who_goes_away_before_a_mail_is_moved_has_it_moved(app, ann, open_on_fakes):
    mails = a_thread(app, ann)
    page = open_on_fakes(f"#/threads/{mails[0].thread_id}").page
    expect(items(page)).to_have_count(3)
    choose(page, "Move to trash")
    expect(items(page).last).to_contain_text("Moving to trash")
    with page.expect_response(re.compile("/messages/")) as answered:
        page.evaluate("dispatchEvent(new Event('pagehide'))")
    assert answered.value.json()["mailboxes"][0]["folder_id"] == "Trash"
    expect(items(page).last).to_contain_text("Moved to trash")
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)


def test_what_is_refused_is_taken_back_and_said(app, ann, open_on_fakes):
    mails = a_thread(app, ann)
    app.world.folders[ann.tenant_id, ann.id].pop("Trash")
    page = (visit := open_on_fakes(f"#/threads/{mails[0].thread_id}")).page
    expect(items(page)).to_have_count(3)
    visit.expects("422 PATCH ")
    choose(page, "Move to trash")
    page.clock.run_for(UNDO_MILLISECONDS)
    expect(page.get_by_role("alert")).to_be_visible()
    expect(items(page).last).not_to_contain_text(re.compile("Mov(ing|ed) to trash"))


def test_many_older_mails_are_folded(app, ann, open_on_fakes):
    mails = [message_of(f"n{n}", thread="n0", subject="Long", minutes=n) for n in range(12)]
    for one in mails:
        store(app.world, ann, one, html=None)
    page = (visit := open_on_fakes(f"#/threads/{mails[0].thread_id}?message={mails[5].id}")).page
    expect(page.get_by_role("button", name="older messages")).to_have_count(1)
    expect(items(page)).to_have_count(6)
    visit.axe()
    page.get_by_role("button", name="Show 7 older messages").click()
    expect(items(page)).to_have_count(12)


def test_what_is_not_there_says_so(app, ann, open_on_fakes):
    visit = open_on_fakes("#/threads/tnothing")
    visit.expects("404 GET .*/threads/tnothing")
    expect(visit.page.get_by_role("alert")).to_be_visible()
    expect(visit.page.get_by_role("link", name="All mail")).to_be_visible()
    visit.axe()
