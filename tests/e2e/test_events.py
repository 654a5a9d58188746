"""Another program hears on the bus what happens to a mailbox: by a rule of its own, on a queue of its own."""

import json

import pytest

from tests.e2e.test_main_job import fill, life, mail, now, until  # noqa: F401 - fixtures

RULE = "crm"


class Listener:
    """What a subscriber sets up: a queue, and a rule that brings it what is told."""

    def __init__(self, stack):
        self.sqs, bus = stack.client("sqs"), stack.outputs["EventBusName"]
        self.queue = self.sqs.create_queue(QueueName="crm")["QueueUrl"]
        asked = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])
        pattern = {"source": ["mailroom"]}
        events = stack.client("events")
        events.put_rule(Name=RULE, EventBusName=bus, EventPattern=json.dumps(pattern))
        target = {"Id": "queue", "Arn": asked["Attributes"]["QueueArn"]}
        events.put_targets(Rule=RULE, EventBusName=bus, Targets=[target])
        self.heard = []

    def hear(self):
        answer = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            self.heard.append(json.loads(message["Body"]))
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return self.heard

    def of(self, mailbox_id):
        """Types and details of what was told of a mailbox, each key once."""
        found = {
            one["detail"]["key"]: (one["detail-type"], one["detail"])
            for one in self.hear()
            if one["detail"]["mailbox_id"] == mailbox_id
        }
        return list(found.values())


@pytest.fixture
def listener(stack):
    return Listener(stack)


def test_another_program_hears_what_happens_to_a_mailbox(life, now, listener):  # noqa: F811
    fill(life, now, 3)
    life.connect()
    life.imported()

    def types():
        return sorted(event_type for event_type, _ in listener.of(life.mailbox_id))

    until(lambda: types() == ["backfill.finished", "mailbox.connected"], what="the first events")
    life.server.deliver(mail(100, now, to=life.user).as_bytes())
    assert life.sync_now()["code"] is None
    until(lambda: "message.received" in types(), what="the new mail's event")
    (received,) = (
        detail
        for event_type, detail in listener.of(life.mailbox_id)
        if event_type == "message.received"
    )
    shown = life.api("GET", f"/v1/messages/{received['message_id']}").body
    assert shown["subject"] == "Message 100"
    assert received["tenant_id"] == f"tenant-{life.user}"
    assert life.api("DELETE", f"/v1/mailboxes/{life.mailbox_id}").status == 204
    until(lambda: "mailbox.disconnected" in types(), what="the end")
    # None of old mail, and none twice.
    assert types() == [
        "backfill.finished", "mailbox.connected", "mailbox.disconnected", "message.received",
    ]  # fmt: skip
