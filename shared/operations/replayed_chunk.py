"""What becomes of a letter whose message was read again.

It goes when the message is stored or no longer ours to keep, and stays when it is given up again.
What its owner put in the trash meanwhile, or another folder that is not synced, is stored as a
message that was removed there. Where the provider no longer has it, what was kept of it is read
instead and stored likewise; where nothing was kept, the letter says that it is gone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.dead_letter import DeadLetter, message_letter_id
from shared.domain.errors import ErrorCode
from shared.domain.ids import LetterId, ProviderMessageId, RunId
from shared.domain.lease import Fence
from shared.domain.ledger import Fate, Ledger
from shared.domain.mailbox import Mailbox
from shared.domain.message import FetchedMessage, Flags
from shared.ports.dead_letters import DeadLetterStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedChunk:
    """The letters of the messages that one chunk of a replay reads again."""

    found: Mapping[ProviderMessageId, DeadLetter]
    letters: DeadLetterStore
    now: datetime

    @classmethod
    def of(
        cls,
        mailbox: Mailbox,
        names: Sequence[ProviderMessageId],
        *,
        letters: DeadLetterStore,
        now: datetime,
    ) -> "ReplayedChunk":
        """Read the letters of `names`; one that was settled meanwhile has none."""
        ids = {message_letter_id(name): name for name in names}
        found = letters.get_letters(mailbox.tenant_id, mailbox.id, list(ids))
        named = {ids[letter_id]: letter for letter_id, letter in found.items()}
        return cls(found=named, letters=letters, now=now)

    def is_dangerous(self, name: ProviderMessageId) -> bool:
        """Whether a message killed its reader before, so that it is to be read apart."""
        letter = self.found.get(name)
        return letter is not None and letter.code is ErrorCode.KILLED_ITS_READER

    def kept(self, name: ProviderMessageId) -> FetchedMessage | None:
        """Return what we kept of a message that its provider no longer has, as in no folder."""
        letter = self.found.get(name)
        raw = self.letters.read_raw(letter) if letter is not None else None
        if letter is None or raw is None:
            return None
        return FetchedMessage(
            provider_message_id=name,
            received_at=letter.received_at or letter.first_seen_at,
            size=len(raw),
            flags=Flags(),
            raw=raw,
            folder_ids=frozenset(),
        )

    def settle(self, fence: Fence, ledger: Ledger, run_id: RunId) -> None:
        """Remove the letters of what was read; before the chunk is done, so that it is repeated."""
        over: list[LetterId] = []
        for fate, names in ledger.entries().items():
            for name in names:
                letter = self.found.get(name)
                if letter is None or fate.startswith(Fate.UNREADABLE):
                    continue
                if fate == Fate.GONE:
                    self._note_gone(fence, letter, run_id)
                else:
                    over.append(letter.id)
        if over:
            self.letters.remove_letters(fence, over)

    def _note_gone(self, fence: Fence, letter: DeadLetter, run_id: RunId) -> None:
        gone = replace(
            letter,
            code=ErrorCode.MESSAGE_GONE,
            generation=fence.generation,
            last_seen_at=self.now,
            run_id=run_id,
        )
        self.letters.note(fence, gone)
