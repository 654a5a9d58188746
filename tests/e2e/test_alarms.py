"""Some alarms, caused and cleared on the local stack; `poe drill` does it with all of them."""

import pytest

from infra.lint_rules import of_type
from infra.local.expand import load
from tests.drill.drills import DRILLS
from tests.drill.ground import Ground
from tests.drill.run import run
from tests.infra.template_text import ROOT

pytestmark = pytest.mark.stack

QUICK = {"sync-queue-old", "erase-dead-letters", "store-refused"}


def test_alarms_ring_when_they_are_caused_and_clear_when_that_is_mended(
    stack, dovecot, submission, providers
):
    drills = [drill for drill in DRILLS if drill.alarm in QUICK]
    assert {drill.alarm for drill in drills} == QUICK
    outcomes = run(Ground(stack, dovecot, submission, providers), drills)
    assert [str(outcome) for outcome in outcomes if outcome.failure] == []


def test_every_alarm_is_on_the_local_stack(stack):
    names = {
        properties["AlarmName"]["Fn::Sub"].replace("${Stage}", "local")
        for _, properties in of_type(load(ROOT / "infra" / "alarms.yaml"), "AWS::CloudWatch::Alarm")
    }
    pages = stack.client("cloudwatch").get_paginator("describe_alarms").paginate()
    assert {alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]} == names
