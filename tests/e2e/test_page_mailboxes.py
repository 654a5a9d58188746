"""Mailboxes as people see them on the page: which are well, what helps those that are not, and how they end."""

import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from shared.aws.queues import encode_audit
from shared.ports.queues import AuditRequest
from tests.e2e.test_main_job import PASSWORD, Life, fill, mail, until

pytestmark = pytest.mark.stack

OTHER_PASSWORD = "changed-at-the-provider"
A_MINUTE = 60_000
"""Milliseconds for what the stack does by itself."""


@pytest.fixture
def now():
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def connected(stack, dovecot, submission):
    """Connect an IMAP mailbox of a visitor's tenant, as whoever visits; return its `Life`."""

    def connect(visit, user, *, messages=3, **wishes):
        address = f"{user}@{visit.tenant.replace('_', '-')}.test"
        dovecot.add_user(address, PASSWORD)
        life = Life(stack, dovecot, submission, visit.api, address)
        fill(life, datetime.now(UTC).replace(microsecond=0), messages)
        body = {**life.logins(), "address": address, "backfill_days": 30, **wishes}
        answer = visit.api("POST", "/v1/mailboxes", body)
        assert answer.status == 201, answer.body
        life.mailbox_id = answer.body["id"]
        life.imported()
        until(lambda: life.mailbox()["last_synced_at"], what="the first look")
        return life

    return connect


def go(visit, *path):
    """Go to a place in the page, as a link leads there."""
    visit.page.evaluate("(place) => (location.hash = place)", "#/" + "/".join(path))


def heading(visit, name):
    return visit.page.get_by_role("heading", name=name)


def button(visit, name):
    return visit.page.get_by_role("button", name=name, exact=True)


def menu(visit, name):
    visit.page.get_by_label("More for this mailbox").click()
    button(visit, name).click()


def test_an_empty_list_says_what_to_do(open_page):
    ada = open_page("#/mailboxes")
    expect(heading(ada, "Connect your first mailbox")).to_be_visible()
    expect(ada.page.get_by_role("link", name="Connect Gmail")).to_have_attribute(
        "href", "#/connect?provider=gmail"
    )
    ada.keep("mailboxes-empty")


def test_a_mailbox_says_how_it_is_and_what_came_of_a_sync(open_page, connected, now):
    ada = open_page("#/mailboxes")
    life = connected(ada, "ada", display_name="Ada of Sales", purpose="sales")
    ada.page.reload()
    row = ada.page.get_by_role("listitem").filter(has_text="Ada of Sales")
    expect(row).to_contain_text(f"{life.user} · IMAP · Sales")
    expect(row).to_contain_text("In sync")
    ada.keep("mailboxes")
    row.get_by_role("link", name="Ada of Sales").click()
    expect(heading(ada, "Ada of Sales")).to_be_focused()
    life.server.append_many("INBOX", [(mail(99, now, to=life.user).as_bytes(), (), now)])
    button(ada, "Sync now").click()
    expect(ada.page.get_by_text("Synced: 1 message brought in")).to_be_visible()
    ada.keep("mailbox")


def test_a_mailbox_says_how_much_of_its_mail_is_here(open_page, connected, stack):
    ada = open_page("#/mailboxes")
    life = connected(ada, "ada", messages=4)
    queues = stack.client("sqs")
    url = queues.get_queue_url(QueueName="mailroom-local-plan")["QueueUrl"]
    tick = AuditRequest(ada.tenant, life.mailbox_id, datetime.now(UTC))
    queues.send_message(QueueUrl=url, MessageBody=encode_audit(tick), MessageGroupId="audits")
    until(lambda: life.mailbox()["completeness"], what="the audit")
    go(ada, "mailboxes", life.mailbox_id)
    expect(ada.page.get_by_text("100% here or accounted for")).to_be_visible()
    expect(ada.page.get_by_text("Of 4 messages at the provider")).to_be_visible()
    ada.keep("mailbox-completeness")


def test_runs_explain_themselves(open_page, connected):
    ada = open_page("#/mailboxes")
    life = connected(ada, "ada", messages=5)
    go(ada, "mailboxes", life.mailbox_id, "runs")
    run = ada.page.get_by_role("row").filter(has_text="5 messages brought in.")
    expect(run.first).to_contain_text("Import")
    run.first.get_by_role("button").click()
    expect(ada.page.get_by_text("The provider named 5 messages.")).to_be_visible()
    ada.keep("mailbox-runs")
    run.first.get_by_role("button").click()
    expect(ada.page.get_by_text("The provider named 5 messages.")).to_have_count(0)


def test_a_changed_password_is_said_in_words_with_the_fix_as_a_button(
    open_page, connected, dovecot
):
    ada = open_page("#/mailboxes")
    broken = connected(ada, "ada")
    connected(ada, "grace")
    dovecot.add_user(broken.user, OTHER_PASSWORD)
    go(ada, "mailboxes", broken.mailbox_id)
    button(ada, "Sync now").click()
    trouble = ada.page.get_by_role("group", name="Receiving")
    expect(trouble).to_contain_text("refused the username or password", timeout=A_MINUTE)
    expect(trouble.get_by_role("link", name="Reconnect")).to_have_attribute(
        "href", f"#/connect?provider=imap&mailbox={broken.mailbox_id}"
    )
    expect(button(ada, "Sync now")).to_have_count(0)
    ada.keep("mailbox-reconnect")
    go(ada, "mailboxes")
    groups = ada.page.get_by_role("heading", level=2)
    expect(groups).to_have_text(["Needs attention", "Running"])
    expect(ada.page.get_by_role("listitem").first).to_contain_text(broken.user)
    ada.keep("mailboxes-trouble")


def test_who_may_not_mend_a_mailbox_gets_a_text_for_who_may(open_page, connected, dovecot):
    ada = open_page("#/mailboxes")
    broken = connected(ada, "team", kind="shared", granted_to=["ben"])
    dovecot.add_user(broken.user, OTHER_PASSWORD)
    ada.api("POST", f"/v1/mailboxes/{broken.mailbox_id}/sync")
    until(lambda: broken.mailbox()["status"] == "reconnect_required", what="the refusal")
    ben = open_page("#/mailboxes", tenant=ada.tenant, user="ben", admin=False)
    ben.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    expect(ben.page.get_by_role("link", name="Reconnect")).to_have_count(0)
    button(ben, "Ask your administrator").click()
    ben.keep("mailboxes-ask-administrator")
    button(ben, "Copy the text").click()
    copied = until(lambda: ben.page.evaluate("navigator.clipboard.readText()"), what="the text")
    assert broken.user in copied
    assert f"/app#/mailboxes/{broken.mailbox_id}" in copied
    ben.page.keyboard.press("Escape")
    expect(ben.page.get_by_role("dialog")).to_have_count(0)
    expect(button(ben, "Ask your administrator")).to_be_focused()
    go(ben, "mailboxes", broken.mailbox_id, "settings")
    expect(ben.page.get_by_label("Name", exact=True)).to_be_disabled()
    expect(button(ben, "Disconnect…")).to_have_count(0)


def test_folders_are_chosen(open_page, connected):
    ada = open_page("#/mailboxes")
    life = connected(ada, "ada")
    go(ada, "mailboxes", life.mailbox_id, "folders")
    sent = ada.page.get_by_role("checkbox", name="Sent", exact=True)
    expect(sent).to_be_disabled()
    ada.page.get_by_role("radio", name="Only those I choose").check()
    expect(button(ada, "Save")).to_be_enabled()
    sent.uncheck()
    expect(ada.page.get_by_text("1 folder less")).to_be_visible()
    ada.keep("mailbox-folders")
    button(ada, "Save").click()
    expect(ada.page.get_by_text("Saved. Mailroom looks at the mailbox now.")).to_be_visible()
    folders = ada.api("GET", f"/v1/mailboxes/{life.mailbox_id}/folders").body["items"]
    active = [one["role"] for one in folders if one["active"]]
    assert "inbox" in active
    assert "sent" not in active
    ada.page.reload()
    expect(ada.page.get_by_role("radio", name="Only those I choose")).to_be_checked()
    expect(sent).not_to_be_checked()


def test_settings_are_saved_and_what_is_wrong_is_said_at_its_field(open_page, connected):
    ada = open_page("#/mailboxes")
    life = connected(ada, "ada")
    go(ada, "mailboxes", life.mailbox_id, "settings")
    ada.page.get_by_label("Name", exact=True).first.fill("Ada Lovelace")
    replies = ada.page.get_by_label("Replies go to")
    replies.fill("nowhere@")
    ada.expects("400 PATCH .*/v1/mailboxes/")
    button(ada, "Save").click()
    expect(replies).to_have_attribute("aria-invalid", "true")
    expect(replies).to_be_focused()
    ada.keep("mailbox-settings-wrong")
    replies.fill("")
    # Looking at the mailbox again takes away nothing that is typed.
    path = f"/v1/mailboxes/{life.mailbox_id}"
    ada.page.wait_for_event("response", lambda one: one.url.endswith(path), timeout=A_MINUTE)
    button(ada, "Save").click()
    expect(heading(ada, "Ada Lovelace")).to_be_visible()
    assert life.mailbox()["display_name"] == "Ada Lovelace"
    assert life.mailbox()["reply_to"] is None
    ada.keep("mailbox-settings")


def test_what_is_typed_stays_while_another_part_is_looked_at(open_page, connected):
    ada = open_page("#/mailboxes")
    life = connected(ada, "ada")
    go(ada, "mailboxes", life.mailbox_id, "settings")
    ada.page.get_by_label("Recovery note").fill("Ask Grace")
    ada.page.get_by_role("link", name="Runs").click()
    expect(ada.page.get_by_role("table")).to_be_visible()
    ada.page.get_by_role("link", name="Settings").click()
    expect(ada.page.get_by_label("Recovery note")).to_have_value("Ask Grace")


def test_an_alias_is_verified_by_a_test_message_that_comes_back(open_page, connected, submission):
    ada = open_page("#/mailboxes")
    life = connected(ada, "ada")
    alias = life.user.replace("ada@", "sales@")
    submission.add_alias(alias, life.user)
    go(ada, "mailboxes", life.mailbox_id, "settings")
    ada.page.get_by_label("Address", exact=True).fill(alias)
    button(ada, "Add address").click()
    expect(ada.page.get_by_text("Not verified")).to_be_visible()
    button(ada, f"Verify {alias}").click()
    expect(ada.page.get_by_text(f"It left {alias} and came back")).to_be_visible(timeout=A_MINUTE)
    expect(ada.page.get_by_text("Verified", exact=True)).to_be_visible()
    ada.page.get_by_text(alias).first.scroll_into_view_if_needed()
    ada.keep("mailbox-alias")
    button(ada, f"Remove {alias}").click()
    expect(button(ada, f"Remove {alias}")).to_have_count(0)


def test_a_test_message_is_followed_until_it_is_back(open_page, connected):
    ada = open_page("#/mailboxes")
    life = connected(ada, "ada")
    go(ada, "mailboxes", life.mailbox_id)
    button(ada, "Send a test message").click()
    back = re.compile(f"It left {re.escape(life.user)} and came back, in \\d+ second")
    expect(ada.page.get_by_text(back)).to_be_visible(timeout=A_MINUTE)
    expect(ada.page.locator(".steps .done")).to_have_count(5)
    ada.keep("mailbox-test")


def test_a_signature_is_kept(open_page, connected):
    ada = open_page("#/mailboxes")
    life = connected(ada, "ada")
    go(ada, "mailboxes", life.mailbox_id, "settings")
    ada.page.get_by_label("Signature", exact=True).fill("Ada\nACME")
    button(ada, "Save signature").click()
    expect(ada.page.get_by_text("Saved.")).to_be_visible()
    assert ada.api("GET", "/v1/signature").body["text"] == "Ada\nACME"
    ada.page.get_by_label("Signature", exact=True).fill("")
    button(ada, "Save signature").click()
    expect(ada.page.get_by_text("Your mail goes without a signature.")).to_be_visible()


def test_disconnecting_says_first_what_it_touches(open_page, connected):
    ada = open_page("#/mailboxes")
    life = connected(ada, "ada")
    go(ada, "mailboxes", life.mailbox_id)
    menu(ada, "Make it your primary")
    expect(ada.page.get_by_text("Your primary", exact=True)).to_be_visible()
    menu(ada, "Disconnect…")
    asked = ada.page.get_by_role("dialog")
    expect(asked).to_contain_text("It is the primary mailbox of ada")
    ada.keep("mailbox-disconnect")
    asked.get_by_role("button", name="Cancel").click()
    assert life.mailbox()["status"] == "active"
    menu(ada, "Disconnect…")
    asked.get_by_role("button", name="Disconnect").click()
    expect(ada.page.get_by_text("Its history stays; nothing new comes in")).to_be_visible()
    assert life.mailbox()["status"] == "disconnected"
    assert len(life.messages()) == 3
    expect(ada.page.get_by_role("link", name="Folders")).to_have_count(0)
    expect(ada.page.get_by_role("link", name="Reconnect").first).to_have_attribute(
        "href", f"#/connect?provider=imap&mailbox={life.mailbox_id}"
    )
    ada.keep("mailbox-disconnected")


def test_erasing_wants_the_address_and_shows_what_comes_of_it(open_page, connected):
    ada = open_page("#/mailboxes")
    life = connected(ada, "ada")
    go(ada, "mailboxes", life.mailbox_id)
    menu(ada, "Erase its mail…")
    asked = ada.page.get_by_role("dialog")
    erase = asked.get_by_role("button", name="Erase for good")
    asked.get_by_label(f"Type {life.user} to confirm").fill(life.user[1:])
    expect(erase).to_be_disabled()
    ada.keep("mailbox-erase")
    asked.get_by_label(f"Type {life.user} to confirm").fill(life.user)
    erase.click()
    expect(heading(ada, "Erasing a mailbox")).to_be_visible()
    expect(ada.page.get_by_text("Begins soon")).to_be_visible()
    ada.keep("erasure")
    ada.page.reload()
    expect(ada.page.get_by_text("Begins soon")).to_be_visible()
    ada.page.get_by_role("link", name="All mailboxes").click()
    expect(heading(ada, "Connect your first mailbox")).to_be_visible()


def test_an_administrator_opens_a_mailbox_with_a_reason_its_owner_reads(open_page, connected):
    ben = open_page("#/mailboxes", user="ben", admin=False)
    life = connected(ben, "ben")
    ada = open_page(f"#/mailboxes/{life.mailbox_id}", tenant=ben.tenant)
    expect(button(ada, "Send a test message")).to_have_count(0)
    button(ada, "Open its mail…").click()
    asked = ada.page.get_by_role("dialog")
    asked.get_by_label("Reason").fill("too short")
    expect(asked.get_by_role("button", name="Open", exact=True)).to_be_disabled()
    asked.get_by_label("Reason").fill("Ticket 4711: a confirmation is missing")
    ada.keep("mailbox-open")
    asked.get_by_role("button", name="Open", exact=True).click()
    expect(button(ada, "End what ada sees")).to_be_visible()
    go(ben, "mailboxes", life.mailbox_id)
    expect(ben.page.get_by_text("Ticket 4711: a confirmation is missing")).to_be_visible()
    button(ben, "End what ada sees").click()
    expect(button(ben, "End what ada sees")).to_have_count(0)
    button(ben, "Who was let in before").click()
    expect(ben.page.get_by_text("Ticket 4711: a confirmation is missing")).to_be_visible()


def test_a_mailbox_that_is_not_there_says_so(open_page):
    ada = open_page("#/mailboxes")
    ada.expects("404 GET .*/v1/mailboxes/")
    go(ada, "mailboxes", "01K0000000000000000000000A")
    expect(heading(ada, "This mailbox is not there")).to_be_visible()
    ada.keep("mailbox-gone")
