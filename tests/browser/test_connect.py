"""Connecting a mailbox: by its address first, with one password, or where its people sign in anyway."""

import re
from dataclasses import dataclass, field
from html import escape
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import expect

from shared.domain.errors import ConfigurationError, ErrorCode
from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import FolderId
from shared.domain.mail_server import Security, Verdict
from shared.domain.mailbox import (
    EVERYONE,
    MailboxKind,
    MailboxStatus,
    Provider,
    Purpose,
    Visibility,
)
from shared.operations.authorize_connection import SignInPolicy
from tests.browser.conftest import HERE
from tests.fakes.deployment import http_event
from tests.fakes.mail import add_mailbox

PASSWORD = "not-a-real-password-7Kq"
FOLDERS = tuple(
    Folder(FolderId(name), name, role)
    for name, role in (
        ("Trash", FolderRole.TRASH),
        ("Junk", FolderRole.SPAM),
        ("Drafts", FolderRole.DRAFTS),
        ("Projects", FolderRole.OTHER),
        ("INBOX", FolderRole.INBOX),
    )
)
HELPS = {
    "consent_declined": ("access was not allowed", ["Try again"]),
    "attempt_expired": ("took too long", ["Try again"]),
    "attempt_not_yours": ("begun by somebody else", ["Try again"]),
    "already_connected": ("connected already", ["See your mailboxes", "Use another account"]),
    "wrong_mailbox": ("another account", ["Try again", "Connect it as a new mailbox"]),
    "address_kept_out": ("kept out", ["See your mailboxes", "Use another account"]),
    "admin_consent_required": ("administrator has to approve", ["Try again"]),
    "access_blocked": ("organisation blocks", ["Try again", "Use another account"]),
    "scope_missing": ("permission was left out", ["Try again"]),
    "sign_in_required": ("was not finished", ["Try again"]),
    "account_not_supported": ("not admitted", ["Use another account", "Try again"]),
    "provider_api_disabled": ("serves no mailbox", ["Use another account", "Try again"]),
    "client_rejected": ("does not know this product", ["Try again"]),
    "client_missing": ("not set up here", ["Try again"]),
    "api_not_enabled": ("not set up fully", ["Try again"]),
    "provider_unavailable": ("was not connected", ["Try again"]),
    "constructor": ("was not connected", ["Try again"]),
    "of-another-release": ("was not connected", ["Try again"]),
}


@dataclass
class Servers:
    """Mail servers that take one password at one host."""

    host: str = "mail.acme.example"
    logins: list = field(default_factory=list)

    def test_imap(self, login):
        self.logins.append(login)
        return Verdict(self.refusal(login), FOLDERS)

    def test_smtp(self, login):
        return Verdict(self.refusal(login))

    def refusal(self, login):
        if login.server.host != self.host:
            return ErrorCode.HOST_NOT_FOUND
        return None if login.password.reveal() == PASSWORD else ErrorCode.LOGIN_REJECTED


@pytest.fixture
def servers(app):
    app.tester = Servers()
    return app.tester


@pytest.fixture
def connecting(open_on_fakes):
    """The view, as somebody has it who has typed an address."""

    def begin(address="", **given):
        ours = open_on_fakes("#/connect", **given)
        box = ours.page.get_by_label("Your e-mail address")
        box.fill(address)
        if address:
            box.press("Enter")
        return ours

    return begin


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def mailboxes(app):
    return list(app.world.mailboxes.values())


def log_in(page, password=PASSWORD, host="mail.acme.example"):
    """Fill in the manual form and have it tested."""
    page.get_by_label("Server for reading").fill(host)
    page.get_by_label("Server for sending").fill(host)
    page.get_by_label("Password", exact=True).fill(password)
    press(page, "Test and continue")


def test_of_a_known_provider_a_password_is_enough(app, servers, connecting):
    servers.host = "imap.fastmail.com"
    page = (ann := connecting("ann@messagingengine.com")).page
    expect(page.get_by_text("Fastmail: we know its servers")).to_be_visible()
    link = page.get_by_role("link", name="Make an app password")
    assert link.get_attribute("href").startswith("https://www.fastmail.help/")
    assert set(link.get_attribute("rel").split()) >= {"noopener", "noreferrer"}
    expect(page.get_by_label("Port")).to_have_count(2)
    expect(page.get_by_label("Port").first).to_be_hidden()
    ann.keep("connect-known")
    page.get_by_label("App password").fill(PASSWORD)
    page.keyboard.press("Enter")
    # Its sending side has another name, and this test's servers one.
    expect(page.get_by_label("Port").first).to_be_visible()
    login = servers.logins[-1]
    assert (login.server.host, login.server.port) == ("imap.fastmail.com", 993)


def test_of_an_unknown_one_the_most_usual_is_filled_in_and_a_host_may_bring_its_port(
    servers, connecting
):
    page = (ann := connecting("ann@acme.example")).page
    expect(page.get_by_text("We do not know the servers of acme.example")).to_be_visible()
    expect(page.get_by_label("Server for reading")).to_have_value("imap.acme.example")
    expect(page.get_by_label("Server for sending")).to_have_value("smtp.acme.example")
    ann.keep("connect-unknown")
    page.get_by_text("More settings").click()
    assert [box.input_value() for box in page.get_by_label("Port").all()] == ["993", "587"]
    assert [box.input_value() for box in page.get_by_label("Encryption").all()] == [
        "tls",
        "starttls",
    ]
    assert {box.input_value() for box in page.get_by_label("User name").all()} == {
        "ann@acme.example"
    }
    page.get_by_label("Encryption").last.select_option("tls")
    expect(page.get_by_label("Port").last).to_have_value("465")
    ann.keep("connect-settings")
    page.get_by_label("Server for reading").fill("mail.acme.example:1993")
    log_in_with = page.get_by_label("Password", exact=True)
    log_in_with.fill(PASSWORD)
    expect(page.get_by_label("Server for reading")).to_have_value("mail.acme.example")
    expect(page.get_by_label("Port").first).to_have_value("1993")


def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(servers, connecting):
    page = (ann := connecting("ann@acme.example")).page
    log_in(page, "wrong", host="mail.acme.exmaple")
    expect(page.get_by_text("does not work yet")).to_have_count(2)
    reading = page.get_by_label("Server for reading")
    expect(reading).to_have_attribute("aria-invalid", "true")
    expect(reading).to_have_accessible_description("No server was found under this host name.")
    expect(reading).to_be_focused()
    expect(page.get_by_text("Check the spelling of the host name.")).to_have_count(2)
    expect(page.get_by_label("Password", exact=True)).to_have_value("wrong")
    ann.keep("connect-wrong-host")
    log_in(page, "wrong")
    box = page.get_by_label("Password", exact=True)
    expect(box).to_be_focused()
    expect(box).to_have_accessible_description(re.compile("refused the username or password"))
    ann.keep("connect-wrong-password")
    box.fill(PASSWORD)
    # What was wrong is no longer known to be.
    expect(box).not_to_have_attribute("aria-invalid", "true")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What is it for?")).to_be_focused()


def test_an_address_that_is_none_is_told_before_anything_is_asked(connecting):
    page = (ann := connecting("ann")).page
    box = page.get_by_label("Your e-mail address")
    expect(box).to_have_accessible_description(re.compile("Enter a whole address"))
    expect(box).to_be_focused()
    ann.keep("connect-no-address")


def test_a_mailbox_is_connected_with_what_is_right_for_most(app, servers, connecting):
    page = (ann := connecting("ann@acme.example")).page
    log_in(page)
    expect(page.get_by_text("works")).to_have_count(2)
    expect(page.get_by_text("5 folders found")).to_be_visible()
    expect(page.get_by_label("A team's")).to_have_count(0)
    ann.keep("connect-what-for")
    press(page, "Continue")
    expect(page.get_by_label("The last 30 days")).to_be_checked()
    ann.keep("connect-history")
    press(page, "Connect")
    expect(page.get_by_role("heading", name="Connected", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Import of the last 30 days")).to_be_visible()
    expect(page.get_by_role("link", name="Open the mailbox")).to_be_visible()
    ann.keep("connect-connected")
    [made] = mailboxes(app)
    assert (made.address, made.kind, made.purpose) == (
        "ann@acme.example", MailboxKind.PERSONAL, Purpose.PERSONAL,
    )  # fmt: skip
    assert (made.visibility, made.active_folders, made.backfill_days) == (
        Visibility.METADATA,
        None,
        30,
    )
    assert made.imap.security is Security.TLS
    assert PASSWORD not in page.evaluate("JSON.stringify(sessionStorage) + location.href")


def test_an_administrator_shares_one_with_some_and_says_what_is_read(app, servers, connecting):
    page = (ann := connecting("team@acme.example", roles=["admin"])).page
    log_in(page)
    page.get_by_label("Your name").fill("Acme Support")
    page.get_by_label("Used for").select_option("support")
    page.get_by_label("A team's").check()
    expect(page.get_by_label("How much they see")).to_have_value("full")
    page.get_by_label("Only some people").check()
    press(page, "Continue")
    expect(page.get_by_label("Their user ids")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Their user ids").fill("ben\n cleo ,ben")
    page.get_by_label("How much they see").select_option("subject")
    ann.keep("connect-shared")
    press(page, "Continue")
    page.get_by_label("None: only new mail").check()
    page.get_by_text("Folders: all but trash").click()
    shown = page.get_by_role("group", name="Folders to read").get_by_role("checkbox").all()
    assert [(box.locator("..").inner_text(), box.is_checked()) for box in shown] == [
        ("INBOX", True), ("Drafts", False), ("Projects", True),
    ]  # fmt: skip
    page.get_by_label("Projects").uncheck()
    expect(page.get_by_text("Folders: 1 chosen")).to_be_visible()
    # One has to be read.
    expect(page.get_by_label("INBOX")).to_be_disabled()
    page.get_by_text("Which mail is kept").click()
    page.get_by_label("Only mail with your customers").check()
    ann.keep("connect-folders")
    press(page, "Connect")
    expect(page.get_by_role("heading", name="Connected", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Start the import")).to_be_visible()
    [made] = mailboxes(app)
    assert (made.display_name, made.kind, made.purpose) == (
        "Acme Support", MailboxKind.SHARED, Purpose.SUPPORT,
    )  # fmt: skip
    assert (made.granted_to.everyone, set(made.granted_to.users)) == (False, {"ben", "cleo"})
    assert (made.visibility, made.active_folders, made.backfill_days, made.store) == (
        Visibility.SUBJECT, ("INBOX",), 0, "contacts_only",
    )  # fmt: skip


def test_the_way_back_loses_nothing_and_a_password_outlasts_no_page(servers, connecting):
    page = (ann := connecting("ann@acme.example")).page
    log_in(page)
    page.get_by_label("Your name").fill("Ann of Acme")
    press(page, "Continue")
    page.get_by_label("The last year").check()
    page.go_back()
    expect(page.get_by_label("Your name")).to_have_value("Ann of Acme")
    page.get_by_role("button", name="Back to the password").click()
    expect(page.get_by_label("Password", exact=True)).to_have_value(PASSWORD)
    expect(page.get_by_label("Server for reading")).to_have_value("mail.acme.example")
    page.reload()
    expect(page.get_by_label("Password", exact=True)).to_have_value("")
    expect(page.get_by_label("Server for reading")).to_have_value("mail.acme.example")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Test and continue")
    expect(page.get_by_label("Your name")).to_have_value("Ann of Acme")
    press(page, "Continue")
    expect(page.get_by_label("The last year")).to_be_checked()
    # Without a test, the step after it is not there.
    page.goto(f"{HERE}/app#/connect?step=history")
    page.reload()
    expect(page.get_by_label("Password", exact=True)).to_be_visible()
    ann.axe()


def test_a_step_whose_test_a_reload_forgot_is_come_to_again(servers, connecting):
    page = connecting("ann@acme.example").page
    log_in(page)
    expect(page.get_by_label("Your name")).to_be_visible()
    page.reload()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Test and continue")
    expect(page.get_by_label("Your name")).to_be_visible()


def test_an_address_is_found_from_a_place_that_was_left(servers, open_on_fakes):
    page = open_on_fakes("#/connect?step=login").page
    page.get_by_label("Your e-mail address").fill("ann@acme.example")
    press(page, "Continue")
    expect(page.get_by_label("Password", exact=True)).to_be_visible()


def test_a_step_without_an_address_begins_with_it(open_on_fakes):
    ann = open_on_fakes("#/connect?step=history")
    expect(ann.page.get_by_label("Your e-mail address")).to_be_visible()


def test_sending_may_have_a_password_of_its_own(servers, connecting):
    page = connecting("ann@acme.example").page
    page.get_by_text("More settings").click()
    page.get_by_label("Sending mail has a password").check()
    log_in_as = page.get_by_label("Server for reading")
    log_in_as.fill("mail.acme.example")
    page.get_by_label("Server for sending").fill("mail.acme.example")
    page.get_by_label("Password for reading").fill(PASSWORD)
    press(page, "Test and continue")
    expect(page.get_by_label("Password for sending")).to_have_accessible_description(
        "Enter the password."
    )
    page.get_by_label("Password for sending").fill("another")
    press(page, "Test and continue")
    expect(page.get_by_text("works", exact=True)).to_have_count(1)
    expect(page.get_by_label("Password for sending")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Password for reading")).not_to_have_attribute("aria-invalid", "true")


def test_what_the_api_refuses_of_a_field_is_told_there(servers, connecting):
    page = (ann := connecting("ann@acme.example")).page
    ann.expects("400 POST .*/v1/mailboxes/test")
    page.get_by_text("More settings").click()
    page.get_by_label("Port").first.fill("0")
    log_in(page)
    expect(page.get_by_label("Port").first).to_have_accessible_description("At least 1.")
    page.get_by_label("Port").first.fill("993")
    page.get_by_label("Do not check the servers' certificates").check()
    log_in(page)
    expect(page.get_by_text("Untrusted certificates are not permitted here.")).to_be_visible()


def test_a_mailbox_that_is_connected_already_is_told_with_the_way_to_it(app, servers, connecting):
    side = {"host": servers.host, "username": "ann@acme.example", "password": PASSWORD}
    given = {"address": "ann@acme.example", "imap": side, "smtp": side}
    assert app.ask("POST", "/v1/mailboxes", body=given).status == 201
    page = (ann := connecting("ann@acme.example")).page
    ann.expects("409 POST .*/v1/mailboxes$")
    log_in(page)
    press(page, "Continue")
    press(page, "Connect")
    expect(page.get_by_text("This mailbox is already connected.")).to_be_visible()
    expect(page.get_by_role("link", name="See your mailboxes")).to_be_visible()
    ann.keep("connect-already")


def test_it_fits_a_small_phone_and_text_of_twice_the_size(open_on_fakes):
    page = (ann := open_on_fakes("#/connect?provider=gmail", roles=["admin"])).page
    page.set_viewport_size({"width": 320, "height": 700})
    expect(page.get_by_label("A team's")).to_be_visible()
    for size in ("100%", "200%"):
        page.evaluate("(size) => { document.documentElement.style.fontSize = size }", size)
        assert page.evaluate("document.documentElement.scrollWidth") == 320
    ann.picture("connect-twice-the-size")


# ---- signing in at a provider


@pytest.mark.parametrize(
    ("address", "name", "instead"),
    [("ann@gmail.com", "Google", 1), ("ann@hotmail.com", "Microsoft", 0)],
)
def test_who_signs_in_at_a_provider_is_asked_for_no_password(connecting, address, name, instead):
    page = (ann := connecting(address)).page
    expect(page.get_by_role("heading", name=f"Sign in at {name}")).to_be_visible()
    expect(page.locator("input[type=password]")).to_have_count(0)
    expect(page.get_by_role("button", name="Use an app password instead")).to_have_count(instead)
    ann.keep(f"connect-at-{name.lower()}")
    press(page, f"Continue with {name}")
    expect(page.get_by_role("heading", name="What is it for?")).to_be_visible()


@pytest.fixture
def at_provider(app, open_on_fakes):
    """The view, where a provider's page is a link for each account and one to decline."""
    app.sign_ins = SignInPolicy(HERE, (HERE,), allow_loopback=True)
    accounts = app.accounts[Provider.GMAIL]
    accounts.add("ann@acme.example")
    accounts.add("ben@acme.example")

    def consent(route):
        answers = {who: accounts.allow(route.request.url, who) for who in accounts.subjects}
        answers["Decline"] = accounts.deny(route.request.url)
        links = "".join(
            f'<p><a href="{HERE}/v1/oauth/gmail/callback?{urlencode(answer)}">{who}</a>'
            for who, answer in answers.items()
        )
        page = f'<!doctype html><html lang="en"><title>Consent</title><link rel="icon" href="data:,">{links}'
        route.fulfill(headers={"content-type": "text/html"}, body=page)

    def back(route):
        parts = urlsplit(route.request.url)
        answer = app.handle(http_event("GET", f"{parts.path}?{parts.query}", at=app.clock.now()))
        # What is answered by a test cannot redirect: the browser would ask the network.
        refresh = (
            f'<meta http-equiv="refresh" content="0;url={escape(answer.headers["Location"])}">'
        )
        page = f'<!doctype html><html lang="en"><title>Back</title>{refresh}'
        route.fulfill(headers={"content-type": "text/html"}, body=page)

    def begin(place="#/connect", **given):
        ours = open_on_fakes(place, **given)
        ours.noise.origins |= {accounts.issuer}
        ours.page.context.route(f"{accounts.issuer}/**", consent)
        ours.page.context.route(f"{HERE}/v1/oauth/**", back)
        return ours

    return begin


def test_choices_outlast_the_way_to_the_provider_and_back(app, at_provider):
    page = (ann := at_provider()).page
    press(page, "Continue with Google")
    page.get_by_label("Your name").fill("Ann of Acme")
    page.get_by_label("Used for").select_option("sales")
    press(page, "Continue")
    page.get_by_label("The last 90 days").check()
    ann.keep("connect-before-google")
    press(page, "Sign in at Google")
    page.get_by_role("link", name="Decline").click()
    expect(page.get_by_role("heading", name="access was not allowed")).to_be_visible()
    ann.keep("connect-declined")
    press(page, "Try again")
    page.get_by_role("link", name="ann@acme.example").click()
    expect(page.get_by_role("heading", name="Connected", exact=True)).to_be_visible()
    [made] = mailboxes(app)
    assert (made.address, made.display_name, made.purpose, made.backfill_days) == (
        "ann@acme.example", "Ann of Acme", Purpose.SALES, 90,
    )  # fmt: skip
    assert "code" not in page.url
    assert "state" not in page.url


def test_an_account_that_is_connected_already_leads_on(app, at_provider):
    page = (ann := at_provider("#/connect?provider=gmail&step=history")).page
    press(page, "Sign in at Google")
    page.get_by_role("link", name="ann@acme.example").click()
    expect(page.get_by_role("heading", name="Connected", exact=True)).to_be_visible()
    page.get_by_role("link", name="Connect another").click()
    press(page, "Continue with Google")
    press(page, "Continue")
    press(page, "Sign in at Google")
    ann.expects("409 POST .*/authorize/complete")
    page.get_by_role("link", name="ann@acme.example").click()
    expect(page.get_by_role("heading", name="connected already")).to_be_visible()
    expect(page.get_by_text("If you ask for help, quote request")).to_be_visible()
    press(page, "Use another account")
    page.get_by_role("link", name="ben@acme.example").click()
    expect(page.get_by_role("heading", name="Connected", exact=True)).to_be_visible()
    assert {one.address for one in mailboxes(app)} == {"ann@acme.example", "ben@acme.example"}


def test_where_no_client_is_registered_it_says_whose_move_it_is(app, at_provider):
    app.oauth_clients.failure = ConfigurationError(ErrorCode.CLIENT_MISSING)
    page = (ann := at_provider("#/connect?provider=gmail&step=history")).page
    ann.expects("502 POST .*/authorize$")
    press(page, "Sign in at Google")
    expect(page.get_by_role("heading", name="not set up here")).to_be_visible()
    ann.keep("connect-no-client")


def test_every_end_of_a_sign_in_has_words_and_a_next_step(open_on_fakes):
    ann = open_on_fakes()
    for code, (words, buttons) in HELPS.items():
        query = {"mailroom_outcome": code, "mailroom_provider": "gmail", "mailroom_request_id": "of-a-test"}  # fmt: skip
        ann.page.goto(f"{HERE}/app?{urlencode(query)}")
        expect(ann.page.get_by_role("heading", level=1)).to_contain_text(words)
        for button in buttons:
            expect(ann.page.get_by_role("button", name=button, exact=True)).to_be_visible()
        expect(ann.page.get_by_text("quote request of-a-test")).to_be_visible()
    ann.axe()


def test_a_link_for_administrators_leads_to_the_provider_or_is_none(open_on_fakes):
    ann = open_on_fakes()
    for url, shown in (
        ("https://login.microsoftonline.com.evil.example/adminconsent", False),
        ("javascript:alert(1)", False),
        ("not an address", False),
        ("https://login.microsoftonline.com/common/adminconsent?client_id=1", True),
    ):
        query = {
            "mailroom_outcome": "admin_consent_required",
            "mailroom_provider": "outlook",
            "mailroom_admin_consent_url": url,
        }
        ann.page.goto(f"{HERE}/app?{urlencode(query)}")
        expect(ann.page.get_by_role("heading", level=1)).to_contain_text("has to approve")
        expect(ann.page.get_by_text(url)).to_have_count(int(shown))
        expect(ann.page.get_by_role("button", name="Copy")).to_have_count(int(shown))
        assert urlsplit(ann.page.url).query == ""
    ann.keep("connect-administrator")


def test_who_made_the_address_up_is_not_believed(app, open_on_fakes):
    add_mailbox(app.world, "MB1", tenant="another", address="secret@another.example")
    ann = open_on_fakes()
    ann.expects("404 GET .*/v1/mailboxes/MB1")
    ann.page.goto(f"{HERE}/app?mailroom_outcome=connected&mailroom_provider=gmail&mailbox_id=MB1")
    expect(ann.page.get_by_text("There is no such mailbox.")).to_be_visible()
    expect(ann.page.get_by_role("heading", name="Connected")).to_have_count(0)
    ann.keep("connect-made-up")


# ---- connecting again


@pytest.fixture
def dead(app, servers):
    """A mailbox whose password was changed at its provider."""
    servers.host = "imap.example.org"
    return add_mailbox(
        app.world, "MB1", status=MailboxStatus.RECONNECT_REQUIRED, address="ann@ours.example"
    )


def test_a_password_brings_a_mailbox_back(app, servers, dead, open_on_fakes):
    page = (ann := open_on_fakes("#/connect?mailbox=MB1")).page
    ann.expects("4.. POST .*/reconnect")
    expect(page.get_by_role("heading", name="Reconnect ann@ours.example")).to_be_visible()
    expect(page.get_by_label("Server for reading")).to_have_value("imap.example.org")
    ann.keep("reconnect")
    page.get_by_label("Server for sending").fill("imap.example.org")
    page.get_by_label("Password", exact=True).fill("wrong")
    press(page, "Test and reconnect")
    expect(page.get_by_label("Password", exact=True)).to_have_accessible_description(
        re.compile("refused the username or password")
    )
    page.get_by_text("More settings").click()
    page.get_by_label("User name").first.fill("ben")
    press(page, "Test and reconnect")
    expect(page.get_by_text("This is another account than the one connected.")).to_be_visible()
    expect(page.get_by_label("User name").first).to_be_focused()
    expect(page.get_by_role("link", name="Connect it as a new mailbox")).to_be_visible()
    # The bar at the top of the page lies over what was scrolled below it.
    page.evaluate("scrollTo(0, 0)")
    ann.keep("reconnect-another-account")
    page.get_by_label("User name").first.fill("ann")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Test and reconnect")
    expect(page.get_by_role("heading", name="Connected again")).to_be_visible()
    [again] = mailboxes(app)
    assert (again.id, again.status) == ("MB1", MailboxStatus.ACTIVE)


def test_a_sign_in_brings_a_mailbox_back_and_another_account_does_not(app, at_provider):
    page = (ann := at_provider("#/connect?provider=gmail&step=history")).page
    press(page, "Sign in at Google")
    page.get_by_role("link", name="ann@acme.example").click()
    expect(page.get_by_role("heading", name="Connected", exact=True)).to_be_visible()
    [made] = mailboxes(app)
    page.goto(f"{HERE}/app#/connect?mailbox={made.id}")
    expect(page.get_by_text("Sign in at Google as ann@acme.example")).to_be_visible()
    ann.keep("reconnect-at-google")
    press(page, "Continue with Google")
    ann.expects("4.. POST .*/authorize/complete")
    page.get_by_role("link", name="ben@acme.example").click()
    expect(page.get_by_role("heading", name="That was another account")).to_be_visible()
    press(page, "Try again")
    page.get_by_role("link", name="ann@acme.example").click()
    expect(page.get_by_role("heading", name="Connected again")).to_be_visible()
    assert [one.id for one in mailboxes(app)] == [made.id]


def test_a_mailbox_is_new_after_a_reconnect_that_was_given_up(app, servers, at_provider):
    page = at_provider("#/connect?provider=gmail&step=history").page
    press(page, "Sign in at Google")
    page.get_by_role("link", name="ann@acme.example").click()
    expect(page.get_by_role("heading", name="Connected", exact=True)).to_be_visible()
    [made] = mailboxes(app)
    page.goto(f"{HERE}/app#/connect?mailbox={made.id}")
    press(page, "Continue with Google")
    expect(page.get_by_role("link", name="Decline")).to_be_visible()
    page.goto(f"{HERE}/app#/connect")
    page.get_by_label("Your e-mail address").fill("ben@mail.example")
    press(page, "Continue")
    log_in(page)
    press(page, "Continue")
    press(page, "Connect")
    expect(page.get_by_role("heading", name="Connected", exact=True)).to_be_visible()


def test_somebody_elses_mailbox_is_theirs_to_connect(app, dead, open_on_fakes):
    add_mailbox(
        app.world, "MB2", owner="cleo", kind=MailboxKind.SHARED, granted_to=EVERYONE, address="team@ours.example"
    )  # fmt: skip
    ben = open_on_fakes("#/connect?mailbox=MB2", user="ben")
    expect(ben.page.get_by_text("Only cleo, whose mailbox it is")).to_be_visible()
    ben.keep("reconnect-not-mine")
