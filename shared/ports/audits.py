"""What audits need to have kept; rules as in `stores`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.audit import Audit
from shared.domain.backfill import Backfill
from shared.domain.ids import MailboxId, ProviderMessageId, TenantId
from shared.domain.lease import Fence
from shared.domain.ledger import Counts


@dataclass(frozen=True, slots=True)
class Completeness:
    """The latest audit of a mailbox, and how far the repair has come that it asked for."""

    audit: Audit
    repair: Backfill | None = None

    @property
    def repaired(self) -> int:
        """How many of the missing messages are there by now."""
        counts = self.repair.counts if self.repair else Counts()
        return counts.stored + counts.already_stored

    @property
    def explained(self) -> int:
        """How many were not missing: for these the repair found out why they are not here."""
        counts = self.repair.counts if self.repair else Counts()
        return sum(counts.skipped.values()) + counts.unreadable + counts.gone


class AuditStore(Protocol):
    """The latest audit of each mailbox, and what ledgers settled without a copy."""

    def get_audit(self, tenant_id: TenantId, mailbox_id: MailboxId) -> Audit | None:
        """Return the latest, consistently read."""
        ...

    def save_audit(self, fence: Fence, audit: Audit) -> None:
        """Replace the latest one. Fenced by the mailbox's generation."""
        ...

    def completeness(
        self, tenant_id: TenantId, mailbox_ids: Sequence[MailboxId]
    ) -> dict[MailboxId, Completeness]:
        """Return the figures of those that have been audited (eventually consistent)."""
        ...

    def live_ids(
        self,
        tenant_id: TenantId,
        mailbox_id: MailboxId,
        *,
        since: datetime,
        before: datetime | None = None,
    ) -> dict[ProviderMessageId, datetime]:
        """Return the live copies received from `since` to `before`, and when each was.

        Eventually consistent; a read unit is for some fifty of them.
        """
        ...

    def settled(self, tenant_id: TenantId, mailbox_id: MailboxId) -> frozenset[ProviderMessageId]:
        """Return what runs found unreadable, what repairs skipped, and what persons' erasures took.

        Consistently read.
        """
        ...
