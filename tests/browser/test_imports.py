"""Imports as a person follows them: how much there is, how far it is, what became of every message."""

from dataclasses import asdict, replace
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from shared import wiring
from shared.domain.backfill import BackfillKind, BackfillState
from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.ledger import Counts
from shared.operations.preview_backfill import WindowPreview
from tests.fakes.deployment import Deployment
from tests.fakes.provider import FakeMailServer
from tests.fakes.values import a_backfill
from tests.unit.operations.machine import Machine, mail

MAILS = 23


@pytest.fixture
def machine(monkeypatch):
    """A connected mailbox with mail of the last weeks, of which nothing is here; one step at a time."""
    monkeypatch.setattr("shared.operations.plan_backfill.CHUNK_SIZE", 4)
    made = Machine(FakeMailServer.with_folders("INBOX"))
    for number in range(MAILS):
        at = made.clock.now() - timedelta(days=number + 1)
        made.server.deliver("INBOX", mail(number, at), at)
    made.box = made.connect(days=0)
    made.drain()
    return made


@pytest.fixture
def app(machine, monkeypatch):
    app = Deployment(world=machine.world, clock=machine.clock, queues=machine.queues)
    app.secrets = machine.secret_store
    monkeypatch.setattr(wiring, "provider_of", lambda _provider: machine.server)
    return app.install(monkeypatch)


@pytest.fixture
def opened(machine, open_on_fakes):
    """The imports of the mailbox, as its owner sees them."""
    return lambda: open_on_fakes(f"#/mailboxes/{machine.box.id}/import", user="ada")


def plan(machine):
    machine.plan(machine.queues.take_plans()[0])


def run_one(machine, ours):
    """End a chunk, two minutes later, for the mailbox and for who looks on."""
    machine.clock.advance(minutes=2)
    machine.queues.delays.pop(0)
    machine.run_chunk(machine.queues.chunks.pop(0))
    ours.page.clock.fast_forward(120_000)


def keep_backfill(machine, number, **changes):
    """Put an import as it ended, so many hours ago."""
    at = machine.clock.now() - timedelta(hours=number)
    one = a_backfill(
        f"01BF{number}", mailbox_id=machine.box.id, generation=machine.box.generation, created_at=at,
        started_at=at, ended_at=at, **{"state": BackfillState.DONE, **changes},
    )  # fmt: skip
    machine.world.backfills.setdefault((one.tenant_id, one.mailbox_id), {})[one.id] = one
    return one


def ledger(card):
    """What a card's table says, by row."""
    card.get_by_text("What became of every message").click()
    return {
        row.get_by_role("rowheader").inner_text(): row.get_by_role("cell").inner_text()
        for row in card.locator("tbody tr, tfoot tr").all()
    }


def test_how_much_there_is_shows_before_it_begins(opened):
    page = (ada := opened()).page
    expect(page.get_by_label("The last 30 days")).to_be_checked()
    ada.keep("imports-none")
    page.get_by_role("button", name="Show how much there is").click()
    expect(
        page.get_by_text("7 messages · 7 not here yet · none with your contacts")
    ).to_be_visible()
    expect(page.get_by_text("23 messages · 23 not here yet").first).to_be_visible()
    ada.keep("imports-preview")


def test_an_import_is_followed_to_its_end_and_nothing_is_unaccounted_for(machine, opened):
    page = (ada := opened()).page
    page.get_by_label("The last 90 days").check()
    page.get_by_role("button", name="Start the import").click()
    card = page.get_by_role("article", name="Import of the last 90 days")
    expect(card.get_by_text("Listing what there is")).to_be_visible()
    # One at a time.
    expect(page.get_by_role("button", name="Start the import")).to_have_count(0)
    ada.keep("imports-listing")
    plan(machine)
    expect(card.get_by_text("0 of 23 messages, 0 %")).to_be_visible()
    expect(card.get_by_role("progressbar")).to_have_attribute("value", "0")
    run_one(machine, ada)
    expect(card.get_by_text("4 of 23 messages, 17 %")).to_be_visible()
    expect(card.get_by_text("left", exact=False)).to_be_visible()
    expect(card.get_by_role("progressbar")).to_have_attribute("value", "17")
    ada.keep("imports-running")
    machine.drain()
    ada.page.clock.fast_forward(60_000)
    expect(card.get_by_text("23 of 23 messages stored")).to_be_visible()
    expect(page.get_by_role("status").get_by_text("done")).to_be_attached()
    assert ledger(card) == {"Stored": "23", "All that were listed": "23"}
    ada.keep("imports-done")
    expect(page.get_by_role("button", name="Start the import")).to_be_visible()


def test_it_is_paused_and_goes_on_where_it_was(machine, opened):
    page = (ada := opened()).page
    page.get_by_role("button", name="Start the import").click()
    card = page.get_by_role("article", name="Import of the last 30 days")
    plan(machine)
    expect(card.get_by_text("of 23 messages")).to_be_visible()
    # Shown as asked for before it is answered.
    page.route("**/pause", lambda route: None if hold(route, card) else route.fallback())
    card.get_by_role("button", name="Pause").click()
    expect(card.get_by_text("paused", exact=True)).to_be_visible()
    ada.keep("imports-paused")
    card.get_by_role("button", name="Resume").click()
    expect(card.get_by_text("importing", exact=True)).to_be_visible()
    card.get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog", name="Cancel this import?")
    ada.keep("imports-cancel")
    dialog.get_by_role("button", name="Go on importing").click()
    expect(dialog).to_have_count(0)
    expect(card.get_by_text("importing", exact=True)).to_be_visible()
    card.get_by_role("button", name="Cancel").click()
    dialog.get_by_role("button", name="Cancel the import").click()
    expect(card.get_by_text("cancelled", exact=True)).to_be_visible()
    assert ledger(card) == {"Not reached": "23", "All that were listed": "23"}


def hold(_route, card):
    expect(card.get_by_text("pausing", exact=True)).to_be_visible()
    return False


def test_a_pause_that_comes_too_late_is_taken_back_and_told(machine, opened):
    page = (ada := opened()).page
    page.get_by_role("button", name="Start the import").click()
    card = page.get_by_role("article", name="Import of the last 30 days")
    plan(machine)
    expect(card.get_by_text("of 23 messages")).to_be_visible()
    ada.expects("409 POST .*/pause")

    def after_its_end(route):
        machine.drain()
        route.fallback()

    page.route("**/pause", after_its_end)
    card.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("there is nothing to pause")).to_be_visible()
    expect(card.get_by_text("done", exact=True)).to_be_visible()


def test_what_it_waits_for_is_told_with_until_when(machine, opened):
    page = (ada := opened()).page
    page.get_by_role("button", name="Start the import").click()
    card = page.get_by_role("article", name="Import of the last 30 days")
    plan(machine)
    machine.server.failure = RetryLaterError(ErrorCode.RATE_LIMITED, retry_after_seconds=600)
    machine.tick(1)
    page.clock.fast_forward(10_000)
    expect(card.get_by_text("waiting", exact=True)).to_be_visible()
    expect(card.get_by_text("The provider asked us to slow down.")).to_be_visible()
    expect(card.get_by_text("It goes on by itself at")).to_be_visible()
    ada.keep("imports-waiting")


def test_one_that_was_given_up_says_why_and_can_go_on(machine, opened):
    keep_backfill(
        machine, 1, state=BackfillState.FAILED, code=ErrorCode.CONNECTION_FAILED, chunks=2, planned=10,
        released=2, done=1, counts=Counts(listed=5, stored=5),
    )  # fmt: skip
    page = (ada := opened()).page
    card = page.get_by_role("article", name="Import of the last 30 days")
    expect(card.get_by_text("The mail server could not be reached.")).to_be_visible()
    expect(card.get_by_text("Resume the import: it goes on where it stopped.")).to_be_visible()
    expect(page.get_by_role("heading", level=2).first).to_have_text("Import of the last 30 days")
    ada.keep("imports-stopped")
    card.get_by_role("button", name="Resume").click()
    expect(card.get_by_role("progressbar")).to_have_attribute("value", "50")


def test_every_fate_is_told_in_words_and_the_numbers_add_up(machine, opened):
    skipped = {"automated": 3, "internal": 2, "of_another_release": 1}
    keep_backfill(
        machine, 1, planned=30,
        counts=Counts(listed=30, stored=12, already_stored=8, skipped=skipped, unreadable=1, gone=2, failed=1),
    )  # fmt: skip
    keep_backfill(
        machine, 3, kind=BackfillKind.CONTACT_HISTORY, days=0, planned=1, counts=Counts(stored=1)
    )
    page = (ada := opened()).page
    expect(page.get_by_role("article", name="History of new contacts")).to_be_visible()
    told = ledger(page.get_by_role("article", name="Import of the last 30 days"))
    assert told == {
        "Stored": "12", "Here already": "8", "Could not be read; kept at the provider": "1",
        "Deleted at the provider meanwhile": "2", "Failed": "1", "Left out: sent by a machine": "3",
        "Left out: between your own people": "2", "Left out: of_another_release": "1",
        "All that were listed": "30",
    }  # fmt: skip
    ada.keep("imports-ledger")


def test_a_long_past_is_shown_a_part_at_a_time(machine, opened):
    for number in range(1, 13):
        keep_backfill(machine, number, days=number, planned=1, counts=Counts(stored=1))
    page = opened().page
    expect(page.get_by_role("article")).to_have_count(10)
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_role("article")).to_have_count(12)


def test_where_nobody_knows_it_says_so(monkeypatch, opened):
    known = WindowPreview(7, 3, 1, more=False, seconds=4, quota=None, matching=1, looked_at=3)
    windows = [
        known,
        replace(known, days=30, messages=800, missing=700, matching=120, looked_at=200, seconds=90),
        replace(known, days=90, messages=5000, missing=4000, more=True, matching=None),
        replace(known, days=365, messages=5000, missing=None, more=True, seconds=None, matching=0),
    ]
    assert set(asdict(known)) == {"days", "messages", "missing", "more", "seconds", "quota", "matching", "looked_at"}  # fmt: skip
    monkeypatch.setattr(
        "functions.preview_backfill.handler.preview_backfill", lambda *_, **__: windows
    )
    page = (ada := opened()).page
    page.get_by_role("button", name="Show how much there is").click()
    for line in (
        "3 messages · 1 not here yet · 1 with your contacts · about 4 seconds",
        "800 messages · 700 not here yet · about 120 with your contacts · about 2 minutes",
        "more than 5,000 messages · more than 4,000 not here yet · about 4 seconds",
        "more than 5,000 messages · not known how many are here · hardly any with your contacts",
    ):
        expect(page.get_by_text(line, exact=True)).to_be_visible()
    expect(page.get_by_text("is judged by 200 of them")).to_be_visible()
    expect(page.get_by_text("For some of these times it is not known")).to_be_visible()
    expect(page.get_by_text("counting stopped there")).to_be_visible()
    ada.keep("imports-preview-unsure")


def test_a_preview_that_fails_says_so_and_an_import_begins_without_it(machine, opened):
    page = (ada := opened()).page
    ada.expects("409 GET .*/backfill-preview")
    machine.server.failure = RetryLaterError(ErrorCode.CONNECTION_DROPPED)
    page.get_by_role("button", name="Show how much there is").click()
    expect(page.get_by_text("Ask again in a few minutes")).to_be_visible()
    ada.keep("imports-preview-failed")
    machine.server.failure = None
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("7 messages · 7 not here yet").first).to_be_visible()
    page.get_by_role("button", name="Start the import").click()
    expect(page.get_by_role("article", name="Import of the last 30 days")).to_be_visible()
