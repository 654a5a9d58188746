"""What operations need to have kept of tenants' policies; rules as in `stores`."""

from typing import Protocol

from shared.domain.ids import TenantId
from shared.domain.policy import TenantPolicy


class PolicyStore(Protocol):
    """One policy a tenant."""

    def get_policy(self, tenant_id: TenantId) -> TenantPolicy:
        """Return it, consistently read; the one of version 0 where none was made."""
        ...

    def put_policy(
        self, tenant_id: TenantId, policy: TenantPolicy, *, expected_version: int | None
    ) -> TenantPolicy:
        """Replace it whole; returns it with its new version. `expected_version` None.

        Whatever stands is replaced; 0: only the first one is made. Raises
        `ConflictError(VERSION_CONFLICT)`.
        """
        ...
