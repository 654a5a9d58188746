"""The table's stream: put what changed on the event bus, for others to hear of.

What cannot be read, or never be told, goes to the queue of what was not told, so that it holds up
nothing else. From what the bus does not take now on it is delivered again, and nothing is told
before it.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import wiring_of_events
from shared.domain.events import Change
from shared.observability import Metric, count, log_event, log_trouble
from shared.operations.publish_events import publish_events


def lambda_handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Tell of each record's change; name the record to begin again with."""
    records = event["Records"]
    changes = [change for record in records if (change := _read(record)) is not None]
    bus = wiring_of_events.bus()
    try:
        done = publish_events(changes, bus=bus)
    except Exception as error:  # boundary: what no time mends must not hold up its shard for a day
        if len(records) > 1:
            # Lambda halves the batch until whatever it is stands alone.
            log_trouble("events_failed", error, records=len(records))
            raise
        _set_aside(records[0], error)
        return {"batchItemFailures": []}
    if done.error is not None:
        log_trouble("events_put_off", done.error, sequence_number=done.stopped_at)
    log_event("events_told", records=len(records), events=done.events)
    count({Metric.EVENT_PUBLISHED: done.events})
    stopped = [] if done.stopped_at is None else [{"itemIdentifier": done.stopped_at}]
    return {"batchItemFailures": stopped}


def _read(record: dict[str, Any]) -> Change | None:
    try:
        return wiring_of_events.change_of(record)
    except Exception as error:  # boundary: an item of another version, told nobody as it stands
        _set_aside(record, error)
        return None


def _set_aside(record: dict[str, Any], error: Exception) -> None:
    number = wiring_of_events.set_aside(record)
    log_trouble("event_set_aside", error, sequence_number=number)
    count({Metric.RECORD_FAILED: 1}, kind="event")
