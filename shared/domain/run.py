"""What one run on a mailbox reports of itself."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.errors import ErrorCode
from shared.domain.ids import BackfillId, MailboxId, RunId, TenantId
from shared.domain.ledger import Counts


class RunReason(StrEnum):
    """Why a run was started."""

    SCHEDULE = "schedule"
    REQUESTED = "requested"
    CONNECTED = "connected"
    CONTINUED = "continued"
    BACKFILL = "backfill"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Run:
    """One ended run. `code` is None for a success."""

    tenant_id: TenantId
    mailbox_id: MailboxId
    id: RunId
    reason: RunReason
    started_at: datetime
    ended_at: datetime
    counts: Counts
    code: ErrorCode | None = None
    backfill_id: BackfillId | None = None
    ledger: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The listed ids by fate, packed by the store."""
