"""The port `DeadLetterStore` over a `World`: what the contract suite holds the real one to."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.domain.dead_letter import DeadLetter
from shared.domain.errors import ErrorCode, UnreadableMessageError
from shared.domain.ids import BackfillId, LetterId, MailboxId, TenantId
from shared.domain.lease import Fence
from shared.ports.dead_letters import LetterPlace
from tests.fakes.stores import World


@dataclass
class InMemoryDeadLetterStore:
    """The port `DeadLetterStore`."""

    world: World = field(default_factory=World)

    def note(self, fence: Fence, letter: DeadLetter) -> DeadLetter:
        with self.world.lock:
            self.world.check(fence)
            stored = self._letters(fence.tenant_id, fence.mailbox_id)
            before = stored.get(letter.id)
            if before is not None:
                letter = replace(
                    before,
                    code=letter.code,
                    generation=letter.generation,
                    last_seen_at=letter.last_seen_at,
                    attempts=before.attempts + 1,
                    run_id=letter.run_id or before.run_id,
                    folder_id=letter.folder_id or before.folder_id,
                    received_at=letter.received_at or before.received_at,
                    size=before.size if letter.size is None else letter.size,
                )
            stored[letter.id] = letter
            return letter

    def note_raw(
        self, fence: Fence, letter_id: LetterId, *, size: int | None, missing: ErrorCode | None
    ) -> None:
        with self.world.lock:
            self.world.check(fence)
            stored = self._letters(fence.tenant_id, fence.mailbox_id)
            if letter_id in stored:
                stored[letter_id] = replace(stored[letter_id], raw_size=size, raw_missing=missing)
            else:
                place = (fence.tenant_id, fence.mailbox_id, letter_id)
                self.world.raw_messages.pop(place, None)

    def keep_raw(
        self,
        tenant_id: TenantId,
        mailbox_id: MailboxId,
        letter_id: LetterId,
        slices: Iterable[bytes],
        *,
        limit: int,
    ) -> int:
        # Grown in place: what hostile mail costs is measured, and is not to be the fake's own.
        content = bytearray()
        for piece in slices:
            content += piece
            if len(content) > limit:
                raise UnreadableMessageError(ErrorCode.MESSAGE_TOO_LARGE)
        self.world.raw_messages[tenant_id, mailbox_id, letter_id] = bytes(content)
        return len(content)

    def read_raw(self, letter: DeadLetter) -> bytes | None:
        if letter.raw_size is None:
            return None
        return self.world.raw_messages.get((letter.tenant_id, letter.mailbox_id, letter.id))

    def link_raw(self, letter: DeadLetter, *, seconds: int) -> str:
        return f"https://objects.invalid/letters/{letter.id}?expires={seconds}"

    def get_letter(
        self, tenant_id: TenantId, mailbox_id: MailboxId, letter_id: LetterId
    ) -> DeadLetter | None:
        return self._letters(tenant_id, mailbox_id).get(letter_id)

    def get_letters(
        self, tenant_id: TenantId, mailbox_id: MailboxId, letter_ids: Sequence[LetterId]
    ) -> dict[LetterId, DeadLetter]:
        stored = self._letters(tenant_id, mailbox_id)
        return {one: stored[one] for one in letter_ids if one in stored}

    def list_letters(
        self,
        tenant_id: TenantId,
        mailbox_id: MailboxId,
        *,
        before: LetterPlace | None,
        limit: int,
    ) -> list[DeadLetter]:
        placed = sorted(
            ((one.first_seen_at, one.id), one)
            for one in self._letters(tenant_id, mailbox_id).values()
        )
        found = [one for place, one in reversed(placed) if before is None or place < before]
        return found[:limit]

    def all_letters(self, tenant_id: TenantId, mailbox_id: MailboxId) -> Iterator[DeadLetter]:
        yield from list(self._letters(tenant_id, mailbox_id).values())

    def note_replay(
        self, letters: Sequence[DeadLetter], *, at: datetime, replay_id: BackfillId
    ) -> None:
        with self.world.lock:
            for letter in letters:
                stored = self._letters(letter.tenant_id, letter.mailbox_id)
                if letter.id in stored:
                    stored[letter.id] = replace(
                        stored[letter.id], replay_id=replay_id, replayed_at=at
                    )

    def remove_letters(self, fence: Fence, letter_ids: Sequence[LetterId]) -> None:
        with self.world.lock:
            stored = self._letters(fence.tenant_id, fence.mailbox_id)
            if any(one in stored for one in letter_ids):
                self.world.check(fence)
            for one in letter_ids:
                if stored.pop(one, None) is not None:
                    self.world.raw_messages.pop((fence.tenant_id, fence.mailbox_id, one), None)

    def _letters(self, tenant_id: TenantId, mailbox_id: MailboxId) -> dict[LetterId, DeadLetter]:
        # Asking after letters leaves no trace of who was asked after.
        box = (tenant_id, mailbox_id)
        if box not in self.world.mailboxes:
            return {}
        return self.world.letters.setdefault(box, {})
