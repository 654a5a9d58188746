"""How a tenant's policy is spelled in its item."""

from dataclasses import asdict, dataclass, replace

from shared.aws.table import Table
from shared.aws.tables_of_policies import PolicyItem, policy_key
from shared.domain.errors import ConflictError, ErrorCode, StoreThrottledError
from shared.domain.ids import TenantId
from shared.domain.policy import Automated, Folding, TenantPolicy

_TRIES = 5


@dataclass(frozen=True, slots=True)
class DynamoPolicyStore:
    """The port `PolicyStore`."""

    table: Table

    def get_policy(self, tenant_id: TenantId) -> TenantPolicy:
        """Read its item."""
        item = self.table.get(PolicyItem, policy_key(tenant_id))
        return policy_of(item) if item else TenantPolicy()

    def put_policy(
        self, tenant_id: TenantId, policy: TenantPolicy, *, expected_version: int | None
    ) -> TenantPolicy:
        """Write its item where the version is still the one that was read."""
        for _ in range(_TRIES):
            stands = self.get_policy(tenant_id)
            if expected_version not in {None, stands.version}:
                if stands == replace(policy, version=(expected_version or 0) + 1):
                    # Our own write, whose answer was lost.
                    return stands
                raise ConflictError(ErrorCode.VERSION_CONFLICT)
            new = replace(policy, version=stands.version + 1)
            is_unchanged = (
                PolicyItem.version == stands.version
                if stands.version
                else PolicyItem.version.does_not_exist()
            )
            if self.table.put(_item(tenant_id, new), is_unchanged):
                return new
        raise StoreThrottledError(cause="the policy changes too fast to be written")


def policy_of(item: PolicyItem) -> TenantPolicy:
    """Return the policy an item holds."""
    document = item.document
    return TenantPolicy(
        own_domains=tuple(document["own_domains"]),
        blocklist=tuple(document["blocklist"]),
        automated=Automated(document["automated"]),
        plus_tags=Folding(document["plus_tags"]),
        dots=Folding(document["dots"]),
        version=int(item.version),
    )


def _item(tenant_id: TenantId, policy: TenantPolicy) -> PolicyItem:
    key = policy_key(tenant_id)
    document = asdict(policy)
    del document["version"]
    return PolicyItem(key.pk, key.sk, document=document, version=policy.version)
