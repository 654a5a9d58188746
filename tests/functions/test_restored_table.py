"""The table as it was an hour ago, while providers, secrets and queues went on: what sync makes of it."""

import boto3
import pytest

from tests.functions.import_under_way import (
    MAILS,
    assert_whole,
    chunk_requests,
    deliver,
    fill,
    one_by_one,
    work_off,
)

TABLE = "mailroom-test"


@pytest.fixture
def filled(stack, monkeypatch):
    monkeypatch.setattr("shared.operations.plan_backfill.CHUNK_SIZE", 3)
    return fill(stack)


def snapshot():
    pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=TABLE)
    return [item for page in pages for item in page["Items"]]


def restore(items):
    client = boto3.client("dynamodb")
    for item in snapshot():
        client.delete_item(TableName=TABLE, Key={name: item[name] for name in ("pk", "sk")})
    for item in items:
        client.put_item(TableName=TABLE, Item=item)


def work(stack, minutes=12):
    for _ in range(minutes):
        stack.tick()
        stack.sweep()
        work_off(stack, one_by_one(stack))


def held(stack):
    query = {"mailbox_id": stack.mailbox_id, "limit": 100}
    items = stack.ask("GET", "/v1/messages", query=query).json["items"]
    return sorted(item["subject"] for item in items)


def test_what_was_synced_since_is_synced_again_and_nothing_is_there_twice(filled):
    work_off(filled, one_by_one(filled))
    old = snapshot()
    for number in (50, 51):
        filled.deliver(number)
    filled.server.delete("INBOX", 1)
    filled.server.move("INBOX", 2, "Sent")
    filled.server.mark_seen("INBOX", 3)
    work(filled)
    before = held(filled)
    assert {"Mail 50", "Mail 51"} < set(before)
    filled.clock.advance(minutes=60)
    restore(old)
    work(filled)
    assert held(filled) == before
    living = [item for item in snapshot() if "date_sk" in item]
    assert len(living) == len(before) == MAILS + 1


def test_an_import_that_had_ended_ends_again(filled):
    chunk, *others = chunk_requests(filled)
    deliver(filled, "chunk", chunk)
    old = snapshot()
    deliver(filled, "chunk", *others)
    work_off(filled, one_by_one(filled))
    assert_whole(filled)
    filled.clock.advance(minutes=60)
    restore(old)
    work(filled)
    assert_whole(filled)


def test_a_mailbox_that_was_disconnected_since_is_asked_for_nothing(filled):
    work_off(filled, one_by_one(filled))
    old = snapshot()
    assert filled.ask("DELETE", f"/v1/mailboxes/{filled.mailbox_id}").status == 204
    filled.clock.advance(minutes=60)
    restore(old)
    filled.deliver(50)
    logins = filled.server.logins
    work(filled)
    stands = filled.ask("GET", f"/v1/mailboxes/{filled.mailbox_id}").json
    assert filled.server.logins == logins
    assert stands["latest_error"]["inbound"]["acts"] == "user"
