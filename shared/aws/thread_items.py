"""How what is known of a thread is spelled in its item, and how the whole of it is replaced."""

from collections.abc import Collection
from typing import TYPE_CHECKING, cast

from shared.aws.table import Raw
from shared.domain.ids import MailboxId, ThreadId
from shared.domain.threads import Levels, ThreadLevel, ThreadRecord

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_KEYS = frozenset({"pk", "sk"})
_SAID = ("a", "b", "j", "k", "l", "s")
"""All that a record may say."""


def thread_of_item(thread_id: ThreadId, raw: Raw) -> ThreadRecord:
    """Return the record of a thread that an item holds."""
    return ThreadRecord(
        thread_id,
        ThreadId(raw["j"]["S"]) if "j" in raw else thread_id,
        frozenset(ThreadId(one) for one in raw.get("k", {}).get("SS", ())),
        levels_of(raw, "l"),
        levels_of(raw, "s"),
    )


def levels_of(raw: Raw, name: str) -> dict[MailboxId, ThreadLevel]:
    """Return the levels in an item's attribute: `l`, said of it; `s`, the least of all parts'."""
    return {
        MailboxId(mailbox_id): ThreadLevel(level["S"])
        for mailbox_id, level in raw.get(name, {}).get("M", {}).items()
    }


def spelled(levels: Levels) -> Raw:
    """Return levels as an attribute."""
    return {"M": {mailbox_id: {"S": level} for mailbox_id, level in sorted(levels.items())}}


def instead(
    table_name: str, raw: Raw, without: Collection[str], new: Raw | None = None
) -> "TransactWriteItemTypeDef":
    """Put what is left of a record in its place, if it stands as read; nothing for nothing."""
    left = {name: value for name, value in raw.items() if name not in without} | (new or {})
    stand = [f"{one} = :{one}" for one in _SAID if one in raw]
    missing = [f"attribute_not_exists({one})" for one in _SAID if one not in raw]
    values = {f":{one}": raw[one] for one in _SAID if one in raw}
    asked = {
        "TableName": table_name,
        "ConditionExpression": " AND ".join(stand + missing),
        **({"ExpressionAttributeValues": values} if values else {}),
    }
    if left.keys() == _KEYS:
        return cast("TransactWriteItemTypeDef", {"Delete": {**asked, "Key": left}})
    return cast("TransactWriteItemTypeDef", {"Put": {**asked, "Item": left}})
