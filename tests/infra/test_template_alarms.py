"""Alarms watch what exists, and each has a line in the runbook."""

import json
from datetime import UTC, datetime

import pytest

from infra.lint_rules import of_type
from infra.local.expand import load
from shared.domain.errors import ErrorCode, StoreRefusedError, StoreThrottledError
from shared.domain.ledger import Counts
from shared.domain.mailbox import Provider
from shared.domain.run import Run, RunReason
from shared.observability import Metric, count_client_trouble, log_run, log_trouble
from tests.infra.template_text import ROOT, translated

ALARMS = dict(of_type(load(ROOT / "infra" / "alarms.yaml"), "AWS::CloudWatch::Alarm"))
KINDS = {
    "QueueName": ("AWS::SQS::Queue", "QueueName"),
    "FunctionName": ("AWS::Lambda::Function", "FunctionName"),
}


@pytest.mark.parametrize("name", ALARMS)
def test_alarm_watches_something_of_the_template(name):
    if ALARMS[name]["Namespace"] == "Mailroom":
        assert watches_a_metric_of_ours(ALARMS[name])
        return
    (dimension,) = ALARMS[name]["Dimensions"]
    if dimension["Name"] == "ApiId":
        assert dimension["Value"] == {"Ref": "ApiId"}
        return
    kind, key = KINDS[dimension["Name"]]
    names = [properties[key] for _, properties in of_type(translated(), kind)]
    assert dimension["Value"] in names


def watches_a_metric_of_ours(alarm):
    """Whether code writes the metric, under just these dimensions."""
    service, *others = alarm["Dimensions"]
    functions = of_type(translated(), "AWS::Lambda::Function")
    services = {
        properties["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]["Fn::Sub"]
        for _, properties in functions
    }
    assert services == {service["Value"]["Fn::Sub"]}
    assert all((one["Name"], one["Value"] in set(Provider)) == ("provider", True) for one in others)
    return alarm["MetricName"] in set(Metric)


@pytest.mark.parametrize("provider", ["gmail", "outlook"])
def test_a_client_that_is_refused_is_counted_under_the_alarm_s_dimensions(
    provider, capsys, monkeypatch
):
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "mailroom-dev")
    for code in (
        ErrorCode.CLIENT_REJECTED,
        ErrorCode.CLIENT_MISSING,
        ErrorCode.GRANT_REVOKED,
        None,
    ):
        count_client_trouble(code, provider=provider)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["ClientRejected"] for line in lines] == [[1.0], [1.0]]
    for line in lines:
        assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["provider", "service"]]
        assert (line["provider"], line["service"]) == (provider, "mailroom-dev")


def test_what_a_repair_stored_is_counted_under_the_alarm_s_dimensions(capsys, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "mailroom-dev")
    now = datetime(2026, 3, 1, tzinfo=UTC)
    for reason, stored in ((RunReason.REPAIR, 0), (RunReason.REPAIR, 3), (RunReason.BACKFILL, 5)):
        counts = Counts(listed=5, stored=stored)
        log_run(Run("acme", "MB1", "R1", reason, now, now, counts), provider="imap")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = [line for line in lines if "MessageMissed" in line]
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    assert (line["MessageMissed"], line["service"]) == ([3.0], "mailroom-dev")


def test_what_is_set_aside_is_counted_under_the_alarms_dimensions_and_a_replay_is_no_news(
    capsys, monkeypatch
):
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "mailroom-dev")
    now = datetime(2026, 3, 1, tzinfo=UTC)
    for reason in RunReason:
        counts = Counts(listed=2, stored=1, unreadable=1)
        log_run(Run("acme", "MB1", "R1", reason, now, now, counts), provider="imap")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    counted = [line for line in lines if "MessageSetAside" in line]
    assert len(counted) == len(RunReason) - 1
    for line in counted:
        assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
        assert (line["MessageSetAside"], line["service"]) == ([1.0], "mailroom-dev")


def test_a_store_that_refuses_us_is_counted_under_the_alarm_s_dimensions(capsys, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "mailroom-dev")
    for error in (StoreRefusedError(cause="AccessDenied"), StoreThrottledError(), ValueError()):
        log_trouble("failed", error)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = [line for line in lines if "_aws" in line]
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    assert (line["StoreRefused"], line["service"]) == ([1.0], "mailroom-dev")


@pytest.mark.parametrize("name", ALARMS)
def test_alarm_has_a_line_in_the_runbook(name):
    alarm = ALARMS[name]["AlarmName"]["Fn::Sub"].removeprefix("mailroom-${Stage}-")
    runbook = (ROOT / "infra" / "README.md").read_text(encoding="utf-8")
    assert f"| `{alarm}` |" in runbook


@pytest.mark.parametrize("name", ALARMS)
def test_alarm_tells_somebody(name):
    assert ALARMS[name]["AlarmActions"]["Fn::If"][1] == [{"Ref": "TopicArn"}]


def test_every_scheduled_function_has_an_alarm_on_its_silence():
    watched = {
        alarm["Dimensions"][0]["Value"]["Fn::Sub"]
        for alarm in ALARMS.values()
        if alarm["TreatMissingData"] == "breaching"
    }
    scheduled = {
        properties["Name"]["Fn::Sub"]
        for _, properties in of_type(translated(), "AWS::Scheduler::Schedule")
    }
    # Function and schedule bear one name.
    assert watched == scheduled


def test_every_dead_letter_queue_has_an_alarm():
    watched = {
        alarm["Dimensions"][0]["Value"].get("Fn::Sub")
        for alarm in ALARMS.values()
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    }
    queues = {
        properties["QueueName"]["Fn::Sub"]
        for name, properties in of_type(translated(), "AWS::SQS::Queue")
        if name.endswith("DeadLetterQueue")
    }
    assert watched == queues


def test_every_work_queue_has_an_alarm_on_age():
    watched = {
        alarm["Dimensions"][0]["Value"]["Fn::Sub"]
        for alarm in ALARMS.values()
        if alarm["MetricName"] == "ApproximateAgeOfOldestMessage"
    }
    queues = {
        properties["QueueName"]["Fn::Sub"]
        for name, properties in of_type(translated(), "AWS::SQS::Queue")
        if not name.endswith("DeadLetterQueue")
    }
    assert watched == queues
