"""What operations need to read of the runs that ended."""

from typing import Protocol

from shared.domain.ids import MailboxId, RunId, TenantId
from shared.domain.run import Run


class RunStore(Protocol):
    """Ended runs with their ledgers; written by `finish_run` and `finish_chunk`."""

    def list_runs(
        self, tenant_id: TenantId, mailbox_id: MailboxId, *, limit: int, before: RunId | None
    ) -> list[Run]:
        """Return runs newest first, without their ledgers."""
        ...

    def get_run(self, tenant_id: TenantId, mailbox_id: MailboxId, run_id: RunId) -> Run | None:
        """Return one run with its ledger."""
        ...
