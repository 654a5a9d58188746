"""What operations need to have kept of dead letters; rules as in `stores`."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from shared.domain.dead_letter import DeadLetter
from shared.domain.errors import ErrorCode
from shared.domain.ids import BackfillId, LetterId, MailboxId, TenantId
from shared.domain.lease import Fence


class LetterPlace(NamedTuple):
    """Where a letter stands in its list: letters first seen at one instant are in order of id."""

    first_seen_at: datetime
    letter_id: LetterId


class DeadLetterStore(Protocol):
    """Dead letters, and the raw messages that are kept of them."""

    def note(self, fence: Fence, letter: DeadLetter) -> DeadLetter:
        """Add a letter, or note one more attempt of the same; return it as it stands.

        When it was first seen stays, and so do its raw message and its replay. Fenced.
        """
        ...

    def note_raw(
        self, fence: Fence, letter_id: LetterId, *, size: int | None, missing: ErrorCode | None
    ) -> None:
        """Note that `keep_raw` has kept the raw message, or why not. Fenced.

        Where the letter was removed meanwhile, what was kept goes after it.
        """
        ...

    def keep_raw(
        self,
        tenant_id: TenantId,
        mailbox_id: MailboxId,
        letter_id: LetterId,
        slices: Iterable[bytes],
        *,
        limit: int,
    ) -> int:
        """Keep the concatenation of `slices` in place of what is kept, streamed; return its size.

        Raises `UnreadableMessageError(MESSAGE_TOO_LARGE)` past `limit` bytes, keeping nothing new.
        """
        ...

    def read_raw(self, letter: DeadLetter) -> bytes | None:
        """Return the raw message that is kept, or None."""
        ...

    def link_raw(self, letter: DeadLetter, *, seconds: int) -> str:
        """Return a link that downloads the raw message for `seconds`."""
        ...

    def get_letter(
        self, tenant_id: TenantId, mailbox_id: MailboxId, letter_id: LetterId
    ) -> DeadLetter | None:
        """Return one, consistently read."""
        ...

    def get_letters(
        self, tenant_id: TenantId, mailbox_id: MailboxId, letter_ids: Sequence[LetterId]
    ) -> dict[LetterId, DeadLetter]:
        """Return those of `letter_ids` that there are, consistently read."""
        ...

    def list_letters(
        self,
        tenant_id: TenantId,
        mailbox_id: MailboxId,
        *,
        before: LetterPlace | None,
        limit: int,
    ) -> list[DeadLetter]:
        """Return letters, the one first seen last first (eventually consistent)."""
        ...

    def all_letters(self, tenant_id: TenantId, mailbox_id: MailboxId) -> Iterator[DeadLetter]:
        """Yield every letter of a mailbox, in any order, consistently read."""
        ...

    def note_replay(
        self, letters: Sequence[DeadLetter], *, at: datetime, replay_id: BackfillId
    ) -> None:
        """Note which replay is to read them again; one that is gone meanwhile stays so.

        A hundred are noted together or not at all.
        """
        ...

    def remove_letters(self, fence: Fence, letter_ids: Sequence[LetterId]) -> None:
        """Delete letters, what is kept of them first; those that are gone are no error.

        Fenced: nothing goes of what a worker removes that was overtaken before.
        """
        ...
