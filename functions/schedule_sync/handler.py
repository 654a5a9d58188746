"""EventBridge Scheduler, every minute: queue what is due.

Syncs, each day's audits, mails on their way out, and changes to be made at providers.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import wiring
from shared.domain.errors import RetryLaterError
from shared.observability import Metric, count, log_event, log_trouble
from shared.operations.schedule_sync import schedule_sync
from shared.operations.sweep_outbound import sweep_changes, sweep_sends


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Queue what is due in the minute this tick is for, also when it comes a little late.

    Or a part of it, which another invocation handed on. What goes out is looked for by one
    invocation of each tick, after the mailboxes are asked to sync.
    """
    ranges = wiring.ranges_in(event)
    queued = schedule_sync(
        at=_minute(event),
        mailboxes=wiring.mailboxes(),
        queues=wiring.queues(),
        relay=wiring.tick_relay(context.function_name),
        remaining_seconds=lambda: _seconds_left(context),
        ranges=ranges,
    )
    sends, changes = _sweep(context) if ranges is None else (0, 0)
    log_event("scheduled", queued=queued, sends=sends, changes=changes)
    count({Metric.MAILBOX_QUEUED: queued})
    return {"queued": queued, "sends": sends, "changes": changes}


def _sweep(context: LambdaContext) -> tuple[int, int]:
    now, queues = wiring.clock().now(), wiring.queues()

    def left() -> float:
        return _seconds_left(context)

    sends = _unless_refused(
        "sweep_of_sends_failed",
        lambda: sweep_sends(now=now, sends=wiring.sends(), queues=queues, remaining_seconds=left),
    )
    changes = _unless_refused(
        "sweep_of_changes_failed",
        lambda: sweep_changes(
            now=now, changes=wiring.changes(), queues=queues, remaining_seconds=left
        ),
    )
    return sends, changes


def _unless_refused(event: str, sweep: Callable[[], int]) -> int:
    try:
        return sweep()
    except RetryLaterError as error:
        # The next minute's tick finds them; a tick that failed would ask every mailbox again.
        log_trouble(event, error)
        return 0


def _seconds_left(context: LambdaContext) -> float:
    return context.get_remaining_time_in_millis() / 1000


def _minute(event: dict[str, Any]) -> datetime:
    """Return the instant the tick was planned for.

    Two that come close together serve two minutes.
    """
    try:
        planned = datetime.fromisoformat(str(event.get("time", "")))
    except ValueError:
        return wiring.clock().now()
    return planned if planned.tzinfo else wiring.clock().now()
