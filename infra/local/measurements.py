"""What is measured of a function's call, and how measurements are kept in bounded room.

Values are in the emulator's own form of a point: instant, value, how many times, unit, dimensions.
"""

import json
import time
from collections.abc import Iterable
from typing import Any, Final

from infra.local.alarm_rules import Metric

FINE_SECONDS: Final = 180
KEPT_SECONDS: Final = 25 * 3600
MOST_VALUES: Final = 20
"""Different values kept of one metric and minute; beyond, they are rounded to two digits."""

_MINUTE: Final = 60

Point = dict[str, Any]


def embedded(text: str) -> Iterable[tuple[Metric, float, str]]:
    """Yield every value in embedded metric format in `text`: of which metric, value, unit."""
    for line in text.splitlines():
        if '"_aws"' not in line:
            continue
        try:
            document = json.loads(line)
            directives = document["_aws"]["CloudWatchMetrics"]
        except (ValueError, KeyError, TypeError):
            continue
        for directive in directives:
            for names in directive["Dimensions"]:
                dimensions = {name: str(document[name]) for name in names}
                for metric in directive["Metrics"]:
                    of = Metric(directive["Namespace"], metric["Name"], dimensions)
                    found = document[metric["Name"]]
                    for value in found if isinstance(found, list) else [found]:
                        yield of, float(value), metric.get("Unit", "None")


def iterator_age(event: Any) -> float | None:
    """Return the milliseconds since a stream's last record was written; None of other events."""
    records = event.get("Records") if isinstance(event, dict) else None
    written = [
        float(record["dynamodb"]["ApproximateCreationDateTime"])
        for record in records or ()
        if isinstance(record, dict) and "dynamodb" in record
    ]
    return max(0.0, round((time.time() - max(written)) * 1000)) if written else None


def compacted(points: list[Point], now: float) -> list[Point]:
    """Return `points` merged by the minute where older than some minutes, without a day's old ones.

    `now` is in epoch seconds. Sums stay as they are but where one minute had a great many values.
    """
    minutes: dict[float, dict[float, Point]] = {}
    recent = []
    for point in points:
        if point["Timestamp"] < now - KEPT_SECONDS:
            continue
        if point["Timestamp"] > now - FINE_SECONDS:
            recent.append(point)
            continue
        minute = minutes.setdefault(point["Timestamp"] // _MINUTE * _MINUTE, {})
        value = point["Value"]
        if len(minute) >= MOST_VALUES:
            value = float(f"{value:.1e}")
        if (merged := minute.get(value)) is None:
            minute[value] = point | {
                "Timestamp": point["Timestamp"] // _MINUTE * _MINUTE,
                "Value": value,
            }
        else:
            merged["Count"] += point["Count"]
    return [point for minute in minutes.values() for point in minute.values()] + recent
