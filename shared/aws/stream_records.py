"""What a record of the table's stream says: which thing changed, from what to what.

The stream is the outbox: a record is there if and only if the write is, in the order of the writes
of one thing, for 24 hours. `template.yaml` has the filters that let through what may be told of;
what gets here beside that is no change of anything below.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from shared.aws.backfill_items import backfill_of
from shared.aws.copies import name_of_copy
from shared.aws.mailbox_items import latest_error
from shared.aws.message_items import copy_of
from shared.aws.send_items import send_of
from shared.aws.table import Raw
from shared.aws.tables import (
    COPY_PREFIX,
    STATE_SUFFIX,
    StateItem,
    place_in,
)
from shared.aws.tables_of_backfills import BACKFILL_PREFIX, BackfillItem
from shared.aws.tables_of_sends import SEND_PREFIX, SendItem
from shared.domain.events import Change, Health, State
from shared.domain.ids import MailboxId, TenantId
from shared.domain.mailbox import MailboxStatus


def change_of(record: Mapping[str, Any]) -> Change | None:
    """Return the change a record tells of, or None where it is of nothing that is told.

    Raises whatever reading an item of an unknown shape raises.
    """
    said: Mapping[str, Any] = record["dynamodb"]
    raw: Raw | None = said.get("NewImage")
    read = _reader(said["Keys"]["sk"]["S"])
    if raw is None or read is None:
        return None
    old: Raw | None = said.get("OldImage")
    tenant_id, mailbox_id = _owner(raw)
    return Change(
        tenant_id,
        mailbox_id,
        before=read(old) if old is not None else None,
        after=read(raw),
        version=sequence_number(record),
        at=datetime.fromtimestamp(float(said["ApproximateCreationDateTime"]), UTC),
    )


def sequence_number(record: Mapping[str, Any]) -> str:
    """Return the number of a record: of two of one thing the later has the larger."""
    number: str = record["dynamodb"]["SequenceNumber"]
    return number


def _reader(sk: str) -> Callable[[Raw], State] | None:
    if sk.endswith(STATE_SUFFIX):
        return _health
    if sk.startswith(COPY_PREFIX):
        return lambda raw: copy_of(_owner(raw)[1], name_of_copy(raw["sk"]["S"]), raw)
    if sk.startswith(BACKFILL_PREFIX):
        return lambda raw: backfill_of(BackfillItem.from_raw_data(raw))
    if sk.startswith(SEND_PREFIX):
        return lambda raw: send_of(SendItem.from_raw_data(raw))
    return None


def _owner(raw: Raw) -> tuple[TenantId, MailboxId]:
    if "mailbox_id" in raw and "tenant_id" in raw:
        return TenantId(raw["tenant_id"]["S"]), MailboxId(raw["mailbox_id"]["S"])
    return place_in(raw["pk"]["S"])


def _health(raw: Raw) -> Health:
    item = StateItem.from_raw_data(raw)
    return Health(
        MailboxStatus(item.status),
        int(item.generation),
        latest_error(item.inbound_error),
        latest_error(item.outbound_error),
    )
