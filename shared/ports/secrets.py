"""How a mailbox's grant is kept apart from all other data."""

from dataclasses import dataclass
from typing import Protocol

from shared.domain.ids import MailboxId, TenantId
from shared.domain.secret import Secret


@dataclass(frozen=True, slots=True)
class KeptSecret:
    """A secret as read, with the name of its version."""

    secret: Secret
    version: str


class SecretStore(Protocol):
    """One secret per mailbox. Raises `RetryLaterError` when the store is busy or down."""

    def put(self, tenant_id: TenantId, mailbox_id: MailboxId, secret: Secret) -> None:
        """Create or replace the mailbox's secret."""
        ...

    def get(self, tenant_id: TenantId, mailbox_id: MailboxId) -> KeptSecret | None:
        """Return the secret, or None where there is none."""
        ...

    def replace(
        self, tenant_id: TenantId, mailbox_id: MailboxId, secret: Secret, *, version: str
    ) -> bool:
        """Replace the secret where `version` is still the one that stands; return whether it was.

        It never brings back one that was deleted.
        """
        ...

    def delete(self, tenant_id: TenantId, mailbox_id: MailboxId) -> None:
        """Delete it at once and for good; nothing happens where there is none."""
        ...
