"""What a run's log line and metrics hold, and what they never hold."""

import json
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.audit import Audit
from shared.domain.change import ChangeFate
from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.ids import BackfillId, MailboxId, RunId, TenantId
from shared.domain.ledger import Counts
from shared.domain.run import Run, RunReason
from shared.domain.sending import SendStatus
from shared.observability import RUN_KEYS, Metric, count, log_trouble, logger
from shared.observability_of_runs import (
    Work,
    log_audit,
    log_changes,
    log_plan,
    log_raised,
    log_run,
    log_send,
    log_work,
)
from tests.fakes.mail import START
from tests.fakes.values import a_send

RUN = Run(
    TenantId("acme"),
    MailboxId("MB1"),
    RunId("R1"),
    RunReason.SCHEDULE,
    START,
    START + timedelta(seconds=2),
    Counts(listed=3, stored=2, skipped={"draft": 1}),
)


def emitted(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]


def test_a_run_is_one_event_with_the_same_keys_always(caplog, capsys):
    caplog.set_level("INFO", logger="mailroom")
    log_run(RUN, provider="imap")
    (record,) = caplog.records
    facts = vars(record)
    assert facts["counts"]["skipped"] == {"draft": 1}
    assert (facts["outcome"], facts["duration_ms"], facts.get("code")) == ("succeeded", 2000, None)
    assert {"tenant_id", "mailbox_id", "provider", "run_id"} <= facts.keys()
    lines = emitted(capsys)
    assert lines[0]["RunSucceeded"] == [1.0]
    assert lines[0]["MessageStored"] == [2.0]
    assert "MessageUnreadable" not in lines[0]
    assert lines[1]["RunLasted"] == [2000.0]


REFUSED = RetryLaterError(ErrorCode.RATE_LIMITED, cause="asked too often")
IDS = {"tenant_id": "acme", "mailbox_id": "MB1"}
ENDS = {
    "sync": lambda: log_run(RUN, provider="imap"),
    "sync that failed": lambda: log_run(
        replace(RUN, code=ErrorCode.RATE_LIMITED), provider="imap", error=REFUSED
    ),
    "chunk": lambda: log_run(replace(RUN, backfill_id=BackfillId("B1")), provider="imap", chunk=3),
    "chunk that waits": lambda: log_work(Work.CHUNK, outcome="waiting", ids=IDS, seconds=1),
    "bug": lambda: log_raised(Work.SYNC, ValueError("hunter2"), ids=IDS, message_id="m1"),
    "unreadable": lambda: log_raised(Work.PLAN, ValueError("hunter2"), ids={}, message_id="m1"),
    "plan of nothing": lambda: log_plan(None, error=None, ids=IDS, seconds=1),
    "plan put off": lambda: log_plan(None, error=REFUSED, ids=IDS, seconds=1),
    "audit": lambda: log_audit(
        "done", Audit("acme", "MB1", START, START), provider="imap", error=None, ids=IDS, seconds=1
    ),
    "audit put off": lambda: log_audit(
        "put_off", None, provider="imap", error=REFUSED, ids=IDS, seconds=1
    ),
    "mail": lambda: log_send(
        SendStatus.QUEUED,
        a_send(),
        provider="imap",
        code=None,
        error=None,
        ids=IDS | {"send_id": "S1"},
        seconds=1,
    ),
    "no mail": lambda: log_send(
        None, None, provider=None, code=None, error=None, ids=IDS, seconds=1
    ),
    "changes": lambda: log_changes(
        "imap", {ChangeFate.DONE: 2}, code=None, error=REFUSED, ids=IDS, seconds=1
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_whatever_ends_is_one_line_with_the_same_keys(caplog, end):
    caplog.set_level("INFO", logger="mailroom")
    ENDS[end]()
    (record,) = caplog.records
    line = json.loads(logger().registered_handler.format(record))
    of_every_line = {"level", "location", "message", "timestamp", "service"}
    assert line.keys() == {*RUN_KEYS} | of_every_line
    assert line["message"] == "run"
    assert line["work"] in set(Work)
    assert line["outcome"]
    assert "hunter2" not in str(line)
    if end != "unreadable":
        assert (line["tenant_id"], line["mailbox_id"]) == ("acme", "MB1")
    if line["error"]:
        assert (line["level"], bool(line["code"])) == ("ERROR", True)


def test_dimensions_are_provider_code_and_kind_alone(capsys):
    log_run(RUN, provider="imap")
    for line in emitted(capsys):
        (names,) = line["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
        assert set(names) <= {"provider", "code", "kind", "service"}
        assert "MB1" not in json.dumps(line)


def test_nothing_is_written_when_there_is_nothing_to_count(capsys):
    count({Metric.MAILBOX_QUEUED: 0})
    assert emitted(capsys) == []


def test_threads_do_not_mix_their_counts(capsys):
    threads = [
        threading.Thread(target=count, args=({Metric.MAILBOX_QUEUED: n},), kwargs={"kind": str(n)})
        for n in range(1, 20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = emitted(capsys)
    assert {line["kind"]: line["MailboxQueued"] for line in lines} == {
        str(n): [float(n)] for n in range(1, 20)
    }


@pytest.mark.parametrize("error", [ValueError("hunter2"), KeyError("hunter2")])
def test_a_bugs_own_text_is_not_logged(caplog, error):
    try:
        raise error
    except (ValueError, KeyError) as caught:
        log_trouble("failed", caught)
    (record,) = caplog.records
    assert "hunter2" not in str(vars(record))
    assert vars(record)["error"] == type(error).__name__
    assert "test_observability.py" in vars(record)["raised_at"][0]


def test_our_errors_cause_is_logged_and_capped(caplog):
    log_trouble("failed", RetryLaterError(ErrorCode.RATE_LIMITED, cause="x" * 1_000))
    facts = vars(caplog.records[0])
    assert (facts["code"], len(facts["cause"])) == ("rate_limited", 500)
