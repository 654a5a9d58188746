"""How the list of whose mail is kept out is spelled, read, and minded by a mailbox that begins.

A person is erased where no mailbox is theirs, and a mailbox begins where nobody keeps its mail out.
Each looks at the other before it writes, so each checks in its transaction that the other has not
written meanwhile: an erasure raises the list's `version`, and a mailbox `begun`.
"""

from typing import TYPE_CHECKING

from shared.aws.instants import from_microseconds, microseconds
from shared.aws.table import Table
from shared.aws.tables_of_erasures import KeptOutItem, kept_out_key
from shared.domain.erasure import KeptOut
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.ids import Address, TenantId
from shared.domain.mailbox import Mailbox

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_FOR_EVER = 0


def read_kept_out(table: Table, tenant_id: TenantId) -> KeptOut:
    """Return whose mail the tenant keeps out."""
    item = table.get(KeptOutItem, kept_out_key(tenant_id))
    return kept_out_of(item) if item else KeptOut()


def kept_out_of(item: KeptOutItem) -> KeptOut:
    """Return the list an item holds."""
    until = {
        one: None if end == _FOR_EVER else from_microseconds(end) for one, end in item.until.items()
    }
    return KeptOut(bytes(item.key), until)


def until_value(kept_out: KeptOut) -> dict[str, int]:
    """Return what an item holds of a list."""
    return {
        one: _FOR_EVER if end is None else microseconds(end) for one, end in kept_out.until.items()
    }


def minding(table: Table, mailbox: Mailbox) -> "TransactWriteItemTypeDef":
    """Return the part of a transaction that fails where the list was changed meanwhile.

    Raises `RequestError(ADDRESS_KEPT_OUT)`.
    """
    key = kept_out_key(mailbox.tenant_id)
    item = table.get(KeptOutItem, key)
    if item is None:
        return table.check_operation(key, KeptOutItem.version.does_not_exist())
    if kept_out_of(item).is_for_ever(Address(mailbox.address)):
        raise RequestError(ErrorCode.ADDRESS_KEPT_OUT)
    return table.update_operation(
        key, [KeptOutItem.begun.add(1)], KeptOutItem.version == item.version
    )
