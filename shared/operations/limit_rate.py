"""Whether somebody may ask once more, of what costs others something."""

from datetime import datetime

from shared.domain.errors import ErrorCode, LimitReachedError
from shared.domain.rate_limits import RATES, Act
from shared.domain.visibility import Viewer
from shared.ports.rate_limits import RateLimits


def require_room(
    viewer: Viewer, act: Act, *, limits: RateLimits, now: datetime, number: int = 1
) -> None:
    """Count a request, or as many as `number`, of the viewer first and then of their tenant.

    Who is refused for themselves takes nothing of what their tenant has. Raises
    `LimitReachedError(TOO_MANY_REQUESTS)` with the seconds until there is room.
    """
    of_user, of_tenant = RATES[act]
    for user_id, rate in ((viewer.user_id, of_user), (None, of_tenant)):
        wait = limits.take(viewer.tenant_id, user_id, act, rate.of(number), now=now)
        if wait is not None:
            raise LimitReachedError(ErrorCode.TOO_MANY_REQUESTS, retry_after_seconds=wait)
