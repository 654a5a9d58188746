"""Runs drills: shorten the alarm, cause it, see it ring, mend it, see it clear.

What AWS lets pass in hours passes here in seconds: a drill shortens its alarm's periods, and a
threshold that is an age or a rate by the hour with them. Nothing else of an alarm is changed, so
names of metrics, dimensions, statistics and comparisons are what rings on AWS.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.drill.ground import PREFIX, Ground

PATIENCE_SECONDS = 240.0
_POLL_SECONDS = 0.5
_OF_AN_ALARM = (
    *("AlarmName", "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions"),
    *("InsufficientDataActions", "EvaluationPeriods", "DatapointsToAlarm", "Threshold"),
    *("ComparisonOperator", "TreatMissingData"),
)
_OF_ONE_METRIC = (
    *("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit"),
)


class AlarmStayedError(Exception):
    """An alarm did not come to the state it should."""


@dataclass(frozen=True)
class Drill:
    """How one alarm is brought to ring and to clear; `again` goes on causing it until it rings.

    `alarm` is its name without stack and stage. `says` is the cause in the table. Drills of one
    `lane` would disturb each other and run one after the other. `period` is how many seconds a
    period of the alarm lasts here, `threshold` what stands for one that is a time or by the hour.
    """

    alarm: str
    says: str
    cause: Callable[[Ground], None]
    mend: Callable[[Ground], None] = lambda _ground: None
    again: Callable[[Ground], None] = lambda _ground: None
    lane: str = ""
    period: int = 5
    threshold: float | None = None


@dataclass(frozen=True)
class Outcome:
    """How many seconds one alarm took to ring and, once mended, to clear; or why it did not."""

    drill: Drill
    to_alarm: float = 0.0
    to_ok: float = 0.0
    failure: str = ""

    def __str__(self):
        drill = self.drill
        if self.failure:
            return f"| `{drill.alarm}` | {drill.says} | FAILED: {self.failure} | |"
        return f"| `{drill.alarm}` | {drill.says} | {self.to_alarm:.0f} | {self.to_ok:.0f} |"


def run(ground, drills, report=lambda _outcome: None):
    """Run `drills`, lanes at the same time; returns what came of each."""
    lanes = {}
    for drill in drills:
        lanes.setdefault(drill.lane or drill.alarm, []).append(drill)

    def run_lane(lane):
        outcomes = []
        for drill in lane:
            outcomes.append(_outcome(ground, drill))
            report(outcomes[-1])
        return outcomes

    with ThreadPoolExecutor(max_workers=len(lanes) or 1) as pool:
        return [outcome for lane in pool.map(run_lane, lanes.values()) for outcome in lane]


def _outcome(ground, drill):
    try:
        return _run(ground, drill)
    except Exception as error:  # boundary: one drill's failure is a line of the table
        return Outcome(drill, failure=f"{type(error).__name__}: {error}")


def _run(ground, drill):
    # First: what another drill of before made it ring for is over within seconds then.
    shorten(ground, drill)
    _wait(ground, drill, "OK")
    began = time.monotonic()
    try:
        drill.cause(ground)
        _wait(ground, drill, "ALARM", drill.again)
        rang = time.monotonic()
    finally:
        drill.mend(ground)
    mended = time.monotonic()
    _wait(ground, drill, "OK")
    return Outcome(drill, rang - began, time.monotonic() - mended)


def _wait(ground, drill, wanted, meanwhile=lambda _ground: None):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (state := alarm(ground, drill.alarm)["StateValue"]) != wanted:
        if time.monotonic() > deadline:
            message = f"is {state} and not {wanted} after {PATIENCE_SECONDS:.0f} s"
            raise AlarmStayedError(message)
        meanwhile(ground)
        time.sleep(_POLL_SECONDS)


def alarm(ground, name):
    """The alarm as deployed."""
    found = ground.client("cloudwatch").describe_alarms(AlarmNames=[PREFIX + name])["MetricAlarms"]
    assert found, f"no alarm {PREFIX}{name} is deployed"
    return found[0]


def shorten(ground, drill):
    """Let the drill's alarm look at seconds instead of minutes."""
    found = alarm(ground, drill.alarm)
    given = {name: found[name] for name in _OF_AN_ALARM if found.get(name) is not None}
    if queries := found.get("Metrics"):
        given["Metrics"] = [_shortened(query, drill.period) for query in queries]
    else:
        given |= {name: found[name] for name in _OF_ONE_METRIC if found.get(name) is not None}
        given["Period"] = drill.period
        if "ExtendedStatistic" in given:
            del given["Statistic"]
    if drill.threshold is not None:
        given["Threshold"] = drill.threshold
    ground.client("cloudwatch").put_metric_alarm(**given)


def _shortened(query, seconds):
    measured = query.get("MetricStat")
    return {**query, "MetricStat": {**measured, "Period": seconds}} if measured else query
