"""Which requests for a sync run are followed by none: it is too early, too often, or too late."""

from datetime import datetime, timedelta

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.lease import LEASE_SECONDS
from shared.domain.mailbox import MailboxStatus
from shared.domain.pace import LONGEST_REST
from shared.domain.run import RunReason
from shared.domain.schedule import is_answered
from shared.ports.queues import SyncRequest, WorkQueues
from shared.ports.stores import MailboxRecord

ASKED_AGAIN_AFTER_SECONDS = 30
"""A word that came while a run was at work, of whatever length."""
_LONGEST_RUN = timedelta(seconds=LEASE_SECONDS)
_NOT_TO_BE_OVERRIDDEN = frozenset({ErrorCode.RATE_LIMITED, ErrorCode.LOOP_STOPPED})


def is_dropped(
    record: MailboxRecord,
    request: SyncRequest,
    asked_at: datetime | None,
    now: datetime,
    queues: WorkQueues,
) -> bool:
    """Whether nothing is done for a request, now or at all.

    `asked_at`: when the request was sent, where that is known.
    """
    if record.mailbox.status is not MailboxStatus.ACTIVE or _must_wait(record, request, now):
        return True
    if request.reason is RunReason.PUSH and _is_at_work(record, now):
        ask_again(request, queues)
        return True
    return _is_needless(record, request, asked_at, now)


def loop_of(record: MailboxRecord, most: int, now: datetime) -> RetryLaterError | None:
    """Return why a mailbox rests that had `most` runs in this hour; None: it does not."""
    until = record.run_state.worked.rests_until(now, most)
    if until is None:
        return None
    cause = f"{record.run_state.worked.times} runs in an hour"
    wait = (until - now).total_seconds()
    return RetryLaterError(ErrorCode.LOOP_STOPPED, cause=cause, retry_after_seconds=wait)


def ask_again(request: SyncRequest, queues: WorkQueues) -> None:
    """Put off a provider's word that meets a run at work.

    That run may have listed before what the word is about. A wish left to it would be lost where it
    ends, or dies, before it sees the wish, and where somebody waits for the run itself.
    """
    queues.send_syncs([request], delay_seconds=ASKED_AGAIN_AFTER_SECONDS)


def _must_wait(record: MailboxRecord, request: SyncRequest, now: datetime) -> bool:
    """Whether the mailbox is not to be touched yet.

    A person's wish overrides our own backoff, not the provider's, nor the rest after a loop. A
    provider's word overrides the rest of a quiet mailbox alone: not that which a quota needs after
    news.
    """
    state = record.run_state
    if state.not_before is None or state.not_before <= now:
        return False
    match request.reason:
        case RunReason.REQUESTED:
            error = record.mailbox.inbound_error
            return error is not None and error.code in _NOT_TO_BE_OVERRIDDEN
        case RunReason.PUSH:
            news_at = state.last_news_at
            has_just_run = news_at is not None and now - news_at < LONGEST_REST
            return bool(state.failures) or has_just_run
        case _:
            return True


def _is_needless(
    record: MailboxRecord, request: SyncRequest, asked_at: datetime | None, now: datetime
) -> bool:
    """Whether a wish is answered already, or the schedule's is by a run under way.

    So requests that pile up, behind a long queue or a long run, cost a read each and no login. A
    word is answered by a run that began after it, not by one that ended after it.
    """
    synced_at = record.run_state.last_synced_at
    match request.reason:
        case RunReason.SCHEDULE:
            is_behind = asked_at is not None and is_answered(asked_at, synced_at)
            return is_behind or _is_at_work(record, now)
        case RunReason.PUSH if not request.watch_ends and asked_at is not None:
            return is_answered(asked_at + _LONGEST_RUN, synced_at)
        case _:
            return False


def _is_at_work(record: MailboxRecord, now: datetime) -> bool:
    ends_at = record.run_state.lease_expires_at
    return ends_at is not None and ends_at > now
