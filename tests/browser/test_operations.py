"""The administrator's view, on the real handlers: what it counts, what it names, what can be tried again."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from shared.domain.backfill import BackfillState
from shared.domain.errors import ErrorCode, StoreThrottledError
from shared.domain.ids import MailboxId, RunId, UserId, new_ulid
from shared.domain.mailbox import LatestError, MailboxStatus
from shared.domain.run import Counts, RunReason
from shared.domain.schedule import next_run_at
from tests.fakes.mail import add_mailbox
from tests.fakes.values import a_letter, a_run


@pytest.fixture
def now(app):
    return app.clock.now()


@pytest.fixture
def opened(open_on_fakes):
    """The view, as an administrator has it."""
    return lambda **given: open_on_fakes("#/operations", roles=["admin"], **given)


def connected(app, name, *, synced=2, **changes):
    """A mailbox in sync so many minutes ago; None: never."""
    mailbox = replace(
        add_mailbox(app.world, name, status=changes.pop("status", MailboxStatus.ACTIVE)), **changes
    )
    box = (mailbox.tenant_id, mailbox.id)
    app.world.mailboxes[box] = mailbox
    at = None if synced is None else app.clock.now() - timedelta(minutes=synced)
    app.world.run_states[box] = replace(app.world.run_states[box], last_synced_at=at)
    return mailbox


def an_error(now, code, *, hours=3, retry=None, count=4):
    return LatestError(code, now - timedelta(hours=hours), now, count, next_retry_at=retry)


def add_run(app, mailbox, *, hours=0, minutes=5, reason=RunReason.SCHEDULE, stored=0, code=None):
    ended = app.clock.now() - timedelta(hours=hours, minutes=minutes)
    run = a_run(
        RunId(new_ulid(ended)), tenant_id=mailbox.tenant_id, mailbox_id=mailbox.id,
        reason=reason, started_at=ended, ended_at=ended, counts=Counts(stored=stored), code=code,
    )  # fmt: skip
    app.world.runs.setdefault((mailbox.tenant_id, mailbox.id), {})[run.id] = run


def add_letter(app, mailbox, number, **changes):
    letter = a_letter(
        f"{number}", tenant_id=mailbox.tenant_id, mailbox_id=mailbox.id, generation=mailbox.generation,
        **{"first_seen_at": app.clock.now() - timedelta(hours=number), "last_seen_at": app.clock.now(), "attempts": 2, **changes},
    )  # fmt: skip
    app.world.letters.setdefault((mailbox.tenant_id, mailbox.id), {})[letter.id] = letter
    return letter


def a_busy_tenant(app):
    """Every standing, every kind of trouble, a day of mail, and something given up."""
    now = app.clock.now()
    retry = now + timedelta(minutes=7)
    boxes = [
        connected(app, f"MB{n}", synced=2 + n % 4, address=f"{name}@ours.example")
        for n, name in enumerate(("ann", "ben", "cleo", "dora", "emil", "fay"))
    ]
    revoked = an_error(now, ErrorCode.GRANT_REVOKED, hours=30)
    connected(
        app,
        "MB6",
        synced=1900,
        status=MailboxStatus.RECONNECT_REQUIRED,
        inbound_error=revoked,
        address="grace@ours.example",
    )
    for n, name in enumerate(("hugo", "iris"), 7):
        busy = an_error(now, ErrorCode.PROVIDER_UNAVAILABLE, hours=n - 6, retry=retry)
        connected(app, f"MB{n}", synced=20, inbound_error=busy, address=f"{name}@ours.example")
    refused = an_error(now, ErrorCode.STORE_REFUSED, hours=2, retry=retry)
    connected(
        app,
        "MC0",
        synced=90,
        outbound_error=refused,
        address="sales-team-of-the-north@ours.example",
    )
    connected(app, "MC1", synced=200, address="late@ours.example")
    connected(
        app, "MC2", synced=None, connected_at=now - timedelta(minutes=3), address="new@ours.example"
    )
    connected(
        app, "MC3", synced=5000, status=MailboxStatus.DISCONNECTED, address="gone@ours.example"
    )
    for box in boxes:
        for hour in range(24):
            add_run(app, box, hours=hour, stored=(hour * 7 + len(box.address)) % 13)
    for hour in range(6, 11):
        add_run(app, boxes[0], hours=hour, stored=40 * (12 - hour), reason=RunReason.BACKFILL)
    add_run(app, boxes[1], hours=3, code=ErrorCode.PROVIDER_UNAVAILABLE)
    add_run(app, boxes[1], hours=2, code=ErrorCode.PROVIDER_UNAVAILABLE)
    add_letter(app, boxes[0], 1, raw_size=18_200)
    add_letter(
        app, boxes[0], 2, code=ErrorCode.KILLED_ITS_READER, raw_missing=ErrorCode.MESSAGE_GONE
    )
    add_letter(app, boxes[2], 3)
    return boxes


def figures(section):
    """What a chart's table says, by row."""
    section.get_by_text("Show as a table").click()
    rows = section.locator("tbody tr").all()
    return {row.locator("th").inner_text(): row.locator("td").all_inner_texts() for row in rows}


def test_it_is_for_administrators(open_on_fakes):
    ben = open_on_fakes("#/operations", user="ben")
    expect(ben.page.get_by_text("This part is for administrators.")).to_be_visible()
    expect(ben.page.get_by_role("link", name="Operations")).to_have_count(0)
    ben.axe()


def test_before_anything_is_connected_it_says_what_it_will_show(opened):
    ann = opened()
    expect(ann.page.get_by_role("heading", name="No mailbox is connected yet")).to_be_visible()
    expect(ann.page.get_by_role("link", name="Connect a mailbox")).to_be_visible()
    ann.keep("operations-empty")


def test_where_all_is_well_it_says_so(app, opened):
    connected(app, "MB1")
    page = (ann := opened()).page
    expect(page.get_by_text("The one connected mailbox is in sync.")).to_be_visible()
    for words in (
        "No connected mailbox has an error.",
        "None is later than it should be.",
        "In the last 24 hours no mail came in.",
        "No run failed.",
        "Nothing was given up",
    ):
        expect(page.get_by_text(words)).to_be_visible()
    ann.keep("operations-well")


def test_each_mailbox_stands_under_one_word(app, opened):
    a_busy_tenant(app)
    page = (ann := opened()).page
    glance = page.get_by_role("region", name="At a glance")
    expect(glance).to_contain_text(
        "6 of 12 connected mailboxes are in sync. 4 are in trouble, 1 is late, 1 is starting and 1 more is disconnected."
    )
    standings = glance.locator("dl > div").all()
    assert [[one.locator("dt").inner_text(), one.locator("dd").first.inner_text()] for one in standings] == [
        ["In sync", "6"], ["In trouble", "4"], ["Late", "1"], ["Starting", "1"], ["Disconnected", "1"]
    ]  # fmt: skip
    expect(
        page.get_by_role("region", name="Dead letters").get_by_text("2 given up")
    ).to_be_visible()
    ann.keep("operations")


def test_troubles_stand_together_by_their_cause_what_administrators_mend_first(app, opened):
    a_busy_tenant(app)
    page = opened().page
    causes = page.get_by_role("region", name="What is wrong").locator("article")
    expect(causes).to_have_count(3)
    codes = causes.locator("code").all_inner_texts()
    assert codes == ["store_refused", "grant_revoked", "provider_unavailable"]
    expect(causes.nth(0)).to_contain_text("mail going out")
    revoked = causes.nth(1)
    expect(revoked).to_contain_text(
        "The mailbox's owner has to act · in 1 mailbox · since yesterday"
    )
    expect(revoked.get_by_role("link", name="Reconnect")).to_have_attribute(
        "href", "#/connect?provider=imap&mailbox=MB6"
    )
    unavailable = causes.nth(2)
    expect(unavailable).to_contain_text("in 2 mailboxes · since 2 hours ago")
    expect(unavailable.get_by_role("listitem").first).to_contain_text(
        "seen 4 times, next try in 7 minutes"
    )
    expect(unavailable.get_by_role("link", name="iris@ours.example")).to_have_attribute(
        "href", "#/mailboxes/MB8"
    )


def test_of_a_cause_of_many_mailboxes_five_are_named_until_asked(app, opened):
    error = an_error(app.clock.now(), ErrorCode.PROVIDER_UNAVAILABLE)
    for n in range(9):
        connected(app, f"MB{n}", inbound_error=error, outbound_error=error)
    page = opened().page
    cause = page.get_by_role("region", name="What is wrong").locator("article")
    expect(cause).to_contain_text("in 9 mailboxes")
    expect(cause.get_by_role("listitem")).to_have_count(5)
    cause.get_by_role("button", name="Show all 18").click()
    expect(cause.get_by_role("listitem")).to_have_count(18)


def test_late_is_who_is_later_than_its_own_cadence_and_rest(app, opened, now):
    app.clock.at = next_run_at(MailboxId("PUSHED"), 30, now=now, not_before=None)
    app.clock.advance(minutes=-1)
    connected(app, "FRESH", synced=3)
    connected(app, "LATE", synced=20)
    for name, changes in {
        "PUSHED": {"due_slot": "every-30#0#0"},
        "RESTING": {"not_before": app.clock.now() + timedelta(minutes=1)},
    }.items():
        box = connected(app, name, synced=29)
        states = app.world.run_states
        states[box.tenant_id, box.id] = replace(states[box.tenant_id, box.id], **changes)
    page = opened().page
    ages = page.get_by_role("region", name="How long since the last sync")
    expect(ages.get_by_role("img")).to_have_accessible_name(
        "1 of 4 connected mailboxes were in sync within the last 5 minutes. 1 is late or stopped."
    )
    named = ages.get_by_role("listitem").filter(has_text="Late: was due")
    expect(named).to_have_count(1)
    expect(named).to_contain_text("late@ours.example")
    assert figures(ages) == {
        "within 5 minutes": ["1", "0"], "5 to 15 minutes ago": ["0", "0"], "15 minutes to an hour ago": ["2", "1"],
        "an hour to a day ago": ["0", "0"], "more than a day ago": ["0", "0"], "never": ["0", "0"],
    }  # fmt: skip


def test_mail_that_came_in_and_imports_are_counted_apart_by_the_hour(app, opened):
    box, other = connected(app, "MB1"), connected(app, "MB2")
    add_run(app, box, hours=0, stored=3)
    add_run(app, other, hours=0, stored=4)
    add_run(app, box, hours=2, stored=1)
    add_run(app, other, hours=2, stored=120, reason=RunReason.BACKFILL)
    add_run(app, other, hours=30, stored=1000)
    page = opened().page
    hours = page.get_by_role("region", name="Messages by the hour")
    expect(hours.get_by_role("img")).to_have_accessible_name(
        "In the last 24 hours 8 new messages came in. Imports brought 120 older ones. The most, 121, in the hour from 09:00."
    )
    told = figures(hours)
    assert len(told) == 24
    assert {at: row for at, row in told.items() if row != ["0", "0"]} == {
        "1 Mar 2026, 11:00": ["7", "0"],
        "1 Mar 2026, 09:00": ["1", "120"],
    }
    hours.get_by_role("button", name="48 hours").click()
    expect(hours.get_by_role("img")).to_have_accessible_name(
        re.compile("In the last 48 hours 1,008 new")
    )
    expect(hours.locator("tbody tr")).to_have_count(48)


def test_pages_of_activity_are_added_up_as_they_arrive(app, opened):
    for n in range(45):
        add_run(app, connected(app, f"MB{n:02}"), stored=2)
    ann = opened()
    hours = ann.page.get_by_role("region", name="Messages by the hour")
    expect(ann.page.get_by_text("Nothing was given up")).to_be_visible()
    told = []
    ann.page.expose_function("tell", lambda said: told.append(said))
    ann.page.evaluate("""() => new MutationObserver(() => tell(document.querySelector("#activity ~ [role=status]")?.textContent))
      .observe(document.body, { subtree: true, childList: true, characterData: true })""")
    hours.get_by_role("button", name="48 hours").click()
    expect(hours.get_by_role("img")).to_have_accessible_name(
        re.compile("In the last 48 hours 90 new")
    )
    assert list(dict.fromkeys(told)) == [
        *(f"Counting: {n} of 45 mailboxes so far." for n in (0, 20, 40)),
        "",
    ]


def test_what_is_known_of_a_part_is_said_to_be_the_least(app, opened):
    box = connected(app, "MB1")
    for n in range(500):
        add_run(app, box, minutes=5 + n, stored=1)
    page = opened().page
    hours = page.get_by_role("region", name="Messages by the hour")
    expect(hours.get_by_text("At least this many")).to_be_visible()
    assert figures(hours)["28 Feb 2026, 13:00"] == ["unknown", "unknown"]


def test_a_dead_letter_says_why_and_is_tried_again(app, opened):
    box = connected(app, "MB1")
    letter = add_letter(app, box, 2, code=ErrorCode.KILLED_ITS_READER)
    add_letter(app, box, 3)
    ann = opened()
    letters = ann.page.get_by_role("region", name="Dead letters")
    letters.get_by_text("mb1@ours.example").click()
    first = letters.get_by_role("listitem").filter(has_text="A message ended the program")
    expect(first).to_contain_text("Whoever runs Mailroom has to act")
    ann.keep("operations-dead-letters")
    first.get_by_role("button", name="Try again").click()
    expect(first).to_contain_text("Being tried again")
    expect(letters.get_by_text("1 given up, 1 being tried again")).to_be_visible()
    (replay,) = app.world.backfills[box.tenant_id, box.id].values()
    app.world.backfills[box.tenant_id, box.id][replay.id] = replace(
        replay, state=BackfillState.DONE, counts=Counts(listed=1, stored=1)
    )
    del app.world.letters[box.tenant_id, box.id][letter.id]
    expect(letters.get_by_text("Tried again: 1 read.")).to_be_visible()
    expect(first).to_have_count(0)
    expect(letters.get_by_text("1 given up")).to_be_visible()


def test_all_of_a_mailbox_are_tried_again_at_once(app, opened):
    box = connected(app, "MB1")
    for n in range(1, 30):
        add_letter(app, box, n)
    letters = opened().page.get_by_role("region", name="Dead letters")
    letters.get_by_text("mb1@ours.example").click()
    expect(letters.get_by_role("button", name="Try again")).to_have_count(20)
    letters.get_by_role("button", name="Show more").click()
    expect(letters.get_by_role("button", name="Try again")).to_have_count(29)
    letters.get_by_role("button", name="Try all again").click()
    expect(letters.page.get_by_text("29 are being tried again.")).to_be_visible()
    expect(letters.get_by_text("Being tried again", exact=True)).to_have_count(29)


def test_of_a_mailbox_that_is_not_active_nothing_can_be_tried_again(app, opened):
    box = connected(app, "MB1", status=MailboxStatus.RECONNECT_REQUIRED)
    add_letter(app, box, 1)
    letters = opened().page.get_by_role("region", name="Dead letters")
    letters.get_by_text("mb1@ours.example").click()
    expect(letters.get_by_text("Reconnect it first.")).to_be_visible()
    expect(letters.get_by_role("button", name="Try again")).to_be_disabled()
    expect(letters.get_by_role("button", name="Try all again")).to_be_disabled()


def test_the_raw_message_is_for_those_who_may_read_the_mailbox(app, opened):
    add_letter(app, connected(app, "MB1"), 1, raw_size=18_200)
    add_letter(app, connected(app, "MB2", owner_user_id=UserId("ben")), 1, raw_size=18_200)
    ann = opened()
    letters = ann.page.get_by_role("region", name="Dead letters")
    letters.get_by_text("mb1@ours.example").click()
    letters.get_by_role("button", name="Get the raw message (18 kB)").click()
    expect(letters.get_by_role("link", name="Download (until 12:05)")).to_be_visible()
    letters.get_by_text("mb1@ours.example").click()
    letters.get_by_text("mb2@ours.example").click()
    ann.expects("404 GET .*/raw")
    letters.get_by_role("button", name="Get the raw message (18 kB)").click()
    expect(ann.page.get_by_text("No raw message can be had of this dead letter.")).to_be_visible()


def test_what_cannot_be_read_is_told_and_what_was_read_stays(app, opened, now):
    connected(app, "MB1")
    ann = opened()
    expect(ann.page.get_by_text("The one connected mailbox is in sync.")).to_be_visible()
    ann.expects("503 GET .*/v1/(mailboxes|activity)")
    app.mailboxes.list_mailboxes = refused
    ann.page.get_by_role("button", name="Refresh").click()
    expect(ann.page.get_by_role("alert").first).to_be_visible()
    expect(ann.page.get_by_text("The one connected mailbox is in sync.")).to_be_visible()
    del app.mailboxes.list_mailboxes
    ann.page.get_by_role("alert").first.get_by_role("button", name="Try again").click()
    expect(ann.page.get_by_role("alert")).to_have_count(0)


def refused(*_, **__):
    raise StoreThrottledError
