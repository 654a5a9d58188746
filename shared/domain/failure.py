"""What a failed run does next: stop, retry, compare again, or give up the turn."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.errors import (
    Acts,
    ConfigurationError,
    ConflictError,
    CursorExpiredError,
    ErrorCode,
    MailroomError,
    ReconnectRequiredError,
    RetryLaterError,
)
from shared.domain.explanations import explain

FIRST_DELAY_SECONDS = 60.0
LONGEST_DELAY_SECONDS = 900.0
"""What was away for an hour or two is found back within a quarter of an hour, and not an hour."""
PATIENT_AFTER = 30
PATIENT_DELAY_SECONDS = 3600.0
"""After so many failures, some five hours, it is asked less often: a try may take its timeout."""
CONFIGURATION_DELAY_SECONDS = 3600.0
OPERATOR_DELAY_SECONDS = 600.0
"""What the operator mends is mended for every mailbox at once, and they should go on soon after."""
MESSAGE_DELAY_SECONDS = 300.0
GIVEN_UP_AFTER = 6
"""So many runs in a row that a message was not handed over: half an hour."""
LONGEST_WISH_SECONDS = 86_400.0
"""A provider's Retry-After is obeyed up to a day; beyond that we look again ourselves."""
DOUBTFUL_LOGIN_FAILURES = 5
"""So many refusals in a row turn a doubtful login answer into a definitive one."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Park the mailbox as `reconnect_required`; only a person can go on."""

    code: ErrorCode


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Keep the mailbox active and do not touch it before `at`."""

    at: datetime
    code: ErrorCode


@dataclass(frozen=True, slots=True)
class Rebaseline:
    """List the folder again and compare."""

    code: ErrorCode


@dataclass(frozen=True, slots=True)
class Drop:
    """Another worker is doing it; say nothing."""


Decision = Stop | RetryAt | Rebaseline | Drop


def decide(
    error: MailroomError,
    *,
    failures_before: int,
    now: datetime,
    rng: random.Random,
    same_before: int = 0,
) -> Decision:
    """Decide what follows `error`.

    `failures_before`: consecutive failed runs before this one, `same_before`: those of them that
    ended with this code. A failure is never parked on a doubt: only a definitive refusal, or the
    fifth one with the same doubt in a row, stops a mailbox.
    """
    match error:
        case ConflictError():
            return Drop()
        case CursorExpiredError():
            return Rebaseline(error.code)
        case ReconnectRequiredError(definitive=True):
            return Stop(error.code)
        case ReconnectRequiredError():
            if same_before + 1 >= DOUBTFUL_LOGIN_FAILURES:
                return Stop(error.code)
            delay = backoff_seconds(failures_before, rng)
        case ConfigurationError():
            ours = explain(error.code).acts is Acts.OPERATOR
            delay = OPERATOR_DELAY_SECONDS if ours else CONFIGURATION_DELAY_SECONDS
            delay *= rng.uniform(1.0, 1.2)
        case RetryLaterError(code=ErrorCode.MESSAGE_UNAVAILABLE):
            # New mail waits behind it, so that it is given up within the hour.
            delay = MESSAGE_DELAY_SECONDS
        case RetryLaterError(retry_after_seconds=float() | int() as wish):
            delay = min(wish, LONGEST_WISH_SECONDS) + rng.uniform(0.0, 5.0)
        case _:
            delay = backoff_seconds(failures_before, rng)
    return RetryAt(now + timedelta(seconds=delay), error.code)


def backoff_seconds(failures_before: int, rng: random.Random) -> float:
    """Return an exponential delay in seconds.

    Jitter over its upper half keeps a recovered host from being stormed.
    """
    is_long = failures_before >= PATIENT_AFTER
    longest = PATIENT_DELAY_SECONDS if is_long else LONGEST_DELAY_SECONDS
    ceiling = min(FIRST_DELAY_SECONDS * 2.0 ** min(failures_before, 10), longest)
    return float(ceiling * rng.uniform(0.5, 1.0))
