"""Providers' words through the real handler, readers and stores; and those of who plays a provider."""

import base64
import json
from dataclasses import replace
from datetime import timedelta

import boto3
import pytest
from moto import mock_aws

from functions.receive_push.handler import lambda_handler
from shared import wiring, wiring_of_push
from shared.domain.mailbox import Provider, RunState, Watch, identity_of
from shared.domain.push import digest_of, key_of_mailbox
from shared.domain.secret import Secret
from tests.contract.stores.test_write_units import size_of, units
from tests.fakes.clock import FixedClock
from tests.fakes.deployment import context
from tests.fakes.values import OTHER_BOX, OTHER_TENANT, a_mailbox
from tests.functions.moto_stack import Stack, forget, keep_clients

PROOF = Secret("0123456789abcdef0123456789abcdef")
OUTLOOK = a_mailbox(provider=Provider.OUTLOOK, address="ann@ours.example")
GMAIL = replace(
    OUTLOOK,
    provider=Provider.GMAIL,
    id=OTHER_BOX,
    tenant_id=OTHER_TENANT,
    address="Ann@ours.example",
)
WATCH = "7f105c7d-2dc5-4530-97cd-4e7ae6534c07"


@pytest.fixture(scope="module")
def stack():
    with pytest.MonkeyPatch.context() as monkeypatch:
        keep_clients(monkeypatch)
        monkeypatch.setenv("MAILROOM_GMAIL_PUSH_AUDIENCE", "https://api.example/v1/push/gmail")
        monkeypatch.setenv("MAILROOM_GMAIL_PUSH_SENDERS", "push@mail-room.example")
        with mock_aws():
            made = Stack(clock=FixedClock()).start(monkeypatch)
            for box in (OUTLOOK, GMAIL):
                wiring.mailboxes().create(box, RunState(), identity_of(box))
            yield made
    forget()


@pytest.fixture(autouse=True)
def listening(stack):
    """As after a watch was made, with nothing asked for."""
    until = stack.clock.now() + timedelta(days=6)
    store = wiring_of_push.push_store()
    for box, proof in ((OUTLOOK, digest_of(PROOF)), (GMAIL, None)):
        key = key_of_mailbox(box)
        store.forget(box, key)
        record = wiring.mailboxes().get(box.tenant_id, box.id)
        assert store.listen(record, key, proof=proof, until=until)
        assert store.keep(record, key, Watch(WATCH, until), renew_at=until, until=until)
    asked(stack)


def notification(**changes):
    state = f"{key_of_mailbox(OUTLOOK)}.{PROOF.reveal()}"
    return {
        "subscriptionId": WATCH,
        "clientState": state,
        "changeType": "created",
        "resource": "Users/someone/Messages/AAMk",
        # Whose tenant Graph says it is, or anybody who plays Graph.
        "tenantId": "another tenant",
    } | changes


def told(*notifications, body=None, headers=None, route="outlook", query=""):
    text = json.dumps({"value": list(notifications)}) if body is None else body
    event = {
        "version": "2.0",
        "routeKey": f"POST /v1/push/{route}",
        "rawQueryString": query,
        "headers": headers or {},
        "body": text,
        "isBase64Encoded": False,
    }
    return lambda_handler(event, context())["statusCode"]


def asked(stack):
    """Which runs were asked for since the last time."""
    sqs, url = boto3.client("sqs"), stack.queue_urls["sync"]
    found = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for one in messages:
            found.append(json.loads(one["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
    return [(one["tenant_id"], one["mailbox_id"], one["reason"]) for one in found]


MINE = (OUTLOOK.tenant_id, OUTLOOK.id, "push")


def test_a_notification_asks_for_a_run_of_our_own_mailbox_whatever_tenant_it_names(stack):
    assert told(notification()) == 202
    assert asked(stack) == [MINE]


@pytest.mark.parametrize(
    "forged",
    [
        notification(clientState=None),
        notification(clientState=""),
        notification(clientState=f"{key_of_mailbox(OUTLOOK)}."),
        notification(clientState=f"{key_of_mailbox(OUTLOOK)}.{'0' * 32}"),
        notification(clientState=f"{key_of_mailbox(OUTLOOK)}.{digest_of(PROOF)}"),
        notification(clientState=f"{key_of_mailbox(GMAIL)}.{PROOF.reveal()}"),
        notification(clientState=PROOF.reveal()),
        notification(subscriptionId="another"),
        notification(subscriptionId=None),
        {},
        "text",
        None,
    ],
)
def test_a_forged_notification_asks_for_nothing_and_holds_up_no_true_one(stack, forged):
    before = wiring_of_push.push_store().listeners(Provider.OUTLOOK, key_of_mailbox(OUTLOOK))
    assert told(forged) == 202
    assert asked(stack) == []
    after = wiring_of_push.push_store().listeners(Provider.OUTLOOK, key_of_mailbox(OUTLOOK))
    assert after == before
    assert told(forged, notification(), forged) == 202
    assert asked(stack) == [MINE]


@pytest.mark.parametrize("body", ["", "{", "[]", '{"value": {}}', "\udcff", "null"])
def test_what_is_no_notification_is_refused_without_a_trace(stack, body):
    assert told(body=body) == 400
    assert asked(stack) == []


def test_a_replay_is_one_run_and_costs_a_read_each(stack):
    calls = []
    client = wiring.table().client
    client.meta.events.register("before-call", lambda model, **_: calls.append(model.name))
    for _ in range(300):
        assert told(notification()) == 202
    assert asked(stack) == [MINE]
    # A second one waits for the window's end, for what the others were about.
    waiting = boto3.client("sqs").get_queue_attributes(
        QueueUrl=stack.queue_urls["sync"], AttributeNames=["ApproximateNumberOfMessagesDelayed"]
    )
    assert waiting["Attributes"]["ApproximateNumberOfMessagesDelayed"] == "1"
    assert calls.count("UpdateItem") == 2
    assert calls.count("Query") == 300
    assert set(calls) == {"Query", "UpdateItem"}


def test_what_a_word_reads_and_writes_is_a_unit_each():
    items = boto3.client("dynamodb").scan(TableName="mailroom-test")["Items"]
    sizes = [size_of(item) for item in items if item["pk"]["S"].startswith("#push#")]
    assert len(sizes) == 2
    assert all(units(size) == 1 for size in sizes), sizes


PUSHED = {"emailAddress": "ann@ours.example", "historyId": 9}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer a.b.c"},
        {"Authorization": "Basic x"},
    ],
)
def test_a_push_that_google_did_not_sign_asks_for_nothing(stack, headers):
    data = base64.urlsafe_b64encode(json.dumps(PUSHED).encode()).decode()
    body = json.dumps({"message": {"data": data, "messageId": "1"}, "subscription": "s"})
    assert told(body=body, headers=headers, route="gmail") == 401
    assert asked(stack) == []


def test_a_word_leaves_no_secret_and_no_address_in_the_log(stack, caplog, capsys):
    told(notification(), notification(clientState=f"{key_of_mailbox(OUTLOOK)}.wrong"))
    told(body="{", route="outlook")
    data = base64.urlsafe_b64encode(json.dumps(PUSHED).encode()).decode()
    told(
        body=json.dumps({"message": {"data": data}}),
        route="gmail",
        headers={"Authorization": "Bearer x"},
    )
    written = caplog.text + str([vars(one) for one in caplog.records]) + capsys.readouterr().out
    assert "push" in written
    for secret in (PROOF.reveal(), digest_of(PROOF), "ann@", key_of_mailbox(OUTLOOK), "Bearer"):
        assert secret not in written
    assert len(asked(stack)) == 1


def test_graph_is_told_that_it_is_welcome_by_text_alone():
    event = {
        "routeKey": "POST /v1/push/outlook",
        "rawQueryString": "validationToken=%3Cscript%3E",
        "headers": {},
    }
    answer = lambda_handler(event, context())
    assert (answer["statusCode"], answer["body"]) == (200, "<script>")
    assert answer["headers"]["Content-Type"].startswith("text/plain")
