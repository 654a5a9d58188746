"""Moments of working on the page that a mailbox's plain life does not have: in a real browser, on the whole stack."""

import re
import uuid
from types import SimpleNamespace

import pytest
from playwright.sync_api import expect

from tests.e2e.page_accounts import AtImap
from tests.e2e.page_life import SLOWEST
from tests.e2e.test_main_job import Life as Connected
from tests.e2e.test_main_job import until
from tests.e2e.test_sign_ins import Life as SignedIn
from tests.e2e.test_sign_ins import Provider

pytestmark = pytest.mark.stack

HELD = 1100
"""Messages that are imported: in five parts, of which four go at once."""


@pytest.fixture
def tag():
    """What the names of this test's tenant and accounts end in."""
    return uuid.uuid4().hex[:8]


@pytest.fixture
def servers(dovecot, submission, providers):
    yield SimpleNamespace(dovecot=dovecot, submission=submission, providers=providers)
    for simulator in (providers.google, providers.microsoft):
        simulator.faults.clear()


@pytest.fixture
def short_tokens(stack):
    """The page renews a token half a minute before its end: these, whenever it needs one."""
    usual, stack.issuer.token_seconds = stack.issuer.token_seconds, 20
    yield
    stack.issuer.token_seconds = usual


def connected(stack, servers, tag, *, days=0):
    """Ada's mailbox at the IMAP server, connected behind the scenes; `days` of its mail are here."""
    account = AtImap(servers, tag)
    if days:
        account.fill()
    api = stack.as_user(tag, "ada", "admin")
    life = Connected(stack, servers.dovecot, servers.submission, api, account.address)
    life.connect(days=days)
    if days:
        life.imported()
    return account, life


def test_what_is_typed_outlives_the_sign_in_and_leaves_once(
    open_page, stack, servers, tag, short_tokens
):
    account, life = connected(stack, servers, tag)
    ada = open_page(f"#/compose?to={account.customer}", tenant=tag)
    page = ada.page
    page.get_by_label("Subject").fill("Offer")
    page.get_by_role("textbox", name="Text").fill("Ten for the price of nine.")
    ada.expects(r"400 POST .*/token")
    stack.issuer.end_sign_ins()
    page.get_by_role("button", name="Send", exact=True).click()
    lost = page.get_by_role("alert").filter(
        has_text="Your sign-in has ended. Nothing you typed is lost"
    )
    expect(lost).to_be_visible()
    expect(page.get_by_role("textbox", name="Text")).to_have_value("Ten for the price of nine.")
    ada.keep("sign-in-ended-writing")
    with page.expect_popup() as opened:
        lost.get_by_role("button", name="Sign in again").click()
    window = opened.value
    with window.expect_event("close"):
        ada.choose(tag, "ada", admin=True, window=window)
    expect(lost).to_have_count(0)
    expect(page.get_by_text(re.compile("Sent to|Sending"))).to_be_visible()
    until(lambda: account.received(account.customer), what="the customer's mail")
    assert account.received(account.customer) == 1
    assert len(life.api("GET", f"/v1/mailboxes/{life.mailbox_id}/sends").body["items"]) == 1


def test_a_member_sees_that_a_colleague_writes_with_a_customer_and_no_more(
    open_page, stack, servers, tag
):
    account, life = connected(stack, servers, tag, days=30)
    kim = {"name": "Kim Sommer", "addresses": [account.customer]}
    assert life.api("PUT", "/v1/contacts/kim", kim).status in {200, 201}
    ben = open_page("#/conversations", tenant=tag, user="ben", admin=False)
    page = ben.page
    main = page.get_by_role("main")
    contacts = page.get_by_role("navigation", name="Contacts")
    contacts.get_by_role("link", name="Kim Sommer").click()
    expect(main.get_by_text("Subject not shown to you")).to_be_visible()
    expect(main.get_by_text("The rest is its mailbox's owner's")).to_be_visible()
    expect(main.get_by_text("Prices")).to_have_count(0)
    ben.keep("member-timeline")
    expect(page.get_by_role("link", name="Operations")).to_have_count(0)
    page.goto(f"{stack.page_url}#/operations")
    expect(main.get_by_text("This part is for administrators")).to_be_visible()
    ben.axe()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Mailboxes").click()
    expect(page.get_by_role("heading", name="Connect your first mailbox")).to_be_visible()
    expect(page.get_by_text(account.address)).to_have_count(0)
    ben.expects(f"404 GET .*/v1/mailboxes/{life.mailbox_id}")
    page.goto(f"{stack.page_url}#/mailboxes/{life.mailbox_id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("This mailbox is not there")
    page.get_by_label("Signed in as ben").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "Your team's mail, on the right customer"
    )
    ben.axe()


def test_an_import_is_seen_to_pause_to_go_on_and_to_be_cancelled(open_page, stack, servers, tag):
    google = Provider("gmail", servers.providers.google, "Continue", "Cancel", "", "")
    life = SignedIn(stack, google, stack.as_user(tag, "ada", "admin"), f"ada-{tag}@gmail.example")
    life.fill(HELD, days_apart=0.01)
    life.connect(days=0)
    ada = open_page(f"#/mailboxes/{life.mailbox_id}/import", tenant=tag)
    page = ada.page
    life.arm("slow", seconds=1, route="batch")
    page.get_by_role("button", name="Start the import").click()
    card = page.get_by_role("article", name="Import of the last 30 days")
    expect(card).to_contain_text(re.compile(rf"[1-9][\d,]* of {HELD:,} messages"), timeout=SLOWEST)
    ada.picture("import-running-light")
    card.get_by_role("button", name="Pause").click()
    expect(card.get_by_text("paused", exact=True)).to_be_visible(timeout=SLOWEST)
    ada.keep("import-paused")
    figures_agree(card, life)
    assert 0 < len(life.messages()) < HELD
    card.get_by_role("button", name="Resume").click()
    expect(card.get_by_text("importing", exact=True)).to_be_visible(timeout=SLOWEST)
    card.get_by_role("button", name="Cancel").click()
    ada.keep("import-cancel")
    page.get_by_role("dialog").get_by_role("button", name="Cancel the import").click()
    expect(card.get_by_text("cancelled", exact=True)).to_be_visible(timeout=SLOWEST)
    figures_agree(card, life)
    ada.keep("import-cancelled")


def figures_agree(card, life):
    """Wait until the page says how many messages are here; parts under way end after a pause."""

    def agree():
        told = rf"(?<![\d,]){len(life.messages()):,} of {HELD:,} messages"
        return re.search(told, card.inner_text())

    until(agree, what="the number of messages that are here")
