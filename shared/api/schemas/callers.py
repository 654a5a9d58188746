"""What a token is taken to say of who asks."""

from shared.api.schemas.fields import Shown
from shared.domain.visibility import Viewer


class CallerShown(Shown):
    """Who asks, as their verified token says."""

    tenant_id: str
    user_id: str
    """As owners, `granted_to` and whoever did something name them."""
    is_admin: bool
    """Whether their roles hold `admin`."""

    @classmethod
    def of(cls, caller: Viewer) -> "CallerShown":
        """Show one."""
        return cls(tenant_id=caller.tenant_id, user_id=caller.user_id, is_admin=caller.is_admin)
