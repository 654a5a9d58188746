"""What opening and closing a backfill writes: one item says which import of a mailbox is open."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pynamodb.expressions.condition import Condition

from shared.aws.state_changes import set_or_remove
from shared.aws.tables_of_backfills import BackfillItem, OpenBackfillItem, open_backfill_key
from shared.domain.backfill import Backfill, BackfillKind, BackfillState

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef
    from pynamodb.expressions.update import Action

    from shared.aws.table import Table

HISTORIES_LAST = timedelta(days=30)
"""So long after it has ended, a backfill of a contact's history is known."""


def closed(backfill: Backfill, at: datetime | None) -> "list[Action]":
    """Return what a backfill that ends at `at`, in the state it is given in, is changed by."""
    actions: list[Action] = [
        set_or_remove(BackfillItem.ended_at, at),
        BackfillItem.due_slot.remove(),
        BackfillItem.due_key.remove(),
    ]
    # Of these there may be hundreds a day. One that failed stays until somebody has seen to it.
    is_passing = backfill.kind is BackfillKind.CONTACT_HISTORY
    if is_passing and at is not None and backfill.state is not BackfillState.FAILED:
        actions.append(BackfillItem.expires_at.set(int((at + HISTORIES_LAST).timestamp())))
    return actions


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


def _none_but(backfill: Backfill) -> Condition:
    free: Condition = OpenBackfillItem.backfill_id.does_not_exist() | (
        OpenBackfillItem.backfill_id == backfill.id
    )
    return free
