"""Tenants' policies, in memory."""

from dataclasses import dataclass, field, replace

from shared.domain.errors import ConflictError, ErrorCode
from shared.domain.ids import TenantId
from shared.domain.policy import TenantPolicy
from tests.fakes.stores import World


@dataclass
class InMemoryPolicyStore:
    """The port `PolicyStore`."""

    world: World = field(default_factory=World)

    def get_policy(self, tenant_id: TenantId) -> TenantPolicy:
        return self.world.policies.get(tenant_id, TenantPolicy())

    def put_policy(
        self, tenant_id: TenantId, policy: TenantPolicy, *, expected_version: int | None
    ) -> TenantPolicy:
        with self.world.lock:
            stands = self.get_policy(tenant_id)
            if expected_version not in {None, stands.version}:
                if stands == replace(policy, version=(expected_version or 0) + 1):
                    return stands
                raise ConflictError(ErrorCode.VERSION_CONFLICT)
            new = replace(policy, version=stands.version + 1)
            self.world.policies[tenant_id] = new
            return new
