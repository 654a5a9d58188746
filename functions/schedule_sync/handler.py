"""EventBridge Scheduler, every minute: queue what is due of syncs, and of each day's audits."""

from datetime import datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import wiring
from shared.observability import Metric, count, log_event
from shared.operations.schedule_sync import schedule_sync


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Queue what is due in the minute this tick is for, also when it comes a little late.

    Or a part of it, which another invocation handed on.
    """
    queued = schedule_sync(
        at=_minute(event),
        mailboxes=wiring.mailboxes(),
        queues=wiring.queues(),
        relay=wiring.tick_relay(context.function_name),
        remaining_seconds=lambda: context.get_remaining_time_in_millis() / 1000,
        ranges=wiring.ranges_in(event),
    )
    log_event("scheduled", queued=queued)
    count({Metric.MAILBOX_QUEUED: queued})
    return {"queued": queued}


def _minute(event: dict[str, Any]) -> datetime:
    """Return the instant the tick was planned for.

    Two that come close together serve two minutes.
    """
    try:
        planned = datetime.fromisoformat(str(event.get("time", "")))
    except ValueError:
        return wiring.clock().now()
    return planned if planned.tzinfo else wiring.clock().now()
