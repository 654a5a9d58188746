"""Alarms watch what exists, and each has a line in the runbook."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from infra.lint_rules import of_type, target
from infra.local.alarm_rules import compute
from infra.local.expand import load
from shared.domain.errors import ErrorCode, StoreRefusedError, StoreThrottledError
from shared.domain.ledger import Counts
from shared.domain.mailbox import Provider
from shared.domain.run import Poll, Run, RunReason
from shared.observability import Metric, count_client_trouble, log_trouble
from shared.observability_of_runs import count_polls, log_run
from tests.infra.template_text import ROOT, TEMPLATE, translated

ALARMS = dict(of_type(load(ROOT / "infra" / "alarms.yaml"), "AWS::CloudWatch::Alarm"))
KINDS = {
    "QueueName": ("AWS::SQS::Queue", "QueueName"),
    "FunctionName": ("AWS::Lambda::Function", "FunctionName"),
    "TableName": ("AWS::DynamoDB::Table", "TableName"),
}


def metrics_of(alarm):
    """The metrics an alarm watches: one of its own, or those its expression is made of."""
    if "Metrics" not in alarm:
        return [alarm]
    return [one["MetricStat"]["Metric"] for one in alarm["Metrics"] if "MetricStat" in one]


WATCHED = [(name, metric) for name, alarm in ALARMS.items() for metric in metrics_of(alarm)]


@pytest.mark.parametrize(
    ("name", "metric"), WATCHED, ids=[f"{name}-{metric['MetricName']}" for name, metric in WATCHED]
)
def test_alarm_watches_something_of_the_template(name, metric):
    if metric["Namespace"] == "Mailroom":
        assert watches_a_metric_of_ours(metric)
        return
    dimension, *index = metric["Dimensions"]
    if dimension["Name"] == "ApiId":
        assert dimension["Value"] == {"Ref": "ApiId"}
        return
    kind, key = KINDS[dimension["Name"]]
    named = {json.dumps(one[key]): one for _, one in of_type(translated(), kind)}
    assert json.dumps(dimension["Value"]) in named
    for one in index:
        table = named[json.dumps(dimension["Value"])]
        assert one["Value"] in {each["IndexName"] for each in table["GlobalSecondaryIndexes"]}


def watches_a_metric_of_ours(metric):
    """Whether code writes the metric, under just these dimensions."""
    service, *others = metric["Dimensions"]
    functions = of_type(translated(), "AWS::Lambda::Function")
    services = {
        properties["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]["Fn::Sub"]
        for _, properties in functions
    }
    assert services == {service["Value"]["Fn::Sub"]}
    assert all((one["Name"], one["Value"] in set(Provider)) == ("provider", True) for one in others)
    return metric["MetricName"] in set(Metric)


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


RUNBOOK = (ROOT / "infra" / "README.md").read_text(encoding="utf-8")
LINES = {
    cells[0].strip("`"): cells[1:]
    for line in RUNBOOK.partition("| alarm | what it means for people's mail")[2].splitlines()
    if len(cells := [cell.strip() for cell in line.strip("|").split(" | ")]) == 5
}
SAVED = {
    properties["Name"]["Fn::Sub"].rpartition("/")[2]
    for _, properties in of_type(
        load(ROOT / "infra" / "queries.yaml"), "AWS::Logs::QueryDefinition"
    )
}


@pytest.mark.parametrize("name", ALARMS)
def test_alarm_has_a_line_in_the_runbook(name):
    alarm = ALARMS[name]["AlarmName"]["Fn::Sub"].removeprefix("mailroom-${Stage}-")
    meaning, first_look, remedy, end = LINES[alarm]
    assert all((meaning, remedy, end))
    assert SAVED & set(re.findall(r"`([a-z-]+)`", first_look)) or "Dashboard" in first_look


def test_the_runbook_has_no_line_of_an_alarm_that_is_not_and_uses_every_query():
    known = {
        alarm["AlarmName"]["Fn::Sub"].removeprefix("mailroom-${Stage}-")
        for alarm in ALARMS.values()
    }
    assert {name for name in LINES if name != "---"} == known
    named = set(re.findall(r"`([a-z-]+)`", RUNBOOK))
    assert named >= SAVED


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
        metric["Dimensions"][0]["Value"].get("Fn::Sub")
        for alarm in ALARMS.values()
        for metric in metrics_of(alarm)
        if metric["MetricName"] == "ApproximateNumberOfMessagesVisible"
    }
    queues = {
        properties["QueueName"]["Fn::Sub"]
        for name, properties in of_type(translated(), "AWS::SQS::Queue")
        if name.endswith("DeadLetterQueue")
    }
    assert watched == queues


def test_letters_that_a_function_tries_again_and_again_are_counted_while_it_holds_them():
    """They are never seen waiting: whoever reads a queue takes a message the moment it is there."""
    read = {
        target(properties["EventSourceArn"])
        for _, properties in of_type(translated(), "AWS::Lambda::EventSourceMapping")
    }
    for name, alarm in ALARMS.items():
        if name.endswith("DeadLetters"):
            held = "ApproximateNumberOfMessagesNotVisible"
            counted = any(metric["MetricName"] == held for metric in metrics_of(alarm))
            queue = name.removesuffix("DeadLetters") + "DeadLetterQueue"
            assert counted == (queue in read), name


def test_every_work_queue_has_an_alarm_on_age():
    watched = {
        alarm["Dimensions"][0]["Value"]["Fn::Sub"]
        for alarm in ALARMS.values()
        if alarm.get("MetricName") == "ApproximateAgeOfOldestMessage"
    }
    queues = {
        properties["QueueName"]["Fn::Sub"]
        for name, properties in of_type(translated(), "AWS::SQS::Queue")
        if not name.endswith("DeadLetterQueue")
    }
    assert watched == queues


MATHS = {name: alarm for name, alarm in ALARMS.items() if "Metrics" in alarm}


def rings(name, **values):
    """Whether the alarm's expression reaches its threshold, of these metrics and no others."""
    alarm = MATHS[name]
    (expression,) = [one["Expression"] for one in alarm["Metrics"] if one.get("ReturnData", True)]
    names = {one["Id"] for one in alarm["Metrics"] if "MetricStat" in one}
    assert values.keys() <= names
    threshold = alarm["Threshold"]
    at = DEFAULTS[threshold["Ref"]] if isinstance(threshold, dict) else threshold
    value = compute(expression, dict.fromkeys(names) | values)
    return value is not None and value >= at


DEFAULTS = {
    name: parameter.get("Default") for name, parameter in load(TEMPLATE)["Parameters"].items()
}


@pytest.mark.parametrize("name", MATHS)
def test_an_expression_is_what_cloudwatch_takes(name):
    metrics = MATHS[name]["Metrics"]
    stats = [one["MetricStat"] for one in metrics if "MetricStat" in one]
    assert len(stats) <= 10
    # One period: of several, CloudWatch asks each expression for its own.
    assert len({stat["Period"] for stat in stats}) == 1
    assert [one["Id"] for one in metrics if one["ReturnData"]] == [metrics[-1]["Id"]]
    assert all(re.fullmatch(r"[a-z]\w*", one["Id"]) for one in metrics)


def test_one_mailbox_that_is_behind_rings_in_no_small_fleet_and_many_do_in_a_large_one():
    # Three mailboxes, one of them for a day; a thousand, of which sixty are behind for an hour.
    assert not rings("SyncAge", looks=9, late=86_400)
    assert not rings("SyncAge", looks=3_000, late=1_500)
    assert rings("SyncAge", looks=3_000, late=3_600)


@pytest.mark.parametrize("provider", list(Provider))
def test_a_provider_that_fails_rings_and_one_server_of_a_small_fleet_does_not(provider):
    alarm = f"{provider.capitalize()}ErrorRate"
    # A mailbox that always fails has four looks in a quarter of an hour at most, once it did.
    assert not rings(alarm, failed=4, rate=4 / 12)
    assert rings(alarm, failed=6, rate=1.0)
    assert not rings(alarm, failed=1_000, rate=0.01)
    assert rings(alarm, failed=30_000, rate=0.3)


def test_people_who_change_passwords_ring_nothing_and_a_fleet_that_is_thrown_out_does():
    assert not rings("ManyReconnects", stopped=2, rate=2 / 30)
    assert rings("ManyReconnects", stopped=5, rate=5 / 30)
    assert not rings("ManyReconnects", stopped=25, rate=25 / 600_000)
    assert rings("ManyReconnects", stopped=5_000, rate=5_000 / 600_000)


@pytest.mark.parametrize("alarm", ["PushNotRenewed", "PushSilent"])
def test_push_that_fails_here_and_there_rings_nothing_and_push_that_fails_does(alarm):
    assert not rings(alarm, number=2, rate=1.0)
    assert rings(alarm, number=3, rate=1.0)
    assert not rings(alarm, number=40, rate=0.01)
    assert rings(alarm, number=4_000, rate=0.9)


def test_work_without_end_costs_too_much_and_a_day_s_work_does_not():
    # Ten thousand mailboxes polled every five minutes, fifty in ten seconds of a function.
    polls = 120_000
    usual = {"sync": polls / 50 * 10_000, "writes": polls, "reads": 3 * polls}
    assert not rings("CostHigh", **usual)
    assert rings("CostHigh", **usual | {"sync": 50 * 3_600_000})
    assert rings("CostHigh", writes=4_000_000)
    assert not rings("CostHigh")


def test_looks_are_values_by_provider_and_over_all(capsys, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "mailroom-dev")
    fine = Poll(
        provider=Provider.IMAP,
        age=timedelta(minutes=5),
        late=timedelta(),
        failed=False,
        parked=False,
    )
    behind = replace(fine, age=timedelta(hours=2), late=timedelta(minutes=115), failed=True)
    thrown_out = replace(behind, provider=Provider.GMAIL, parked=True)
    told = replace(fine, provider=Provider.OUTLOOK, watch_failed=True, untold=False)
    count_polls([fine, behind, thrown_out, told])
    gmail, imap, outlook = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    for line in (gmail, imap, outlook):
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Dimensions"] == [["provider", "service"], ["service"]]
        assert line["service"] == "mailroom-dev"
    assert (gmail["provider"], gmail["MailboxParked"], gmail["PollFailed"]) == ("gmail", [1], [1])
    assert (imap["SyncAge"], imap["SyncLate"]) == ([300, 7_200], [0, 6_900])
    assert (imap["PollFailed"], imap["MailboxParked"]) == ([0, 1], [0, 0])
    assert (outlook["WatchFailed"], outlook["NewsUntold"]) == ([1], [0])
    assert not {"WatchFailed", "NewsUntold"} & imap.keys()


def test_the_looks_of_a_batch_fit_into_one_metric_s_values():
    """CloudWatch takes a hundred values of a metric in one document."""
    sizes = [
        properties["BatchSize"]
        for _, properties in of_type(translated(), "AWS::Lambda::EventSourceMapping")
    ]
    assert max(sizes) < 100
