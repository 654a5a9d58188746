"""SQS, one request: divide a backfill's window into chunks and release the first, or audit."""

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

from shared import wiring, wiring_of_sign_ins
from shared.observability_of_runs import Work, log_audit, log_plan, log_raised
from shared.operations.audit_mailbox import AuditPorts, audit_mailbox
from shared.operations.plan_backfill import plan_backfill
from shared.ports.queues import AuditRequest, PlanRequest


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Plan each backfill, audit each mailbox; name the records to be delivered again."""
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event, _take, processor, context)


def _take(record: SQSRecord) -> None:
    work = Work.PLAN
    try:
        request = wiring.read_any_request(record.body)
        if isinstance(request, AuditRequest):
            work = Work.AUDIT
            _audit(request)
        else:
            _plan(wiring.read_request(record.body, PlanRequest))
    except Exception as error:  # boundary: logged here, then delivered again by itself
        ids = wiring.ids_in(record.body)
        log_raised(work, error, ids=ids, message_id=record.message_id)
        raise


def _audit(request: AuditRequest) -> None:
    began = perf_counter()
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
    log_audit(
        report.kind,
        report.audit,
        provider=report.provider,
        error=report.error,
        ids=asdict(request),
        seconds=perf_counter() - began,
    )


def _plan(request: PlanRequest) -> None:
    began = perf_counter()
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
    log_plan(
        report.backfill, error=report.error, ids=asdict(request), seconds=perf_counter() - began
    )
