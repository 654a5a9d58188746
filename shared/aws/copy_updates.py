"""How a copy's item is changed from what was read to what it is to be.

Only what differs is written. On condition that it lives, or does not, as it did, and that its
flags, its folders, and what is pending of it are what was read: whoever is refused reads it again.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from shared.aws.instants import microseconds
from shared.aws.message_items import (
    MOST_COPIES,
    MOST_COPY_BYTES,
    copy_date_sk,
    copy_item,
    folders_value,
)
from shared.aws.pending_items import flag_bits, pending_value
from shared.aws.table import Raw, raw_key
from shared.aws.tables import copy_key, mailbox_pk, message_key
from shared.domain.ids import TenantId
from shared.domain.message import Copy, News, copy_ref

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
    if after.news != before.news:
        if after.news is None:
            removes.append("h")
        else:
            sets["h"] = {"S": after.news}
    conditions, values = as_read(before)
    values |= {f":{name}": value for name, value in sets.items()}
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
    """Return the condition that nobody changed it or wished of it since, and its values.

    Flags and folders too: a wish keeps those it found as what the provider has.
    """
    lives = "attribute_not_exists(x)" if copy.removed_at is None else "attribute_exists(x)"
    values: Raw = {
        ":was_g": {"N": str(flag_bits(copy.flags))},
        ":was_n": {"N": str(copy.flags.version)},
        ":was_f": folders_value(copy.folder_ids),
    }
    conditions = f"g = :was_g AND n = :was_n AND f = :was_f AND {lives}"
    if copy.pending is None:
        return f"{conditions} AND attribute_not_exists(w)", values
    values[":was_v"] = {"N": str(copy.pending.version)}
    return f"{conditions} AND w.v = :was_v", values


def renaming(
    table: str, tenant_id: TenantId, before: Copy, renamed: Copy
) -> list["TransactWriteItemTypeDef"]:
    """Have the message know its copy's new name, in one step with the copy under it.

    Not where the message is being erased: who erases it looks for the copies it knows of.
    """
    key = message_key(tenant_id, renamed.message_id)
    if key is None:
        raise ValueError(f"{renamed.message_id!r} is no message id")
    ref = copy_ref(renamed.mailbox_id, renamed.provider_message_id)
    old = copy_ref(before.mailbox_id, before.provider_message_id)
    most = min(MOST_COPIES, MOST_COPY_BYTES // max(len(ref.encode()), len(old.encode())))
    return [
        {
            "Update": {
                "TableName": table,
                "Key": raw_key(key),
                "UpdateExpression": "ADD c :c",
                "ConditionExpression": (
                    "attribute_exists(d) AND contains(c, :old) AND size(c) < :most"
                    " AND attribute_not_exists(z)"
                ),
                "ExpressionAttributeValues": {
                    ":c": {"SS": [ref]},
                    ":old": {"S": old},
                    ":most": {"N": str(most)},
                },
            }
        },
        {
            "Put": {
                "TableName": table,
                # It came here once; under this name it has only been moved.
                "Item": copy_item(tenant_id, replace(renamed, news=News.AGAIN)),
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        },
    ]
