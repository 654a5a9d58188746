"""What a run's log line and metrics hold, and what they never hold."""

import json
import threading
from datetime import timedelta

import pytest

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.ids import MailboxId, RunId, TenantId
from shared.domain.ledger import Counts
from shared.domain.run import Run, RunReason
from shared.observability import Metric, count, log_run, log_trouble
from tests.fakes.mail import START

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
    assert (facts["outcome"], facts["duration_ms"], facts["code"]) == ("succeeded", 2000, None)
    assert {"tenant_id", "mailbox_id", "provider", "run_id"} <= facts.keys()
    lines = emitted(capsys)
    assert lines[0]["RunSucceeded"] == [1.0]
    assert lines[0]["MessageStored"] == [2.0]
    assert "MessageUnreadable" not in lines[0]
    assert lines[1]["RunLasted"] == [2000.0]


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
