"""Users' signatures, in memory."""

from dataclasses import dataclass, field

from shared.domain.ids import TenantId, UserId
from shared.domain.signature import Signature
from tests.fakes.stores import World


@dataclass
class InMemorySignatureStore:
    """The port `SignatureStore`."""

    world: World = field(default_factory=World)

    def get_signature(self, tenant_id: TenantId, user_id: UserId) -> Signature | None:
        return self.world.signatures.get((tenant_id, user_id))

    def put_signature(self, tenant_id: TenantId, user_id: UserId, signature: Signature) -> None:
        self.world.signatures[tenant_id, user_id] = signature

    def delete_signature(self, tenant_id: TenantId, user_id: UserId) -> None:
        self.world.signatures.pop((tenant_id, user_id), None)
