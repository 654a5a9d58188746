"""Accounts at each provider, for lives on the page: what a customer writes, and how each is connected and mended.

Servers are steered behind the scenes for what other people do: customers write, passwords change,
administrators withdraw a grant. What differs between the providers is in one class each.
"""

import re
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from infra.simulators.kit.mailbox import Delivery
from tests.e2e.test_main_job import PASSWORD

if TYPE_CHECKING:
    from tests.e2e.page_life import Life

NEWS = 10
"""Mails of others within the last thirty days; two more are older."""
PICTURE = "https://pictures.example/logo.png"


def question(sender: str, to: str, *, subject: str = "Prices") -> EmailMessage:
    """What a customer asks, in HTML with a picture from the web."""
    message = EmailMessage()
    message["From"], message["To"] = f"Kim Sommer <{sender}>", to
    message["Subject"] = subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain="customer.example")
    message.set_content("What does it cost?")
    html = f'<p>What does it <b>cost</b>?</p><img src="{PICTURE}" alt="Sommer Optics">'
    message.add_alternative(html, subtype="html")
    return message


def news(number: int, to: str, at: datetime) -> EmailMessage:
    """Mail of somebody who is no customer."""
    message = EmailMessage()
    message["From"], message["To"] = "news@list.example", to
    message["Subject"] = f"News {number}"
    message["Date"] = format_datetime(at)
    message["Message-ID"] = make_msgid(domain="list.example")
    message.set_content(f"Number {number}\n")
    return message


class Account:
    """Somebody's account at a provider, and a customer's beside it, as its owners' other programs see them."""

    provider: str
    connect_by: str
    """The link of the first page that leads to it."""
    name: str
    """What the page calls it."""
    complaint: str
    """What the page says once the login is lost."""

    def __init__(self, servers: Any, tag: str) -> None:
        self.servers, self.tag = servers, tag
        self.address, self.customer = self.address_of(f"ada-{tag}"), self.address_of(f"kim-{tag}")

    def address_of(self, name: str) -> str:
        """Make an account; return its address."""
        raise NotImplementedError

    def put(self, messages: list[tuple[EmailMessage, datetime]]) -> None:
        """Put mail into the account's inbox."""
        raise NotImplementedError

    def received(self, address: str) -> int:
        """How many mails somebody has got."""
        raise NotImplementedError

    def fill(self) -> int:
        """Put mail in, old and new, and a customer's question; return how many are of the last 30 days."""
        now = datetime.now(UTC).replace(microsecond=0)
        days = [2 * number + 1 for number in range(NEWS)] + [45, 60]
        old = [
            (news(day, self.address, at), at) for day in days if (at := now - timedelta(days=day))
        ]
        self.put([*old, (question(self.customer, self.address), now)])
        return NEWS + 1

    def connect(self, life: "Life") -> None:
        """From the provider's first step to the one that asks what the mailbox is for."""
        raise NotImplementedError

    def finish(self, life: "Life") -> None:
        """From the last choice to the mailbox being connected."""
        raise NotImplementedError

    def break_login(self) -> None:
        """As an administrator does, or whoever changes the password."""
        raise NotImplementedError

    def mend(self, life: "Life") -> None:
        """Reconnect on the page, first in a wrong way."""
        raise NotImplementedError


class AtImap(Account):
    """At the IMAP and SMTP servers of this machine."""

    provider, name, connect_by = "imap", "IMAP", "Connect another mailbox"
    complaint = "The mail server refused the username or password."
    password = PASSWORD

    def address_of(self, name):
        address = f"{name}@mailroom.test"
        self.servers.dovecot.add_user(address, self.password)
        return address

    def put(self, messages):
        box = self.servers.dovecot.mail(self.address)
        box.append_many("INBOX", [(message.as_bytes(), (), at) for message, at in messages])

    def received(self, address):
        return len(self.servers.dovecot.mail(address).uids())

    def connect(self, life):
        page = life.page
        page.get_by_label("Your e-mail address").fill(self.address)
        life.look("address")
        page.get_by_role("button", name="Continue", exact=True).click()
        life.at(f"Sign in to {self.address}")
        expect(page.get_by_text("we know its servers")).to_be_visible()
        life.look("password")
        page.get_by_label("Password", exact=True).fill(self.password)
        page.get_by_role("button", name="Test and continue").click()
        life.at("What is it for?")
        for side in ("Reading mail (IMAP)", "Sending mail (SMTP)"):
            expect(page.locator("p", has_text=side)).to_have_text(f"{side}works")
        expect(page.get_by_text("folders found")).to_be_visible()

    def finish(self, life):
        life.page.get_by_role("button", name="Connect", exact=True).click()

    def break_login(self):
        self.password = "changed-and-just-as-false"
        self.servers.dovecot.add_user(self.address, self.password)

    def mend(self, life):
        page = life.page
        life.visit.expects("422 POST .*/reconnect")
        password = page.get_by_label("Password", exact=True)
        password.fill("not this one")
        page.get_by_role("button", name="Test and reconnect").click()
        expect(password).to_have_accessible_description(
            re.compile("refused the username or password")
        )
        life.look("reconnect-refused")
        password.fill(self.password)
        page.get_by_role("button", name="Test and reconnect").click()


class BySignIn(Account):
    """At a provider where one signs in."""

    complaint = "Access to this mailbox was withdrawn"
    allow: str
    revoked: str
    refuses_token: str

    def __init__(self, servers, tag):
        self.simulator = getattr(servers.providers, self.at)
        super().__init__(servers, tag)
        self.other = self.address_of(f"other-{tag}")

    def address_of(self, name):
        address = f"{name}@{self.provider}.example"
        self.simulator.add_user(address, name=name.partition("-")[0].title())
        return address

    def put(self, messages):
        self.simulator.mail(self.address).deliver_all(
            [Delivery(message.as_bytes(), (), at) for message, at in messages]
        )

    def received(self, address):
        return len(self.simulator.mail(address).messages())

    def connect(self, life):
        life.at("What is it for?")

    def finish(self, life):
        life.page.get_by_role("button", name=f"Sign in at {self.name}").click()
        self.choose(life, self.address)

    def choose(self, life, address):
        """Sign in on the provider's page, which is not ours to look at."""
        life.page.get_by_role("radio", name=address).check()
        life.page.get_by_role("button", name=self.allow).click()

    def break_login(self):
        self.simulator.revoke_grants(self.address, self.revoked)
        self.simulator.faults.arm(self.refuses_token, times=1, user=self.address)

    def mend(self, life):
        page = life.page
        # Whatever stopped the mailbox may have left it.
        self.simulator.faults.clear()
        page.get_by_role("button", name=f"Continue with {self.name}").click()
        self.choose(life, self.other)
        life.at("That was another account")
        life.look("another-account")
        page.get_by_role("button", name="Try again").click()
        self.choose(life, self.address)


class AtGmail(BySignIn):
    """At Google's simulator."""

    provider, at, name, connect_by = "gmail", "google", "Google", "Connect Gmail"
    allow, revoked, refuses_token = "Continue", "user", "invalid_credentials_401"


class AtOutlook(BySignIn):
    """At Microsoft's simulator."""

    provider, at, name, connect_by = "outlook", "microsoft", "Microsoft", "Connect Outlook"
    allow, revoked, refuses_token = "Accept", "admin", "unauthorized"
