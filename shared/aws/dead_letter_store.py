"""How a dead letter is noted once, however often it is met, and where its raw message is kept.

The item is there before the object: a worker that dies of the raw message leaves its letter behind.
Only a letter that says so has a raw message. Removing goes the other way round, so that whoever
dies between the two leaves a letter that is removed again, and no object that nobody knows of. The
fence is checked before either: only who dies or is overtaken between the two leaves a letter whose
raw message is gone, of a message that is stored or not to be kept.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pynamodb.expressions.update import Action

from shared.aws.attachment_store import S3AttachmentStore
from shared.aws.clients import Clients, clients_of_process
from shared.aws.errors import is_hidden, is_missing, our_errors
from shared.aws.fences import require, stale, still_holds
from shared.aws.state_changes import set_or_remove
from shared.aws.stored_codes import stored_code
from shared.aws.stored_objects import StoredObjects
from shared.aws.table import MOST_IN_TRANSACTION, Table
from shared.aws.tables import MAILBOX_DATE_INDEX, Key, mailbox_pk, state_key
from shared.aws.tables_of_dead_letters import (
    LETTER_PREFIX,
    DeadLetterItem,
    letter_date_sk,
    letter_key,
    letters_pk,
    raw_object_key,
)
from shared.domain.dead_letter import DeadLetter, LetterKind
from shared.domain.errors import ErrorCode, UnreadableMessageError
from shared.domain.ids import (
    BackfillId,
    FolderId,
    LetterId,
    MailboxId,
    ProviderMessageId,
    RunId,
    TenantId,
)
from shared.domain.lease import Fence
from shared.ports.dead_letters import LetterPlace

if TYPE_CHECKING:
    from pynamodb.attributes import Attribute

_FIRST, _LAST = " ", "\U0010ffff"


@dataclass(frozen=True, slots=True)
class DynamoDeadLetterStore:
    """The port `DeadLetterStore`."""

    table: Table
    bucket: str
    clients: Clients = field(default_factory=clients_of_process)

    # ---- letters ----

    def note(self, fence: Fence, letter: DeadLetter) -> DeadLetter:
        """Write what is new of it beside a check of the fence, and read what stands."""
        key = letter_key(letter.tenant_id, letter.mailbox_id, letter.id)
        self._fenced(fence, key, _noted(letter))
        return self.get_letter(letter.tenant_id, letter.mailbox_id, letter.id) or letter

    def note_raw(
        self, fence: Fence, letter_id: LetterId, *, size: int | None, missing: ErrorCode | None
    ) -> None:
        """Write it where the letter is still there, or delete the object."""
        key = letter_key(fence.tenant_id, fence.mailbox_id, letter_id)
        actions = [
            set_or_remove(DeadLetterItem.raw_size, size),
            set_or_remove(DeadLetterItem.raw_missing, missing),
        ]
        if not self._fenced(fence, key, actions, only_if_there=True):
            self._drop_raws(fence, [letter_id])

    def get_letter(
        self, tenant_id: TenantId, mailbox_id: MailboxId, letter_id: LetterId
    ) -> DeadLetter | None:
        """Read its item."""
        item = self.table.get(DeadLetterItem, letter_key(tenant_id, mailbox_id, letter_id))
        return _letter_of(tenant_id, mailbox_id, item) if item else None

    def get_letters(
        self, tenant_id: TenantId, mailbox_id: MailboxId, letter_ids: Sequence[LetterId]
    ) -> dict[LetterId, DeadLetter]:
        """Read their items."""
        keys = [letter_key(tenant_id, mailbox_id, letter_id) for letter_id in letter_ids]
        items = (DeadLetterItem.from_raw_data(raw) for raw in self.table.get_many(keys))
        letters = (_letter_of(tenant_id, mailbox_id, item) for item in items)
        return {letter.id: letter for letter in letters}

    def list_letters(
        self,
        tenant_id: TenantId,
        mailbox_id: MailboxId,
        *,
        before: LetterPlace | None,
        limit: int,
    ) -> list[DeadLetter]:
        """Read the index backwards, then the items it names."""
        end = letter_date_sk(*before) if before else _LAST
        found = self.table.query(
            letters_pk(tenant_id, mailbox_id),
            index=(MAILBOX_DATE_INDEX, "mailbox_pk", "date_sk"),
            between=(_FIRST, end),
            newest_first=True,
            page=limit + 1,
        )
        named = (raw for raw in found if before is None or raw["date_sk"]["S"] != end)
        keys = [Key(raw["pk"]["S"], raw["sk"]["S"]) for raw in islice(named, limit)]
        items = (DeadLetterItem.from_raw_data(raw) for raw in self.table.get_many(keys))
        letters = [_letter_of(tenant_id, mailbox_id, item) for item in items]
        return sorted(letters, key=lambda one: (one.first_seen_at, one.id), reverse=True)

    def all_letters(self, tenant_id: TenantId, mailbox_id: MailboxId) -> Iterator[DeadLetter]:
        """Read them in one query."""
        for raw in self.table.query(mailbox_pk(tenant_id, mailbox_id), prefix=LETTER_PREFIX):
            yield _letter_of(tenant_id, mailbox_id, DeadLetterItem.from_raw_data(raw))

    def note_replay(
        self, letters: Sequence[DeadLetter], *, at: datetime, replay_id: BackfillId
    ) -> None:
        """Write it to a hundred at once, and again without those that are gone."""
        actions = [DeadLetterItem.replay_id.set(replay_id), DeadLetterItem.replayed_at.set(at)]
        is_there = DeadLetterItem.letter_id.exists()
        for start in range(0, len(letters), MOST_IN_TRANSACTION):
            updates = [
                self.table.update_operation(
                    letter_key(letter.tenant_id, letter.mailbox_id, letter.id), actions, is_there
                )
                for letter in letters[start : start + MOST_IN_TRANSACTION]
            ]
            while updates and (gone := self.table.transact(updates)):
                updates = [one for place, one in enumerate(updates) if place not in gone]

    def remove_letters(self, fence: Fence, letter_ids: Sequence[LetterId]) -> None:
        """Check the fence, delete the objects, then the items beside another check of the fence."""
        check = self.table.check_operation(
            state_key(fence.tenant_id, fence.mailbox_id), still_holds(fence)
        )
        for start in range(0, len(letter_ids), MOST_IN_TRANSACTION - 1):
            batch = letter_ids[start : start + MOST_IN_TRANSACTION - 1]
            found = self.get_letters(fence.tenant_id, fence.mailbox_id, batch)
            if not found:
                continue
            # Whoever was overtaken leaves letters as they are, with what is kept of them.
            require(self.table, fence)
            # Also where a letter says of none: who kept it may have died before saying so.
            messages = [one.id for one in found.values() if one.kind is LetterKind.MESSAGE]
            self._drop_raws(fence, messages)
            keys = [letter_key(fence.tenant_id, fence.mailbox_id, one) for one in found]
            if self.table.transact([check, *map(self.table.delete_operation, keys)]):
                raise stale("fence")

    # ---- raw messages ----

    def keep_raw(
        self,
        tenant_id: TenantId,
        mailbox_id: MailboxId,
        letter_id: LetterId,
        slices: Iterable[bytes],
        *,
        limit: int,
    ) -> int:
        """Stream it into the letter's one object."""
        size = 0

        def measured() -> Iterator[bytes]:
            nonlocal size
            for piece in slices:
                size += len(piece)
                if size > limit:
                    raise UnreadableMessageError(
                        ErrorCode.MESSAGE_TOO_LARGE, cause="raw message past its limit"
                    )
                yield piece

        objects = S3AttachmentStore(self.bucket, self.clients)
        objects.stream_to(raw_object_key(tenant_id, mailbox_id, letter_id), measured())
        return size

    def read_raw(self, letter: DeadLetter) -> bytes | None:
        """Read the object, where the letter has one."""
        if letter.raw_size is None:
            return None
        try:
            with our_errors(but=is_hidden):
                answer = self.clients.s3.get_object(Bucket=self.bucket, Key=_object_key(letter))
                return answer["Body"].read()
        except ClientError as error:
            if is_missing(error) or is_hidden(error):
                return None
            raise

    def link_raw(self, letter: DeadLetter, *, seconds: int) -> str:
        """Sign a link that saves the object: a browser shows nothing of it."""
        with our_errors():
            return self.clients.s3.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self.bucket,
                    "Key": _object_key(letter),
                    "ResponseContentDisposition": f'attachment; filename="{letter.id}.eml"',
                    "ResponseContentType": "application/octet-stream",
                    "ResponseCacheControl": "private, no-store",
                },
                ExpiresIn=seconds,
            )

    def _drop_raws(self, fence: Fence, letter_ids: Sequence[LetterId]) -> None:
        keys = [raw_object_key(fence.tenant_id, fence.mailbox_id, one) for one in letter_ids]
        StoredObjects(self.bucket, self.clients).delete(keys)

    def _fenced(
        self, fence: Fence, key: Key, actions: Sequence[Action], *, only_if_there: bool = False
    ) -> bool:
        """Write beside a check of the fence; return whether the letter was there."""
        condition = DeadLetterItem.letter_id.exists() if only_if_there else None
        failed = self.table.transact(
            [
                self.table.check_operation(
                    state_key(fence.tenant_id, fence.mailbox_id), still_holds(fence)
                ),
                self.table.update_operation(key, actions, condition),
            ]
        )
        if 0 in failed:
            raise stale("fence")
        return not failed


def _noted(letter: DeadLetter) -> list[Action]:
    item = DeadLetterItem
    known: list[tuple[Attribute[Any], Any]] = [
        (item.run_id, letter.run_id),
        (item.folder_id, letter.folder_id),
        (item.provider_message_id, letter.provider_message_id),
        (item.received_at, letter.received_at),
        (item.size, letter.size),
        (item.backfill_id, letter.backfill_id),
        (item.chunk, letter.chunk),
    ]
    place = letter_date_sk(letter.first_seen_at, letter.id)
    return [
        item.letter_id.set(letter.id),
        item.kind.set(letter.kind),
        item.code.set(letter.code),
        item.generation.set(letter.generation),
        item.first_seen_at.set(item.first_seen_at | letter.first_seen_at),
        item.last_seen_at.set(letter.last_seen_at),
        item.attempts.add(1),
        item.mailbox_pk.set(letters_pk(letter.tenant_id, letter.mailbox_id)),
        item.date_sk.set(item.date_sk | place),
        *(attribute.set(value) for attribute, value in known if value is not None),
    ]


def _letter_of(tenant_id: TenantId, mailbox_id: MailboxId, item: DeadLetterItem) -> DeadLetter:
    return DeadLetter(
        tenant_id=tenant_id,
        mailbox_id=mailbox_id,
        id=LetterId(item.letter_id),
        kind=LetterKind(item.kind),
        code=stored_code(item.code),
        generation=int(item.generation),
        first_seen_at=item.first_seen_at,
        last_seen_at=item.last_seen_at,
        attempts=int(item.attempts),
        run_id=RunId(item.run_id) if item.run_id else None,
        folder_id=FolderId(item.folder_id) if item.folder_id else None,
        provider_message_id=(
            ProviderMessageId(item.provider_message_id) if item.provider_message_id else None
        ),
        received_at=item.received_at,
        size=_whole(item.size),
        raw_size=_whole(item.raw_size),
        raw_missing=stored_code(item.raw_missing) if item.raw_missing else None,
        backfill_id=BackfillId(item.backfill_id) if item.backfill_id else None,
        chunk=_whole(item.chunk),
        replay_id=BackfillId(item.replay_id) if item.replay_id else None,
        replayed_at=item.replayed_at,
    )


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def _object_key(letter: DeadLetter) -> str:
    return raw_object_key(letter.tenant_id, letter.mailbox_id, letter.id)
