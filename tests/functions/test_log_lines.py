"""That what is logged of one mailbox's work names that mailbox."""

import json

import pytest

from functions.plan_backfill import handler as planner
from functions.run_backfill_chunk import handler as chunk_runner
from functions.sync_mailbox import handler as syncer
from shared.domain.errors import ErrorCode, RetryLaterError
from tests.fakes.deployment import context
from tests.functions.moto_stack import runs_of, sqs_event


def ids(line):
    return {
        name: getattr(line, name)
        for name in ("tenant_id", "mailbox_id", "backfill_id", "run_id", "chunk")
        if getattr(line, name, None) is not None
    }


@pytest.fixture
def waiting(stack, caplog):
    """Bodies waiting in the three queues, in the order in which the functions send them."""
    caplog.set_level("INFO", logger="mailroom")
    stack.deliver(1)
    stack.connect(backfill_days=7)
    (sync,), (plan,) = stack.bodies("sync"), stack.bodies("plan")
    return {"sync": sync, "plan": plan}


def with_chunk(stack, waiting):
    planner.lambda_handler(sqs_event(waiting["plan"]), context())
    (chunk,) = stack.bodies("chunk")
    return chunk


def broken(*given, **named):
    raise RuntimeError("a bug")


def only(caplog, work):
    (line,) = runs_of(caplog, work)
    return line


@pytest.mark.parametrize(
    ("module", "operation", "queue", "work"),
    [
        (syncer, "sync_mailbox", "sync", "sync"),
        (planner, "plan_backfill", "plan", "plan"),
        (chunk_runner, "run_backfill_chunk", "chunk", "backfill_chunk"),
    ],
)
def test_a_failure_names_whose_it_is(
    stack, waiting, caplog, monkeypatch, module, operation, queue, work
):
    body = waiting.get(queue) or with_chunk(stack, waiting)
    monkeypatch.setattr(module, operation, broken)
    answer = module.lambda_handler(sqs_event(body), context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    sent = json.loads(body)
    line = runs_of(caplog, work)[-1]
    assert (line.outcome, line.message_id) == ("raised", "message-0")
    named = ids(line)
    assert named.keys() >= {"tenant_id", "mailbox_id"}
    assert named == {name: sent[name] for name in named}
    assert ("backfill_id" in named) is ("backfill_id" in sent)


@pytest.mark.parametrize("module", [syncer, planner, chunk_runner])
def test_what_cannot_be_read_is_named_by_its_message(stack, caplog, module):
    module.lambda_handler(sqs_event("ann@ours.example"), context())
    (line,) = [line for line in caplog.records if line.message == "run"]
    assert (line.outcome, line.message_id) == ("raised", "message-0")
    assert "ann@" not in str(vars(line))


def test_what_is_put_off_names_whose_it_is(stack, waiting, caplog):
    chunk = with_chunk(stack, waiting)
    stack.clock.advance(minutes=7)
    later = stack.connect(address="bo@ours.example", backfill_days=7)
    (plan,) = stack.bodies("plan")
    stack.server.failure = RetryLaterError(ErrorCode.CONNECTION_FAILED)
    planner.lambda_handler(sqs_event(plan), context())
    chunk_runner.lambda_handler(sqs_event(chunk), context())
    put_off = runs_of(caplog, "plan")[-1]
    assert (put_off.outcome, put_off.code) == ("put_off", "connection_failed")
    assert ids(put_off)["mailbox_id"] == later
    waits = only(caplog, "backfill_chunk")
    assert (waits.outcome, waits.code) == ("waiting", "connection_failed")
    named = ids(waits)
    sent = json.loads(chunk)
    assert named == {name: sent[name] for name in named}
    assert named.keys() == {"tenant_id", "mailbox_id", "backfill_id", "chunk"}


def test_each_look_of_a_batch_is_a_value_of_the_metrics_and_what_asks_nobody_is_none(
    stack, waiting, capsys
):
    gone = json.dumps(json.loads(waiting["sync"]) | {"mailbox_id": "01GONE"})
    stack.clock.advance(minutes=2)
    capsys.readouterr()
    syncer.lambda_handler(sqs_event(waiting["sync"], gone), context())
    stack.clock.advance(minutes=45)
    stack.server.failure = RetryLaterError(ErrorCode.CONNECTION_FAILED)
    syncer.lambda_handler(sqs_event(waiting["sync"]), context())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    first, second = [line for line in lines if "SyncAge" in line]
    assert (first["SyncAge"], first["PollFailed"], first["provider"]) == ([120], [0], "imap")
    assert (second["SyncAge"], second["PollFailed"]) == ([2_700], [1])
    assert 2_300 < second["SyncLate"][0] < 2_700
