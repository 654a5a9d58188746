"""Who reads and who changes what a tenant keeps out of its mail."""

from shared.domain.errors import ErrorCode, RequestError
from shared.domain.policy import TenantPolicy
from shared.domain.visibility import Viewer
from shared.ports.policies import PolicyStore


def get_policy(viewer: Viewer, *, policies: PolicyStore) -> TenantPolicy:
    """Return the tenant's policy to any of its users: it explains what they do not see."""
    return policies.get_policy(viewer.tenant_id)


def change_policy(
    viewer: Viewer,
    policy: TenantPolicy,
    *,
    expected_version: int | None = None,
    policies: PolicyStore,
) -> TenantPolicy:
    """Replace the tenant's policy by one that `checked_policy` made; an administrator's alone.

    It holds for stored mail at once, and for new mail with the runs that begin now. What a former
    one kept out is not here: an import brings it in.

    Raises `RequestError(ADMIN_REQUIRED)`, `ConflictError(VERSION_CONFLICT)`.
    """
    if not viewer.is_admin:
        raise RequestError(ErrorCode.ADMIN_REQUIRED)
    return policies.put_policy(viewer.tenant_id, policy, expected_version=expected_version)
