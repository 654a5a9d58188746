"""How an audit is spelled in its item, and how the figures of many mailboxes are read at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.aws.backfill_items import backfill_of
from shared.aws.copies import name_of_copy
from shared.aws.fences import stale, still_holds
from shared.aws.instants import instant
from shared.aws.packing import unpack
from shared.aws.table import Table
from shared.aws.tables import MAILBOX_DATE_INDEX, mailbox_pk, state_key
from shared.aws.tables_of_audits import SETTLED_PREFIX, AuditItem, SettledItem, audit_key
from shared.aws.tables_of_backfills import BackfillItem, backfill_key
from shared.domain.audit import Audit, Walk, Window
from shared.domain.ids import BackfillId, MailboxId, ProviderMessageId, TenantId
from shared.domain.lease import Fence
from shared.ports.audits import Completeness

_LATEST = "\U0010ffff"
_NUMBERS = (
    "listed",
    "stored",
    "ledgered",
    "missing",
    "extra",
    "mended",
    "under_way",
    "folders_left_out",
)


@dataclass(frozen=True, slots=True)
class DynamoAuditStore:
    """The port `AuditStore`."""

    table: Table

    def get_audit(self, tenant_id: TenantId, mailbox_id: MailboxId) -> Audit | None:
        """Read its item."""
        item = self.table.get(AuditItem, audit_key(tenant_id, mailbox_id))
        return _audit_of(tenant_id, item) if item else None

    def save_audit(self, fence: Fence, audit: Audit) -> None:
        """Write it whole where the mailbox is still of this generation."""
        key = audit_key(audit.tenant_id, audit.mailbox_id)
        item = AuditItem(key.pk, key.sk, mailbox_id=audit.mailbox_id, document=_document_of(audit))
        check = self.table.check_operation(
            state_key(fence.tenant_id, fence.mailbox_id), still_holds(fence)
        )
        if self.table.transact([check, self.table.put_operation(item)]):
            raise stale("generation")

    def completeness(
        self, tenant_id: TenantId, mailbox_ids: Sequence[MailboxId]
    ) -> dict[MailboxId, Completeness]:
        """Read the audits, then the repairs they name."""
        found = self.table.get_many(
            [audit_key(tenant_id, name) for name in mailbox_ids], consistent=False
        )
        audits = [_audit_of(tenant_id, AuditItem.from_raw_data(raw)) for raw in found]
        named = [
            backfill_key(tenant_id, audit.mailbox_id, audit.repair_id)
            for audit in audits
            if audit.repair_id
        ]
        repairs = {
            repair.id: repair
            for raw in self.table.get_many(named, consistent=False)
            for repair in [backfill_of(BackfillItem.from_raw_data(raw))]
        }
        return {
            audit.mailbox_id: Completeness(
                audit, repairs.get(audit.repair_id) if audit.repair_id else None
            )
            for audit in audits
        }

    def live_ids(
        self,
        tenant_id: TenantId,
        mailbox_id: MailboxId,
        *,
        since: datetime,
        before: datetime | None = None,
    ) -> dict[ProviderMessageId, datetime]:
        """Read the index by date, whose entries name their copies."""
        found = self.table.query(
            mailbox_pk(tenant_id, mailbox_id),
            index=(MAILBOX_DATE_INDEX, "mailbox_pk", "date_sk"),
            between=(instant(since), instant(before) if before else _LATEST),
            attributes="sk, date_sk",
        )
        return {
            name_of_copy(raw["sk"]["S"]): datetime.fromisoformat(
                raw["date_sk"]["S"].partition("#")[0]
            )
            for raw in found
        }

    def settled(self, tenant_id: TenantId, mailbox_id: MailboxId) -> frozenset[ProviderMessageId]:
        """Read the items of those runs and erasures that have any."""
        found = self.table.query(mailbox_pk(tenant_id, mailbox_id), prefix=SETTLED_PREFIX)
        return frozenset(
            ProviderMessageId(name)
            for raw in found
            for name in unpack(SettledItem.from_raw_data(raw).ids)
        )


def _document_of(audit: Audit) -> dict[str, Any]:
    numbers = {name: number for name in _NUMBERS if (number := getattr(audit, name))}
    walk = audit.walk
    return numbers | {
        "asked_at": audit.asked_at,
        "checked_at": audit.checked_at,
        "windows": [[window.since, window.before] for window in audit.windows],
        "repair_id": audit.repair_id,
        "whole_at": audit.whole_mailbox_checked_at,
        "walk": [walk.audited_at, walk.reached, walk.is_whole, walk.parts],
    }


def _audit_of(tenant_id: TenantId, item: AuditItem) -> Audit:
    document = item.document
    audited_at, reached, is_whole, parts = document["walk"]
    repair_id = document["repair_id"]
    return Audit(
        tenant_id=tenant_id,
        mailbox_id=MailboxId(item.mailbox_id),
        asked_at=datetime.fromisoformat(document["asked_at"]),
        checked_at=datetime.fromisoformat(document["checked_at"]),
        windows=tuple(
            Window(datetime.fromisoformat(since), _instant(before))
            for since, before in document["windows"]
        ),
        repair_id=BackfillId(repair_id) if repair_id else None,
        whole_mailbox_checked_at=_instant(document["whole_at"]),
        walk=Walk(_instant(audited_at), _instant(reached), is_whole, parts),
        **{name: document.get(name, 0) for name in _NUMBERS},
    )


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
