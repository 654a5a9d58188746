"""In which order a message that is given up becomes a dead letter, so that none is lost in silence.

1. the letter, fenced: whoever dies from here on leaves it behind
2. the raw message, as far as it can be had and names nobody whose mail was erased; why not is
   noted, and only our own store not taking it ends the run, which is tried again
3. only then is the message settled by the caller: no cursor passes one that has no letter

A run that dies in between meets the message again, and notes the same letter.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.addresses import WrittenAddresses
from shared.domain.dead_letter import (
    MOST_RAW_BYTES,
    DeadLetter,
    LetterKind,
    message_letter_id,
)
from shared.domain.erasure import KeptOut
from shared.domain.errors import (
    ErrorCode,
    MailroomError,
    StoreRefusedError,
    StoreThrottledError,
    UnreadableMessageError,
)
from shared.domain.folders import Folder
from shared.domain.ids import Address, ProviderMessageId, RunId
from shared.domain.lease import Fence
from shared.domain.message import FetchedMessage
from shared.ports.dead_letters import DeadLetterStore
from shared.ports.provider import MessageSource

RAW_TRIES = 3
"""So often a raw message is asked for that could not be had; one that killed its reader, once."""
RAW_LASTS = timedelta(seconds=30)
"""What reading one may take of a run; and looking through it for whose mail is kept out."""
LEAST_SECONDS = 30.0
"""With less time left nothing is read that no run depends on."""
_SLICE_BYTES = 1 << 17


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetters:
    """Notes what one run gives up."""

    fence: Fence
    run_id: RunId
    session: MessageSource
    letters: DeadLetterStore
    now: Callable[[], datetime]
    remaining_seconds: Callable[[], float]
    kept_out: Callable[[], KeptOut]
    """Reads whose mail the tenant does not store; asked where there is something to keep."""

    def give_up(
        self,
        folder: Folder,
        name: ProviderMessageId,
        code: ErrorCode,
        fetched: FetchedMessage | None = None,
        *,
        keeps_raw: bool = True,
    ) -> None:
        """Note the letter of a message, and keep its raw bytes if they may be and that can be done.

        Raises what a store raises of the letter itself; of the raw message only what says that the
        store does not take it now: what is fetched now may not be had again.
        """
        now = self.now()
        letter = DeadLetter(
            tenant_id=self.fence.tenant_id,
            mailbox_id=self.fence.mailbox_id,
            id=message_letter_id(name),
            kind=LetterKind.MESSAGE,
            code=code,
            generation=self.fence.generation,
            first_seen_at=now,
            last_seen_at=now,
            run_id=self.run_id,
            folder_id=folder.id,
            provider_message_id=name,
            received_at=fetched.received_at if fetched else None,
            size=fetched.size if fetched else None,
        )
        stands = self.letters.note(self.fence, letter)
        if stands.raw_size is not None:
            return
        if not keeps_raw:
            self._note_missing(stands, ErrorCode.CONTACT_UNKNOWN)
        elif fetched is not None and fetched.raw is not None:
            self._keep(stands, [fetched.raw])
        elif code is ErrorCode.NOT_HANDED_OVER:
            self._note_missing(stands, code)
        elif self._may_be_asked_for(stands):
            # What is said if the process dies of it: then nobody tries again.
            self._note_missing(stands, ErrorCode.KILLED_ITS_READER)
            self._keep(stands, self._of_provider(folder, name))
        elif stands.raw_missing is None:
            self._note_missing(stands, ErrorCode.CONNECTION_TIMED_OUT)

    def _may_be_asked_for(self, letter: DeadLetter) -> bool:
        if self.remaining_seconds() < LEAST_SECONDS or letter.attempts > RAW_TRIES:
            return False
        return letter.raw_missing is not ErrorCode.KILLED_ITS_READER

    def _keep(self, letter: DeadLetter, pieces: Iterable[bytes]) -> None:
        missing: ErrorCode | None = None
        size: int | None = None
        ours: StoreThrottledError | StoreRefusedError | None = None
        try:
            slices = self._unless_kept_out(letter, pieces)
            size = self.letters.keep_raw(
                letter.tenant_id, letter.mailbox_id, letter.id, slices, limit=MOST_RAW_BYTES
            )
        except (StoreThrottledError, StoreRefusedError) as error:
            missing, ours = error.code, error
        except MailroomError as error:
            missing = error.code
        except Exception:  # boundary: the letter stands, and that is what the run owes
            missing = ErrorCode.INTERNAL
        self.letters.note_raw(self.fence, letter.id, size=size, missing=missing)
        if ours is not None:
            raise ours

    def _unless_kept_out(self, letter: DeadLetter, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the message in slices; nobody can say who takes part, so whoever is named counts.

        What fails before the last slice leaves nothing of it behind.
        """
        kept_out = self.kept_out()
        until = self.now() + RAW_LASTS
        written = WrittenAddresses()
        for piece in (one for whole in pieces for one in _slices(whole)):
            if kept_out.until:
                _require_not_kept_out(kept_out, written.feed(piece), letter)
                if self.now() > until:
                    raise _not_in_time()
            yield piece
        _require_not_kept_out(kept_out, written.end(), letter)

    def _note_missing(self, letter: DeadLetter, code: ErrorCode) -> None:
        self.letters.note_raw(self.fence, letter.id, size=None, missing=code)

    def _of_provider(self, folder: Folder, name: ProviderMessageId) -> Iterator[bytes]:
        until = self.now() + RAW_LASTS
        for piece in self.session.read_raw(folder, name):
            yield piece
            if self.now() > until or self.remaining_seconds() < LEAST_SECONDS:
                raise _not_in_time()


def _require_not_kept_out(
    kept_out: KeptOut, addresses: Iterable[Address], letter: DeadLetter
) -> None:
    if kept_out.covers(addresses, letter.received_at):
        raise UnreadableMessageError(ErrorCode.KEPT_OUT, cause="names somebody who is kept out")


def _not_in_time() -> UnreadableMessageError:
    return UnreadableMessageError(
        ErrorCode.CONNECTION_TIMED_OUT, cause="raw message not read in time"
    )


def _slices(raw: bytes) -> Iterator[bytes]:
    view = memoryview(raw)
    for at in range(0, len(raw), _SLICE_BYTES):
        yield bytes(view[at : at + _SLICE_BYTES])
