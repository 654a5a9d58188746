"""What one run on a mailbox reports of itself."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.errors import ErrorCode
from shared.domain.ids import BackfillId, MailboxId, ProviderMessageId, RunId, TenantId
from shared.domain.ledger import BEFORE_HISTORY, FOLDER_NOT_ACTIVE, NO_CONTACT, Counts, Fate
from shared.domain.mailbox import Provider


class RunReason(StrEnum):
    """Why a run was started."""

    SCHEDULE = "schedule"
    REQUESTED = "requested"
    CONNECTED = "connected"
    CONTINUED = "continued"
    PUSH = "push"
    BACKFILL = "backfill"
    REPLAY = "replay"
    REPAIR = "repair"
    CONTACT_HISTORY = "contact_history"


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """One look at a mailbox, whatever came of it, as far as the health of all of them shows it."""

    provider: Provider
    age: timedelta
    """How long ago, at its end, the mailbox was last in sync."""
    late: timedelta
    """How much of that is more than its cadence, and its rest where it is quiet, allow."""
    failed: bool
    parked: bool
    """Stopped until somebody signs in again."""
    watch_failed: bool | None = None
    """Whether the provider, asked to tell of changes, does not; None where it was not asked."""
    untold: bool | None = None
    """Whether it should have told of the news found; None where there were none to be told of."""


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

    @property
    def settled_without_copy(self) -> tuple[ProviderMessageId, ...]:
        """The messages that no audit is to miss, although the provider lists them.

        They cannot be read, or reading them told why they stay there. What is in no active folder
        may be in one again; what is too old by a listing lies outside of what is audited, and may
        come with a larger import: neither is settled. A repair asks only for what an audit listed:
        too old is there what has no date but in its listing. What a contact's history passes by
        again, whoever judged it first has settled; each search would settle all of it once more.
        """
        not_settled = {f"{Fate.SKIPPED}:{FOLDER_NOT_ACTIVE}"}
        if self.reason is not RunReason.REPAIR:
            not_settled.add(f"{Fate.SKIPPED}:{BEFORE_HISTORY}")
        if self.reason is RunReason.CONTACT_HISTORY:
            not_settled.add(f"{Fate.SKIPPED}:{NO_CONTACT}")
        return tuple(
            ProviderMessageId(name)
            for fate, names in self.ledger.items()
            if fate.partition(":")[0] in {Fate.UNREADABLE, Fate.SKIPPED} and fate not in not_settled
            for name in names
        )
