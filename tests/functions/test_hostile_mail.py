"""Hostile mail through the real handlers and stores: what DynamoDB and S3 are given, and give back.

All 5,000 of a build go through the same operations over fakes, in
tests/unit/operations/test_hostile_mail.py; these are some of another seed, in one import.
"""

import os
import random

from tests.functions.moto_stack import client
from tests.unit.mime.hostile import QUICK, hostile, kind_of

SEED = int(os.environ.get("HOSTILE_SEED") or random.SystemRandom().getrandbits(32))
COUNT = 10 * len(QUICK)


def test_hostile_mail_is_stored_or_marked_unreadable_in_the_real_stores(stack):
    print(f"HOSTILE_SEED={SEED}")
    numbers = [number for number in range(2 * COUNT) if kind_of(number) in QUICK][:COUNT]
    raws = [hostile(SEED, number)[1] for number in numbers]
    for raw in raws:
        stack.deliver_raw(raw)
    mailbox_id = stack.connect(backfill_days=30)
    stack.work()

    (backfill,) = stack.ask("GET", f"/v1/mailboxes/{mailbox_id}/backfills").json["items"]
    assert (backfill["state"], backfill["listed"]) == ("done", COUNT)
    assert (backfill["failed"], backfill["stored"] + backfill["unreadable"]) == (0, COUNT)
    ids = everything(stack, f"/v1/messages?mailbox_id={mailbox_id}")
    letters = everything(stack, f"/v1/mailboxes/{mailbox_id}/dead-letters")
    assert len(letters) == backfill["unreadable"] > 0
    assert copies() == backfill["stored"], "some is stored twice, or not at all"
    assert len(ids) == len(set(ids)) > COUNT / 2
    for message_id in ids:
        shown = stack.ask("GET", f"/v1/messages/{message_id}")
        assert shown.status == 200, shown.text
        thread = stack.ask("GET", f"/v1/threads/{shown.json['thread_id']}", query={"limit": 100})
        assert thread.status == 200, thread.text
        shown.text.encode()
    kept = [
        stack.ask("GET", f"/v1/mailboxes/{mailbox_id}/dead-letters/{letter_id}/raw")
        for letter_id in letters
    ]
    assert [one.status for one in kept] == [200] * len(letters)


def copies():
    """How many copies the table has: what two of them are the same message of is listed once."""
    pages = client("dynamodb").get_paginator("scan").paginate(TableName="mailroom-test")
    keys = [item["sk"]["S"] for page in pages for item in page["Items"]]
    return sum(key.startswith("copy#") for key in keys)


def everything(stack, target):
    """Every id of a list, page by page."""
    found, query = [], {"limit": 100}
    while True:
        page = stack.ask("GET", target, query=query)
        assert page.status == 200, page.text
        found += [item["id"] for item in page.json["items"]]
        if page.json["next"] is None:
            return found
        query["next"] = page.json["next"]
