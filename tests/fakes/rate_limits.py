"""The port `RateLimits` in memory; `is_open` lets everybody through."""

import threading
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.ids import TenantId, UserId
from shared.domain.rate_limits import Act, Rate


@dataclass
class InMemoryRateLimits:
    """The port `RateLimits`."""

    is_open: bool = False
    full_at: dict[tuple[TenantId, UserId | None, Act], datetime] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def take(
        self, tenant_id: TenantId, user_id: UserId | None, act: Act, rate: Rate, *, now: datetime
    ) -> float | None:
        if self.is_open:
            return None
        with self.lock:
            stands = max(self.full_at.get((tenant_id, user_id, act), now), now)
            if stands - now > rate.most_ahead:
                return (stands - rate.most_ahead - now).total_seconds()
            self.full_at[tenant_id, user_id, act] = stands + rate.each
            return None
