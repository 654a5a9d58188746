"""How the list of whose mail is kept out is spelled and read: one item, consistently."""

from shared.aws.instants import from_microseconds, microseconds
from shared.aws.table import Table
from shared.aws.tables_of_erasures import KeptOutItem, kept_out_key
from shared.domain.erasure import KeptOut
from shared.domain.ids import TenantId

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
