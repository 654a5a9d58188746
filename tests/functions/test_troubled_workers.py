"""Workers without time or without AWS, and requests nobody can serve: what is named, and who is blamed."""

import json
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import pytest
from botocore.client import BaseClient

from functions.record_dead_letter.handler import lambda_handler as record_dead_letter
from shared import wiring
from tests.fakes.deployment import context
from tests.fakes.faults import KilledError, refused
from tests.functions.import_under_way import (
    ALL_WELL,
    ATTACHED,
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
from tests.functions.moto_stack import WORKERS, forget, sqs_event


@pytest.fixture
def filled(stack, monkeypatch):
    monkeypatch.setattr("shared.operations.plan_backfill.CHUNK_SIZE", 3)
    return fill(stack)


def requests_of(stack, queue):
    return chunk_requests(stack) if queue == "chunk" else stack.bodies(queue)


def mailbox(stack):
    return stack.ask("GET", f"/v1/mailboxes/{stack.mailbox_id}").json


@contextmanager
def refusing(monkeypatch, service, code="ServiceUnavailable"):
    """Have one service of AWS refuse everything, to a function that has just started."""
    call = BaseClient._make_api_call

    def answer(client, operation, params):
        if client.meta.service_model.service_name == service:
            raise refused(operation, code)
        return call(client, operation, params)

    with monkeypatch.context() as trouble:
        trouble.setattr(BaseClient, "_make_api_call", answer)
        forget()
        yield


def named(bodies):
    return [{"itemIdentifier": f"message-{number}"} for number in range(len(bodies))]


def assert_blames_nobody(stack):
    stands = mailbox(stack)
    assert (stands["status"], stands["latest_error"]["inbound"]) == ("active", None)


# ---- without time ----


@pytest.mark.parametrize("queue", ["sync", "chunk"])
def test_a_worker_without_a_second_left_is_followed_by_the_next_delivery_and_blames_nobody(
    filled, queue
):
    bodies = requests_of(filled, queue)
    late = context()
    late.get_remaining_time_in_millis = lambda: 0
    answer = WORKERS[queue](sqs_event(*bodies, sent_at=filled.clock.at), late)
    assert answer["batchItemFailures"] == named(bodies)
    assert_blames_nobody(filled)
    # As soon as a queue delivers again: whatever was held is free by then.
    filled.clock.advance(minutes=1)
    assert deliver(filled, queue, *bodies) == ALL_WELL
    work_off(filled, one_by_one(filled))
    assert_whole(filled)


# ---- without AWS ----

NEEDS = [
    *[("sync", service) for service in ("dynamodb", "secretsmanager", "s3")],
    *[("plan", service) for service in ("dynamodb", "secretsmanager", "sqs")],
    *[("chunk", service) for service in ("dynamodb", "secretsmanager", "s3", "sqs")],
]


@pytest.mark.parametrize(("queue", "service"), NEEDS)
def test_without_a_service_at_its_start_a_worker_loses_no_request_and_blames_no_mailbox(
    filled, monkeypatch, queue, service
):
    if queue == "sync":
        # The first one has nothing to fetch, only positions to take.
        deliver(filled, "sync", *filled.bodies("sync"))
    filled.deliver(MAILS, **ATTACHED)
    filled.ask("POST", f"/v1/mailboxes/{filled.mailbox_id}/sync")
    bodies = requests_of(filled, queue)
    with refusing(monkeypatch, service):
        answers = []
        for _ in range(3):
            answers += deliver(filled, queue, *bodies)["batchItemFailures"]
            filled.clock.advance(minutes=7)
        assert answers, "it was not missed"
    assert_blames_nobody(filled)
    forget()
    assert deliver(filled, queue, *bodies) == ALL_WELL
    # What was written and not sent is found by the sweeper.
    for _ in range(12):
        filled.tick()
        filled.sweep()
        work_off(filled, one_by_one(filled))
    assert subjects(filled) == sorted(f"Mail {number}" for number in range(MAILS + 1))
    assert backfill(filled)["state"] == "done"
    assert_blames_nobody(filled)


def assert_the_operator_is_told(stack, caplog, code):
    stands = mailbox(stack)
    error = stands["latest_error"]["inbound"]
    assert (stands["status"], error["code"], error["acts"]) == (
        "active",
        "store_refused",
        "operator",
    )
    told = [line for line in caplog.records if getattr(line, "cause", "") == code]
    assert {line.code for line in told} == {"store_refused"}


@pytest.mark.parametrize("code", ["DecryptionFailure", "AccessDeniedException"])
def test_a_disabled_key_is_the_operators_and_asks_no_user_to_sign_in(
    filled, monkeypatch, caplog, code
):
    (body,) = filled.bodies("sync")
    with refusing(monkeypatch, "secretsmanager", code):
        assert deliver(filled, "sync", body) == ALL_WELL
    assert_the_operator_is_told(filled, caplog, code)
    forget()
    filled.ask("POST", f"/v1/mailboxes/{filled.mailbox_id}/sync")
    work_off(filled, one_by_one(filled))
    assert_blames_nobody(filled)
    assert_whole(filled)


def letters(stack):
    return stack.ask("GET", f"/v1/mailboxes/{stack.mailbox_id}/dead-letters").json["items"]


def die_once(stack, monkeypatch, queue, bodies):
    """Have a worker end over the first message it parses, and what it held come free."""

    def die(*_):
        raise KilledError

    with monkeypatch.context() as dying:
        dying.setattr(wiring, "parser", lambda: SimpleNamespace(parse=die))
        with suppress(KilledError):
            deliver(stack, queue, *bodies)
    stack.clock.advance(minutes=20)


REFUSALS = ["AccessDenied", "KMS.DisabledException", "NoSuchBucket", "InvalidAccessKeyId"]


@pytest.mark.parametrize("queue", ["sync", "chunk"])
@pytest.mark.parametrize("code", REFUSALS)
def test_mail_that_our_own_store_refuses_stays_where_it_is_and_is_no_dead_letter(
    filled, monkeypatch, caplog, queue, code
):
    deliver(filled, "sync", *filled.bodies("sync"))
    if queue == "sync":
        work_off(filled, one_by_one(filled))
    filled.deliver(MAILS, **ATTACHED)
    filled.ask("POST", f"/v1/mailboxes/{filled.mailbox_id}/sync")
    bodies = requests_of(filled, queue)
    # From now on messages are read one by one, each noted as a suspect first.
    die_once(filled, monkeypatch, queue, bodies)
    with refusing(monkeypatch, "s3", code):
        for _ in range(6):
            deliver(filled, queue, *bodies)
            bodies += filled.bodies(queue)
            filled.clock.advance(minutes=20)
    assert letters(filled) == []
    if queue == "sync":
        assert_the_operator_is_told(filled, caplog, code)
    else:
        stands = backfill(filled)
        assert (stands["state"], stands["code"], stands["acts"]) == (
            "waiting",
            "store_refused",
            "operator",
        )
    forget()
    for _ in range(12):
        filled.tick()
        filled.sweep()
        work_off(filled, one_by_one(filled))
    assert subjects(filled) == sorted(f"Mail {number}" for number in range(MAILS + 1))
    assert letters(filled) == []
    assert_blames_nobody(filled)


def test_a_message_that_our_store_cannot_take_is_set_aside_and_holds_up_no_other(
    filled, monkeypatch
):
    work_off(filled, one_by_one(filled))
    for number in range(MAILS, MAILS + 3):
        filled.deliver(number, **ATTACHED)
    filled.ask("POST", f"/v1/mailboxes/{filled.mailbox_id}/sync")
    (body,) = filled.bodies("sync")
    call = BaseClient._make_api_call
    middle = f"Text {MAILS + 1}".encode()

    def too_large(client, operation, params):
        if operation == "PutObject" and middle == bytes(params["Body"]).strip():
            raise refused(operation, "EntityTooLarge")
        return call(client, operation, params)

    monkeypatch.setattr(BaseClient, "_make_api_call", too_large)
    for _ in range(6):
        deliver(filled, "sync", body)
        filled.clock.advance(minutes=20)
    assert [letter["code"] for letter in letters(filled)] == ["killed_its_reader"]
    there = {f"Mail {number}" for number in range(MAILS + 3)}
    assert set(subjects(filled)) == there - {f"Mail {MAILS + 1}"}


# ---- without anybody to work ----


def test_requests_that_nobody_serves_for_long_stay_few_and_lose_nothing(filled):
    for _ in range(60):
        filled.tick()
        filled.sweep()
    waiting = {name: filled.bodies(name) for name in WORKERS}
    assert all(len(bodies) <= 60 / 5 + 1 for bodies in waiting.values())
    for queue, bodies in waiting.items():
        for body in bodies:
            assert deliver(filled, queue, body) == ALL_WELL
    work_off(filled, one_by_one(filled))
    assert_whole(filled)


# ---- what nobody can serve ----


@pytest.mark.parametrize("queue", WORKERS)
def test_a_batch_of_which_nothing_succeeds_is_named_whole(filled, monkeypatch, queue):
    bodies = requests_of(filled, queue) * 2
    with refusing(monkeypatch, "dynamodb", "a bug"):
        assert deliver(filled, queue, *bodies)["batchItemFailures"] == named(bodies)
    assert deliver(filled, queue, *bodies) == ALL_WELL
    work_off(filled, one_by_one(filled))
    assert_whole(filled)


@pytest.mark.parametrize("queue", WORKERS)
@pytest.mark.parametrize("tenant", ["other", "acme#mailboxes", "../acme", ""])
def test_a_request_that_names_another_tenant_reaches_nothing(filled, queue, tenant):
    bodies = requests_of(filled, queue)
    forged = [json.dumps(json.loads(body) | {"tenant_id": tenant}) for body in bodies]
    before, logins = kept(filled), filled.server.logins
    answer = deliver(filled, queue, *forged)
    assert answer["batchItemFailures"] == ([] if tenant else named(bodies))
    filled.bury(*forged)
    assert (kept(filled), filled.server.logins) == (before, logins)


@pytest.mark.parametrize("queue", WORKERS)
@pytest.mark.parametrize(
    "body", ["canary", '{"canary": 1}', "[" * 100_000, "canary" * 170_000, "\ud800canary"]
)
def test_what_nobody_can_read_is_delivered_again_then_buried_and_never_logged(
    stack, caplog, queue, body
):
    assert deliver(stack, queue, body)["batchItemFailures"] == named([body])
    # It stays buried, where an alarm rings and somebody can look at it.
    assert record_dead_letter(sqs_event(body), context())["batchItemFailures"] == named([body])
    assert caplog.records
    assert "canary" not in str([vars(line) for line in caplog.records])
