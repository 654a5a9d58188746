"""What a contact is: a CRM record found by its addresses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.ids import Address, ContactId, TenantId

MAX_ADDRESSES = 20


@dataclass(frozen=True, slots=True)
class Contact:
    """A person or company of the tenant's CRM. The id is the CRM's own."""

    tenant_id: TenantId
    id: ContactId
    name: str
    addresses: tuple[Address, ...]
    updated_at: datetime
    attributes: Mapping[str, str] = field(default_factory=dict)
    version: int = 1
