"""How it is known how often something was asked for."""

from datetime import datetime
from typing import Protocol

from shared.domain.ids import TenantId, UserId
from shared.domain.rate_limits import Act, Rate


class RateLimits(Protocol):
    """Buckets, by tenant and by user."""

    def take(
        self, tenant_id: TenantId, user_id: UserId | None, act: Act, rate: Rate, *, now: datetime
    ) -> float | None:
        """Take room for one request out of a bucket: a user's, or with None the whole tenant's.

        Returns None, or in how many seconds there is room; nothing is taken then. However many ask
        at once, no more are let through than there is room for. Raises `StoreThrottledError`.
        """
        ...
