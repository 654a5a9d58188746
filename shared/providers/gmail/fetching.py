"""Decides how messages are fetched: raw, fifty to a request, what failed again one by one.

Where only headers are wanted they come in the same way, and cost the same units: it is bytes, and
content that is not kept, that are spared.

A part that failed says nothing about the others (T55): the rest of the batch is taken first. One
that Gmail fails on again and again while it hands over others is named `failing`, so that it holds
up nothing; where nothing comes at all it is Gmail that fails, and that is raised. Why raw, and not
as parsed by Gmail, is measured in infra/decisions/0011-gmail-messages-come-raw.md.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from shared.domain.errors import (
    ErrorCode,
    MailroomError,
    RetryLaterError,
    UnreadableMessageError,
)
from shared.domain.ids import ProviderMessageId
from shared.domain.message import FetchedMessage, MissingMessage
from shared.providers.gmail import batch, errors, headers, message
from shared.providers.gmail.api import HEADERS, RAW, Form, GmailApi
from shared.providers.gmail.patience import pause, pauses_of

FEW = 3
"""So many that fail alike, and nothing that comes: it is not the messages."""
_OK, _UNAUTHORIZED, _NOT_FOUND = 200, 401, 404
_BROKEN_OFF = frozenset({ErrorCode.CONNECTION_DROPPED, ErrorCode.ANSWER_NOT_UNDERSTOOD})
"""How an answer ends amid a message that cannot be handed over."""
_OF_THE_MESSAGE = _BROKEN_OFF | {ErrorCode.PROVIDER_UNAVAILABLE}
"""What may be the trouble of one message: none of it is said of a quota, a token or a grant."""

_Left = dict[ProviderMessageId, MailroomError | None]
"""What has not come yet, each with what it failed of last."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What of a message is fetched, and how that is read."""

    form: Form
    read: Callable[[bytes | bytearray | memoryview], FetchedMessage]


WHOLE = Kind(RAW, message.read)
ONLY_HEADERS = Kind(HEADERS, headers.read)


@dataclass
class Fetching:
    """The fetching of one session. Not thread-safe."""

    api: GmailApi
    kind: Kind = WHOLE
    _something_came: bool = False
    """During this session: Gmail does hand over messages."""

    def fetch(self, ids: Sequence[ProviderMessageId]) -> Iterator[FetchedMessage | MissingMessage]:
        """Yield each of `ids` once, as it comes, fetched, gone or failing."""
        wanted = list(dict.fromkeys(ids))
        for at in range(0, len(wanted), batch.MOST_PARTS):
            yield from self._fetch_batch(wanted[at : at + batch.MOST_PARTS])

    def raw_of(self, name: ProviderMessageId) -> bytes:
        """Return a message as it is at Gmail; raises `UnreadableMessageError` where it is gone."""
        with self.api.room:
            outcome = self._ask_for(name)
        if isinstance(outcome, MailroomError):
            raise outcome
        if isinstance(outcome, MissingMessage) or outcome.raw is None:
            raise UnreadableMessageError(ErrorCode.MESSAGE_GONE, cause="no message is there")
        return outcome.raw

    def _fetch_batch(
        self, ids: Sequence[ProviderMessageId]
    ) -> Iterator[FetchedMessage | MissingMessage]:
        left: _Left = dict.fromkeys(ids)
        for one in self._together(ids, left):
            self._something_came |= isinstance(one, FetchedMessage)
            yield one
            del one  # not to be held while the next one is read
        for tries in itertools.count():
            # Before an outage others came as well: that of a whole batch nothing came is its sign.
            is_working = self._something_came and (len(left) < len(ids) or len(ids) <= FEW)
            for name, reason in list(left.items()):
                if reason is None or tries < len(pauses_of(reason)):
                    continue
                if reason.code not in _OF_THE_MESSAGE or not is_working:
                    raise reason
                del left[name]
                yield MissingMessage(name, "failing")
            if not left:
                return
            self._pause_for(left, tries)
            for one in self._alone(left, anything_came=len(left) < len(ids)):
                self._something_came |= isinstance(one, FetchedMessage)
                yield one
                del one

    def _together(
        self, ids: Sequence[ProviderMessageId], left: _Left
    ) -> Iterator[FetchedMessage | MissingMessage]:
        """Yield what a batch brings; what it does not is asked for alone."""
        for tries in itertools.count():
            try:
                with self.api.get_together(ids, self.kind.form) as parts:
                    yield from self._taken(parts, left)
                return
            except RetryLaterError as failure:
                is_passing = errors.is_passing(failure) and len(left) == len(ids)
                if is_passing and tries < len(pauses_of(failure)):
                    pause(self.api, failure, tries)
                elif failure.code in _OF_THE_MESSAGE:
                    return  # one message may be what a whole batch fails of
                else:
                    raise

    def _alone(
        self, left: _Left, *, anything_came: bool
    ) -> Iterator[FetchedMessage | MissingMessage]:
        """Ask once for each that is left; fewer where nothing comes at all."""
        failed = 0
        for name in list(left):
            with self.api.room:
                outcome = self._ask_for(name)
                if isinstance(outcome, FetchedMessage | MissingMessage):
                    anything_came = True
                    del left[name]
                    yield outcome
                    del outcome
                    continue
            left[name] = outcome
            failed += 1
            if outcome.code not in _OF_THE_MESSAGE or (failed >= FEW and not anything_came):
                return

    def _ask_for(self, name: ProviderMessageId) -> FetchedMessage | MissingMessage | MailroomError:
        try:
            outcome = self._outcome(self.api.get_message(name, self.kind.form))
        except RetryLaterError as error:
            if error.code not in _BROKEN_OFF:
                raise
            return error
        if isinstance(outcome, FetchedMessage) and outcome.provider_message_id != name:
            return RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="another message came")
        return outcome

    def _pause_for(self, left: _Left, tries: int) -> None:
        """Wait as long as the one that wishes to wait longest; raises where that is too long."""
        reasons = [one for one in left.values() if one is not None]
        if reasons:
            pause(self.api, max(reasons, key=_wish), tries)

    def _taken(self, parts: Iterator[batch.Part], left: _Left) -> Iterator[FetchedMessage]:
        """Yield what came, once each whatever an answer repeats or makes up; note what did not."""
        for part in parts:
            if part.status != _OK and not part.asked:
                continue  # of whom it is about nothing is known: asked for alone it is told
            asked, outcome = part.asked, self._outcome(part)
            del part
            if isinstance(outcome, MissingMessage):
                continue  # what was just listed is asked for alone before it is taken for gone
            if isinstance(outcome, FetchedMessage):
                if outcome.provider_message_id in left:
                    del left[outcome.provider_message_id]
                    yield outcome
            elif asked in left:
                left[ProviderMessageId(asked)] = outcome
            del outcome

    def _outcome(self, part: batch.Part) -> FetchedMessage | MissingMessage | MailroomError:
        """Return what a part is, or an error that may be the message's or pass; raises others."""
        if part.status == _NOT_FOUND and part.asked:
            return MissingMessage(ProviderMessageId(part.asked), "gone")
        if part.status == _OK:
            try:
                return self.kind.read(part.body)
            except RetryLaterError as error:
                return error
        refusal = errors.from_api(part.status, part.headers, bytes(part.body))
        if (
            part.status == _UNAUTHORIZED
            or errors.is_passing(refusal)
            or refusal.code in _OF_THE_MESSAGE
        ):
            return refusal
        raise refusal


def _wish(error: MailroomError) -> tuple[bool, float]:
    named = error.retry_after_seconds if isinstance(error, RetryLaterError) else None
    return error.code is ErrorCode.RATE_LIMITED, named or 0.0
