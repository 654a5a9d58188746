"""The port `AuditStore` over the fakes' `World`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.audit import Audit
from shared.domain.ids import MailboxId, ProviderMessageId, TenantId
from shared.domain.lease import Fence
from shared.ports.audits import Completeness
from tests.fakes.stores import World


@dataclass
class InMemoryAuditStore:
    world: World = field(default_factory=World)

    def get_audit(self, tenant_id: TenantId, mailbox_id: MailboxId) -> Audit | None:
        return self.world.audits.get((tenant_id, mailbox_id))

    def save_audit(self, fence: Fence, audit: Audit) -> None:
        with self.world.lock:
            self.world.check(fence)
            self.world.audits[audit.tenant_id, audit.mailbox_id] = audit

    def completeness(
        self, tenant_id: TenantId, mailbox_ids: Sequence[MailboxId]
    ) -> dict[MailboxId, Completeness]:
        return {
            name: Completeness(
                audit, self.world.backfills.get((tenant_id, name), {}).get(audit.repair_id)
            )
            for name in mailbox_ids
            if (audit := self.world.audits.get((tenant_id, name)))
        }

    def live_ids(
        self,
        tenant_id: TenantId,
        mailbox_id: MailboxId,
        *,
        since: datetime,
        before: datetime | None = None,
    ) -> dict[ProviderMessageId, datetime]:
        with self.world.lock:
            return {
                name: copy.received_at
                for name, copy in self.world.copies.get((tenant_id, mailbox_id), {}).items()
                if copy.removed_at is None
                and since <= copy.received_at
                and not (before and copy.received_at >= before)
            }

    def settled(self, tenant_id: TenantId, mailbox_id: MailboxId) -> frozenset[ProviderMessageId]:
        with self.world.lock:
            runs = self.world.runs.get((tenant_id, mailbox_id), {}).values()
            by_runs = frozenset(name for run in runs for name in run.settled_without_copy)
            return by_runs | self.world.settled.get((tenant_id, mailbox_id), set())
