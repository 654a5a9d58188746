"""What the life of a mailbox may not begin without: nobody keeps its mail out, and a place is free.

Places are counted by the identities that stand in the tenant's partition, one for each mailbox that
is connected, so that no count can drift from what there is: a disconnect frees its identity, and so
the place. Of two that read the same count one is refused: each writes a number that it read before.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.aws.kept_out import minding
from shared.aws.table import Table
from shared.aws.tables import IDENTITY_PREFIX, identity_key, mailboxes_pk
from shared.aws.tables_of_counts import PlacesItem, places_key
from shared.domain.errors import ErrorCode, RequestError, StoreThrottledError
from shared.domain.mailbox import Mailbox

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef
    from pynamodb.expressions.condition import Condition

_TRIES = 10


def begin_in_a_place(
    table: Table,
    mailbox: Mailbox,
    identity: str,
    operations: Sequence["TransactWriteItemTypeDef"],
    *,
    most: int,
) -> frozenset[int]:
    """Write all or nothing of what begins a mailbox's life; return the positions that failed.

    `most`: how many mailboxes its tenant may have. Raises `RequestError`: `ADDRESS_KEPT_OUT`,
    `MAILBOX_LIMIT_REACHED`.
    """
    for _ in range(_TRIES):
        guards = [minding(table, mailbox), *_taking(table, mailbox, identity, most)]
        failed = table.transact([*operations, *guards])
        ours = frozenset(place for place in failed if place < len(operations))
        if ours or not failed:
            return ours
    raise StoreThrottledError(cause="others begin too fast to be counted")


def _taking(
    table: Table, mailbox: Mailbox, identity: str, most: int
) -> "list[TransactWriteItemTypeDef]":
    """Return what takes a place; nothing for a mailbox that has one.

    Nor where its identity is taken: then the rest of the transaction says by whom.
    """
    tenant_id = mailbox.tenant_id
    key = places_key(tenant_id)
    before = table.get(PlacesItem, key)
    found = list(table.query(mailboxes_pk(tenant_id), prefix=IDENTITY_PREFIX))
    if any(raw["mailbox_id"]["S"] == mailbox.id for raw in found) or any(
        raw["sk"]["S"] == identity_key(tenant_id, identity).sk for raw in found
    ):
        return []
    if len(found) >= most:
        raise RequestError(ErrorCode.MAILBOX_LIMIT_REACHED)
    unchanged: Condition = PlacesItem.taken.does_not_exist()
    if before is not None:
        unchanged = PlacesItem.taken == before.taken
    return [table.update_operation(key, [PlacesItem.taken.add(1)], unchanged)]
