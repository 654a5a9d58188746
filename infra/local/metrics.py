"""The emulator's CloudWatch, fed and made to ring: metrics as AWS measures them, alarms on them.

Measured are what functions count in embedded metric format, each call of a function, each queue
once a second, and each request to an HTTP API. They are kept in the emulator's own place, so
`aws cloudwatch get-metric-data` shows them, for a day: by the second for three minutes, then by
the minute. They are not part of a save, which they would make larger for ever.

Runs in ministack's interpreter and replaces private names of ministack 1.5.33, which is pinned.
"""

import logging
import threading
import time
from typing import Any, Final

from ministack.services import (  # type: ignore[import-not-found]
    apigateway,
    cloudwatch,
    lambda_svc,
    sqs,
)
from ministack.services.cloudformation import provisioners  # type: ignore[import-not-found]

from infra.local import alarm_rules, measurements
from infra.local.alarm_rules import Metric

MOST_METRICS: Final = 2000

_TICK_SECONDS: Final = 1.0
_MINUTE: Final = 60
_HISTORY: Final = 1000

log = logging.getLogger("mailroom.metrics")


class Metrics:
    """What was measured, in the emulator's own store."""

    def __init__(self) -> None:
        self.began = time.time()
        self._lock = threading.Lock()

    def record(self, metric: Metric, value: float, unit: str = "None") -> None:
        """Keep one value measured now. Beyond a great many metrics, new ones are dropped."""
        key = _key(metric)
        at = float(int(time.time()))
        with self._lock:
            points = cloudwatch._metrics.get(key)  # noqa: SLF001
            if points is None:
                if len(cloudwatch._metrics) >= MOST_METRICS:  # noqa: SLF001
                    return
                points = cloudwatch._metrics[key] = []  # noqa: SLF001
            for point in points[-measurements.MOST_VALUES :]:
                if point["Timestamp"] == at and point["Value"] == value:
                    point["Count"] += 1
                    return
            points.append(
                {
                    "Timestamp": at,
                    "Value": float(value),
                    "Count": 1.0,
                    "Unit": unit,
                    # One for all of a metric's points: there are many.
                    "Dimensions": points[0]["Dimensions"] if points else metric.dimensions,
                }
            )

    def read(self, metric: Metric, statistic: str, since: float, until: float) -> float | None:
        """Return one statistic over the seconds from `since` up to `until`; None without data."""
        key = _key(metric)
        with self._lock:
            points = []
            for point in reversed(cloudwatch._metrics.get(key) or ()):  # noqa: SLF001
                if point["Timestamp"] <= since:
                    break
                if point["Timestamp"] <= until:
                    points.append(point)
        if not points:
            return None
        value = cloudwatch._stat_value(cloudwatch._calc_stats(points), statistic, points)  # noqa: SLF001
        return None if value is None else float(value)

    def compact(self) -> None:
        """Merge what is older than some minutes by the minute; drop what is older than a day."""
        now = time.time()
        with self._lock:
            for key, points in list(cloudwatch._metrics.items()):  # noqa: SLF001
                points[:] = measurements.compacted(points, now)
                if not points:
                    del cloudwatch._metrics[key]  # noqa: SLF001


def _key(metric: Metric) -> tuple[str, str, str]:
    return metric.namespace, metric.name, cloudwatch._dims_key(dict(metric.dimensions))  # noqa: SLF001


def collect() -> None:
    """Measure from now on, and let alarms ring. Call once, before the emulator serves."""
    metrics = Metrics()
    _measure_functions(metrics)
    _measure_requests(metrics)
    _ring_by_our_rules(metrics)
    _keep_out_of_saves()
    threading.Thread(target=_tick, args=[metrics], daemon=True, name="metrics").start()


def _measure_functions(metrics: Metrics) -> None:
    """Count each call where every way to call a function passes, and what it counted itself."""
    dispatch = lambda_svc._execute_function_dispatch  # noqa: SLF001

    def measured(func: Any, config: Any, event: Any, request: str, started: float) -> Any:
        result = dispatch(func, config, event, request, started)
        try:
            dimensions = {"FunctionName": str(config.get("FunctionName"))}
            _record_call(metrics, dimensions, event, result, time.time() - started)
        except Exception:  # boundary: what measures a call must not change its outcome
            log.exception("a call was not measured")
        return result

    def throttled(name: str, *, throttle: bool, duration_ms: float, **_more: object) -> None:
        # A call by way of the API tells of its throttle twice; the second time with a duration.
        if throttle and not duration_ms:
            metrics.record(Metric("AWS/Lambda", "Throttles", {"FunctionName": name}), 1, "Count")

    vars(lambda_svc)["_execute_function_dispatch"] = measured
    vars(lambda_svc)["_emit_lambda_metrics"] = throttled


def _record_call(
    metrics: Metrics, dimensions: dict[str, str], event: Any, result: Any, seconds: float
) -> None:
    failed = isinstance(result, dict) and bool(result.get("error"))
    for name, value, unit in (
        ("Invocations", 1.0, "Count"),
        ("Errors", float(failed), "Count"),
        ("Duration", float(round(seconds * 1000)), "Milliseconds"),
        ("IteratorAge", measurements.iterator_age(event), "Milliseconds"),
    ):
        if value is not None:
            metrics.record(Metric("AWS/Lambda", name, dimensions), value, unit)
    text = result.get("log") if isinstance(result, dict) else None
    for measured in measurements.embedded(text or ""):
        metrics.record(*measured)


def _measure_requests(metrics: Metrics) -> None:
    execute = apigateway.handle_execute

    async def measured(api: str, *given: Any, **named: Any) -> Any:
        answer = await execute(api, *given, **named)
        family = answer[0] // 100
        for name, counted in (("Count", True), ("4xx", family == 4), ("5xx", family == 5)):  # noqa: PLR2004
            metrics.record(Metric("AWS/ApiGateway", name, {"ApiId": api}), float(counted), "Count")
        return answer

    vars(apigateway)["handle_execute"] = measured


def _measure_queues(metrics: Metrics, *, empty_too: bool) -> None:
    """Record depth and age of every queue; of empty ones now and then, as nothing changes."""
    now = time.time()
    for queue in list(sqs._queues.values()):  # noqa: SLF001
        messages = list(queue["messages"])
        if not messages and not empty_too:
            continue
        ready = [message.get("visible_at", 0) <= now for message in messages]
        held = [bool(message.get("receive_count")) for message in messages]
        age = max((now - message.get("sent_at", now) for message in messages), default=0.0)
        dimensions = {"QueueName": str(queue["name"])}
        for name, value, unit in (
            ("ApproximateNumberOfMessagesVisible", sum(ready), "Count"),
            # What is neither is delayed.
            (
                "ApproximateNumberOfMessagesNotVisible",
                sum(not now_ready and taken for now_ready, taken in zip(ready, held, strict=True)),
                "Count",
            ),
            ("ApproximateAgeOfOldestMessage", int(age), "Seconds"),
        ):
            metrics.record(Metric("AWS/SQS", name, dimensions), value, unit)


def _ring_by_our_rules(metrics: Metrics) -> None:
    """Decide states as AWS does (alarm_rules.py), and keep metric math where it is dropped."""

    def evaluate(alarm: dict[str, Any]) -> None:
        try:
            now = time.time()
            new = alarm_rules.state(alarm, metrics.read, now=now, measured_since=metrics.began)
        except alarm_rules.UnsupportedAlarmError as error:
            log.error("%s is not evaluated: %s", alarm["AlarmName"], error)  # noqa: TRY400
            return
        if new != (old := alarm["StateValue"]):
            reason = "decided by the local stack's rules"
            alarm |= {"StateValue": new, "StateReason": reason, "StateUpdatedTimestamp": int(now)}
            cloudwatch._record_history(alarm["AlarmName"], old, new, reason)  # noqa: SLF001
            del cloudwatch._history_entries()[:-_HISTORY]  # noqa: SLF001
            cloudwatch._dispatch_alarm_actions(alarm, old, new, reason)  # noqa: SLF001
            cloudwatch._evaluate_parent_alarms(alarm)  # noqa: SLF001

    record_of = provisioners._cw_metric_alarm_record  # noqa: SLF001
    put = cloudwatch._put_metric_alarm  # noqa: SLF001

    def with_math(name: str, properties: dict[str, Any]) -> Any:
        if not (queries := properties.get("Metrics")):
            return record_of(name, properties)
        plain = {key: value for key, value in properties.items() if key != "Metrics"}
        # It refuses an alarm without a metric's name, which metric math has none of.
        record = record_of(name, {"MetricName": "-", "Namespace": "-", **plain})
        return record | {"Metrics": queries, "MetricName": None, "Namespace": None}

    def put_with_math(params: Any, given: Any, *more: Any) -> Any:
        answer = put(params, given, *more)
        if given and given.get("Metrics") and (alarm := cloudwatch._alarms.get(given["AlarmName"])):  # noqa: SLF001
            alarm["Metrics"] = given["Metrics"]
        return answer

    vars(cloudwatch)["_evaluate_alarm"] = evaluate
    vars(cloudwatch)["_put_metric_alarm"] = put_with_math
    vars(provisioners)["_cw_metric_alarm_record"] = with_math


def _keep_out_of_saves() -> None:
    """Save no metrics, and leave it to `compact` to drop old ones."""
    state = cloudwatch.get_state

    def without_metrics() -> dict[str, Any]:
        return {key: value for key, value in state().items() if key != "metrics"}

    vars(cloudwatch)["get_state"] = without_metrics
    vars(cloudwatch)["_evict_old_metrics"] = lambda: None


def _tick(metrics: Metrics) -> None:
    """Once a second: look at the queues and at the alarms; once a minute: merge what is older."""
    number = 0
    while True:
        time.sleep(_TICK_SECONDS)
        try:
            each_minute = number % _MINUTE == 0
            _measure_queues(metrics, empty_too=each_minute)
            for alarm in list(cloudwatch._alarms.values()):  # noqa: SLF001
                cloudwatch._evaluate_alarm(alarm)  # noqa: SLF001
            if each_minute:
                metrics.compact()
        except Exception:  # boundary: the next tick is to come whatever this one met
            log.exception("a tick failed")
        number += 1
