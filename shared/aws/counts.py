"""How what was asked for in a window of time is counted, so that no burst and no kill passes a cap.

A count is raised in the same transaction as what it counts, on condition that there is room. Its
window is a day or a minute of UTC, and its name a part of the key.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from shared.aws.table import Table
from shared.aws.tables import Key
from shared.aws.tables_of_counts import CountItem

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef
    from pynamodb.expressions.condition import Condition

_KEPT = timedelta(days=1)
"""How long a count is kept once its window is over."""


class Window(NamedTuple):
    """A day or a minute of UTC."""

    name: str
    ends_at: datetime


class Count(NamedTuple):
    """`more` of what there may be `most` of in a window."""

    key: Key
    more: int
    most: int
    window: Window


def day_of(at: datetime) -> Window:
    """Return the UTC day of an instant."""
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Window(f"{day:%Y-%m-%d}", day + timedelta(days=1))


def minute_of(at: datetime) -> Window:
    """Return the UTC minute of an instant."""
    minute = at.astimezone(UTC).replace(second=0, microsecond=0)
    return Window(f"{minute:%Y-%m-%dT%H:%M}", minute + timedelta(minutes=1))


def counting(table: Table, count: Count) -> "TransactWriteItemTypeDef":
    """Return the part of a transaction that raises a count, and fails where there is no room."""
    has_room: Condition = CountItem.number <= count.most - count.more
    if count.more <= count.most:
        has_room |= CountItem.number.does_not_exist()
    expires_at = int((count.window.ends_at + _KEPT).timestamp())
    raised = [CountItem.number.add(count.more), CountItem.expires_at.set(expires_at)]
    return table.update_operation(count.key, raised, has_room)
