"""What opening and closing a backfill writes: one item says which import of a mailbox is open.

And what counts the imports that a tenant begins in a day.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pynamodb.expressions.condition import Condition

from shared.aws.counts import Count, counting, day_of
from shared.aws.state_changes import set_or_remove
from shared.aws.tables_of_backfills import BackfillItem, OpenBackfillItem, open_backfill_key
from shared.aws.tables_of_counts import imports_key
from shared.domain.backfill import Backfill, BackfillKind, BackfillState
from shared.domain.errors import ErrorCode, LimitReachedError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef
    from pynamodb.expressions.update import Action

    from shared.aws.table import Table

HISTORIES_LAST = timedelta(days=1)
"""So long after it has ended well, a backfill of a contact's history is known; and each of its
chunks, once that is done.
"""


def closed(backfill: Backfill, at: datetime | None) -> "list[Action]":
    """Return what a backfill that ends at `at`, in the state it is given in, is changed by."""
    actions: list[Action] = [
        set_or_remove(BackfillItem.ended_at, at),
        BackfillItem.due_slot.remove(),
        BackfillItem.due_key.remove(),
    ]
    # One that failed stays until somebody has seen to it; one that was cut off says from where the
    # next has to search, whenever the mailbox comes back.
    if at is not None and backfill.state is BackfillState.DONE:
        actions.append(set_or_remove(BackfillItem.expires_at, forgotten_at(backfill, at)))
    return actions


def forgotten_at(backfill: Backfill, ended_at: datetime) -> int | None:
    """Return the time to live, in seconds, of a backfill or a chunk that ended; None: it stays.

    Of contacts' histories there may be hundreds a day, and all are read by whoever lists imports.
    """
    if backfill.kind is not BackfillKind.CONTACT_HISTORY:
        return None
    return int((ended_at + HISTORIES_LAST).timestamp())


def opens(table: "Table", backfill: Backfill) -> "list[TransactWriteItemTypeDef]":
    """Return the part of a transaction that says it is the open one, and holds if none other is."""
    if backfill.kind is not BackfillKind.IMPORT:
        return []
    key = open_backfill_key(backfill.tenant_id, backfill.mailbox_id)
    item = OpenBackfillItem(key.pk, key.sk, backfill_id=backfill.id)
    return [table.put_operation(item, _none_but(backfill))]


def closes(table: "Table", backfill: Backfill) -> "list[TransactWriteItemTypeDef]":
    """Return the part of a transaction that says it is no longer the open one."""
    if backfill.kind is not BackfillKind.IMPORT:
        return []
    key = open_backfill_key(backfill.tenant_id, backfill.mailbox_id)
    return [table.delete_operation(key, _none_but(backfill))]


def counts_today(table: "Table", backfill: Backfill, most: int) -> "list[TransactWriteItemTypeDef]":
    """Return the part of a transaction that counts an import among the `most` of its tenant's day.

    One that was stopped and goes on is not counted again.
    """
    if backfill.kind is not BackfillKind.IMPORT:
        return []
    today = day_of(backfill.created_at)
    key = imports_key(backfill.tenant_id, today.name)
    return [counting(table, Count(key, 1, most, today))]


def no_more_today(backfill: Backfill) -> LimitReachedError:
    """Return the refusal of an import that there is no room for until the UTC day ends."""
    left = day_of(backfill.created_at).ends_at - backfill.created_at
    code = ErrorCode.IMPORT_LIMIT_REACHED
    return LimitReachedError(code, retry_after_seconds=left.total_seconds())


def _none_but(backfill: Backfill) -> Condition:
    free: Condition = OpenBackfillItem.backfill_id.does_not_exist() | (
        OpenBackfillItem.backfill_id == backfill.id
    )
    return free
