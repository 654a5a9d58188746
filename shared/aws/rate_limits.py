"""How room in a bucket is taken, so that however many ask at once no more are let through.

One conditional write for a bucket that is full, a second one for a bucket that is not; each is
right by itself, whoever comes between them. Only who is refused reads it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.aws.instants import from_microseconds, microseconds
from shared.aws.table import Table
from shared.aws.tables_of_rates import RateItem, rate_key
from shared.domain.ids import TenantId, UserId
from shared.domain.rate_limits import Act, Rate

_KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DynamoRateLimits:
    """The port `RateLimits`."""

    table: Table

    def take(
        self, tenant_id: TenantId, user_id: UserId | None, act: Act, rate: Rate, *, now: datetime
    ) -> float | None:
        """Begin a bucket anew where it is full, or move it on where there is room."""
        key = rate_key(tenant_id, user_id, act)
        each, present = rate.each // timedelta(microseconds=1), microseconds(now)
        full_at = RateItem.full_at
        kept = RateItem.expires_at.set(int((now + rate.each * rate.burst + _KEPT).timestamp()))
        is_full = full_at.does_not_exist() | (full_at <= present)
        if self.table.update(key, [full_at.set(present + each), kept], is_full) is not None:
            return None
        has_room = full_at <= microseconds(now + rate.most_ahead)
        if self.table.update(key, [full_at.add(each), kept], has_room) is not None:
            return None
        item = self.table.get(RateItem, key)
        stands = from_microseconds(int(item.full_at)) if item else now
        # At least something, should it have filled since.
        return max((stands - rate.most_ahead - now).total_seconds(), 0.001)
