"""What is known of threads, in memory."""

from collections.abc import Collection
from dataclasses import dataclass, field

from shared.domain.ids import TenantId, ThreadId
from shared.domain.threads import ThreadRecord, without_record
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
