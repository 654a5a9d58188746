"""What is logged and counted, and under which names.

One log event per run with the same keys always. Subjects, addresses, bodies and what a server said
to a person never get here: an event takes ids, codes, counts and durations, and there is no free
text to put them in. Metrics have the dimensions `provider`, `code`, `kind` and no other: a
dimension with a mailbox id would be a metric, and a bill, per mailbox.
"""

import functools
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from shared.domain.backfill import Backfill
from shared.domain.ledger import Counts
from shared.domain.run import Run


class Metric(StrEnum):
    """Every metric there is, past tense."""

    RUN_SUCCEEDED = "RunSucceeded"
    RUN_FAILED = "RunFailed"
    RUN_LASTED = "RunLasted"
    MAILBOX_LOOKED_AT = "MailboxLookedAt"
    MAILBOX_QUEUED = "MailboxQueued"
    MAILBOX_PARKED = "MailboxParked"
    MAILBOX_CONNECTED = "MailboxConnected"
    MAILBOX_DISCONNECTED = "MailboxDisconnected"
    MESSAGE_STORED = "MessageStored"
    MESSAGE_UNREADABLE = "MessageUnreadable"
    CHUNK_FINISHED = "ChunkFinished"
    CHUNK_RELEASED_AGAIN = "ChunkReleasedAgain"
    BACKFILL_PLANNED = "BackfillPlanned"
    DEAD_LETTER_RECORDED = "DeadLetterRecorded"
    CONNECTION_TEST_FAILED = "ConnectionTestFailed"
    REQUEST_FAILED = "RequestFailed"
    RECORD_FAILED = "RecordFailed"


@functools.cache
def logger() -> Logger:
    """Return this process's logger: JSON lines; POWERTOOLS_SERVICE_NAME and LOG_LEVEL set it."""
    return Logger(utc=True)


def log_event(event: str, **facts: object) -> None:
    """Log one named event with ids, codes, counts and durations as its facts."""
    logger().info(event, extra={key: _plain(value) for key, value in facts.items()})


def log_trouble(event: str, error: BaseException, **facts: object) -> None:
    """Log a failure with its traceback; the only place where an error's cause is written down."""
    logger().error(
        event, exc_info=error, extra={key: _plain(value) for key, value in facts.items()}
    )


def log_run(
    run: Run, *, provider: str, duration_seconds: float, outcome: str | None = None
) -> None:
    """Log one ended run and count it."""
    log_event(
        "run",
        tenant_id=run.tenant_id,
        mailbox_id=run.mailbox_id,
        provider=provider,
        run_id=run.id,
        backfill_id=run.backfill_id,
        reason=run.reason,
        outcome=outcome or ("succeeded" if run.code is None else "failed"),
        code=run.code,
        duration_ms=round(duration_seconds * 1000),
        counts=run.counts,
    )
    counts = {Metric.RUN_SUCCEEDED if run.code is None else Metric.RUN_FAILED: 1}
    counts[Metric.MESSAGE_STORED] = run.counts.stored
    counts[Metric.MESSAGE_UNREADABLE] = run.counts.unreadable
    dimensions = {"provider": provider, "kind": str(run.reason)}
    count(counts, **dimensions, code=str(run.code) if run.code else "none")
    record_duration(Metric.RUN_LASTED, duration_seconds, **dimensions)


def log_backfill(event: str, backfill: Backfill) -> None:
    """Log where a backfill is."""
    log_event(
        event,
        tenant_id=backfill.tenant_id,
        mailbox_id=backfill.mailbox_id,
        backfill_id=backfill.id,
        state=backfill.state,
        chunks=backfill.chunks,
        done=backfill.done,
        planned=backfill.planned,
        counts=backfill.counts,
    )


def count(
    counts: Mapping[Metric, int], *, provider: str = "", code: str = "", kind: str = ""
) -> None:
    """Add to counters; those that are 0 are left out, and nothing is written when none remains."""
    if any(counts.values()):
        metrics = _metrics(provider=provider, code=code, kind=kind)
        for metric, value in counts.items():
            if value:
                metrics.add_metric(metric, MetricUnit.Count, value)
        metrics.flush_metrics()


def record_duration(metric: Metric, seconds: float, *, provider: str = "", kind: str = "") -> None:
    """Record how long something took."""
    metrics = _metrics(provider=provider, kind=kind)
    metrics.add_metric(metric, MetricUnit.Milliseconds, round(seconds * 1000))
    metrics.flush_metrics()


def _metrics(**dimensions: str) -> EphemeralMetrics:
    # Ephemeral: the ordinary Metrics keeps its sums in the class, and a batch is run by many
    # threads at once.
    metrics = EphemeralMetrics()
    for name, value in dimensions.items():
        if value:
            metrics.add_dimension(name, value)
    return metrics


def _plain(value: object) -> Any:
    match value:
        case Counts():
            return {
                "listed": value.listed,
                "stored": value.stored,
                "already_stored": value.already_stored,
                "skipped": dict(value.skipped),
                "unreadable": value.unreadable,
                "gone": value.gone,
                "failed": value.failed,
                "flags_changed": value.flags_changed,
                "removed": value.removed,
            }
        case StrEnum():
            return str(value)
        case datetime():
            return value.isoformat()
        case _:
            return value
