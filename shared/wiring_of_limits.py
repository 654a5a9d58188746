"""How much may leave, and be asked for, in a while."""

from shared.config import settings
from shared.ports.sending import SendCaps


def send_caps() -> SendCaps:
    """Return how much may leave in a day and in a minute."""
    return SendCaps(
        mailbox_a_day=settings().recipients_of_mailbox_a_day,
        tenant_a_day=settings().recipients_of_tenant_a_day,
        mailbox_a_minute=settings().sends_of_mailbox_a_minute,
    )


def recipients_of_a_mail() -> int:
    """Return for how many recipients one mail may be."""
    return settings().recipients_of_a_mail
