"""Which turn a send takes after what happened to it: sent, waiting, failed, unknown.

Every function gets a send that a worker has, and returns what that worker writes. A mail that may
have been taken is never handed over again unless its provider says that it was not.

While a mail is handed over, those waiting who may get it have no code. Once their worker could say
so, it is `outcome_unknown`; those who certainly do not get it have the code of what they wait for.
So whoever finds it in doubt knows whose the doubt is, and how far that worker came.
"""

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain.errors import (
    Acts,
    ConfigurationError,
    ErrorCode,
    MailroomError,
    OutcomeUnknownError,
    RequestError,
    RetryLaterError,
    SendRefusedError,
)
from shared.domain.explanations import explain
from shared.domain.failure import RetryAt, backoff_seconds, decide
from shared.domain.sending import (
    ENDED,
    Recipient,
    RecipientStatus,
    Send,
    SendStatus,
    with_outcome,
)

GIVEN_UP_AFTER = timedelta(hours=24)
"""So long after its time a mail is no longer tried, nor looked for, nor filed."""
LOOKED_FOR_AGAIN_AFTER = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60))
"""After each look that showed nothing; after one more it stays unknown."""
WORK_RETRIED_AFTER = timedelta(hours=1)
"""After its workers failed for good: by then somebody may have mended what they failed of."""
PUT_OFF_AFTER_A_DOUBT = timedelta(minutes=5)
"""Until a mail is tried again for those who were put off when others came into doubt."""
DEATHS_BORNE = 5
"""After so many workers in a row died of it, it is given up, first for that hour."""

_WAITING, _ACCEPTED = RecipientStatus.WAITING, RecipientStatus.ACCEPTED
_REFUSED, _UNKNOWN = RecipientStatus.REFUSED, RecipientStatus.UNKNOWN


def handing_over(send: Send, *, now: datetime) -> Send:
    """Return it as written just before the step that cannot be taken back."""
    nothing_yet = dict.fromkeys(send.waiting, (_WAITING, None))
    return replace(with_outcome(send, nothing_yet), handed_over_at=now, looks=0)


def not_handed_over(send: Send) -> Send:
    """Return it after it is certain that this step was not taken: it may be, once more."""
    return replace(send, status=SendStatus.SENDING, handed_over_at=None)


def after_sending(
    send: Send, refused: Mapping[str, MailroomError], *, now: datetime, rng: random.Random
) -> Send:
    """Return it after its provider took it for all who waited, but those in `refused`.

    Who is refused for now waits on, alone.
    """
    taken_for = {one: (_ACCEPTED, None) for one in send.waiting if one not in refused}
    after = with_outcome(_refused(send, refused), taken_for)
    return _sent(after, now=now, rng=rng, ends_at=send.attempt_ends_at)


def found_sent(send: Send, *, names_each: bool, now: datetime, rng: random.Random) -> Send:
    """Return it after a mail in doubt was found to be sent.

    `names_each`: its provider takes a mail for some and refuses it for others. Where nobody lived
    to tell for whom, of several, it says so of each.
    """
    dark = _in_the_dark(send)
    is_certain = not names_each or len(dark) == 1 or dark[0].code is not None
    fate = (_ACCEPTED, None) if is_certain else (_UNKNOWN, ErrorCode.OUTCOME_UNKNOWN)
    after = with_outcome(send, {one.address: fate for one in dark})
    return _sent(after, now=now, rng=rng, ends_at=send.attempt_ends_at)


def after_failure(send: Send, error: MailroomError, *, now: datetime, rng: random.Random) -> Send:
    """Return it after `error` stood in the way of what was to be done for it.

    What that was is told by the send: discarding a draft, looking for it, filing it, or sending it,
    which nobody has got in this try then.
    """
    if send.status in {SendStatus.FAILED, SendStatus.CANCELLED}:
        return _discarded_later(send, error, now=now, rng=rng)
    if send.in_doubt:
        return _looked_for_later(send, error, now=now, rng=rng)
    if send.status in {SendStatus.SENT, SendStatus.QUEUED}:
        return _filed_later(send, error, now=now, rng=rng)
    if isinstance(error, SendRefusedError):
        send = replace(send, reply=error.reply or send.reply)
    if isinstance(error, SendRefusedError | RetryLaterError):
        send = _refused(send, error.refused)
    if not _time_mends(error):
        return _nobody_waits(send, error.code)
    return _tried_again(send, error, now=now, rng=rng)


def in_doubt(send: Send, error: OutcomeUnknownError, *, look_at: datetime) -> Send:
    """Return it after the step that cannot be taken back, without a word of how that went.

    It is looked for at `look_at`. Where somebody got it, or may have, in an earlier try, nothing
    that may be found tells the two apart: for those of this try it stays unknown.
    """
    after = _refused(send, error.refused)
    told = {one.address: (_WAITING, error.code) for one in _in_the_dark(after)}
    after = with_outcome(after, told)
    if send.has_gone:
        return stays_unknown(after, now=look_at)
    return _idle(after, status=SendStatus.UNKNOWN, code=error.code, next_try_at=look_at)


def looked_for_at(send: Send, at: datetime) -> Send:
    """Return it where it is too early to look for it: as if its worker had died only then."""
    return replace(send, attempt_ends_at=at, deaths=send.deaths - 1)


def unseen(send: Send, *, now: datetime) -> Send:
    """Return it after a look that showed nothing of it."""
    code = ErrorCode.OUTCOME_UNKNOWN
    looked = replace(send, status=SendStatus.UNKNOWN, code=code, looks=send.looks + 1)
    if send.looks < len(LOOKED_FOR_AGAIN_AFTER):
        return _idle(looked, next_try_at=now + LOOKED_FOR_AGAIN_AFTER[send.looks])
    return stays_unknown(looked, now=now)


def stays_unknown(
    send: Send, code: ErrorCode = ErrorCode.OUTCOME_UNKNOWN, *, now: datetime
) -> Send:
    """Return it after nobody looks for it any more.

    Those who were put off certainly did not get it, and are tried on, alone.
    """
    fate = (_UNKNOWN, ErrorCode.OUTCOME_UNKNOWN)
    after = with_outcome(send, {one.address: fate for one in _in_the_dark(send)})
    after = replace(after, handed_over_at=None)
    if not after.waiting:
        ended = _settled(after)
        return replace(ended, code=code) if ended.status is SendStatus.UNKNOWN else ended
    put_off = next(one.code for one in after.recipients if one.status is _WAITING)
    return _waits(after, put_off, now + PUT_OFF_AFTER_A_DOUBT, now=now, failures=send.failures + 1)


def filed(send: Send, *, now: datetime) -> Send:
    """Return it after all that follows sending was done; for who still waits it comes up again."""
    code = None if send.status is SendStatus.SENT else send.code
    filed_at = send.filed_at or now
    return replace(send, filed_at=filed_at, code=code, attempt_ends_at=None, deaths=0)


def discarded(send: Send) -> Send:
    """Return it after nothing of it lies ready any more."""
    return _idle(send, draft=None)


def given_up(send: Send, *, now: datetime) -> Send:
    """Return it after its workers failed for good, of what nobody foresaw.

    It is tried, or looked for, again within the hour, and for a day: a mend lets it go its way.
    Until then one more death is enough to put it off for another.
    """
    code, again = ErrorCode.WORK_GIVEN_UP, now + WORK_RETRIED_AFTER
    deaths = min(send.deaths, DEATHS_BORNE - 1)
    if send.status is SendStatus.SENT:
        return replace(_filed_again(send, code, again, now=now), deaths=deaths)
    if send.status in ENDED:
        return discarded(send)
    if send.in_doubt:
        at = _in_time(again, _handed_over(send), now=now)
        if at is None:
            return stays_unknown(send, code, now=now)
        return _idle(send, status=SendStatus.UNKNOWN, code=code, next_try_at=at, deaths=deaths)
    at = _in_time(again, send.due_at, now=now)
    if at is None:
        return _nobody_waits(send, code)
    return _idle(send, status=SendStatus.QUEUED, code=code, next_try_at=at, deaths=deaths)


# ---- ways to go on ----


def _sent(send: Send, *, now: datetime, rng: random.Random, ends_at: datetime | None) -> Send:
    """Return it after a try that somebody may have got, `recipients` saying who."""
    somebody = any(one.status in {_ACCEPTED, _UNKNOWN} for one in send.recipients)
    sent_at = (send.sent_at or send.handed_over_at or now) if somebody else None
    accepted_at = (send.accepted_at or now) if somebody else None
    after = replace(send, sent_at=sent_at, handed_over_at=None, looks=0, code=None, failures=0)
    after = replace(after, accepted_at=accepted_at)
    if not after.waiting:
        after = _settled(after)
    else:
        code = next(one.code for one in after.recipients if one.status is _WAITING)
        at = now + timedelta(seconds=backoff_seconds(send.failures, rng))
        after = _waits(after, code, at, now=now, failures=send.failures + 1)
    # Once somebody got it more follows, and until that is done its worker still has it.
    return after if sent_at is None else replace(after, attempt_ends_at=ends_at)


def _tried_again(send: Send, error: MailroomError, *, now: datetime, rng: random.Random) -> Send:
    at = _retry_at(send, error, now=now, rng=rng)
    if at is None:
        return _nobody_waits(send, error.code)
    return _waits(send, error.code, at, now=now, failures=send.failures + 1)


def _waits(
    send: Send, code: ErrorCode | None, at: datetime, *, now: datetime, failures: int
) -> Send:
    again = _in_time(at, send.due_at, now=now)
    if again is None:
        return _nobody_waits(send, ErrorCode.NOT_SENT_IN_TIME)
    return _idle(
        send,
        status=SendStatus.QUEUED,
        handed_over_at=None,
        next_try_at=again,
        failures=failures,
        code=code,
    )


def _looked_for_later(
    send: Send, error: MailroomError, *, now: datetime, rng: random.Random
) -> Send:
    """A provider that cannot be asked shows nothing, and that is no look."""
    at = _in_time(_again_at(send, error, now=now, rng=rng), _handed_over(send), now=now)
    if at is None:
        return stays_unknown(send, now=now)
    return _idle(
        send,
        status=SendStatus.UNKNOWN,
        code=ErrorCode.OUTCOME_UNKNOWN,
        next_try_at=at,
        failures=send.failures + 1,
    )


def _filed_later(send: Send, error: MailroomError, *, now: datetime, rng: random.Random) -> Send:
    if send.waiting:
        # Filed when it comes up for them.
        return replace(send, attempt_ends_at=None, deaths=0)
    at = _again_at(send, error, now=now, rng=rng)
    again = _filed_again(send, error.code, at, now=now)
    return replace(again, failures=send.failures + 1)


def _filed_again(send: Send, code: ErrorCode, at: datetime, *, now: datetime) -> Send:
    """Return it after it could not be filed, for `code`: until its day is over, or with that."""
    again = _in_time(at, send.sent_at or send.due_at, now=now)
    filed_at = now if again is None else None
    return _idle(send, code=code, next_try_at=again, filed_at=filed_at)


def _discarded_later(
    send: Send, error: MailroomError, *, now: datetime, rng: random.Random
) -> Send:
    at = _retry_at(send, error, now=now, rng=rng)
    at = None if at is None else _in_time(at, send.due_at, now=now)
    if at is None:
        return discarded(send)
    return _idle(send, next_try_at=at, failures=send.failures + 1)


def _nobody_waits(send: Send, code: ErrorCode) -> Send:
    left = dict.fromkeys(send.waiting, (_REFUSED, code))
    return _settled(replace(with_outcome(send, left), handed_over_at=None, code=code))


def _settled(send: Send) -> Send:
    """Return what nobody waits for any more: sent if somebody got it, else unknown or failed."""
    if send.sent_at is not None:
        return _idle(send, status=SendStatus.SENT, code=None)
    if send.has_gone:
        return _idle(send, status=SendStatus.UNKNOWN, code=ErrorCode.OUTCOME_UNKNOWN)
    codes = [one.code for one in send.recipients if one.code is not None]
    # What lies ready is discarded when it comes up once more.
    again = send.due_at if send.draft is not None else None
    return _idle(send, status=SendStatus.FAILED, code=send.code or codes[0], next_try_at=again)


def _idle(send: Send, **changes: object) -> Send:
    """Return it as nobody has it, and as whoever had it lives."""
    idle = {"attempt_ends_at": None, "next_try_at": None, "deaths": 0}
    return replace(send, **{**idle, **changes})  # type: ignore[arg-type]


def _refused(send: Send, refused: Mapping[str, MailroomError]) -> Send:
    """Return it after some were refused: those waiting who may be asked again still wait."""
    waiting = set(send.waiting)
    fates = {
        address: (_WAITING if isinstance(error, RetryLaterError) else _REFUSED, error.code)
        for address, error in refused.items()
        if address in waiting
    }
    replies = [one.reply for one in refused.values() if isinstance(one, SendRefusedError)]
    reply = next((one for one in replies if one), send.reply)
    return replace(with_outcome(send, fates), reply=reply)


def _in_the_dark(send: Send) -> list[Recipient]:
    """Return those of a mail in doubt whom it may have reached."""
    dark = {None, ErrorCode.OUTCOME_UNKNOWN}
    return [one for one in send.recipients if one.status is _WAITING and one.code in dark]


def _handed_over(send: Send) -> datetime:
    return send.handed_over_at or send.due_at


# ---- errors ----


def _time_mends(error: MailroomError) -> bool:
    """Whether another try may meet something else without the writer's doing anything."""
    match error:
        case SendRefusedError() | RequestError():
            return False
        case ConfigurationError():
            # The operator mends it for every mailbox at once; all else is somebody's who reads it.
            return explain(error.code).acts is Acts.OPERATOR
        case _:
            return True


def _again_at(send: Send, error: MailroomError, *, now: datetime, rng: random.Random) -> datetime:
    """Return when to try again what a mail that left still needs, also from a person's mend."""
    return _retry_at(send, error, now=now, rng=rng) or now + WORK_RETRIED_AFTER


def _retry_at(
    send: Send, error: MailroomError, *, now: datetime, rng: random.Random
) -> datetime | None:
    """Return when to try again, or None where only a person can go on."""
    if not _time_mends(error):
        return None
    same = send.failures if send.code is error.code else 0
    decision = decide(error, failures_before=send.failures, same_before=same, now=now, rng=rng)
    return decision.at if isinstance(decision, RetryAt) else None


def _in_time(at: datetime, since: datetime, *, now: datetime) -> datetime | None:
    """Return `at`, or the end of its day where that comes first; None after that."""
    until = since + GIVEN_UP_AFTER
    return min(at, until) if now < until else None
