"""How the list of whose mail is kept out is read: one item, consistently."""

from shared.aws.instants import from_microseconds
from shared.aws.table import Table
from shared.aws.tables_of_erasures import KeptOutItem, kept_out_key
from shared.domain.erasure import KeptOut
from shared.domain.ids import TenantId

FOR_EVER = 0


def read_kept_out(table: Table, tenant_id: TenantId) -> KeptOut:
    """Return whose mail the tenant keeps out."""
    item = table.get(KeptOutItem, kept_out_key(tenant_id))
    if item is None:
        return KeptOut()
    until = {
        one: None if end == FOR_EVER else from_microseconds(end) for one, end in item.until.items()
    }
    return KeptOut(bytes(item.key), until)
