"""How a user's signature is spelled in its item."""

from dataclasses import asdict, dataclass

from shared.aws.table import Table
from shared.aws.tables_of_users import SignatureItem, signature_key
from shared.domain.ids import TenantId, UserId
from shared.domain.signature import Signature


@dataclass(frozen=True, slots=True)
class DynamoSignatureStore:
    """The port `SignatureStore`."""

    table: Table

    def get_signature(self, tenant_id: TenantId, user_id: UserId) -> Signature | None:
        """Read its item."""
        item = self.table.get(SignatureItem, signature_key(tenant_id, user_id))
        return Signature(**item.document) if item else None

    def put_signature(self, tenant_id: TenantId, user_id: UserId, signature: Signature) -> None:
        """Write its item."""
        key = signature_key(tenant_id, user_id)
        self.table.put(SignatureItem(key.pk, key.sk, document=asdict(signature)))

    def delete_signature(self, tenant_id: TenantId, user_id: UserId) -> None:
        """Delete its item."""
        self.table.transact([self.table.delete_operation(signature_key(tenant_id, user_id))])
