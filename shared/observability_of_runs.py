"""What is logged and counted of a worker's runs: one event each, with the same keys always.

So one query tells all that was done for a mailbox, by whatever function, and one rule finds who
fails most. A poll that found nothing is no run: its batch counts it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum

from aws_lambda_powertools.metrics import MetricUnit

from shared.domain.audit import Audit
from shared.domain.backfill import Backfill
from shared.domain.change import ChangeFate
from shared.domain.errors import ErrorCode, MailroomError
from shared.domain.run import Poll, Run, RunReason
from shared.domain.sending import Send, SendStatus
from shared.observability import (
    RUN,
    RUN_KEYS,
    Metric,
    count,
    count_client_trouble,
    logger,
    metrics_under,
    plain,
    record_duration,
    trouble_of,
)


class Work(StrEnum):
    """What a worker does in a run."""

    SYNC = "sync"
    PLAN = "plan"
    CHUNK = "backfill_chunk"
    AUDIT = "audit"
    SEND = "send"
    CHANGES = "changes"
    ERASURE = "erasure"


_FIGURES_OF_AN_AUDIT = (
    *("listed", "stored", "ledgered", "missing", "extra", "mended", "under_way"),
    "folders_left_out",
)


def log_work(
    work: Work,
    *,
    outcome: str,
    ids: Mapping[str, object],
    seconds: float | None = None,
    provider: str | None = None,
    code: ErrorCode | None = None,
    error: BaseException | None = None,
    counts: object = None,
    **details: object,
) -> None:
    """Log one run of a worker, whatever it did, as the event `run` with the keys `RUN_KEYS`.

    `ids`: of what, of those keys. `seconds`: how long it took. `error`: what stood in its way.
    `details`: what only this kind of work has to tell.
    """
    trouble = trouble_of(error) if error else {}
    facts = {
        "work": work,
        "outcome": outcome,
        "provider": provider,
        "code": code,
        "duration_ms": None if seconds is None else round(seconds * 1000),
        "counts": counts,
        "details": {key: plain(value) for key, value in details.items()} or None,
    }
    if code is ErrorCode.LOOP_STOPPED:
        # Without a provider: an alarm watches one metric under one set of dimensions.
        count({Metric.LOOP_STOPPED: 1})
    told = trouble | {k: v for k, v in facts.items() if v is not None}
    told |= {key: value for key, value in ids.items() if key in RUN_KEYS}
    log = logger().error if error else logger().info
    log(RUN, extra={key: plain(value) for key, value in told.items()})


def log_raised(
    work: Work, error: BaseException, *, ids: Mapping[str, object], message_id: str
) -> None:
    """Log a run that ended in what nobody foresaw, and is delivered again; count it."""
    log_work(work, outcome="raised", ids={**ids, "message_id": message_id}, error=error)
    count({Metric.RECORD_FAILED: 1}, kind=work)


def log_run(
    run: Run, *, provider: str, chunk: int | None = None, error: MailroomError | None = None
) -> None:
    """Log one ended sync or chunk run and count it. `error`: what stood in its way."""
    seconds = (run.ended_at - run.started_at).total_seconds()
    log_work(
        Work.SYNC if run.backfill_id is None else Work.CHUNK,
        outcome="succeeded" if run.code is None else "failed",
        ids={
            "tenant_id": run.tenant_id,
            "mailbox_id": run.mailbox_id,
            "run_id": run.id,
            "backfill_id": run.backfill_id,
            "chunk": chunk,
            "reason": run.reason,
        },
        seconds=seconds,
        provider=provider,
        code=run.code,
        error=error,
        counts=run.counts,
    )
    counts = {Metric.RUN_SUCCEEDED if run.code is None else Metric.RUN_FAILED: 1}
    counts[Metric.MESSAGE_STORED] = run.counts.stored
    counts[Metric.MESSAGE_UNREADABLE] = run.counts.unreadable
    dimensions = {"provider": provider, "kind": str(run.reason)}
    count(counts, **dimensions, code=str(run.code) if run.code else "none")
    count_client_trouble(run.code, provider=provider)
    if run.reason is not RunReason.REPLAY:
        # Each with a dead letter; one that a replay could not read either is no news.
        count({Metric.MESSAGE_SET_ASIDE: run.counts.unreadable})
    if run.reason is RunReason.REPAIR:
        # It was missing, as it could be stored. Without a provider: an alarm watches one metric.
        count({Metric.MESSAGE_MISSED: run.counts.stored})
    record_duration(Metric.RUN_LASTED, seconds, **dimensions)


def log_send(
    before: SendStatus | None,
    after: Send | None,
    *,
    provider: str | None,
    code: ErrorCode | None,
    error: MailroomError | None,
    ids: Mapping[str, object],
    seconds: float,
) -> None:
    """Log what a try brought a mail to, and count it where that is an end; never to whom it is."""
    if before is None or after is None or provider is None:
        log_work(Work.SEND, outcome="dropped", ids=ids, seconds=seconds, code=code, error=error)
        return
    log_work(
        Work.SEND,
        outcome=after.status,
        ids=ids,
        seconds=seconds,
        provider=provider,
        code=code or after.code,
        error=error,
        counts=dict(Counter(str(one.status) for one in after.recipients)),
        reply=after.reply,
        attempt=after.attempt,
        looks=after.looks,
    )
    count_client_trouble(code, provider=provider)
    if after.code is ErrorCode.WORK_GIVEN_UP:
        count({Metric.SEND_GIVEN_UP: 1})
    if after.status is before:
        return
    match after.status:
        case SendStatus.SENT:
            count({Metric.SEND_SUCCEEDED: 1}, provider=provider)
        case SendStatus.FAILED:
            count({Metric.SEND_FAILED: 1}, provider=provider, code=str(after.code))
        case SendStatus.UNKNOWN:
            # Without a provider: an alarm watches one metric under one set of dimensions.
            count({Metric.SEND_UNKNOWN: 1})


def log_changes(
    provider: str | None,
    fates: Mapping[ChangeFate, int],
    *,
    code: ErrorCode | None,
    error: MailroomError | None,
    ids: Mapping[str, object],
    seconds: float,
) -> None:
    """Log what became of what was pending in a mailbox; nothing of which messages they were."""
    log_work(
        Work.CHANGES,
        outcome="done" if provider else "dropped",
        ids=ids,
        seconds=seconds,
        provider=provider,
        code=code,
        error=error,
        counts={str(fate): number for fate, number in fates.items() if number},
    )
    if provider is not None:
        count_client_trouble(code, provider=provider)


def log_plan(
    backfill: Backfill | None,
    *,
    error: MailroomError | None,
    ids: Mapping[str, object],
    seconds: float,
) -> None:
    """Log what planning a backfill came to; None where there was nothing to plan."""
    planned = None if error else backfill
    log_work(
        Work.PLAN,
        outcome="put_off" if error else planned.state if planned else "dropped",
        ids=ids,
        seconds=seconds,
        code=error.code if error else None,
        error=error,
        counts={"chunks": planned.chunks, "planned": planned.planned} if planned else None,
    )
    if planned:
        count({Metric.BACKFILL_PLANNED: 1})


def log_audit(
    kind: str,
    audit: Audit | None,
    *,
    provider: str | None,
    error: MailroomError | None,
    ids: Mapping[str, object],
    seconds: float,
) -> None:
    """Log what an audit found and count it: `MessageSuspected` is what its repair is to look at."""
    counts = None
    if audit is not None:
        counts = {name: getattr(audit, name) for name in _FIGURES_OF_AN_AUDIT}
    log_work(
        Work.AUDIT,
        outcome=kind,
        ids={**ids, "backfill_id": audit.repair_id if audit else None},
        seconds=seconds,
        provider=provider,
        code=error.code if error else None,
        error=error,
        counts=counts,
        since=min((window.since for window in audit.windows), default=None) if audit else None,
    )
    if error is not None:
        count({Metric.AUDIT_PUT_OFF: 1}, provider=provider or "", code=error.code)
    if audit is not None and provider is not None:
        found = {Metric.MESSAGE_SUSPECTED: audit.missing, Metric.MESSAGE_OUTLIVED: audit.extra}
        count({Metric.MAILBOX_AUDITED: 1, **found}, provider=provider)


def count_polls(polls: Sequence[Poll]) -> None:
    """Record what looks at mailboxes tell of all of them, as values: of those are percentiles.

    Each look is a value: what is so or not is 1 or 0, so that the sum is a count, the average a
    rate and the number the looks, or those of them that had to do with it. By provider, and over
    all of them: an alarm watches one set of dimensions and cannot sum over several.
    """
    for provider in sorted({poll.provider for poll in polls}):
        metrics = metrics_under(provider=provider)
        if metrics.service:
            metrics.add_dimensions(service=metrics.service)
        for poll in (one for one in polls if one.provider is provider):
            for metric, span in ((Metric.SYNC_AGE, poll.age), (Metric.SYNC_LATE, poll.late)):
                metrics.add_metric(metric, MetricUnit.Seconds, round(span.total_seconds()))
            for metric, is_so in (
                (Metric.POLL_FAILED, poll.failed),
                (Metric.MAILBOX_PARKED, poll.parked),
                (Metric.WATCH_FAILED, poll.watch_failed),
                (Metric.NEWS_UNTOLD, poll.untold),
            ):
                if is_so is not None:
                    metrics.add_metric(metric, MetricUnit.Count, is_so)
        metrics.flush_metrics()
