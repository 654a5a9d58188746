"""SQS, up to 50 requests: one sync run each, at the same time.

Those that raised are delivered again alone.
"""

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, wait
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

from shared import wiring, wiring_of_limits, wiring_of_push, wiring_of_sign_ins
from shared.domain.run import Poll
from shared.observability import log_event, log_trouble
from shared.observability_of_runs import Work, count_polls, log_raised, log_run
from shared.operations.outcomes import SyncReport
from shared.operations.sync_mailbox import sync_mailbox
from shared.ports.queues import SyncRequest

AT_ONCE = 32
"""Mailboxes polled at the same time: the work is waiting, and each holds one connection."""

LAST_WORDS_SECONDS = 3.0
"""What naming the records takes."""
LEAST_SECONDS = 45.0
"""A run begun later would have its own lack of time look like the server's slowness."""


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Run the batch; name the records to be delivered again."""
    kinds: Counter[str] = Counter()
    polls: list[Poll] = []
    pool = ThreadPoolExecutor(max_workers=AT_ONCE)
    runs = {record["messageId"]: pool.submit(_sync, record, context) for record in event["Records"]}
    wait(runs.values(), timeout=_seconds_left(context) - LAST_WORDS_SECONDS)
    # One server that never comes to an end must not have all the others' records delivered again.
    # Its thread is left to itself: what it may still write is guarded by its lease.
    pool.shutdown(wait=False, cancel_futures=True)

    def outcome(record: SQSRecord) -> None:
        kind, poll = _outcome(runs[record.message_id], record)
        kinds[kind] += 1
        if poll is not None:
            polls.append(poll)

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    answer = process_partial_response(event, outcome, processor, context)
    log_event("polled", records=len(runs), **kinds)
    count_polls(polls)
    return answer


def _sync(record: dict[str, Any], context: LambdaContext) -> tuple[str, Poll | None]:
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
        gmail_units_per_minute=wiring_of_limits.gmail_units_per_minute(),
        runs_an_hour=wiring_of_limits.runs_of_mailbox_an_hour(),
        asked_at=datetime.fromtimestamp(int(record["attributes"]["SentTimestamp"]) / 1000, UTC),
        cadence=wiring_of_push.cadence(),
        watching=wiring_of_push.watching(),
    )
    _tell_of_watch(request, report)
    if report.run is not None and report.provider is not None:
        log_run(report.run, provider=report.provider, error=report.error)
    return report.kind, report.poll(wiring.clock().now())


def _tell_of_watch(request: SyncRequest, report: SyncReport) -> None:
    if report.provider is None:
        return
    facts = {"tenant_id": request.tenant_id, "mailbox_id": request.mailbox_id}
    facts["provider"] = report.provider
    if report.told is False:
        log_event("push_was_silent", **facts)
    if report.watch is None:
        return
    error = report.watch.error
    if error is None:
        log_event("watch_renewed", **facts)
    else:
        log_trouble("watch_failed", error, **facts)


def _seconds_left(context: LambdaContext) -> float:
    return context.get_remaining_time_in_millis() / 1000


def _outcome(run: Future[tuple[str, Poll | None]], record: SQSRecord) -> tuple[str, Poll | None]:
    try:
        # Raises at once for one that was not begun, or did not end in time.
        return run.result(timeout=0)
    except Exception as error:  # boundary: logged here, then delivered again by itself
        ids = wiring.ids_in(record.body)
        log_raised(Work.SYNC, error, ids=ids, message_id=record.message_id)
        raise
