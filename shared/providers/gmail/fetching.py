"""Decides how messages are fetched: raw, fifty to a request, what failed again one by one.

A part that failed says nothing about the others (T55): the rest of the batch is taken first. Why
raw, and not as parsed by Gmail, is measured in infra/decisions/0011-gmail-messages-come-raw.md.
"""

import itertools
from collections.abc import Iterator, Sequence

from shared.domain.errors import ErrorCode, MailroomError, RetryLaterError
from shared.domain.ids import ProviderMessageId
from shared.domain.message import FetchedMessage, MissingMessage
from shared.providers.gmail import batch, errors, message
from shared.providers.gmail.api import GmailApi

PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further try: Google asks for at least one, and for twice as much each time
(guides/handle-errors)."""
QUOTA_PAUSES = (*PAUSES, 16.0, 30.0)
"""Together they outlast the minute that quota is counted by."""
LONGEST_PAUSE_SECONDS = 30.0
"""A longer wish is the run's to obey: nothing is gained by holding a function meanwhile."""
_OK, _UNAUTHORIZED, _NOT_FOUND = 200, 401, 404


def fetch(
    api: GmailApi, ids: Sequence[ProviderMessageId]
) -> Iterator[FetchedMessage | MissingMessage]:
    """Yield each of `ids` once, as it comes, fetched or gone."""
    wanted = list(dict.fromkeys(ids))
    for at in range(0, len(wanted), batch.MOST_PARTS):
        yield from _fetch_together(api, wanted[at : at + batch.MOST_PARTS])


def _fetch_together(
    api: GmailApi, ids: Sequence[ProviderMessageId]
) -> Iterator[FetchedMessage | MissingMessage]:
    left: dict[ProviderMessageId, MailroomError | None] = dict.fromkeys(ids)
    for tries in itertools.count():
        try:
            with api.get_raw_together(ids) as parts:
                yield from _taken(parts, left)
            break
        except RetryLaterError as failure:
            if not errors.is_passing(failure) or len(left) < len(ids):
                raise
            _pause(api, failure, tries)
    for name, reason in left.items():
        yield _fetch_alone(api, name, reason)


def _taken(
    parts: Iterator[batch.Part], left: dict[ProviderMessageId, MailroomError | None]
) -> Iterator[FetchedMessage | MissingMessage]:
    """Yield what came, once each whatever the answer repeats or makes up, and note what did not."""
    for part in parts:
        if part.status != _OK and not part.asked:
            continue  # of whom it is about nothing is known: asked for alone it is told
        outcome = _outcome(part)
        if isinstance(outcome, FetchedMessage | MissingMessage):
            if outcome.provider_message_id in left:
                del left[outcome.provider_message_id]
                yield outcome
        elif part.asked in left:
            left[ProviderMessageId(part.asked)] = outcome


def _fetch_alone(
    api: GmailApi, name: ProviderMessageId, reason: MailroomError | None
) -> FetchedMessage | MissingMessage:
    """Ask for one message again and again; raises what it failed of in the end."""
    for tries in itertools.count():
        if reason is not None:
            _pause(api, reason, tries)
        outcome = _outcome(api.get_raw(name))
        if isinstance(outcome, FetchedMessage) and outcome.provider_message_id != name:
            raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="another message came")
        if isinstance(outcome, FetchedMessage | MissingMessage):
            return outcome
        reason = outcome
    raise AssertionError("counting has no end")


def _outcome(part: batch.Part) -> FetchedMessage | MissingMessage | MailroomError:
    """Return what a part is, or an error that may pass; raises one that will not."""
    if part.status == _NOT_FOUND and part.asked:
        return MissingMessage(ProviderMessageId(part.asked), "gone")
    if part.status == _OK:
        try:
            return message.read(part.body)
        except RetryLaterError as error:
            return error
    refusal = errors.from_api(part.status, part.headers, bytes(part.body))
    if part.status == _UNAUTHORIZED or errors.is_passing(refusal):
        return refusal
    raise refusal


def _pause(api: GmailApi, error: MailroomError, tries: int) -> None:
    """Wait before a further try, as long as Google wishes; raise `error` where it is no use."""
    pauses = QUOTA_PAUSES if error.code is ErrorCode.RATE_LIMITED else PAUSES
    if tries >= len(pauses):
        raise error
    wish = error.retry_after_seconds if isinstance(error, RetryLaterError) else None
    pause = max(pauses[tries], wish or 0.0)
    if pause > LONGEST_PAUSE_SECONDS or pause >= api.seconds_left:
        raise error
    api.wait(pause)
