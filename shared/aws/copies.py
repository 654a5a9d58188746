"""What may happen to a copy, and that only whoever holds the fence makes it happen.

Every write is a transaction that also checks the mailbox's fence. A copy that is already as it
should be is left out, so that repeating a page writes nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared.aws.copy_updates import copy_update
from shared.aws.fences import stale, still_holds
from shared.aws.message_items import copy_item, copy_of
from shared.aws.pending_items import flag_bits
from shared.aws.table import MOST_IN_TRANSACTION, Table, raw_key
from shared.aws.tables import copy_key, copy_sk, mailbox_pk, state_key, unescape
from shared.aws.tables_of_erasures import OTHERS_NOTE, Note
from shared.domain.errors import StoreThrottledError
from shared.domain.ids import FolderId, MailboxId, ProviderMessageId, TenantId
from shared.domain.lease import Fence
from shared.domain.message import Copy, Flags, News
from shared.domain.pending import told_flags, told_places

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_COPIES_IN_TRANSACTION = MOST_IN_TRANSACTION - 2
"""Beside the checks of the fence and of the note."""
_TRIES = 5

Writes = Mapping[ProviderMessageId, "TransactWriteItemTypeDef"]


@dataclass(frozen=True, slots=True)
class CopyItems:
    """The copies of a table."""

    table: Table

    def add(
        self, fence: Fence, copies: Iterable[Copy], *, note: Note
    ) -> frozenset[ProviderMessageId]:
        """Add copies, reviving removed ones; return the ids that had no live copy before.

        `note`: by which who erases one of their messages tells that its content is going. Raises
        `StoreThrottledError` then: it is to be written again once that is over. So it does where
        another worker of the mailbox has noted the same messages since, or taken the note away.
        """
        wanted = {copy.provider_message_id: copy for copy in copies}
        additions = {name: self._addition(fence.tenant_id, copy) for name, copy in wanted.items()}
        present = self._write(fence, additions, note)
        if not present:
            return frozenset(wanted)
        stored = self.read(fence.tenant_id, fence.mailbox_id, sorted(present))
        removed = {name: copy for name, copy in stored.items() if copy.removed_at is not None}
        revivals = {
            name: self._revival(fence.tenant_id, wanted[name], copy)
            for name, copy in removed.items()
        }
        lost = self._write(fence, revivals, note)
        newer = {
            name: wanted[name].flags
            for name, copy in stored.items()
            if name not in removed and wanted[name].flags.version > copy.flags.version
        }
        self.set_flags(fence, newer)
        return frozenset(wanted) - present | (frozenset(removed) - lost)

    def set_flags(self, fence: Fence, flags: Mapping[ProviderMessageId, Flags]) -> int:
        """Write flags that differ and are not older; return how many copies changed."""
        return self._tell(fence, flags, lambda name, copy: told_flags(copy, flags[name]))

    def remove(
        self,
        fence: Fence,
        folder_id: FolderId,
        ids: Sequence[ProviderMessageId],
        now: datetime,
        *,
        silently: bool,
    ) -> int:
        """Take live copies out of a folder; return how many were in it."""

        def without(_: ProviderMessageId, copy: Copy) -> Copy:
            theirs = copy.as_provider_has_it
            if theirs.removed_at is not None or folder_id not in theirs.folder_ids:
                return copy
            told = told_places(copy, theirs.folder_ids - {folder_id}, now=now)
            is_silent = silently and told.removed_at is not None
            return replace(told, news=News.SILENT) if is_silent else told

        return self._tell(fence, ids, without)

    def place(
        self,
        fence: Fence,
        placed: Mapping[ProviderMessageId, frozenset[FolderId]],
        now: datetime,
    ) -> int:
        """Write the folders of copies where they differ; return how many changed."""
        return self._tell(
            fence, placed, lambda name, copy: told_places(copy, placed[name], now=now)
        )

    def _tell(
        self,
        fence: Fence,
        ids: Iterable[ProviderMessageId],
        told: Callable[[ProviderMessageId, Copy], Copy],
    ) -> int:
        """Write what copies are by what was told of them; return how many changed.

        What somebody else has changed since it was read, or wishes of it, is read again.
        """
        changed, left = 0, list(ids)
        for _ in range(_TRIES):
            stored = self.read(fence.tenant_id, fence.mailbox_id, left)
            after = {name: _audible(told(name, copy)) for name, copy in stored.items()}
            changes = {
                name: copy_update(self.table.name, fence.tenant_id, copy, after[name])
                for name, copy in stored.items()
                if after[name] != copy
            }
            refused = self._write(fence, changes)
            changed += len(changes) - len(refused)
            if not refused:
                return changed
            left = sorted(refused)
        raise StoreThrottledError(cause="copies change too fast")

    def read(
        self, tenant_id: TenantId, mailbox_id: MailboxId, ids: Sequence[ProviderMessageId]
    ) -> dict[ProviderMessageId, Copy]:
        """Return those of `ids` that have a copy, live or removed, consistently read."""
        names = {copy_key(tenant_id, mailbox_id, name): name for name in ids}
        by_sk = {key.sk: name for key, name in names.items()}
        found: dict[ProviderMessageId, Copy] = {}
        for raw in self.table.get_many(list(names)):
            name = by_sk[raw["sk"]["S"]]
            found[name] = copy_of(mailbox_id, name, raw)
        return found

    def live(
        self, tenant_id: TenantId, mailbox_id: MailboxId, ids_begin_with: str
    ) -> dict[ProviderMessageId, Copy]:
        """Return the live copies whose ids begin so, consistently read."""
        found: dict[ProviderMessageId, Copy] = {}
        prefix = copy_sk(ids_begin_with)
        for raw in self.table.query(mailbox_pk(tenant_id, mailbox_id), prefix=prefix):
            if "x" not in raw:
                name = name_of_copy(raw["sk"]["S"])
                found[name] = copy_of(mailbox_id, name, raw)
        return found

    def live_ids(self, tenant_id: TenantId, mailbox_id: MailboxId) -> frozenset[ProviderMessageId]:
        """Return the ids alone of all live copies, consistently read."""
        pk = mailbox_pk(tenant_id, mailbox_id)
        found = self.table.query(pk, prefix=copy_sk(""), attributes="sk,x")
        return frozenset(name_of_copy(raw["sk"]["S"]) for raw in found if "x" not in raw)

    def _write(
        self, fence: Fence, writes: Writes, note: Note | None = None
    ) -> frozenset[ProviderMessageId]:
        """Write in transactions that check the fence; return the ids whose condition failed."""
        state = state_key(fence.tenant_id, fence.mailbox_id)
        checks = [self.table.check_operation(state, still_holds(fence))]
        checks += [self._unclaimed(note)] if note else []
        refused: set[ProviderMessageId] = set()
        names = list(writes)
        for start in range(0, len(names), _COPIES_IN_TRANSACTION):
            left = names[start : start + _COPIES_IN_TRANSACTION]
            while left:
                failed = self.table.transact([*checks, *(writes[name] for name in left)])
                if 0 in failed:
                    raise stale("fence")
                if note and 1 in failed:
                    raise self._refused(note)
                if not failed:
                    break
                first = len(checks)
                refused.update(name for at, name in enumerate(left, first) if at in failed)
                left = [name for at, name in enumerate(left, first) if at not in failed]
        return frozenset(refused)

    def _unclaimed(self, note: Note) -> "TransactWriteItemTypeDef":
        return {
            "ConditionCheck": {
                "TableName": self.table.name,
                "Key": raw_key(note.key),
                "ConditionExpression": "w = :w AND attribute_not_exists(z)",
                "ExpressionAttributeValues": {":w": {"B": note.writer}},
            }
        }

    def _refused(self, note: Note) -> StoreThrottledError:
        if "z" in (self.table.get_raw(note.key) or {}):
            return StoreThrottledError(cause="a message of these was erased meanwhile")
        return StoreThrottledError(cause=OTHERS_NOTE)

    def _addition(self, tenant_id: TenantId, copy: Copy) -> "TransactWriteItemTypeDef":
        return {
            "Put": {
                "TableName": self.table.name,
                "Item": copy_item(tenant_id, copy),
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }

    def _revival(
        self, tenant_id: TenantId, wanted: Copy, stored: Copy
    ) -> "TransactWriteItemTypeDef":
        item = copy_item(tenant_id, wanted)
        if stored.flags.version > wanted.flags.version:
            item["g"] = {"N": str(flag_bits(stored.flags))}
            item["n"] = {"N": str(stored.flags.version)}
        return {
            "Put": {
                "TableName": self.table.name,
                "Item": item,
                "ConditionExpression": "attribute_exists(x)",
            }
        }


def _audible(copy: Copy) -> Copy:
    """Return a copy that lives, so that its going is told of."""
    lives = copy.removed_at is None and copy.news is News.SILENT
    return replace(copy, news=None) if lives else copy


def name_of_copy(sk: str) -> ProviderMessageId:
    """Return whose sort key `sk` is."""
    return ProviderMessageId(unescape(sk.removeprefix(copy_sk(""))))
