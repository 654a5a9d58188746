"""Contacts, their timelines and search, on the real handlers: what is listed, how it is said, what a search can do."""

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from shared.domain.contents import Invite
from shared.domain.mailbox import Direction
from shared.domain.message import StoredAttachment
from tests.browser.page import PHONE
from tests.fakes.mail import SENT, START, add_contact, add_mailbox, message_of, store

CLEO = "cleo@client.example"


@pytest.fixture
def ann(app):
    app.clock.at = START.replace(hour=12)
    return add_mailbox(app.world, "ANN")


def a_correspondence(app, ann):
    """Two contacts, and mail of every kind with one of them over two days."""
    add_contact(app.world, "cleo", CLEO, name="Cleo Brandt")
    add_contact(app.world, "office", "office@client.example", name="Client, front office")
    add_contact(
        app.world, "dora", "office@client.example", "dora@client.example", name="Dora Ilves"
    )
    offer = StoredAttachment("offer.pdf", "application/pdf", 91_000, digest="d1")
    invite = StoredAttachment(
        "i.ics", "text/calendar", 900, seen=Invite("request", "u", "Kick-off")
    )
    store(app.world, ann, message_of("a", subject="Our offer", minutes=-1500), seen=True)
    sent = replace(
        message_of("b", sender="ann@ours.example", to=(CLEO, "ben@client.example"), thread="a", subject="Re: Our offer", minutes=-1400, attachments=(offer,)),
        direction=Direction.OUTBOUND,
    )  # fmt: skip
    store(app.world, ann, sent, folder=SENT, seen=True)
    store(app.world, ann, message_of("c", subject="Kick-off", minutes=60, attachments=(invite,)))
    store(
        app.world,
        ann,
        message_of("d", sender="office@client.example", subject="Opening hours", minutes=90),
    )
    store(app.world, ann, message_of("e", sender="eve@else.example", subject="", minutes=100), seen=True)  # fmt: skip


def rows(page):
    return page.locator(".messages > li")


def test_before_there_is_a_mailbox_it_says_how_to_begin(open_on_fakes):
    ann = open_on_fakes("#/conversations")
    expect(ann.page.get_by_role("heading", name="Connect a mailbox to begin")).to_be_visible()
    link = ann.page.get_by_role("link", name="Connect a mailbox")
    expect(link).to_have_attribute("href", "#/connect")
    ann.keep("conversations-no-mailbox")


def test_a_contact_is_added_and_has_the_mail_that_was_there(app, ann, open_on_fakes):
    store(app.world, ann, message_of("a", subject="Our offer"))
    page = (visit := open_on_fakes("#/conversations")).page
    expect(page.get_by_text("No contacts yet")).to_be_visible()
    visit.keep("conversations-no-contacts")
    page.get_by_role("button", name="Add a contact").click()
    add = page.get_by_role("dialog", name="Add a contact")
    add.get_by_role("button", name="Add").click()
    expect(add.get_by_text("Say what the contact is called.")).to_be_visible()
    expect(add.get_by_text("Give whole addresses")).to_be_visible()
    visit.axe()
    add.get_by_label("Name").fill("Cleo Brandt")
    add.get_by_label("E-mail addresses").fill(f"{CLEO}, c.brandt@client.example")
    add.get_by_label("E-mail addresses").press("Enter")
    expect(page.get_by_role("heading", name="Cleo Brandt")).to_be_visible()
    expect(rows(page)).to_have_count(1)
    (contact,) = app.world.contacts.values()
    assert (contact.name, *contact.addresses) == ("Cleo Brandt", CLEO, "c.brandt@client.example")


def test_a_timeline_says_of_each_mail_what_it_is(app, ann, open_on_fakes):
    a_correspondence(app, ann)
    page = (visit := open_on_fakes("#/conversations")).page
    expect(rows(page)).to_have_count(5)
    expect(rows(page).first).to_contain_text("No subject")
    page.get_by_role("link", name="Cleo Brandt").click()
    expect(page.get_by_role("heading", name="Cleo Brandt")).to_be_visible()
    expect(rows(page)).to_have_count(3)
    days = page.locator(".day > h3").all_inner_texts()
    assert days == ["Today", "Yesterday"] or days[0] == "Today", days
    invitation, answer, offer = rows(page).all()
    expect(invitation).to_contain_text("Received from")
    expect(invitation).to_contain_text("unread")
    expect(invitation).to_contain_text("Invitation")
    expect(answer).to_contain_text("Sent")
    expect(answer).to_contain_text(f"To {CLEO}, ben@client.example")
    expect(answer).to_contain_text("with attachments")
    expect(offer).not_to_contain_text("unread")
    visit.keep("conversations")
    page.get_by_role("link", name="Dora Ilves").click()
    expect(rows(page)).to_contain_text(
        "office@client.example belongs to several contacts: Dora Ilves, Client, front office"
    )


def test_on_a_phone_there_is_one_column_at_a_time(app, ann, open_on_fakes):
    a_correspondence(app, ann)
    page = open_on_fakes("#/conversations").page
    page.set_viewport_size(PHONE)
    expect(page.get_by_role("heading", name="Contacts")).to_be_visible()
    expect(rows(page).first).to_be_hidden()
    page.get_by_role("link", name="Cleo Brandt").click()
    expect(rows(page).first).to_be_visible()
    expect(page.get_by_role("heading", name="Contacts")).to_be_hidden()
    page.get_by_role("link", name="Contacts").click()
    expect(page.get_by_role("heading", name="Contacts")).to_be_visible()


def test_a_long_list_goes_on_when_asked_and_keeps_what_was_read(app, ann, open_on_fakes):
    add_contact(app.world, "cleo", CLEO, name="Cleo Brandt")
    for number in range(70):
        store(app.world, ann, message_of(f"n{number}", subject=f"Number {number}", minutes=number))
    page = open_on_fakes("#/conversations?contact=cleo").page
    expect(rows(page)).to_have_count(50)
    page.get_by_role("button", name="Show more").click()
    expect(rows(page)).to_have_count(70)
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)
    store(app.world, ann, message_of("late", subject="Just came", minutes=200))
    page.clock.run_for(40_000)
    expect(rows(page).first).to_contain_text("Just came")
    expect(rows(page)).to_have_count(71)


def test_contacts_are_found_by_typing_also_those_further_down(app, ann, open_on_fakes):
    for number in range(130):
        add_contact(
            app.world, f"c{number:03}", f"p{number}@client.example", name=f"Person {number}"
        )
    page = open_on_fakes("#/conversations").page
    people = page.get_by_role("navigation", name="Contacts").get_by_role("link", name="Person")
    expect(people).to_have_count(100)
    page.get_by_label("Find a contact").fill("p129@")
    expect(people).to_have_text(["Person 129p129@client.example"])
    page.get_by_label("Find a contact").fill("nobody at all")
    expect(page.get_by_text("No contact has that in a name or an address.")).to_be_visible()


def test_a_search_is_a_line_and_fields_that_say_the_same(app, ann, open_on_fakes):
    a_correspondence(app, ann)
    page = (visit := open_on_fakes("#/conversations")).page
    line = page.get_by_label("Search mail")
    line.fill("offer from:cleo since:2026-01-01")
    page.get_by_text("Narrow the search").click()
    expect(page.get_by_label("Subject has")).to_have_value("offer")
    expect(page.get_by_label("From", exact=True)).to_have_value("cleo")
    expect(page.get_by_label("From this day on")).to_have_value("2026-01-01")
    page.get_by_label("Folder").select_option("Inbox")
    page.get_by_label("From", exact=True).fill(CLEO)
    expect(line).to_have_value(f"offer from:{CLEO} since:2026-01-01 folder:Inbox")
    line.press("Enter")
    expect(page.get_by_role("heading", name="Found mail")).to_be_visible()
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("Our offer")
    visit.keep("search")
    line.fill("nothing has this")
    line.press("Enter")
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    expect(page.locator(".emptiness")).to_contain_text("It does not look into what mails say.")


def test_a_search_knows_who_is_far_down_the_contacts_by_name(app, ann, open_on_fakes):
    for number in range(130):
        add_contact(
            app.world, f"c{number:03}", f"p{number}@client.example", name=f"Person {number}"
        )
    store(app.world, ann, message_of("z", sender="p129@client.example", subject="From below"))
    page = open_on_fakes('#/conversations?q=from:"Person 129"').page
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("From below")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("from:nobody", "Give the whole address"),
        ("since:soon", "Write the day as 2026-01-31."),
        ("since:2026-02-02 until:2026-02-01", "This is before the first day."),
        ("in:somewhere", "You have no mailbox of that name."),
        ("folder:Nowhere", "The mailbox has no such folder."),
    ],
)
def test_a_search_that_cannot_be_asked_says_what_is_wrong(app, ann, open_on_fakes, line, words):
    a_correspondence(app, ann)
    page = (visit := open_on_fakes("#/conversations")).page
    page.get_by_label("Search mail").fill(line)
    page.get_by_label("Search mail").press("Enter")
    expect(page.get_by_text(words).first).to_be_visible()
    expect(rows(page)).to_have_count(0)
    visit.axe()


def test_what_a_colleague_may_not_see_is_said(app, ann, open_on_fakes):
    a_correspondence(app, ann)
    add_mailbox(app.world, "BEN", owner="ben")
    page = (visit := open_on_fakes("#/conversations?contact=cleo", user="ben")).page
    expect(rows(page)).to_have_count(3)
    expect(rows(page).first).to_contain_text("Subject not shown to you")
    expect(rows(page).first).to_contain_text("You see who wrote to whom, and when.")
    rows(page).first.get_by_role("link").click()
    expect(page.locator(".mail-item").first).to_contain_text("You see who wrote to whom")
    expect(page.get_by_role("link", name="Reply")).to_have_count(0)
    visit.keep("thread-not-shown")


def test_a_merged_contact_leads_to_what_it_is_now(app, ann, open_on_fakes):
    a_correspondence(app, ann)
    app.ask("POST", "/v1/contacts/cleo/merge", body={"from": "dora"})
    ours = open_on_fakes("#/conversations?contact=dora")
    ours.expects("410 GET .*/contacts/dora")
    expect(ours.page.get_by_role("heading", name="Cleo Brandt")).to_be_visible()
