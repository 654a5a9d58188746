"""SQS, one request: import one chunk of a backfill."""

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

from shared import wiring, wiring_of_limits, wiring_of_sign_ins
from shared.observability import Metric, count
from shared.observability_of_runs import Work, log_raised, log_run, log_work
from shared.operations.run_backfill_chunk import ChunkPorts, run_backfill_chunk
from shared.ports.queues import ChunkRequest


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Run each chunk; name the records to be delivered again."""

    def run(record: SQSRecord) -> None:
        _run(record, context)

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event, run, processor, context)


def _run(record: SQSRecord, context: LambdaContext) -> None:
    ids, began = wiring.ids_in(record.body), perf_counter()
    try:
        request = wiring.read_request(record.body, ChunkRequest)
        report = run_backfill_chunk(request, ports=_ports(context))
    except Exception as error:  # boundary: logged here, then delivered again by itself
        log_raised(Work.CHUNK, error, ids=ids, message_id=record.message_id)
        raise
    if report.run is not None and report.provider is not None:
        log_run(report.run, provider=report.provider, chunk=request.chunk, error=report.error)
        count({Metric.CHUNK_FINISHED: 1}, provider=report.provider)
    else:
        log_work(
            Work.CHUNK,
            outcome=report.kind,
            ids=ids,
            seconds=perf_counter() - began,
            code=report.code,
            error=report.error,
        )


def _ports(context: LambdaContext) -> ChunkPorts:
    return ChunkPorts(
        mailboxes=wiring.mailboxes(),
        backfills=wiring.backfills(),
        slots=wiring.chunk_slots(),
        messages=wiring.messages(),
        attachments=wiring.attachments(),
        letters=wiring.letters(),
        contacts=wiring.contacts(),
        policies=wiring.policies(),
        sends=wiring.sends(),
        grants=wiring_of_sign_ins.grants(),
        queues=wiring.queues(),
        provider_of=wiring.provider_of,
        parser=wiring.parser(),
        clock=wiring.clock(),
        rng=wiring.rng(),
        remaining_seconds=lambda: context.get_remaining_time_in_millis() / 1000,
        gmail_units_per_minute=wiring_of_limits.gmail_units_per_minute(),
        chunks_of_a_tenant=wiring_of_limits.chunks_of_a_tenant(),
    )
