"""What others hear on the bus: each change of state once, as its schema says, and nothing of old mail."""

import json
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError
from jsonschema import Draft202012Validator

import shared.operations.sync_mailbox as sync_module
from functions.publish_events.handler import lambda_handler as publish_events
from functions.sync_mailbox.handler import lambda_handler as sync_mailbox
from shared import wiring, wiring_of_events
from shared.aws.event_bus import EventBridgeBus
from shared.aws.queues import encode_sync
from shared.domain.errors import ErrorCode
from shared.domain.events import EventType
from shared.domain.ids import MailboxId, TenantId
from shared.domain.lease import Fence
from shared.domain.mailbox import LatestError
from shared.domain.run import RunReason
from shared.ports.queues import SyncRequest
from tests.fakes.bus import FakeEvents
from tests.fakes.deployment import context
from tests.fakes.table_stream import TableStream
from tests.functions.moto_stack import client, sqs_event
from tests.infra.template_text import ROOT

SCHEMAS = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in (ROOT / "infra" / "events").glob("*.json")
}
NEVER_TOLD = ("client.example", "ours.example", "Mail ", "Text ", "Cleo", "Ann", "not-a-real")
QUEUE = "mailroom-test-events-dead-letters"


class Outside:
    """Who listens: the stream's records are handed to the function, what it puts is heard."""

    def __init__(self, stack, monkeypatch):
        self.stack, self.events = stack, FakeEvents()
        self.stream = TableStream(stack.clock.now).follow(monkeypatch)
        clients = SimpleNamespace(events=self.events)
        bus = EventBridgeBus("mailroom-test", clients, sleep=lambda _: None)
        monkeypatch.setattr(wiring_of_events, "bus", lambda: bus)
        self.queue = client("sqs").create_queue(QueueName=QUEUE)["QueueUrl"]
        monkeypatch.setenv("MAILROOM_EVENTS_DEAD_LETTER_QUEUE_URL", self.queue)

    def hear(self):
        """Return what was told since the last time: type and detail, each as its schema says."""
        self.events.put.clear()
        if records := self.stream.take():
            assert self.publish(records) == []
        return self.told()

    def publish(self, records):
        answer = publish_events({"Records": records}, context())
        return [one["itemIdentifier"] for one in answer["batchItemFailures"]]

    def told(self):
        for entry in self.events.put:
            assert (entry["Source"], entry["EventBusName"]) == ("mailroom", "mailroom-test")
            detail = json.loads(entry["Detail"])
            Draft202012Validator(SCHEMAS[entry["DetailType"]]).validate(detail)
            assert not any(word in entry["Detail"] for word in NEVER_TOLD), entry["Detail"]
        return self.events.told()

    def types(self):
        return [event_type for event_type, _ in self.hear()]

    def aside(self):
        answer = client("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        return [json.loads(one["Body"]) for one in answer.get("Messages", [])]


@pytest.fixture
def outside(stack, monkeypatch):
    return Outside(stack, monkeypatch)


def sync(stack):
    """Let a cycle of the schedule pass."""
    stack.clock.advance(minutes=5)
    (record,) = wiring.mailboxes().list_mailboxes(TenantId("acme"))
    request = SyncRequest(TenantId("acme"), record.mailbox.id, RunReason.SCHEDULE)
    assert sync_mailbox(sqs_event(encode_sync(request)), context()) == {"batchItemFailures": []}


def connected(stack, outside, **wishes):
    mailbox_id = stack.connect(**{"backfill_days": 30, **wishes})
    stack.work()
    sync(stack)
    outside.hear()
    outside.events.put.clear()
    return mailbox_id


def test_every_event_has_its_schema():
    assert set(SCHEMAS) == set(EventType)
    for name, schema in SCHEMAS.items():
        Draft202012Validator.check_schema(schema)
        assert (schema["title"], schema["additionalProperties"]) == (name, False)
        assert schema["required"] == list(schema["properties"])


def test_an_import_is_told_as_such_and_none_of_its_mail(stack, outside):
    for number in range(3):
        stack.deliver(number)
    stack.clock.advance(minutes=30)
    mailbox_id = stack.connect(backfill_days=30)
    ((event_type, detail),) = outside.hear()
    assert (event_type, detail["mailbox_id"]) == ("mailbox.connected", mailbox_id)
    assert (detail["tenant_id"], detail["reconnected"]) == ("acme", False)
    stack.work()
    ((event_type, detail),) = outside.hear()
    assert (event_type, detail["outcome"], detail["kind"]) == (
        "backfill.finished",
        "done",
        "import",
    )
    assert (detail["counts"]["listed"], detail["counts"]["stored"]) == (3, 3)


def test_a_poll_that_finds_nothing_starts_no_function(stack, outside):
    connected(stack, outside)
    for _ in range(3):
        sync(stack)
    assert outside.stream.records != []
    assert outside.stream.take() == []


def test_a_poll_starts_none_either_while_what_goes_out_is_in_trouble(stack, outside):
    mailbox_id = connected(stack, outside)
    record = wiring.mailboxes().get(TenantId("acme"), MailboxId(mailbox_id))
    fence = Fence(TenantId("acme"), MailboxId(mailbox_id), record.mailbox.generation)
    for code in (ErrorCode.LOGIN_REJECTED, ErrorCode.LOGIN_REJECTED, ErrorCode.SMTP_DISABLED):
        now = stack.clock.now()
        wiring.mailboxes().note_outbound(fence, LatestError(code, now, now, 1))
    told = outside.hear()
    assert [(event_type, detail["code"]) for event_type, detail in told] == [
        ("mailbox.failing", "login_rejected"),
        ("mailbox.failing", "smtp_disabled"),
    ]
    assert {detail["direction"] for _, detail in told} == {"outbound"}
    sync(stack)
    sync(stack)
    assert outside.stream.take() == []
    wiring.mailboxes().note_outbound(fence, None)
    ((event_type, detail),) = outside.hear()
    assert (event_type, detail["direction"]) == ("mailbox.recovered", "outbound")


def test_new_mail_is_told_and_what_becomes_of_it(stack, outside):
    connected(stack, outside)
    uid = stack.deliver(7)
    stack.deliver(8, folder="Sent", From="Ann <ann@ours.example>", To="cleo@client.example")
    sync(stack)
    told = dict(outside.hear())
    assert set(told) == {"message.received", "message.sent"}
    received, sent = told["message.received"], told["message.sent"]
    assert (received["direction"], sent["direction"]) == ("inbound", "outbound")
    shown = stack.ask("GET", f"/v1/messages/{received['message_id']}").json
    assert (shown["subject"], shown["thread_id"]) == ("Mail 7", received["thread_id"])
    stack.server.mark_seen("INBOX", uid)
    sync(stack)
    ((event_type, seen),) = outside.hear()
    assert (event_type, seen["changes"], seen["seen"]) == ("message.changed", ["seen"], True)
    stack.server.delete("INBOX", uid)
    sync(stack)
    ((event_type, removed),) = outside.hear()
    assert (event_type, removed["changes"], removed["removed"]) == (
        "message.changed", ["removed"], True,
    )  # fmt: skip
    for one in (seen, removed):
        assert one["provider_message_id"] == received["provider_message_id"]
    versions = [int(one["version"]) for one in (received, seen, removed)]
    assert versions == sorted(versions)


def test_a_mail_that_is_moved_is_new_once(stack, outside):
    connected(stack, outside)
    uid = stack.deliver(7)
    sync(stack)
    assert outside.types() == ["message.received"]
    raw = stack.server.folders["INBOX"].mails[uid].raw
    stack.server.delete("INBOX", uid)
    stack.deliver_raw(raw, "Sent")
    sync(stack)
    told = outside.hear()
    assert sorted((event_type, *detail["changes"]) for event_type, detail in told) == [
        ("message.changed", "added"),
        ("message.changed", "removed"),
    ]


def test_a_folder_that_is_numbered_anew_makes_no_storm(stack, outside):
    for number in range(4):
        stack.deliver(number)
    connected(stack, outside)
    stack.server.renumber("INBOX")
    sync(stack)
    assert outside.hear() == []
    stack.deliver(9)
    sync(stack)
    assert outside.types() == ["message.received"]


def test_a_folder_that_goes_and_comes_back_makes_none_either(stack, outside):
    stack.server.create_folder("Work")
    for number in range(4):
        stack.deliver(number, folder="Work")
    connected(stack, outside)
    for name, other in (("Work", "Trial"), ("Trial", "Work")):
        stack.server.rename_folder(name, other)
        sync(stack)
        assert outside.hear() == []


def fresh_folder(stack):
    """A folder that somebody made, or a rule files into for the first time."""
    stack.server.create_folder("Fresh")
    return "Fresh"


def numbered_anew(stack):
    stack.server.renumber("INBOX")
    return "INBOX"


@pytest.mark.parametrize("finds", [fresh_folder, numbered_anew])
@pytest.mark.parametrize("at_once", [200, 2], ids=["one page", "pages and runs"])
def test_of_what_a_comparison_finds_only_what_came_since_the_last_sync_is_new(
    stack, outside, monkeypatch, finds, at_once
):
    monkeypatch.setattr(sync_module, "PAGE_SIZE", at_once)
    monkeypatch.setattr(sync_module, "MESSAGES_PER_RUN", 2 * at_once)
    connected(stack, outside)
    stack.clock.advance(minutes=60)
    sync(stack)
    folder = finds(stack)
    stack.clock.advance(minutes=-20)
    for number in range(5):
        stack.deliver(number, folder=folder)
    stack.clock.advance(minutes=22)
    for number in (7, 8):
        stack.deliver(number, folder=folder)
    told = []
    for _ in range(3):
        sync(stack)
        stack.work()
        told += outside.hear()
    assert [event_type for event_type, _ in told] == ["message.received"] * 2
    assert told[0][1]["message_id"] != told[1][1]["message_id"]
    assert len(stack.ask("GET", "/v1/messages").json["items"]) == 7


def test_trouble_is_told_once_and_so_is_its_end(stack, outside):
    mailbox_id = connected(stack, outside)
    stack.server.password = "another"
    for _ in range(3):
        sync(stack)
    ((event_type, detail),) = outside.hear()
    assert (event_type, detail["code"]) == ("mailbox.reconnect_required", "login_rejected")
    assert detail["acts"] == "user"
    login = {"host": "imap.example.org", "username": "ann", "password": "another"}
    body = {"imap": login, "smtp": login}
    assert stack.ask("POST", f"/v1/mailboxes/{mailbox_id}/reconnect", body=body).status == 200
    ((event_type, detail),) = outside.hear()
    assert (event_type, detail["reconnected"]) == ("mailbox.connected", True)
    assert stack.ask("DELETE", f"/v1/mailboxes/{mailbox_id}").status == 204
    assert outside.types() == ["mailbox.disconnected"]


def test_what_is_sent_from_here_is_told(stack, outside):
    mailbox_id = connected(stack, outside)
    mail = {"to": [{"address": "cleo@client.example"}], "subject": "Mail 1", "text": "Text 1"}
    body, headers = {**mail, "mailbox_id": mailbox_id}, {"Idempotency-Key": "one"}
    asked = stack.ask("POST", "/v1/sends", body=body, headers=headers)
    assert asked.status == 202, asked.text
    stack.clock.advance(minutes=2)
    stack.tick()
    stack.work()
    told = dict(outside.hear())
    assert told["send.ended"]["outcome"] == "sent"
    assert told["send.ended"]["recipients"] == {"accepted": 1}
    sync(stack)
    told |= dict(outside.hear())
    assert set(told) == {"send.ended", "message.sent"}


def test_one_record_that_cannot_be_read_holds_up_no_other(stack, outside):
    connected(stack, outside)
    stack.deliver(7)
    stack.deliver(8)
    sync(stack)
    records = outside.stream.take()
    first = records[0]["dynamodb"]
    first["NewImage"]["g"] = {"N": "of another version"}
    assert outside.publish(records) == []
    assert [event_type for event_type, _ in outside.told()] == ["message.received"]
    assert outside.aside() == [
        {
            "v": 1,
            "kind": "event_set_aside",
            "sequence_number": first["SequenceNumber"],
            "keys": {name: value["S"] for name, value in first["Keys"].items()},
        }
    ]


BUSY = ClientError({"Error": {"Code": "ThrottlingException"}}, "PutEvents")


@pytest.mark.parametrize("trouble", [[{3, 7}, *[{0, 1}] * 4], [set(), BUSY]], ids=["some", "all"])
def test_what_the_bus_does_not_take_comes_again_with_the_same_keys(stack, outside, trouble):
    connected(stack, outside)
    for number in range(20, 34):
        stack.deliver(number)
    sync(stack)
    records = outside.stream.take()
    outside.events.refuses = list(trouble)
    (from_here,) = outside.publish(records)
    numbers = [one["dynamodb"]["SequenceNumber"] for one in records]
    assert outside.publish(records[numbers.index(from_here) :]) == []
    told = outside.told()
    keys = dict.fromkeys(detail["key"] for _, detail in told)
    assert len(keys) == len(records) == 14
    by_key = {detail["key"]: detail for _, detail in told}
    assert all(by_key[detail["key"]] == detail for _, detail in told)
    assert {detail["version"] for _, detail in told} == set(numbers)
    first_told = [by_key[key]["version"] for key in keys]
    assert first_told == sorted(first_told) or trouble[0]


def test_an_entry_the_bus_will_never_take_is_set_aside_as_soon_as_it_stands_alone(stack, outside):
    connected(stack, outside)
    stack.deliver(7)
    stack.deliver(8)
    sync(stack)
    records = outside.stream.take()
    outside.events.refuses, outside.events.code = [{0}, {0}], "MalformedDetail"
    with pytest.raises(ValueError, match="MalformedDetail"):
        outside.publish(records)
    first, second = records
    assert outside.publish([first]) == []
    (aside,) = outside.aside()
    assert aside["sequence_number"] == first["dynamodb"]["SequenceNumber"]
    outside.events.put.clear()
    assert outside.publish([second]) == []
    assert len(outside.told()) == 1
