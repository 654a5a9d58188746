"""SQS, one request: bring one mail on its way out a step further, or make what is pending."""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import wiring, wiring_of_changes, wiring_of_delivery
from shared.observability import Metric, count, log_changes, log_send, log_trouble
from shared.operations.apply_changes import apply_changes
from shared.operations.deliver_send import deliver_send
from shared.ports.queues import ChangesRequest, SendRequest


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Do what each request asks for; name the records to be delivered again."""

    def run(record: SQSRecord) -> None:
        _run(record, context)

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event, run, processor, context)


def _run(record: SQSRecord, context: LambdaContext) -> None:
    ids = wiring.ids_in(record.body)

    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    kind = "send"
    try:
        request = wiring.read_any_request(record.body)
        if isinstance(request, ChangesRequest):
            kind = "changes"
            _change(request, seconds_left, ids)
        else:
            _send(wiring.read_request(record.body, SendRequest), seconds_left, ids)
    except Exception as error:  # boundary: logged here, then delivered again by itself
        log_trouble(f"{kind}_failed", error, message_id=record.message_id, **ids)
        count({Metric.RECORD_FAILED: 1}, kind=kind)
        raise


def _send(request: SendRequest, seconds_left: Callable[[], float], ids: Mapping[str, Any]) -> None:
    report = deliver_send(request, ports=wiring_of_delivery.deliver_ports(seconds_left))
    if report.error is not None:
        log_trouble("send_put_off", report.error, **ids)
    log_send(report.before, report.after, provider=report.provider, code=report.code, **ids)


def _change(
    request: ChangesRequest, seconds_left: Callable[[], float], ids: Mapping[str, Any]
) -> None:
    report = apply_changes(request, ports=wiring_of_changes.change_ports(seconds_left))
    if report.error is not None:
        log_trouble("changes_put_off", report.error, **ids)
    log_changes(report.provider, report.counts, code=report.code, **ids)
