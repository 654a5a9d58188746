"""Alarms watch what exists, and each has a line in the runbook."""

import pytest

from infra.lint_rules import of_type
from infra.local.expand import load
from tests.infra.template_text import ROOT, translated

ALARMS = dict(of_type(load(ROOT / "infra" / "alarms.yaml"), "AWS::CloudWatch::Alarm"))
KINDS = {
    "QueueName": ("AWS::SQS::Queue", "QueueName"),
    "FunctionName": ("AWS::Lambda::Function", "FunctionName"),
}


@pytest.mark.parametrize("name", ALARMS)
def test_alarm_watches_something_of_the_template(name):
    (dimension,) = ALARMS[name]["Dimensions"]
    if dimension["Name"] == "ApiId":
        assert dimension["Value"] == {"Ref": "ApiId"}
        return
    kind, key = KINDS[dimension["Name"]]
    names = [properties[key] for _, properties in of_type(translated(), kind)]
    assert dimension["Value"] in names


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
