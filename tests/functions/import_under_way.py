"""An import under way on moto: its requests in a test's hand, to be delivered as the test likes."""

from typing import Any

from tests.fakes.deployment import context
from tests.functions.moto_stack import WORKERS, Stack, client, sqs_event

MAILS = 9
ALL_WELL: dict[str, Any] = {"batchItemFailures": []}


ATTACHED = {"Content-Type": "text/csv", "Content-Disposition": "attachment; filename=a.csv"}


def fill(stack: Stack) -> Stack:
    """Connect a mailbox with some history, some of it with attachments; work nothing off yet."""
    for number in range(MAILS):
        headers = ATTACHED if number % 3 == 0 else {}
        stack.deliver(number, folder="Sent" if number % 4 == 0 else "INBOX", **headers)
        stack.clock.advance(minutes=7)
    stack.mailbox_id = stack.connect(backfill_days=30)
    return stack


def kept(stack) -> list:
    """What the table says, without the runs and what each run notes of itself."""
    passing = {"last_synced_at", "last_news_at", "not_before", "fence", "suspect_fence"}
    passing |= {"work_hour", "work_times"}
    pages = client("dynamodb").get_paginator("scan").paginate(TableName="mailroom-test")
    items = [
        {
            name: sorted(value["SS"]) if "SS" in value else value
            for name, value in item.items()
            if name not in passing
        }
        for page in pages
        for item in page["Items"]
        if not item["sk"]["S"].startswith("run#")
    ]
    return sorted(items, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def backfill(stack):
    (one,) = stack.ask("GET", f"/v1/mailboxes/{stack.mailbox_id}/backfills").json["items"]
    return one


def subjects(stack):
    answer = stack.ask("GET", "/v1/messages", query={"limit": 100})
    return sorted(item["subject"] for item in answer.json["items"])


def assert_whole(stack):
    """Each message of the provider is here once, and the import counted each once."""
    assert subjects(stack) == sorted(f"Mail {number}" for number in range(MAILS))
    copies = [item for item in kept(stack) if item["sk"]["S"].startswith("copy#")]
    assert len(copies) == MAILS
    stands = backfill(stack)
    assert (stands["state"], stands["percent"], stands["listed"]) == ("done", 100, MAILS)
    assert stands["stored"] + stands["already_stored"] == MAILS


def deliver(stack, queue, *bodies, sent_at=None):
    return WORKERS[queue](sqs_event(*bodies, sent_at=sent_at or stack.clock.at), context())


def one_by_one(stack):
    return lambda queue, body: deliver(stack, queue, body)


def work_off(stack, hand_out):
    """Empty the queues; return every request there was, with its queue."""
    seen = []
    while waiting := [(name, body) for name in WORKERS for body in stack.bodies(name)]:
        for queue, body in waiting:
            assert hand_out(queue, body) == ALL_WELL
        seen += waiting
    return seen


def chunk_requests(stack):
    deliver(stack, "plan", *stack.bodies("plan"))
    return stack.bodies("chunk")
