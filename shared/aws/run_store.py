"""How ended runs are read; `mailbox_store` and `backfill_store` write them with what they ended."""

from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from shared.aws.run_items import run_of
from shared.aws.table import Table
from shared.aws.tables import RUN_PREFIX, RunItem, mailbox_pk, run_key
from shared.domain.ids import MailboxId, RunId, TenantId, first_made_at
from shared.domain.run import Run

_WITHOUT_LEDGER = "run_id, reason, started_at, ended_at, counts, code, backfill_id"
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class DynamoRunStore:
    """The port `RunStore`."""

    table: Table

    def list_runs(
        self, tenant_id: TenantId, mailbox_id: MailboxId, *, limit: int, before: RunId | None
    ) -> list[Run]:
        """Read backwards from `before`: run ids sort by time."""
        upper = run_key(tenant_id, mailbox_id, before).sk if before else RUN_PREFIX + _LAST
        found = self.table.query(
            mailbox_pk(tenant_id, mailbox_id),
            between=(RUN_PREFIX, upper),
            newest_first=True,
            page=limit + 1,
            attributes=_WITHOUT_LEDGER,
        )
        items = (RunItem.from_raw_data(raw) for raw in found)
        runs = (run_of(tenant_id, mailbox_id, item) for item in items if item.run_id != before)
        return list(islice(runs, limit))

    def runs_since(
        self, tenant_id: TenantId, mailbox_id: MailboxId, *, since: datetime, most: int
    ) -> list[Run]:
        """Read backwards down to the first id that was made then; not consistently."""
        found = self.table.query(
            mailbox_pk(tenant_id, mailbox_id),
            between=(RUN_PREFIX + first_made_at(since), RUN_PREFIX + _LAST),
            newest_first=True,
            consistent=False,
            page=most,
            attributes=_WITHOUT_LEDGER,
        )
        items = (RunItem.from_raw_data(raw) for raw in islice(found, most))
        return [run_of(tenant_id, mailbox_id, item) for item in items]

    def get_run(self, tenant_id: TenantId, mailbox_id: MailboxId, run_id: RunId) -> Run | None:
        """Read one with its ledger."""
        item = self.table.get(RunItem, run_key(tenant_id, mailbox_id, run_id))
        return run_of(tenant_id, mailbox_id, item) if item else None
