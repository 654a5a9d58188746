"""SQS, one request: divide a backfill's window into chunks and release the first, or audit."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import wiring, wiring_of_sign_ins
from shared.observability import Metric, count, log_audit, log_backfill, log_trouble
from shared.operations.audit_mailbox import AuditPorts, audit_mailbox
from shared.operations.plan_backfill import plan_backfill
from shared.ports.queues import AuditRequest, PlanRequest


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Plan each backfill, audit each mailbox; name the records to be delivered again."""
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event, _take, processor, context)


def _take(record: SQSRecord) -> None:
    try:
        request = wiring.read_any_request(record.body)
        if isinstance(request, AuditRequest):
            _audit(request)
        else:
            _plan(wiring.read_request(record.body, PlanRequest))
    except Exception as error:  # boundary: logged here, then delivered again by itself
        ids = wiring.ids_in(record.body)
        log_trouble("plan_failed", error, message_id=record.message_id, **ids)
        count({Metric.RECORD_FAILED: 1}, kind="plan_backfill")
        raise


def _audit(request: AuditRequest) -> None:
    report = audit_mailbox(
        request,
        ports=AuditPorts(
            mailboxes=wiring.mailboxes(),
            messages=wiring.messages(),
            audits=wiring.audits(),
            backfills=wiring.backfills(),
            grants=wiring_of_sign_ins.grants(),
            queues=wiring.queues(),
            provider_of=wiring.provider_of,
            clock=wiring.clock(),
            rng=wiring.rng(),
        ),
    )
    if report.error is not None:
        log_trouble("audit_put_off", report.error, **asdict(request))
        count({Metric.AUDIT_PUT_OFF: 1}, provider=report.provider or "", code=report.error.code)
    if report.audit is not None and report.provider is not None:
        log_audit(report.audit, provider=report.provider)


def _plan(request: PlanRequest) -> None:
    report = plan_backfill(
        request,
        mailboxes=wiring.mailboxes(),
        messages=wiring.messages(),
        backfills=wiring.backfills(),
        contacts=wiring.contacts(),
        policies=wiring.policies(),
        grants=wiring_of_sign_ins.grants(),
        queues=wiring.queues(),
        provider_of=wiring.provider_of,
        clock=wiring.clock(),
        rng=wiring.rng(),
    )
    if report.error is not None:
        log_trouble("plan_put_off", report.error, **asdict(request))
    elif report.backfill is not None:
        log_backfill("planned", report.backfill)
        count({Metric.BACKFILL_PLANNED: 1})
