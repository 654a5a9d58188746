"""SQS, one request: bring one mail on its way out a step further, or make what is pending."""

from collections.abc import Callable, Mapping
from time import perf_counter
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
from shared.observability_of_runs import Work, log_changes, log_raised, log_send
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

    work = Work.SEND
    try:
        request = wiring.read_any_request(record.body)
        if isinstance(request, ChangesRequest):
            work = Work.CHANGES
            _change(request, seconds_left, ids)
        else:
            _send(wiring.read_request(record.body, SendRequest), seconds_left, ids)
    except Exception as error:  # boundary: logged here, then delivered again by itself
        log_raised(work, error, ids=ids, message_id=record.message_id)
        raise


def _send(request: SendRequest, seconds_left: Callable[[], float], ids: Mapping[str, Any]) -> None:
    began = perf_counter()
    report = deliver_send(request, ports=wiring_of_delivery.deliver_ports(seconds_left))
    log_send(
        report.before,
        report.after,
        provider=report.provider,
        code=report.code,
        error=report.error,
        ids=ids,
        seconds=perf_counter() - began,
    )


def _change(
    request: ChangesRequest, seconds_left: Callable[[], float], ids: Mapping[str, Any]
) -> None:
    began = perf_counter()
    report = apply_changes(request, ports=wiring_of_changes.change_ports(seconds_left))
    log_changes(
        report.provider,
        report.counts,
        code=report.code,
        error=report.error,
        ids=ids,
        seconds=perf_counter() - began,
    )
