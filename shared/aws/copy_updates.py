"""How a copy's item is changed from what was read to what it is to be.

Only what differs is written. On condition that it lives, or does not, as it did, and that what is
pending of it is what was read: whoever is refused reads it again.
"""

from typing import TYPE_CHECKING, Any, cast

from shared.aws.instants import microseconds
from shared.aws.message_items import copy_date_sk, folders_value
from shared.aws.pending_items import flag_bits, pending_value
from shared.aws.table import Raw, raw_key
from shared.aws.tables import copy_key, mailbox_pk
from shared.domain.ids import TenantId
from shared.domain.message import Copy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef


def copy_update(
    table: str, tenant_id: TenantId, before: Copy, after: Copy
) -> "TransactWriteItemTypeDef":
    """Return the part of a transaction that makes `before` into `after`, which differs."""
    sets: dict[str, dict[str, Any]] = {}
    removes: list[str] = []
    if after.flags != before.flags:
        sets |= {
            "g": {"N": str(flag_bits(after.flags))},
            "n": {"N": str(after.flags.version)},
        }
    if after.folder_ids != before.folder_ids:
        sets["f"] = folders_value(after.folder_ids)
    if after.removed_at is not None:
        sets["x"] = {"N": str(microseconds(after.removed_at))}
        removes += ["mailbox_pk", "date_sk"]
    elif before.removed_at is not None or "f" in sets:
        sets["mailbox_pk"] = {"S": mailbox_pk(tenant_id, after.mailbox_id)}
        sets["date_sk"] = {"S": copy_date_sk(after)}
        removes += ["x"] if before.removed_at is not None else []
    if after.pending != before.pending:
        if after.pending is None:
            removes.append("w")
        else:
            sets["w"] = pending_value(after.pending)
    conditions, values = as_read(before)
    values |= {f":{name}": value for name, value in sets.items()}
    if "n" in sets:
        conditions += " AND n <= :n"
    update = "SET " + ", ".join(f"{name} = :{name}" for name in sets) if sets else ""
    if removes:
        update += " REMOVE " + ", ".join(removes)
    return cast(
        "TransactWriteItemTypeDef",
        {
            "Update": {
                "TableName": table,
                "Key": raw_key(copy_key(tenant_id, after.mailbox_id, after.provider_message_id)),
                "UpdateExpression": update,
                "ConditionExpression": conditions,
                "ExpressionAttributeValues": values,
            }
        },
    )


def as_read(copy: Copy) -> tuple[str, Raw]:
    """Return the condition that nobody has given it another life or wish since, and its values."""
    lives = "attribute_not_exists(x)" if copy.removed_at is None else "attribute_exists(x)"
    if copy.pending is None:
        return f"attribute_exists(pk) AND {lives} AND attribute_not_exists(w)", {}
    version: Raw = {":read": {"N": str(copy.pending.version)}}
    return f"attribute_exists(pk) AND {lives} AND w.v = :read", version
