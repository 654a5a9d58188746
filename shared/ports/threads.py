"""What operations need to have kept of threads; rules as in `stores`."""

from collections.abc import Collection
from typing import Protocol

from shared.domain.ids import MailboxId, TenantId, ThreadId
from shared.domain.threads import ThreadLevel, ThreadRecord


class ThreadStore(Protocol):
    """What is known of threads beside their messages."""

    def get_threads(
        self, tenant_id: TenantId, ids: Collection[ThreadId]
    ) -> dict[ThreadId, ThreadRecord]:
        """Return the record of every thread asked for (consistent).

        One of which nothing is recorded is its own root.
        """
        ...

    def set_level(
        self,
        tenant_id: TenantId,
        thread_id: ThreadId,
        mailbox_id: MailboxId,
        level: ThreadLevel | None,
    ) -> None:
        """Record a thread's level in a mailbox; None: it has none.

        All that is one with it knows the `least` of their levels then, and whatever is joined to
        them knows it from then on. No thread's other levels are changed. Raises
        `StoreThrottledError` where others kept joining the same threads meanwhile.
        """
        ...
