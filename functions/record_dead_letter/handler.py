"""SQS, the dead-letter queues of sync, plan, chunk and of what goes out.

What no retry could finish becomes a latest error. What cannot be read stays in its queue, and the
queue's alarm rings: a newer version's request is read once that version runs again.
"""

from datetime import UTC, datetime
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
from shared.observability import Metric, count, log_event, log_trouble
from shared.operations.record_dead_letter import record_dead_letter


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Record each dead letter; name the records to be delivered again."""
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event, _record, processor, context)


def _record(record: SQSRecord) -> None:
    try:
        request = wiring.read_any_request(record.body)
    except ValueError as error:
        log_trouble("dead_letter_unreadable", error, message_id=record.message_id)
        count({Metric.RECORD_FAILED: 1}, kind="dead_letter")
        raise
    ids = wiring.ids_in(record.body)
    try:
        record_dead_letter(
            request,
            sent_at=datetime.fromtimestamp(int(record.attributes.sent_timestamp) / 1000, UTC),
            mailboxes=wiring.mailboxes(),
            backfills=wiring.backfills(),
            letters=wiring.letters(),
            sends=wiring.sends(),
            clock=wiring.clock(),
        )
    except Exception as error:  # boundary: logged here, then delivered again by itself
        log_trouble("dead_letter_failed", error, message_id=record.message_id, **ids)
        raise
    kind = type(request).__name__
    log_event("dead_letter", kind=kind, **ids)
    count({Metric.DEAD_LETTER_RECORDED: 1}, kind=kind)
