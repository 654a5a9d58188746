"""EventBridge Scheduler, every minute.

Find work that got lost between a store and a queue.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import wiring
from shared.observability import Metric, count, log_event
from shared.operations.maintain_mailboxes import release_lost_chunks


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Send again what open backfills wait for."""
    del event, context
    sweep = release_lost_chunks(
        mailboxes=wiring.mailboxes(),
        backfills=wiring.backfills(),
        queues=wiring.queues(),
        clock=wiring.clock(),
    )
    log_event("maintained", sent=sweep.sent, left=sweep.left)
    count({Metric.CHUNK_RELEASED_AGAIN: sweep.sent})
    return {"sent": sweep.sent, "left": sweep.left}
