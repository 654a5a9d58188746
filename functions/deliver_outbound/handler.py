"""SQS, one request: bring one mail on its way out a step further."""

from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import wiring, wiring_of_delivery
from shared.observability import Metric, count, log_send, log_trouble
from shared.operations.deliver_send import deliver_send
from shared.ports.queues import SendRequest


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Do what each request asks for; name the records to be delivered again."""

    def run(record: SQSRecord) -> None:
        _run(record, context)

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event, run, processor, context)


def _run(record: SQSRecord, context: LambdaContext) -> None:
    ids = wiring.ids_in(record.body)
    try:
        request = wiring.read_request(record.body, SendRequest)
        ports = wiring_of_delivery.deliver_ports(
            lambda: context.get_remaining_time_in_millis() / 1000
        )
        report = deliver_send(request, ports=ports)
    except Exception as error:  # boundary: logged here, then delivered again by itself
        log_trouble("send_failed", error, message_id=record.message_id, **ids)
        count({Metric.RECORD_FAILED: 1}, kind="send")
        raise
    if report.error is not None:
        log_trouble("send_put_off", report.error, **ids)
    log_send(report.before, report.after, provider=report.provider, code=report.code, **ids)
