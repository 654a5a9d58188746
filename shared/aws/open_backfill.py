"""How the table keeps a mailbox to one open import: one item says which."""

from typing import TYPE_CHECKING

from pynamodb.expressions.condition import Condition

from shared.aws.tables_of_backfills import OpenBackfillItem, open_backfill_key
from shared.domain.backfill import Backfill, BackfillKind

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from shared.aws.table import Table


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
