"""How threads' records are read."""

from collections.abc import Collection
from dataclasses import dataclass

from shared.aws.table import Table
from shared.aws.tables import Key, thread_key
from shared.aws.thread_items import thread_of_item
from shared.domain.ids import TenantId, ThreadId
from shared.domain.threads import ThreadRecord, without_record


@dataclass(frozen=True, slots=True)
class DynamoThreadStore:
    """The port `ThreadStore`."""

    table: Table

    def get_threads(
        self, tenant_id: TenantId, ids: Collection[ThreadId]
    ) -> dict[ThreadId, ThreadRecord]:
        """Read the items by key."""
        keys = {thread_key(tenant_id, one): one for one in ids}
        found = {one: without_record(one) for one in ids}
        for raw in self.table.get_many(list(keys), consistent=False):
            one = keys[Key(raw["pk"]["S"], raw["sk"]["S"])]
            found[one] = thread_of_item(one, raw)
        return found
