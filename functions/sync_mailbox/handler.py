"""SQS, up to 50 requests: one sync run each, at the same time.

Those that raised are delivered again alone.
"""

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import wiring, wiring_of_sign_ins
from shared.observability import Metric, count, log_event, log_run, log_trouble
from shared.operations.outcomes import SyncReport
from shared.operations.sync_mailbox import sync_mailbox
from shared.ports.queues import SyncRequest

if TYPE_CHECKING:
    from shared.domain.mailbox import Provider

AT_ONCE = 32
"""Mailboxes polled at the same time: the work is waiting, and each holds one connection."""

LAST_WORDS_SECONDS = 3.0
"""What naming the records takes."""
LEAST_SECONDS = 45.0
"""A run begun later would have its own lack of time look like the server's slowness."""


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Run the batch; name the records to be delivered again."""
    kinds: Counter[str] = Counter()
    providers: Counter[Provider] = Counter()
    pool = ThreadPoolExecutor(max_workers=AT_ONCE)
    runs = {record["messageId"]: pool.submit(_sync, record, context) for record in event["Records"]}
    wait(runs.values(), timeout=_seconds_left(context) - LAST_WORDS_SECONDS)
    # One server that never comes to an end must not have all the others' records delivered again.
    # Its thread is left to itself: what it may still write is guarded by its lease.
    pool.shutdown(wait=False, cancel_futures=True)

    def outcome(record: SQSRecord) -> None:
        report = _outcome(runs[record.message_id], record)
        kinds[report.kind] += 1
        if report.provider is not None:
            providers[report.provider] += 1

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    answer = process_partial_response(event, outcome, processor, context)
    log_event("polled", records=len(runs), **kinds)
    for provider, looked_at in providers.items():
        count({Metric.MAILBOX_LOOKED_AT: looked_at}, provider=provider)
    return answer


def _sync(record: dict[str, Any], context: LambdaContext) -> SyncReport:
    request = wiring.read_request(record["body"], SyncRequest)
    if _seconds_left(context) < LEAST_SECONDS:
        raise TimeoutError("no time left to begin")
    report = sync_mailbox(
        request,
        mailboxes=wiring.mailboxes(),
        messages=wiring.messages(),
        attachments=wiring.attachments(),
        letters=wiring.letters(),
        contacts=wiring.contacts(),
        policies=wiring.policies(),
        sends=wiring.sends(),
        backfills=wiring.backfills(),
        grants=wiring_of_sign_ins.grants(),
        queues=wiring.queues(),
        provider_of=wiring.provider_of,
        parser=wiring.parser(),
        clock=wiring.clock(),
        rng=wiring.rng(),
        remaining_seconds=lambda: _seconds_left(context),
        gmail_units_per_minute=wiring.gmail_units_per_minute(),
        asked_at=datetime.fromtimestamp(int(record["attributes"]["SentTimestamp"]) / 1000, UTC),
    )
    if report.run is not None and report.provider is not None:
        log_run(report.run, provider=report.provider)
        if report.error is not None:
            log_trouble(
                "sync_put_off",
                report.error,
                tenant_id=request.tenant_id,
                mailbox_id=request.mailbox_id,
                run_id=report.run.id,
            )
    return report


def _seconds_left(context: LambdaContext) -> float:
    return context.get_remaining_time_in_millis() / 1000


def _outcome(run: Future[SyncReport], record: SQSRecord) -> SyncReport:
    try:
        # Raises at once for one that was not begun, or did not end in time.
        return run.result(timeout=0)
    except Exception as error:  # boundary: logged here, then delivered again by itself
        ids = wiring.ids_in(record.body)
        log_trouble("sync_failed", error, message_id=record.message_id, **ids)
        count({Metric.RECORD_FAILED: 1}, kind="sync")
        raise
