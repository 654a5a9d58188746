"""When an alarm of the local stack rings: as AWS says, told by cases of its own documentation."""

import json

import pytest

from infra.local import measurements
from infra.local.alarm_rules import Metric, UnsupportedAlarmError, compute, state
from infra.local.measurements import compacted, embedded

NOW = 10_000.0
X, G, _ = 9.0, 1.0, None
"""A period that breaches, a good one, one without data; newest last."""


def alarm(**more):
    return {
        "Namespace": "AWS/SQS",
        "MetricName": "Depth",
        "Dimensions": [{"Name": "QueueName", "Value": "q"}],
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 3,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "StateValue": "before",
        **more,
    }


def judged(values, *, measured_since=0.0, **more):
    given = alarm(**more)
    newest_first = list(reversed(values))

    def read(metric, statistic, since, until):
        assert metric == Metric("AWS/SQS", "Depth", {"QueueName": "q"})
        assert (statistic, until - since) == ("Maximum", 60)
        return newest_first[round((NOW - until) / 60)]

    return state(given, read, now=NOW, measured_since=measured_since)


@pytest.mark.parametrize(
    ("periods", "missing", "expected"),
    [
        ([X, X, X], "missing", "ALARM"),
        ([G, X, X], "missing", "OK"),
        ([_, _, X], "missing", "ALARM"),
        ([_, G, X], "missing", "OK"),
        ([_, _, _], "missing", "INSUFFICIENT_DATA"),
        ([_, _, _], "breaching", "ALARM"),
        ([_, G, _], "breaching", "OK"),
        ([X, _, X], "breaching", "ALARM"),
        ([_, _, _], "notBreaching", "OK"),
        ([X, X, _], "notBreaching", "OK"),
        ([X, X, X], "notBreaching", "ALARM"),
        ([_, X, X], "ignore", "before"),
        ([_, G, X], "ignore", "OK"),
    ],
)
def test_missing_data_counts_as_the_alarm_says(periods, missing, expected):
    assert judged(periods, TreatMissingData=missing) == expected


@pytest.mark.parametrize(
    ("periods", "expected"), [([X, G, X], "ALARM"), ([G, G, X], "OK"), ([X, X, _], "ALARM")]
)
def test_so_many_of_so_many_periods_are_enough(periods, expected):
    found = judged(periods, DatapointsToAlarm=2, TreatMissingData="notBreaching")
    assert found == expected


def test_silence_before_anything_was_measured_breaches_nothing():
    young = {"measured_since": NOW - 130, "TreatMissingData": "breaching"}
    assert judged([_, _, _], **young) == "before"
    assert judged([_, G, _], **young) == "OK"
    assert judged([X, _, _], **young) == "ALARM"


@pytest.mark.parametrize(
    ("comparison", "value", "expected"),
    [
        ("GreaterThanThreshold", 5.0, "OK"),
        ("GreaterThanOrEqualToThreshold", 5.0, "ALARM"),
        ("LessThanThreshold", 5.0, "OK"),
        ("LessThanOrEqualToThreshold", 5.0, "ALARM"),
    ],
)
def test_a_value_at_the_threshold_counts_as_the_comparison_says(comparison, value, expected):
    assert judged([value], ComparisonOperator=comparison, EvaluationPeriods=1) == expected


def test_metric_math_reads_its_metrics_and_shows_what_it_says():
    def query(name, statistic):
        metric = {"Namespace": "Mailroom", "MetricName": "SyncLate", "Dimensions": []}
        stat = {"Metric": metric, "Period": 30, "Stat": statistic}
        return {"Id": name, "MetricStat": stat, "ReturnData": False}

    given = alarm(
        MetricName=None,
        EvaluationPeriods=1,
        Metrics=[
            {"Id": "behind", "Expression": "half * 2"},
            {"Id": "half", "Expression": "IF(looks >= 20, late, 0) / 2", "ReturnData": False},
            query("late", "p95"),
            query("looks", "SampleCount"),
        ],
    )
    found = {"p95": 7.0, "SampleCount": 20.0}

    def read(metric, statistic, since, until):
        assert (metric, until - since) == (Metric("Mailroom", "SyncLate", {}), 30)
        return found[statistic]

    assert state(given, read, now=NOW, measured_since=0.0) == "ALARM"
    found["SampleCount"] = 19.0
    assert state(given, read, now=NOW, measured_since=0.0) == "OK"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("100 * a / b", 50.0),
        ("-a + b ^ 2", 14.0),
        ("a > b OR b == 4", 1.0),
        ("a < b AND nothing < 1", None),
        ("FILL(nothing, 3) + a", 5.0),
        ("nothing + a", None),
        ("a / 0", None),
        ("IF(nothing > 1, a, b)", None),
        ("MAX([a, b, nothing])", 4.0),
        ("SUM([a, b]) - AVG([a, b])", 3.0),
    ],
)
def test_metric_math(expression, expected):
    assert compute(expression, {"a": 2.0, "b": 4.0, "nothing": None}) == expected


@pytest.mark.parametrize(
    "expression", ["ANOMALY_DETECTION_BAND(a, 2)", "a[0]", "FILL(a, REPEAT)", "a %"]
)
def test_what_only_aws_can_work_out_is_said(expression):
    with pytest.raises(UnsupportedAlarmError):
        compute(expression, {"a": 1.0})


def test_a_function_s_own_counts_are_found_among_what_it_printed():
    document = {
        "_aws": {
            "CloudWatchMetrics": [
                {
                    "Namespace": "Mailroom",
                    "Dimensions": [["service"], ["service", "provider"]],
                    "Metrics": [{"Name": "Late", "Unit": "Seconds"}],
                }
            ]
        },
        "service": "mailroom-local",
        "provider": "imap",
        "Late": [1, 2.5],
    }
    text = "\n".join(["plain text", '{"message": "_aws"}', '"_aws" cut o', json.dumps(document)])
    service = {"service": "mailroom-local"}
    assert list(embedded(text)) == [
        (Metric("Mailroom", "Late", dimensions), value, "Seconds")
        for dimensions in (service, {**service, "provider": "imap"})
        for value in (1.0, 2.5)
    ]


def point(at, value, count=1.0):
    return {"Timestamp": at, "Value": value, "Count": count}


def test_measurements_are_kept_by_the_second_then_by_the_minute_then_not_at_all():
    now = 1_000_000.0
    minute = now // 60 * 60
    old, fine = minute - 600, now - 5
    points = [
        point(now - measurements.KEPT_SECONDS - 1, 1.0),
        *(point(old + second, 1.0) for second in range(30)),
        point(old + 40, 2.0),
        *(point(fine + second, 1.0) for second in range(3)),
    ]
    once = compacted(points, now)
    assert once == [point(old, 1.0, 30.0), point(old, 2.0), *points[-3:]]
    assert compacted(once, now) == once


def test_a_minute_of_many_values_keeps_few_of_them():
    values = [1000.0 + number for number in range(5000)]
    kept = compacted([point(60.0, value) for value in values], 10_000.0)
    assert len(kept) < 100
    assert sum(one["Count"] for one in kept) == len(values)
    total = sum(one["Value"] * one["Count"] for one in kept)
    assert total == pytest.approx(sum(values), rel=0.02)
