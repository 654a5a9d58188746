"""SQS, one request: divide a backfill's window into chunks and release the first."""

from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import wiring
from shared.observability import Metric, count, log_backfill, log_trouble
from shared.operations.plan_backfill import plan_backfill
from shared.ports.queues import PlanRequest


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Plan each backfill; name the records to be delivered again."""
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event, _plan, processor, context)


def _plan(record: SQSRecord) -> None:
    try:
        report = plan_backfill(
            wiring.read_request(record.body, PlanRequest),
            mailboxes=wiring.mailboxes(),
            messages=wiring.messages(),
            backfills=wiring.backfills(),
            grants=wiring.grants(),
            queues=wiring.queues(),
            provider_of=wiring.provider_of,
            clock=wiring.clock(),
            rng=wiring.rng(),
        )
    except Exception as error:  # boundary: logged here, then delivered again by itself
        ids = wiring.ids_in(record.body)
        log_trouble("plan_failed", error, message_id=record.message_id, **ids)
        count({Metric.RECORD_FAILED: 1}, kind="plan_backfill")
        raise
    if report.error is not None:
        log_trouble("plan_put_off", report.error, **wiring.ids_in(record.body))
    elif report.backfill is not None:
        log_backfill("planned", report.backfill)
        count({Metric.BACKFILL_PLANNED: 1})
