"""How a mailbox's grant is kept apart from all other data."""

from typing import Protocol

from shared.domain.ids import MailboxId, TenantId
from shared.domain.secret import Secret


class SecretStore(Protocol):
    """One secret per mailbox. Raises `RetryLaterError` when the store is busy or down."""

    def put(self, tenant_id: TenantId, mailbox_id: MailboxId, secret: Secret) -> None:
        """Create or replace the mailbox's secret."""
        ...

    def get(self, tenant_id: TenantId, mailbox_id: MailboxId) -> Secret | None:
        """Return the secret, or None where there is none."""
        ...

    def delete(self, tenant_id: TenantId, mailbox_id: MailboxId) -> None:
        """Delete it at once and for good; nothing happens where there is none."""
        ...
