"""The life of a mailbox on the page, step by step, as the person lives it who clicks and types there."""

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.page import Visit
from tests.e2e.page_accounts import PICTURE, Account
from tests.e2e.test_main_job import until

if TYPE_CHECKING:
    from playwright.sync_api import Locator

SLOWEST = 60_000
"""Milliseconds for what several functions do one after another, each starting cold."""
BY_SIGN_IN = {"purpose", "reconnect", "another-account"}
"""States that look otherwise at a provider where one signs in."""
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63606060f80f0001040100"
    "5fe5c34b0000000049454e44ae426082"
)


class Life:
    """What Ada does with her mailbox, and what she sees."""

    def __init__(self, visit: Visit, account: Account) -> None:
        self.visit, self.page, self.account = visit, visit.page, account
        self.main = self.page.get_by_role("main")

    def at(self, title: str) -> None:
        """See the title of where one is, once all is there."""
        expect(self.page.get_by_role("heading", level=1)).to_have_text(title, timeout=SLOWEST)

    def look(self, name: str) -> None:
        """Look at a state: it has to be accessible; pictures of it are kept where it is told of first."""
        if self.account.provider == "imap" or name in BY_SIGN_IN:
            self.visit.keep(f"{self.account.provider}-{name}")
        else:
            self.visit.axe()

    def go(self, name: str) -> None:
        """Go to a part of the page."""
        self.page.get_by_role("navigation", name="Main").get_by_role("link", name=name).click()

    def begin(self) -> None:
        """Begin to connect, from the empty list."""
        expect(self.page.get_by_role("heading", name="Connect your first mailbox")).to_be_visible()
        self.look("empty")
        self.page.get_by_role("link", name=self.account.connect_by).click()
        self.account.connect(self)

    def choose(self) -> None:
        """Say what the mailbox is for and how much history it brings."""
        page = self.page
        self.look("purpose")
        page.get_by_label("Your name").fill("Ada Miller")
        page.get_by_role("button", name="Continue", exact=True).click()
        self.at("How much history?")
        expect(page.get_by_role("radio", name="The last 30 days")).to_be_checked()
        self.look("history")
        self.account.finish(self)
        self.at("Connected")

    def see_import(self, listed: int) -> None:
        """See the import come to its end, with figures that add up to what the provider holds."""
        card = self.page.get_by_role("article", name="Import of the last 30 days")
        expect(card.get_by_text("done", exact=True)).to_be_visible(timeout=SLOWEST)
        expect(card).to_contain_text(f"{listed} of {listed} messages stored")
        card.get_by_text("What became of every message").click()
        expect(card.get_by_role("row", name=f"Stored {listed}")).to_be_visible()
        expect(card.get_by_role("row", name=f"All that were listed {listed}")).to_be_visible()
        self.look("imported")

    def add_customer(self) -> None:
        """Find the customer's mail by making a contact of them."""
        page = self.page
        self.go("Conversations")
        page.get_by_role("button", name="Add a contact").first.click()
        dialog = page.get_by_role("dialog", name="Add a contact")
        dialog.get_by_label("Name").fill("Kim Sommer")
        dialog.get_by_label("E-mail addresses").fill(self.account.customer)
        self.look("add-contact")
        dialog.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_role("heading", level=2, name="Kim Sommer")).to_be_visible()
        self.look("timeline")

    def open_thread(self) -> None:
        """Open the conversation from the customer's timeline."""
        self.main.get_by_role("link", name="Prices").first.click()
        self.at("Prices")

    def letters(self, sender: str) -> "Locator":
        """The messages of somebody in the thread."""
        return self.page.get_by_role("article", name=f"Message from {sender}")

    def read(self) -> None:
        """Read the customer's mail, first without its picture."""
        page = self.page
        asked: list[str] = []
        page.context.route(
            PICTURE,
            lambda route: (
                asked.append(route.request.url),
                route.fulfill(body=PIXEL, content_type="image/png"),
            ),
        )
        letter = self.letters("Kim Sommer")
        frame = letter.frame_locator("iframe")
        expect(frame.get_by_text("What does it cost?")).to_be_visible()
        self.look("thread")
        assert asked == []
        self.visit.expects(f"asked elsewhere: GET {PICTURE}")
        letter.get_by_role("button", name="Show 1 picture").click()
        expect(frame.get_by_role("img", name="Sommer Optics")).to_have_js_property(
            "naturalWidth", 1
        )
        assert asked == [PICTURE]

    def reply(self) -> None:
        """Answer, take it back, and answer for good."""
        page, text = self.page, self.page.get_by_role("textbox", name="Text")
        self.main.get_by_role("link", name="Reply", exact=True).click()
        self.at("Reply")
        text.fill("It costs 10 €.")
        self.look("reply")
        page.get_by_role("button", name="Send", exact=True).click()
        page.get_by_role("button", name="Undo").click()
        self.at("Reply")
        expect(text).to_have_value("It costs 10 €.")
        text.press_sequentially(" Per piece.")
        page.get_by_role("button", name="Send", exact=True).click()
        self.at("Prices")
        expect(page.get_by_role("button", name="Undo")).to_be_visible()
        expect(self.letters("Kim Sommer").locator("iframe")).to_be_visible()
        self.look("sending")
        expect(page.get_by_text("Sent to Kim Sommer")).to_be_visible(timeout=SLOWEST)
        expect(self.letters("Ada Miller")).to_have_count(1, timeout=SLOWEST)
        expect(self.letters("Ada Miller")).to_contain_text("It costs 10 €. Per piece.")
        self.look("replied")
        until(lambda: self.account.received(self.account.customer), what="the customer's mail")
        assert self.account.received(self.account.customer) == 1

    def lose_login(self) -> None:
        """See in the list that the mailbox is cut off, why, and what helps."""
        page, api = self.page, self.visit.api
        (mailbox,) = api("GET", "/v1/mailboxes").body["items"]
        self.account.break_login()
        # A run of the schedule may see it first.
        assert api("POST", f"/v1/mailboxes/{mailbox['id']}/sync").status in {202, 409}
        until(
            lambda: (
                api("GET", f"/v1/mailboxes/{mailbox['id']}").body["status"] == "reconnect_required"
            ),
            what="the parking",
        )
        self.go("Mailboxes")
        row = page.get_by_role("listitem").filter(has_text=self.account.address)
        expect(row.get_by_text("Reconnect needed")).to_be_visible()
        trouble = row.get_by_role("group", name="Receiving")
        expect(trouble).to_contain_text(self.account.complaint)
        expect(trouble).to_contain_text("You can fix this.")
        self.look("reconnect-needed")
        trouble.get_by_role("link", name="Reconnect").click()
        self.at(f"Reconnect {self.account.address}")

    def mend(self) -> None:
        """Reconnect, and see that all is well."""
        page = self.page
        self.look("reconnect")
        self.account.mend(self)
        self.at("Connected again")
        page.get_by_role("link", name="Open the mailbox").click()
        self.at("Ada Miller")
        expect(page.get_by_text("In sync", exact=True)).to_be_visible(timeout=SLOWEST)
        page.get_by_role("button", name="Sync now").click()
        expect(page.get_by_text("Synced: ")).to_be_visible(timeout=SLOWEST)
        self.look("in-sync")

    def disconnect(self) -> None:
        """Disconnect after reading what that does; the history stays."""
        page = self.page
        page.get_by_label("More for this mailbox").click()
        page.get_by_role("button", name="Disconnect…").click()
        dialog = page.get_by_role("dialog", name="Disconnect Ada Miller")
        expect(dialog).to_contain_text("ada sent from it in the last 30 days")
        self.look("disconnect")
        dialog.get_by_role("button", name="Disconnect", exact=True).click()
        expect(page.get_by_text("Disconnected", exact=True)).to_be_visible()
        self.look("disconnected")
        self.go("Conversations")
        contacts = page.get_by_role("navigation", name="Contacts")
        contacts.get_by_role("link", name="Kim Sommer").click()
        expect(self.main.get_by_role("link", name="Prices")).to_have_count(2)
        self.open_thread()
