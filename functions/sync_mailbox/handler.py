"""SQS, up to 50 requests: one sync run each, at the same time.

Those that raised are delivered again alone.
"""

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
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
from shared.domain.mailbox import Provider
from shared.observability import Metric, count, log_event, log_run, log_trouble
from shared.operations.outcomes import SyncReport
from shared.operations.sync_mailbox import sync_mailbox
from shared.ports.queues import SyncRequest

AT_ONCE = 32
"""Mailboxes polled at the same time: the work is waiting, and each holds one connection."""


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Run the batch; name the records to be delivered again."""
    kinds: Counter[str] = Counter()
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        runs = {
            record["messageId"]: pool.submit(_sync, record["body"], context)
            for record in event["Records"]
        }

        def outcome(record: SQSRecord) -> None:
            report = _outcome(runs[record.message_id])
            kinds[report.kind] += 1

        processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
        answer = process_partial_response(event, outcome, processor, context)
    log_event("polled", records=len(runs), **kinds)
    count({Metric.MAILBOX_LOOKED_AT: sum(kinds.values())}, provider=Provider.IMAP)
    return answer


def _sync(body: str, context: LambdaContext) -> SyncReport:
    report = sync_mailbox(
        wiring.read_request(body, SyncRequest),
        mailboxes=wiring.mailboxes(),
        messages=wiring.messages(),
        attachments=wiring.attachments(),
        secrets=wiring.secrets(),
        queues=wiring.queues(),
        provider=wiring.provider(),
        parser=wiring.parser(),
        clock=wiring.clock(),
        rng=wiring.rng(),
        remaining_seconds=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    if report.run is not None:
        log_run(report.run, provider=Provider.IMAP)
    return report


def _outcome(run: Future[SyncReport]) -> SyncReport:
    try:
        return run.result()
    except Exception as error:  # boundary: logged here, then delivered again by itself
        log_trouble("sync_failed", error)
        count({Metric.RECORD_FAILED: 1}, kind="sync")
        raise
