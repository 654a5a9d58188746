"""Who may change a mailbox, and how a worker that lost that right is told apart.

A lease lasts a stated time and carries a fencing number that only grows. Every protected write
names the number; the store refuses an older one. Disconnecting, reconnecting and erasing raise it
too, so a worker that was frozen meanwhile finds every door closed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.ids import MailboxId, TenantId

LEASE_SECONDS = 180
"""Longer than a sync run's function may live, so that a lease past its time means a death."""
CLOCKS_DIFFER = timedelta(seconds=5)
"""Two workers', or a queue's and a worker's, by no more than this."""


@dataclass(frozen=True, slots=True)
class Fence:
    """What a protected write must still find in place.

    A sync run names the `fence` its lease was given. A backfill chunk runs beside sync, so it names
    the mailbox's `generation` (raised by disconnect and reconnect) and leaves `fence` None.
    """

    tenant_id: TenantId
    mailbox_id: MailboxId
    generation: int
    fence: int | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run one mailbox until `expires_at`."""

    fence: Fence
    owner: str
    expires_at: datetime
    previous_run_died: bool = False
    """The lease was taken over from a run that never ended: handle messages one by one."""
    suspect: str | None = None
    """The provider message id that run was parsing when it died."""
