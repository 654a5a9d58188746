"""What operations need to have kept of users' signatures; rules as in `stores`."""

from typing import Protocol

from shared.domain.ids import TenantId, UserId
from shared.domain.signature import Signature


class SignatureStore(Protocol):
    """One signature a user at most."""

    def get_signature(self, tenant_id: TenantId, user_id: UserId) -> Signature | None:
        """Return it, consistently read, or None where the user has none."""
        ...

    def put_signature(self, tenant_id: TenantId, user_id: UserId, signature: Signature) -> None:
        """Keep it instead of whatever stands."""
        ...

    def delete_signature(self, tenant_id: TenantId, user_id: UserId) -> None:
        """Let go of it; one that is gone is no trouble."""
        ...
