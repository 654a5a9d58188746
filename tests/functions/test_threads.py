"""Conversations as they are read: late answers, lost headers, reused ids, through the handlers."""

import pytest

MAILS = {
    "A": {"Message-ID": "<a@client.example>"},
    "B": {"Message-ID": "<b@client.example>", "References": "<a@client.example>"},
    "C": {"Message-ID": "<c@client.example>", "In-Reply-To": "<b@client.example>"},
    "D": {
        "Message-ID": "<d@client.example>",
        "References": "<b@client.example> <c@client.example>",
    },
}


def arrive(stack, mailbox_id, name, **more):
    stack.clock.advance(minutes=1)
    stack.deliver(name, **(MAILS[name] | more))
    stack.ask("POST", f"/v1/mailboxes/{mailbox_id}/sync")
    stack.work()


def listed(stack, mailbox_id):
    items = stack.ask("GET", f"/v1/messages?mailbox_id={mailbox_id}").json["items"]
    return {one["subject"].removeprefix("Mail "): one for one in items}


def pages(stack, thread_id, limit=2):
    next_, found = "", []
    while True:
        answer = stack.ask("GET", f"/v1/threads/{thread_id}?limit={limit}{next_}")
        assert answer.status == 200, answer.text
        found += [one["subject"].removeprefix("Mail ") for one in answer.json["items"]]
        if not answer.json["next"]:
            return found
        next_ = f"&next={answer.json['next']}"


@pytest.mark.parametrize("order", ["ABCD", "CADB", "DCBA"])
def test_a_conversation_is_one_whatever_of_it_comes_first(stack, order):
    mailbox_id = stack.connect(backfill_days=0)
    stack.work()
    before = set()
    for name in order:
        arrive(stack, mailbox_id, name)
        before |= {one["thread_id"] for one in listed(stack, mailbox_id).values()}
    items = listed(stack, mailbox_id)
    assert len({one["thread_id"] for one in items.values()}) == 1
    # By every id that any of it was ever known by.
    for thread_id in before:
        assert pages(stack, thread_id) == list(order)


def test_pages_stay_right_when_threads_join_between_them(stack):
    mailbox_id = stack.connect(backfill_days=0)
    stack.work()
    for name in "CA":
        arrive(stack, mailbox_id, name)
    arrive(stack, mailbox_id, "C", **{"Message-ID": "<c2@client.example>", "Subject": "Mail C2"})
    thread_id = listed(stack, mailbox_id)["C"]["thread_id"]
    first = stack.ask("GET", f"/v1/threads/{thread_id}?limit=1").json
    assert [one["subject"] for one in first["items"]] == ["Mail C"]
    arrive(stack, mailbox_id, "B")
    rest = stack.ask("GET", f"/v1/threads/{thread_id}?limit=9&next={first['next']}").json
    assert [one["subject"] for one in rest["items"]] == ["Mail A", "Mail C2", "Mail B"]


def test_two_mails_with_one_message_id_are_two_in_one_thread(stack):
    mailbox_id = stack.connect(backfill_days=0)
    stack.work()
    arrive(stack, mailbox_id, "A")
    arrive(stack, mailbox_id, "A", Subject="Mail other")
    items = listed(stack, mailbox_id)
    assert len({one["id"] for one in items.values()}) == 2
    assert len({one["thread_id"] for one in items.values()}) == 1


def test_one_mail_in_two_folders_and_two_mailboxes_is_one(stack):
    for folder in ("INBOX", "Sent"):
        stack.deliver("A", folder=folder, **MAILS["A"])
    first = stack.connect(backfill_days=30)
    second = stack.connect(backfill_days=30, address="ann2@ours.example")
    stack.work()
    ids = {
        one["id"]
        for mailbox_id in (first, second)
        for one in stack.ask("GET", f"/v1/messages?mailbox_id={mailbox_id}").json["items"]
    }
    assert len(ids) == 1
    (thread_id,) = {one["thread_id"] for one in listed(stack, first).values()}
    (only,) = stack.ask("GET", f"/v1/threads/{thread_id}").json["items"]
    assert len(only["mailboxes"]) == 4


def test_a_subject_joins_nothing(stack):
    mailbox_id = stack.connect(backfill_days=0)
    stack.work()
    for number in "12":
        stack.deliver("A", **{"Message-ID": f"<{number}@client.example>", "Subject": "Re: Offer"})
    stack.ask("POST", f"/v1/mailboxes/{mailbox_id}/sync")
    stack.work()
    items = stack.ask("GET", f"/v1/messages?mailbox_id={mailbox_id}").json["items"]
    assert len({one["thread_id"] for one in items}) == 2
