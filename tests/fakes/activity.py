"""The port `ActivityStore` over the fakes' `World`."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.domain.dead_letter import DeadLetter
from shared.domain.ids import MailboxId, TenantId, first_made_at
from shared.domain.run import Run
from shared.ports.stores import MailboxRecord
from tests.fakes.letters import InMemoryDeadLetterStore
from tests.fakes.stores import InMemoryMailboxStore, World


@dataclass
class InMemoryActivityStore:
    """The port `ActivityStore`."""

    world: World = field(default_factory=World)

    def page_mailboxes(
        self, tenant_id: TenantId, *, after: MailboxId | None, limit: int
    ) -> list[MailboxRecord]:
        records = InMemoryMailboxStore(self.world).list_mailboxes(tenant_id)
        return [one for one in records if after is None or one.mailbox.id > after][:limit]

    def latest_runs(
        self, tenant_id: TenantId, mailbox_ids: Sequence[MailboxId], *, since: datetime, most: int
    ) -> dict[MailboxId, list[Run]]:
        def runs_of(name: MailboxId) -> list[Run]:
            runs = self.world.runs.get((tenant_id, name), {})
            late = (one for one in runs.values() if one.id >= first_made_at(since))
            newest_first = sorted(late, key=lambda run: run.id, reverse=True)
            return [replace(one, ledger={}) for one in newest_first[:most]]

        with self.world.lock:
            return {name: runs_of(name) for name in mailbox_ids}

    def latest_letters(
        self, tenant_id: TenantId, mailbox_ids: Sequence[MailboxId], *, most: int
    ) -> dict[MailboxId, list[DeadLetter]]:
        letters = InMemoryDeadLetterStore(self.world)
        return {
            name: letters.list_letters(tenant_id, name, before=None, limit=most)
            for name in mailbox_ids
        }
