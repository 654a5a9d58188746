"""How many mailboxes are asked at once for what happened in them lately.

Each of them is two queries, and most find nothing: waiting for one after the other is all it takes.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, islice

from shared.aws.mailbox_items import all_records_in
from shared.aws.mailbox_store import DynamoMailboxStore
from shared.aws.run_store import DynamoRunStore
from shared.aws.side_by_side import side_by_side
from shared.aws.table import Table
from shared.aws.tables import MAILBOX_PREFIX, mailbox_sk, mailboxes_pk
from shared.domain.dead_letter import DeadLetter
from shared.domain.ids import MailboxId, TenantId
from shared.domain.run import Run
from shared.ports.dead_letters import DeadLetterStore
from shared.ports.stores import MailboxRecord

_WORKERS = 16
_ITEMS_OF_A_MAILBOX = 2
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class DynamoActivityStore:
    """The port `ActivityStore`."""

    table: Table
    letters: DeadLetterStore
    _workers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_WORKERS, thread_name_prefix="activity")
    )

    def page_mailboxes(
        self, tenant_id: TenantId, *, after: MailboxId | None, limit: int
    ) -> list[MailboxRecord]:
        """Read the items of so many mailboxes; on from there for one that is erased meanwhile.

        One that a reconnect changes half way is read anew.
        """
        low = mailbox_sk(after) + _LAST if after else MAILBOX_PREFIX
        found = self.table.query(
            mailboxes_pk(tenant_id),
            between=(low, MAILBOX_PREFIX + _LAST),
            consistent=False,
            # One item more tells that the last mailbox has no other.
            page=limit * _ITEMS_OF_A_MAILBOX + 1,
        )
        mailboxes = DynamoMailboxStore(self.table)
        records = (
            record
            for _, items in groupby(found, key=lambda raw: str(raw["sk"]["S"]).rpartition("#")[0])
            for record in all_records_in(list(items), lambda name: mailboxes.get(tenant_id, name))
        )
        return list(islice(records, limit))

    def latest_runs(
        self, tenant_id: TenantId, mailbox_ids: Sequence[MailboxId], *, since: datetime, most: int
    ) -> dict[MailboxId, list[Run]]:
        """Read each mailbox's runs backwards."""
        runs = DynamoRunStore(self.table)
        found = side_by_side(
            self._workers,
            lambda name: runs.runs_since(tenant_id, name, since=since, most=most),
            mailbox_ids,
        )
        return dict(zip(mailbox_ids, found, strict=True))

    def latest_letters(
        self, tenant_id: TenantId, mailbox_ids: Sequence[MailboxId], *, most: int
    ) -> dict[MailboxId, list[DeadLetter]]:
        """Read each mailbox's letters backwards."""
        found = side_by_side(
            self._workers,
            lambda name: self.letters.list_letters(tenant_id, name, before=None, limit=most),
            mailbox_ids,
        )
        return dict(zip(mailbox_ids, found, strict=True))
