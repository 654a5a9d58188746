"""The daily audit through every function: asked for by the schedule, repaired by a chunk, shown, logged."""

import json
from datetime import timedelta

import boto3
import pytest

from functions.plan_backfill import handler as planner
from shared.aws.queues import encode_audit
from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.ids import MailboxId, TenantId
from shared.domain.schedule import is_audit_minute
from shared.ports.queues import AuditRequest
from tests.fakes.deployment import context
from tests.functions.moto_stack import runs_of, sqs_event


@pytest.fixture
def imported(stack, caplog):
    """A mailbox with three messages, imported."""
    caplog.set_level("INFO", logger="mailroom")
    for number in range(3):
        stack.deliver(number)
        stack.clock.advance(minutes=1)
    mailbox_id = stack.connect(backfill_days=30)
    stack.work()
    caplog.clear()
    return mailbox_id


def remove_a_copy(mailbox_id) -> None:
    """Delete the item of a copy, as nobody should be able to do."""
    table = boto3.client("dynamodb")
    items = table.scan(TableName="mailroom-test")["Items"]
    mine = [item for item in items if item["pk"]["S"].endswith(f"#mailbox#{mailbox_id}")]
    (copy, *_) = [item for item in mine if item["sk"]["S"].startswith("copy#")]
    table.delete_item(TableName="mailroom-test", Key={"pk": copy["pk"], "sk": copy["sk"]})


def tick_of_the_day(stack, mailbox_id) -> None:
    """Let the schedule come to the minute of a mailbox's audit."""
    stack.clock.advance(minutes=1)
    while not is_audit_minute(MailboxId(mailbox_id), stack.clock.at + timedelta(minutes=1)):
        stack.clock.advance(minutes=1)
    stack.tick()


def body_of(stack, mailbox_id) -> str:
    return encode_audit(AuditRequest(TenantId("acme"), MailboxId(mailbox_id), stack.clock.at))


def completeness(stack, mailbox_id):
    return stack.ask("GET", f"/v1/mailboxes/{mailbox_id}").json["completeness"]


def metrics(out: str, name: str) -> list:
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    return [line[name] for line in lines if name in line]


def test_a_message_removed_behind_our_back_is_there_again_and_it_is_said(
    stack, imported, caplog, capsys
):
    assert completeness(stack, imported) is None
    remove_a_copy(imported)
    held = f"/v1/messages?mailbox_id={imported}"
    assert len(stack.ask("GET", held).json["items"]) == 2
    capsys.readouterr()
    tick_of_the_day(stack, imported)
    stack.work()
    assert len(stack.ask("GET", held).json["items"]) == 3
    shown = completeness(stack, imported)
    figures = ("listed", "stored", "ledgered", "missing", "repaired", "under_way", "extra")
    assert [shown[name] for name in figures] == [3, 2, 0, 1, 1, 0, 0]
    repair = stack.ask("GET", f"/v1/mailboxes/{imported}/backfills/{shown['repair_id']}").json
    assert (repair["id"], repair["kind"], repair["state"]) == (shown["repair_id"], "repair", "done")
    (line,) = runs_of(caplog, "audit")
    assert (line.mailbox_id, line.counts["missing"]) == (imported, 1)
    assert line.backfill_id == repair["id"]
    out = capsys.readouterr().out
    assert metrics(out, "MessageSuspected") == metrics(out, "MessageMissed") == [[1.0]]

    # a day later nothing is missing, and nothing is counted
    tick_of_the_day(stack, imported)
    stack.work()
    shown = completeness(stack, imported)
    assert [shown[name] for name in figures] == [3, 3, 0, 0, 0, 0, 0]
    assert metrics(capsys.readouterr().out, "MessageMissed") == []
    listed = stack.ask("GET", "/v1/mailboxes").json["items"]
    assert [one["completeness"] for one in listed] == [shown]


def test_what_a_repair_finds_a_reason_for_was_not_missing(stack, imported, capsys):
    remove_a_copy(imported)
    stack.server.unreadable |= stack.server.ids("INBOX")
    capsys.readouterr()
    for missing, ledgered in ((0, 1), (0, 1)):
        tick_of_the_day(stack, imported)
        stack.work()
        shown = completeness(stack, imported)
        assert (shown["missing"], shown["ledgered"]) == (missing, ledgered)
    assert metrics(capsys.readouterr().out, "MessageMissed") == []


def test_an_audit_that_is_put_off_says_why(stack, imported, caplog, capsys):
    stack.server.failure = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE, cause="answered 503")
    capsys.readouterr()
    answer = planner.lambda_handler(sqs_event(body_of(stack, imported)), context())
    assert answer == {"batchItemFailures": []}
    (line,) = runs_of(caplog, "audit")
    assert (line.mailbox_id, line.code, line.cause) == (
        imported,
        "provider_unavailable",
        "answered 503",
    )
    assert metrics(capsys.readouterr().out, "AuditPutOff") == [[1.0]]
    assert completeness(stack, imported) is None


def test_an_audit_that_raised_is_delivered_again(stack, imported, caplog, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr(planner, "audit_mailbox", broken)
    answer = planner.lambda_handler(sqs_event(body_of(stack, imported)), context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    (line,) = runs_of(caplog, "audit")
    assert (line.mailbox_id, line.outcome) == (imported, "raised")


def test_an_audit_that_was_given_up_blames_no_mailbox(stack, imported):
    assert stack.bury(body_of(stack, imported)) == {"batchItemFailures": []}
    mailbox = stack.ask("GET", f"/v1/mailboxes/{imported}").json
    assert (mailbox["status"], mailbox["latest_error"]["inbound"]) == ("active", None)
