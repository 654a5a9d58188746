"""How much may leave, be asked for and be at work in a while."""

from shared import wiring
from shared.config import settings
from shared.domain.rate_limits import Act
from shared.domain.visibility import Viewer
from shared.operations import limit_rate
from shared.ports.rate_limits import RateLimits
from shared.ports.sending import SendCaps


def rate_limits() -> RateLimits:
    """Return what counts requests."""
    from shared.aws.rate_limits import DynamoRateLimits

    return DynamoRateLimits(wiring.table())


def require_room(viewer: Viewer, act: Act, number: int = 1) -> None:
    """Count a request, or as many as `number`, or refuse it: for `make_app`."""
    now = wiring.clock().now()
    limit_rate.require_room(viewer, act, limits=rate_limits(), now=now, number=number)


def send_caps() -> SendCaps:
    """Return how much may leave in a day and in a minute."""
    return SendCaps(
        mailbox_a_day=settings().recipients_of_mailbox_a_day,
        tenant_a_day=settings().recipients_of_tenant_a_day,
        mailbox_a_minute=settings().sends_of_mailbox_a_minute,
    )


def runs_of_mailbox_an_hour() -> int:
    """Return how many sync runs in an hour are a loop."""
    return settings().runs_of_mailbox_an_hour


def recipients_of_a_mail() -> int:
    """Return for how many recipients one mail may be."""
    return settings().recipients_of_a_mail


def gmail_units_per_minute() -> int:
    """Return what the project's quota lets us spend on one Gmail mailbox."""
    return settings().gmail_units_per_minute


def chunks_of_a_tenant() -> int:
    """Return how many chunks of one tenant may be at work at once."""
    return settings().chunks_of_a_tenant
