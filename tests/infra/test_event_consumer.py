"""The example of a listener: events that come twice, late and in any order leave it as if each came once, in order."""

import itertools
import json

import boto3
import pytest
from moto import mock_aws

from infra.examples.event_consumer.handler import lambda_handler
from infra.lint_rules import of_type
from infra.local.expand import load
from shared.domain.events import EventType
from tests.infra.template_text import ROOT

TABLE = "listener"


@pytest.fixture
def table(monkeypatch):
    monkeypatch.setenv("TABLE", TABLE)
    with mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        yield client


def told(event_type, key, version, **facts):
    detail = {"tenant_id": "acme", "mailbox_id": "M", "key": key, "version": version, **facts}
    return json.dumps({"detail-type": event_type, "detail": detail})


OUT, IN = {"direction": "outbound"}, {"direction": "inbound"}
EVENTS = (
    told("mailbox.connected", "a", "99999999999999999998"),
    told("mailbox.failing", "b", "99999999999999999999", code="smtp_disabled", **OUT),
    told("message.received", "c", "100000000000000000001"),
    told("mailbox.failing", "d", "100000000000000000002", code="rate_limited", **IN),
    told("mailbox.recovered", "e", "100000000000000000003", code="smtp_disabled", **OUT),
    told("message.received", "f", "100000000000000000004"),
)


def test_the_example_takes_each_event_once_and_no_older_one_after_a_newer(table):
    for order in itertools.islice(itertools.permutations(EVENTS), 0, None, 97):
        key = {"pk": {"S": "acme#M"}}
        for item in table.scan(TableName=TABLE)["Items"]:
            table.delete_item(TableName=TABLE, Key={"pk": item["pk"]})
        bodies = [*order, *reversed(order)]
        records = [{"messageId": str(at), "body": body} for at, body in enumerate(bodies)]
        assert lambda_handler({"Records": records}, None) == {"batchItemFailures": []}
        item = table.get_item(TableName=TABLE, Key=key)["Item"]
        assert item["new_mail"] == {"N": "2"}
        assert item["health_inbound"] == {"S": "mailbox.failing"}
        assert item["health_outbound"] == {"S": "mailbox.recovered"}
        assert item["code_inbound"] == {"S": "rate_limited"}


def test_what_it_cannot_write_comes_again(table):
    table.delete_table(TableName=TABLE)
    records = [{"messageId": str(at), "body": body} for at, body in enumerate(EVENTS[:2])]
    failed = lambda_handler({"Records": records}, None)["batchItemFailures"]
    assert failed == [{"itemIdentifier": "0"}, {"itemIdentifier": "1"}]


def test_its_rule_names_events_there_are():
    template = load(ROOT / "infra/examples/event_consumer/template.yaml")
    ((_, rule),) = of_type(template, "AWS::Events::Rule")
    prefix, name = rule["EventPattern"]["detail-type"]
    assert name in set(EventType)
    assert any(one.startswith(prefix["prefix"]) for one in EventType)
