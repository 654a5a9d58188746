"""Mail marked and moved through the real routes, worker and stores; the provider alone is a fake."""

import pytest

from shared.domain.errors import ErrorCode, RetryLaterError
from tests.fakes.provider import FakeFolder
from tests.functions.moto_stack import client, runs_of


@pytest.fixture
def box(stack):
    """A mailbox in sync, with two messages in the inbox."""
    stack.server.folders["Deals"] = FakeFolder("Deals")
    stack.deliver(1)
    stack.deliver(2)
    mailbox_id = stack.connect(backfill_days=7)
    poll(stack)
    return mailbox_id


def poll(stack, minutes=6):
    for _ in range(minutes):
        stack.tick()
        stack.work()


def shown(stack, number):
    items = stack.ask("GET", "/v1/messages", user="ann").json["items"]
    return next(one for one in items if one["subject"] == f"Mail {number}")


def place(stack, number):
    (copy,) = shown(stack, number)["mailboxes"]
    folders = stack.ask("GET", f"/v1/mailboxes/{copy['mailbox_id']}/folders", user="ann").json[
        "items"
    ]
    name = next(one["name"] for one in folders if one["id"] == copy["folder_id"])
    return name, copy["seen"], copy["flagged"], copy["pending"]


def folder_id(stack, box, name):
    folders = stack.ask("GET", f"/v1/mailboxes/{box}/folders", user="ann").json["items"]
    return next(one["id"] for one in folders if one["name"] == name)


def change(stack, box, number, body):
    message_id = shown(stack, number)["id"]
    answer = stack.ask("PATCH", f"/v1/mailboxes/{box}/messages/{message_id}", body=body, user="ann")
    assert answer.status == 202, answer.text
    return answer.json


def there(stack, name):
    return {
        mail.raw.split(b"Subject: Mail ")[1].split(b"\r\n")[0]: (
            mail.flags.seen,
            mail.flags.flagged,
        )
        for mail in stack.server.folders[name].mails.values()
    }


def pending_items(stack):
    items = client("dynamodb").scan(TableName="mailroom-test")["Items"]
    return [
        one["sk"]["S"]
        for one in items
        if one["sk"]["S"].startswith("wish#") or one["sk"]["S"] == "changes" or "w" in one
    ]


def test_a_message_moved_here_is_moved_there_and_goes_on_as_one(stack, box):
    fetched = len(stack.server.fetched)
    deals = folder_id(stack, box, "Deals")
    change(stack, box, 1, {"seen": True, "folder_id": deals})
    assert place(stack, 1) == ("Deals", True, False, ["folder_id", "seen"])
    assert len(pending_items(stack)) == 3
    stack.work()
    assert there(stack, "Deals") == {b"1": (True, False)}
    assert place(stack, 1) == ("Deals", True, False, [])
    poll(stack)
    assert place(stack, 1) == ("Deals", True, False, [])
    assert len(stack.server.fetched) == fetched
    assert pending_items(stack) == []
    # From there it is moved on, and read there it arrives here.
    message_id = change(stack, box, 1, {"trashed": True})["id"]
    stack.work()
    assert b"1" in there(stack, "Trash")
    trashed = stack.ask("GET", f"/v1/messages/{message_id}", user="ann")
    assert (trashed.status, trashed.json["mailboxes"]) == (200, [])
    stack.server.mark_seen("INBOX", 2)
    poll(stack)
    assert place(stack, 2)[1]


def test_what_the_provider_cannot_do_now_is_done_by_a_later_tick(stack, box):
    change(stack, box, 2, {"flagged": True})
    stack.server.failure = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
    stack.work()
    assert place(stack, 2)[2:] == (True, ["flagged"])
    stack.server.failure = None
    poll(stack, 20)
    assert there(stack, "INBOX")[b"2"] == (False, True)
    assert place(stack, 2)[2:] == (True, [])


def test_what_is_refused_is_taken_back_and_told_by_the_mailbox(stack, box, caplog):
    caplog.set_level("INFO", logger="mailroom")
    stack.server.read_only = {"INBOX"}
    change(stack, box, 2, {"flagged": True})
    poll(stack, 2)
    assert place(stack, 2)[2:] == (False, [])
    health = stack.ask("GET", f"/v1/mailboxes/{box}", user="ann").json
    assert health["latest_error"]["outbound"]["code"] == "change_refused"
    assert [one.outcome for one in runs_of(caplog, "changes")]


def test_a_lost_place_in_the_queue_is_found_by_the_tick(stack, box):
    change(stack, box, 1, {"seen": True})
    assert len(stack.bodies("outbound")) == 1
    poll(stack, 2)
    assert there(stack, "INBOX")[b"1"][0]
