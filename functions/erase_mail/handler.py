"""SQS, one request: carry an erasure on, to its end or as far as the time reaches."""

from dataclasses import asdict
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

from shared import wiring
from shared.observability import Metric, count
from shared.observability_of_runs import Work, log_raised, log_work
from shared.operations.erase_mail import ErasePorts, erase_mail


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Carry each on; name the records to be delivered again."""

    def carry_on(record: SQSRecord) -> None:
        _carry_on(record, context)

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event, carry_on, processor, context)


def _carry_on(record: SQSRecord, context: LambdaContext) -> None:
    began = perf_counter()
    try:
        request = wiring.read_erase_request(record.body)
        report = erase_mail(request, ports=_ports(context))
    except Exception as error:  # boundary: logged here, then delivered again by itself
        log_raised(Work.ERASURE, error, ids={}, message_id=record.message_id)
        raise
    erasure = report.erasure
    if erasure is None:
        return
    ids = {
        "tenant_id": erasure.tenant_id,
        "mailbox_id": erasure.mailbox_id,
        "erasure_id": erasure.id,
    }
    log_work(
        Work.ERASURE,
        outcome=report.kind,
        ids=ids,
        seconds=perf_counter() - began,
        counts=asdict(erasure.erased),
        kind=erasure.kind,
    )
    if report.kind == "done":
        erased = erasure.erased.messages
        count({Metric.ERASURE_DONE: 1, Metric.MESSAGE_ERASED: erased}, kind=erasure.kind)


def _ports(context: LambdaContext) -> ErasePorts:
    return ErasePorts(
        erasures=wiring.erasures(),
        eraser=wiring.mail_eraser(),
        secrets=wiring.secrets(),
        queues=wiring.queues(),
        clock=wiring.clock(),
        remaining_seconds=lambda: context.get_remaining_time_in_millis() / 1000,
    )
