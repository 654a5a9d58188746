"""Every alarm has a drill that causes it, and only what is an alarm has one."""

from collections import Counter

from infra.lint_rules import of_type
from infra.local.expand import load
from tests.drill.drills import DRILLS
from tests.infra.template_text import ROOT

WITHOUT: dict[str, str] = {}
"""Alarms without a drill, each with its reason."""


def test_every_alarm_has_one_drill():
    template = load(ROOT / "infra" / "alarms.yaml")
    alarms = {
        properties["AlarmName"]["Fn::Sub"].removeprefix("mailroom-${Stage}-")
        for _, properties in of_type(template, "AWS::CloudWatch::Alarm")
    }
    drills = Counter(drill.alarm for drill in DRILLS)
    assert drills == Counter(alarms - WITHOUT.keys())


def test_no_reason_is_left_of_an_alarm_that_has_a_drill():
    assert WITHOUT.keys().isdisjoint(drill.alarm for drill in DRILLS)


def test_every_drill_says_what_causes_its_alarm():
    assert [drill.alarm for drill in DRILLS if not drill.says or "|" in drill.says] == []
