"""What is logged and counted, and under which names.

One log event per run with the same keys always. Subjects, addresses, bodies and what a server said
to a person never get here: an event takes ids, codes, counts and durations, and there is no free
text to put them in. Metrics have the dimensions `provider`, `code`, `kind` and no other: a
dimension with a mailbox id would be a metric, and a bill, per mailbox.
"""

import functools
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from shared.domain.audit import Audit
from shared.domain.backfill import Backfill
from shared.domain.change import ChangeFate
from shared.domain.erasure import Erasure
from shared.domain.errors import ErrorCode, MailroomError, StoreRefusedError
from shared.domain.ledger import Counts
from shared.domain.run import Run, RunReason
from shared.domain.sending import Send, SendStatus

MOST_OF_A_CAUSE = 500
_DEEPEST = 12
_CLIENT_TROUBLE = frozenset(
    {
        ErrorCode.CLIENT_REJECTED,
        ErrorCode.CLIENT_MISSING,
        ErrorCode.API_NOT_ENABLED,
        ErrorCode.DAILY_LIMIT_REACHED,
    }
)


class Metric(StrEnum):
    """Every metric there is, past tense."""

    RUN_SUCCEEDED = "RunSucceeded"
    RUN_FAILED = "RunFailed"
    RUN_LASTED = "RunLasted"
    MAILBOX_LOOKED_AT = "MailboxLookedAt"
    MAILBOX_QUEUED = "MailboxQueued"
    MAILBOX_CONNECTED = "MailboxConnected"
    MAILBOX_DISCONNECTED = "MailboxDisconnected"
    SIGN_IN_FAILED = "SignInFailed"
    ERASURE_REQUESTED = "ErasureRequested"
    ERASURE_DONE = "ErasureDone"
    MESSAGE_ERASED = "MessageErased"
    GRANT_NOT_REVOKED = "GrantNotRevoked"
    CLIENT_REJECTED = "ClientRejected"
    MESSAGE_STORED = "MessageStored"
    MESSAGE_UNREADABLE = "MessageUnreadable"
    MESSAGE_SET_ASIDE = "MessageSetAside"
    CHUNK_FINISHED = "ChunkFinished"
    CHUNK_RELEASED_AGAIN = "ChunkReleasedAgain"
    BACKFILL_PLANNED = "BackfillPlanned"
    MAILBOX_AUDITED = "MailboxAudited"
    AUDIT_PUT_OFF = "AuditPutOff"
    MESSAGE_SUSPECTED = "MessageSuspected"
    MESSAGE_MISSED = "MessageMissed"
    MESSAGE_OUTLIVED = "MessageOutlived"
    SEND_SUCCEEDED = "SendSucceeded"
    SEND_FAILED = "SendFailed"
    SEND_UNKNOWN = "SendUnknown"
    SEND_GIVEN_UP = "SendGivenUp"
    DEAD_LETTER_RECORDED = "DeadLetterRecorded"
    REQUEST_FAILED = "RequestFailed"
    RECORD_FAILED = "RecordFailed"
    STORE_REFUSED = "StoreRefused"


@functools.cache
def logger() -> Logger:
    """Return this process's logger: JSON lines; POWERTOOLS_SERVICE_NAME and LOG_LEVEL set it."""
    return Logger(utc=True)


def log_event(event: str, **facts: object) -> None:
    """Log one named event with ids, codes, counts and durations as its facts."""
    logger().info(event, extra={key: _plain(value) for key, value in facts.items()})


def log_trouble(event: str, error: BaseException, **facts: object) -> None:
    """Log a failure: its type, code and cause, and where it was raised.

    The only place that writes a cause down. An exception that is not ours may quote what it choked
    on (a password, a subject), so of those only the type and the places are kept. Whatever failed
    as our own store does not let us in is counted, for the alarm.
    """
    if isinstance(error, StoreRefusedError):
        count({Metric.STORE_REFUSED: 1})
    logger().error(
        event,
        extra={
            **{key: _plain(value) for key, value in facts.items()},
            "error": type(error).__name__,
            "code": str(error.code) if isinstance(error, MailroomError) else "internal",
            "cause": _cause(error)[:MOST_OF_A_CAUSE],
            "raised_at": _places(error),
        },
    )


def log_run(run: Run, *, provider: str) -> None:
    """Log one ended run and count it."""
    seconds = (run.ended_at - run.started_at).total_seconds()
    log_event(
        "run",
        tenant_id=run.tenant_id,
        mailbox_id=run.mailbox_id,
        provider=provider,
        run_id=run.id,
        backfill_id=run.backfill_id,
        reason=run.reason,
        outcome="succeeded" if run.code is None else "failed",
        code=run.code,
        duration_ms=round(seconds * 1000),
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


def log_erasure(event: str, erasure: Erasure) -> None:
    """Log where an erasure is: ids and counts, and not even the hash of an address."""
    log_event(
        event,
        tenant_id=erasure.tenant_id,
        mailbox_id=erasure.mailbox_id,
        erasure_id=erasure.id,
        kind=erasure.kind,
        state=erasure.state,
        counts=asdict(erasure.erased),
    )


def log_send(
    before: SendStatus | None,
    after: Send | None,
    *,
    provider: str | None,
    code: ErrorCode | None,
    **ids: object,
) -> None:
    """Log what a try brought a mail to, and count it where that is an end; never to whom it is."""
    if before is None or after is None or provider is None:
        log_event("send", outcome="dropped", code=code, **ids)
        return
    fates = Counter(str(one.status) for one in after.recipients)
    log_event(
        "send",
        outcome=after.status,
        code=code or after.code,
        reply=after.reply,
        provider=provider,
        attempt=after.attempt,
        looks=after.looks,
        recipients=dict(fates),
        **ids,
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
    **ids: object,
) -> None:
    """Log what became of what was pending in a mailbox; nothing of which messages they were."""
    if provider is None:
        log_event("changes", outcome="dropped", **ids)
        return
    told = {str(fate): number for fate, number in fates.items() if number}
    log_event("changes", outcome="done", fates=told, code=code, provider=provider, **ids)
    count_client_trouble(code, provider=provider)


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


def log_audit(audit: Audit, *, provider: str) -> None:
    """Log what an audit found and count it: `MessageSuspected` is what its repair is to look at."""
    log_event(
        "audited",
        tenant_id=audit.tenant_id,
        mailbox_id=audit.mailbox_id,
        provider=provider,
        backfill_id=audit.repair_id,
        since=min(window.since for window in audit.windows),
        listed=audit.listed,
        stored=audit.stored,
        ledgered=audit.ledgered,
        missing=audit.missing,
        extra=audit.extra,
        mended=audit.mended,
        under_way=audit.under_way,
        folders_left_out=audit.folders_left_out,
    )
    found = {Metric.MESSAGE_SUSPECTED: audit.missing, Metric.MESSAGE_OUTLIVED: audit.extra}
    count({Metric.MAILBOX_AUDITED: 1, **found}, provider=provider)


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


def count_client_trouble(code: ErrorCode | None, *, provider: str) -> None:
    """Count a failure that stops every mailbox of a provider until an operator acts.

    Apart from other failures: an alarm watches one metric under one set of dimensions.
    """
    if code in _CLIENT_TROUBLE:
        count({Metric.CLIENT_REJECTED: 1}, provider=provider)


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


def _places(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[-_DEEPEST:]
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]


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
                "moved": value.moved,
                "removed": value.removed,
                "contacts_made": value.contacts_made,
                "contacts_put_off": value.contacts_put_off,
            }
        case StrEnum():
            return str(value)
        case datetime():
            return value.isoformat()
        case _:
            return value


def _cause(error: BaseException) -> str:
    """Return our own cause, or the code of an AWS error; never a message, which may quote data."""
    if isinstance(error, MailroomError):
        return error.cause
    answer = getattr(error, "response", None)
    return str(answer.get("Error", {}).get("Code", "")) if isinstance(answer, dict) else ""
