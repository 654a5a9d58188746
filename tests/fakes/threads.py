"""What is known of threads, in memory."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from shared.domain.ids import MailboxId, TenantId, ThreadId
from shared.domain.threads import ThreadLevel, ThreadRecord, least_of_all, without_record
from tests.fakes.stores import World


@dataclass
class InMemoryThreadStore:
    """The port `ThreadStore`."""

    world: World = field(default_factory=World)

    def get_threads(
        self, tenant_id: TenantId, ids: Collection[ThreadId]
    ) -> dict[ThreadId, ThreadRecord]:
        with self.world.lock:
            threads = self.world.threads
            return {one: threads.get((tenant_id, one), without_record(one)) for one in ids}

    def set_level(
        self,
        tenant_id: TenantId,
        thread_id: ThreadId,
        mailbox_id: MailboxId,
        level: ThreadLevel | None,
    ) -> None:
        with self.world.lock:
            record = self.get_threads(tenant_id, [thread_id])[thread_id]
            levels = {name: one for name, one in record.levels.items() if name != mailbox_id}
            if level is not None:
                levels[mailbox_id] = level
            root = self.get_threads(tenant_id, [record.root])[record.root]
            parts = {root.thread_id, *root.members, thread_id}
            records = self.get_threads(tenant_id, parts)
            records[thread_id] = replace(record, levels=levels)
            least = least_of_all(one.levels for one in records.values())
            for name, one in records.items():
                self.world.threads[tenant_id, name] = replace(one, least=least)
