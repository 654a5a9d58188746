"""Requests that come twice, at once, late, in another order or from another life, through the real handlers and stores."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.record_dead_letter.handler import lambda_handler as record_dead_letter
from tests.fakes.deployment import context
from tests.fakes.provider import FakeSession
from tests.functions.import_under_way import (
    ALL_WELL,
    MAILS,
    assert_whole,
    backfill,
    chunk_requests,
    deliver,
    fill,
    kept,
    one_by_one,
    subjects,
    work_off,
)
from tests.functions.moto_stack import WORKERS, client, sqs_event

LONG_AFTER = [("minutes", 1), ("minutes", 60), ("days", 6)]


@pytest.fixture
def filled(stack, monkeypatch):
    monkeypatch.setattr("shared.operations.plan_backfill.CHUNK_SIZE", 3)
    return fill(stack)


# ---- twice ----


def test_requests_delivered_at_once_and_again_later_change_nothing(filled):
    begin, pool = threading.Barrier(3), ThreadPoolExecutor(3)

    def once(queue, body):
        begin.wait(10)
        return deliver(filled, queue, body)

    def three_at_once(queue, body):
        answers = list(pool.map(once, [queue] * 3, [body] * 3))
        assert answers == [ALL_WELL] * 3
        return ALL_WELL

    seen = work_off(filled, three_at_once)
    assert {queue for queue, _ in seen} == set(WORKERS)
    assert_whole(filled)
    before = kept(filled)
    for unit, number in LONG_AFTER:
        filled.clock.advance(**{unit: number})
        for queue, body in seen:
            assert deliver(filled, queue, body, body) == ALL_WELL
        work_off(filled, one_by_one(filled))
        assert kept(filled) == before


def test_a_request_that_shows_up_again_while_its_chunk_runs_finds_the_lease_and_leaves(
    filled, monkeypatch
):
    body, *others = chunk_requests(filled)
    fetch, fetched = FakeSession.fetch, []

    def meanwhile(session, folder, ids):
        fetched.append(ids)
        if len(fetched) == 1:
            assert deliver(filled, "chunk", body) == ALL_WELL
        yield from fetch(session, folder, ids)

    monkeypatch.setattr(FakeSession, "fetch", meanwhile)
    assert deliver(filled, "chunk", body) == ALL_WELL
    assert len(fetched) == 1, "the second worker fetched something"
    assert deliver(filled, "chunk", *others) == ALL_WELL
    work_off(filled, one_by_one(filled))
    assert_whole(filled)


def test_a_request_that_shows_up_again_while_its_sync_runs_finds_the_lease_and_leaves(
    filled, monkeypatch
):
    filled.work()
    filled.deliver(MAILS)
    filled.ask("POST", f"/v1/mailboxes/{filled.mailbox_id}/sync")
    (body,) = filled.bodies("sync")
    fetch, fetched = FakeSession.fetch, []

    def meanwhile(session, folder, ids):
        fetched.append(ids)
        if len(fetched) == 1:
            assert deliver(filled, "sync", body) == ALL_WELL
        yield from fetch(session, folder, ids)

    monkeypatch.setattr(FakeSession, "fetch", meanwhile)
    assert deliver(filled, "sync", body) == ALL_WELL
    assert len(fetched) == 1, "the second worker fetched something"
    assert subjects(filled).count(f"Mail {MAILS}") == 1


def test_of_a_batch_only_what_failed_is_run_again(filled, monkeypatch):
    first, second = chunk_requests(filled)
    fetch, fetched = FakeSession.fetch, []

    def failing(session, folder, ids):
        fetched.append(ids)
        if len(fetched) == 1:
            raise RuntimeError("a bug")
        yield from fetch(session, folder, ids)

    monkeypatch.setattr(FakeSession, "fetch", failing)
    answer = deliver(filled, "chunk", first, second)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    filled.clock.advance(minutes=10)
    assert deliver(filled, "chunk", first) == ALL_WELL
    work_off(filled, one_by_one(filled))
    assert_whole(filled)
    asked = [name for ids in fetched[1:] for name in ids]
    assert len(asked) == len(set(asked)), "what was done was done again"


# ---- in another order ----


@pytest.mark.parametrize("seed", range(4))
def test_chunks_in_any_order_end_the_same(filled, seed):
    print("seed", seed)
    rng = random.Random(seed)
    waiting = []
    while True:
        waiting += [(name, body) for name in WORKERS for body in filled.bodies(name)]
        if not waiting:
            break
        queue, body = waiting.pop(rng.randrange(len(waiting)))
        assert deliver(filled, queue, body) == ALL_WELL
    assert_whole(filled)


def test_a_chunk_that_comes_before_its_turn_ends_the_same(filled):
    first, second = chunk_requests(filled)
    early = first.replace('"chunk":0', '"chunk":2')
    assert early != first
    assert deliver(filled, "chunk", early, second, first) == ALL_WELL
    work_off(filled, one_by_one(filled))
    assert_whole(filled)


# ---- from another life ----


def disconnected(stack):
    assert stack.ask("DELETE", f"/v1/mailboxes/{stack.mailbox_id}").status == 204


def reconnected(stack):
    login = {"host": "imap.example.org", "username": "ann", "password": "another-false-one"}
    target = f"/v1/mailboxes/{stack.mailbox_id}/reconnect"
    assert stack.ask("POST", target, body={"imap": login, "smtp": login}).status == 200


def disconnected_and_reconnected(stack):
    disconnected(stack)
    reconnected(stack)


def connected_anew(stack):
    disconnected(stack)
    stack.clock.advance(seconds=1)
    stack.mailbox_id = stack.connect(backfill_days=30)


def imported_again(stack):
    target = f"/v1/mailboxes/{stack.mailbox_id}/backfills"
    assert stack.ask("POST", target, body={"days": 90}).status == 201


def polled_since(stack):
    stack.clock.advance(days=1)


@pytest.mark.parametrize(
    "change",
    [
        disconnected,
        reconnected,
        disconnected_and_reconnected,
        connected_anew,
        imported_again,
        polled_since,
    ],
)
def test_dead_letters_sent_again_days_later_change_nothing(filled, change):
    """All that was ever asked for comes back out of a dead-letter queue into a world that went on."""
    seen = work_off(filled, one_by_one(filled))
    sent_at = filled.clock.at
    change(filled)
    work_off(filled, one_by_one(filled))
    filled.clock.advance(days=9)
    before = kept(filled)
    for queue, body in seen:
        assert deliver(filled, queue, body, sent_at=sent_at) == ALL_WELL
    work_off(filled, one_by_one(filled))
    assert kept(filled) == before


def test_dead_letters_of_a_cancelled_import_bring_nothing_in(filled):
    plans, syncs = filled.bodies("plan"), filled.bodies("sync")
    deliver(filled, "plan", *plans)
    chunks = filled.bodies("chunk")
    target = f"/v1/mailboxes/{filled.mailbox_id}/backfills/{backfill(filled)['id']}/cancel"
    assert filled.ask("POST", target).status == 200
    filled.clock.advance(days=9)
    deliver(filled, "sync", *syncs)
    before = kept(filled)
    assert deliver(filled, "plan", *plans) == ALL_WELL
    assert deliver(filled, "chunk", *chunks) == ALL_WELL
    assert kept(filled) == before
    assert subjects(filled) == []


@pytest.mark.parametrize("again", [reconnected, connected_anew])
@pytest.mark.parametrize("gap", [{"seconds": 1}, {"days": 60}], ids=["at once", "after months"])
def test_connected_again_at_once_or_after_months_it_is_whole_and_has_nothing_twice(
    filled, again, gap
):
    work_off(filled, one_by_one(filled))
    disconnected(filled)
    filled.clock.advance(**gap)
    filled.deliver(MAILS)
    filled.server.delete("INBOX", 1)
    filled.server.renumber("Sent")
    if again is reconnected:
        reconnected(filled)
    else:
        filled.mailbox_id = filled.connect(backfill_days=365)
    for _ in range(12):
        filled.tick()
        filled.sweep()
        work_off(filled, one_by_one(filled))
    assert len(set(subjects(filled))) == len(subjects(filled))
    living = f"/v1/messages?mailbox_id={filled.mailbox_id}&limit=100"
    held = [item["subject"] for item in filled.ask("GET", living).json["items"]]
    assert sorted(held) == sorted(f"Mail {number}" for number in range(MAILS + 1) if number != 1)


# ---- of another version ----


@pytest.mark.parametrize("queue", ["sync", "plan", "chunk"])
@pytest.mark.parametrize("taken_back", [False, True], ids=["read later", "lost for good"])
def test_a_request_of_a_newer_version_waits_for_it_and_loses_nothing(filled, queue, taken_back):
    """A deployment is taken back while its requests are in the queues; they are read by the next, or by none."""
    bodies = chunk_requests(filled) if queue == "chunk" else filled.bodies(queue)
    newer = [body.replace('"v":1', '"v":2') for body in bodies]
    assert newer != bodies
    for _ in range(3):
        assert len(deliver(filled, queue, *newer)["batchItemFailures"]) == len(newer)
    if not taken_back:
        assert deliver(filled, queue, *bodies) == ALL_WELL
    for _ in range(12):
        filled.tick()
        filled.sweep()
        work_off(filled, one_by_one(filled))
    assert_whole(filled)


@pytest.mark.parametrize("queue", ["sync", "plan", "chunk"])
def test_a_mailbox_that_a_newer_version_wrote_waits_for_it_and_loses_nothing(filled, queue):
    """A deployment is taken back after it wrote items in a form of its own."""
    bodies = chunk_requests(filled) if queue == "chunk" else filled.bodies(queue)
    as_it_was = in_a_newer_form(filled)
    before = kept(filled)
    for _ in range(2):
        assert len(deliver(filled, queue, *bodies)["batchItemFailures"]) == len(bodies)
    # Given up, they are no dead letter of the mailbox's either: they stay in their queue.
    answer = record_dead_letter(sqs_event(*bodies, sent_at=filled.clock.at), context())
    assert len(answer["batchItemFailures"]) == len(bodies)
    assert kept(filled) == before
    for item in as_it_was:
        client("dynamodb").put_item(TableName="mailroom-test", Item=item)
    assert deliver(filled, queue, *bodies) == ALL_WELL
    for _ in range(12):
        filled.tick()
        filled.sweep()
        work_off(filled, one_by_one(filled))
    assert_whole(filled)


def in_a_newer_form(stack):
    """Have the mailbox's own items be of a form that today's code does not know; return them as they were."""
    table = client("dynamodb")
    pages = table.get_paginator("scan").paginate(TableName="mailroom-test")
    items = [item for page in pages for item in page["Items"]]
    own = [item for item in items if item["sk"]["S"].startswith(f"mailbox#{stack.mailbox_id}#")]
    assert len(own) == 2
    for item in own:
        table.put_item(TableName="mailroom-test", Item={**item, "form": {"N": "2"}})
    return own
