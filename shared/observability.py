"""What is logged and counted, and under which names.

Runs are in `observability_of_runs`: one event each, with the same keys always. Subjects, addresses,
bodies and what a server said to a person never get here: an event takes ids, codes, counts and
durations, and there is no free text to put them in. Metrics have the dimensions `provider`, `code`,
`kind` and no other: a dimension with a mailbox id would be a metric, and a bill, per mailbox. What
each mailbox does is asked of the lines, by infra/queries.yaml.
"""

import functools
import json
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from shared.domain.erasure import Erasure
from shared.domain.errors import ErrorCode, MailroomError, StoreRefusedError
from shared.domain.ledger import Counts

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
    """Every metric there is. What is counted is told in the past tense."""

    RUN_SUCCEEDED = "RunSucceeded"
    RUN_FAILED = "RunFailed"
    RUN_LASTED = "RunLasted"
    LOOP_STOPPED = "LoopStopped"
    SYNC_AGE = "SyncAge"
    SYNC_LATE = "SyncLate"
    POLL_FAILED = "PollFailed"
    MAILBOX_PARKED = "MailboxParked"
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
    PUSH_HEARD = "PushHeard"
    PUSH_REFUSED = "PushRefused"
    NEWS_UNTOLD = "NewsUntold"
    WATCH_FAILED = "WatchFailed"
    STORE_REFUSED = "StoreRefused"
    LOGIN_MOVED = "LoginMoved"
    EVENT_PUBLISHED = "EventPublished"


RUN = "run"
"""The event that a worker's run ends with."""
RUN_KEYS = (
    *("work", "tenant_id", "mailbox_id", "provider", "reason", "outcome", "code", "duration_ms"),
    *("run_id", "backfill_id", "chunk", "send_id", "erasure_id", "message_id"),
    *("counts", "details", "error", "cause", "raised_at"),
)
"""What each such line has, null where there is nothing to tell: one query asks for all work."""


@functools.cache
def logger() -> Logger:
    """Return this process's logger: JSON lines; POWERTOOLS_SERVICE_NAME and LOG_LEVEL set it."""
    return Logger(utc=True, json_serializer=_line)


def log_event(event: str, **facts: object) -> None:
    """Log one named event with ids, codes, counts and durations as its facts."""
    logger().info(event, extra={key: plain(value) for key, value in facts.items()})


def log_trouble(event: str, error: BaseException, **facts: object) -> None:
    """Log a failure that is no run's: its type, code and cause, and where it was raised."""
    logger().error(
        event, extra={**{key: plain(value) for key, value in facts.items()}, **trouble_of(error)}
    )


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


def count(
    counts: Mapping[Metric, int], *, provider: str = "", code: str = "", kind: str = ""
) -> None:
    """Add to counters; those that are 0 are left out, and nothing is written when none remains."""
    if any(counts.values()):
        metrics = metrics_under(provider=provider, code=code, kind=kind)
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
    metrics = metrics_under(provider=provider, kind=kind)
    metrics.add_metric(metric, MetricUnit.Milliseconds, round(seconds * 1000))
    metrics.flush_metrics()


def metrics_under(**dimensions: str) -> EphemeralMetrics:
    """Return metrics to be filled and flushed, under the service and these dimensions."""
    # Ephemeral: the ordinary Metrics keeps its sums in the class, and a batch is run by many
    # threads at once.
    metrics = EphemeralMetrics()
    for name, value in dimensions.items():
        if value:
            metrics.add_dimension(name, value)
    return metrics


def _line(log: dict[str, Any]) -> str:
    """Write a line; one of a run with all its keys, as Powertools leaves out what is None."""
    absent = dict.fromkeys(RUN_KEYS) if log.get("message") == RUN else {}
    return json.dumps(absent | log, default=str, separators=(",", ":"), ensure_ascii=False)


def trouble_of(error: BaseException) -> dict[str, object]:
    """Return what is logged of a failure, and count it where our own store refused us.

    The only place that writes a cause down. An exception that is not ours may quote what it choked
    on (a password, a subject), so of those only the type and the places are kept.
    """
    if isinstance(error, StoreRefusedError):
        count({Metric.STORE_REFUSED: 1})
    return {
        "error": type(error).__name__,
        "code": str(error.code) if isinstance(error, MailroomError) else "internal",
        "cause": _cause(error)[:MOST_OF_A_CAUSE],
        "raised_at": _places(error),
    }


def _places(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[-_DEEPEST:]
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]


def plain(value: object) -> Any:
    """Return a value as a log line has it."""
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
