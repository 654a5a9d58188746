"""How it is shown that a mailbox is complete, or what is missing of it."""

from datetime import datetime

from shared.api.schemas.fields import Shown
from shared.ports.audits import Completeness


class AuditWindowShown(Shown):
    """Dates of receipt, from `since` up to `before`; null is up to now."""

    since: datetime
    before: datetime | None


class CompletenessShown(Shown):
    """What the latest daily audit found by comparing the mailbox with its provider.

    `listed` is the sum of `stored`, `ledgered`, `missing` and `under_way`.
    """

    checked_at: datetime
    windows: list[AuditWindowShown]
    """Which dates were looked at: the newest each day, and one older window that walks back."""
    listed: int
    """Messages at the provider in these windows."""
    stored: int
    ledgered: int
    """Not stored for a reason a run's ledger says, such as one that cannot be read."""
    missing: int
    """Not stored, and no reason known. Those the repair finds a reason for are `ledgered` then."""
    repaired: int
    """How many of the missing ones are stored by now, by the backfill `repair_id`."""
    under_way: int
    """Listed, and the next sync brings them in."""
    extra: int
    """Stored, and no longer at the provider, which had not told of it."""
    mended: int
    """How many of the extra ones are by now shown as the provider has them."""
    folders_left_out: int
    """Folders that could not be compared this time."""
    repair_id: str | None
    whole_mailbox_checked_at: datetime | None
    """When all that is to be here was last seen, with no folder left out."""

    @classmethod
    def of(cls, found: Completeness) -> "CompletenessShown":
        """Show an audit, and how far its repair has come."""
        audit = found.audit
        return cls(
            checked_at=audit.checked_at,
            windows=[AuditWindowShown(since=one.since, before=one.before) for one in audit.windows],
            listed=audit.listed,
            stored=audit.stored,
            ledgered=audit.ledgered + found.explained,
            missing=audit.missing - found.explained,
            repaired=found.repaired,
            under_way=audit.under_way,
            extra=audit.extra,
            mended=audit.mended,
            folders_left_out=audit.folders_left_out,
            repair_id=audit.repair_id,
            whole_mailbox_checked_at=audit.whole_mailbox_checked_at,
        )
