"""How threads' records are read, and their levels written."""

from collections.abc import Collection
from dataclasses import dataclass

from shared.aws.table import Raw, Table, raw_key
from shared.aws.tables import Key, thread_key
from shared.aws.thread_items import instead, levels_of, spelled, thread_of_item
from shared.domain.errors import StoreThrottledError
from shared.domain.ids import MailboxId, TenantId, ThreadId
from shared.domain.threads import ThreadLevel, ThreadRecord, least_of_all

_TRIES = 8


@dataclass(frozen=True, slots=True)
class DynamoThreadStore:
    """The port `ThreadStore`."""

    table: Table

    def get_threads(
        self, tenant_id: TenantId, ids: Collection[ThreadId]
    ) -> dict[ThreadId, ThreadRecord]:
        """Read the items by key."""
        found = self._read(tenant_id, ids)
        return {one: thread_of_item(one, found[one]) for one in ids}

    def set_level(
        self,
        tenant_id: TenantId,
        thread_id: ThreadId,
        mailbox_id: MailboxId,
        level: ThreadLevel | None,
    ) -> None:
        """Replace the records of all that is one with it together, if they stand as read.

        So what is joined to it meanwhile, or erased, makes it begin again.
        """
        for _ in range(_TRIES):
            parts = self._parts(tenant_id, thread_id)
            levels = {one: levels_of(raw, "l") for one, raw in parts.items()}
            levels[thread_id].pop(mailbox_id, None)
            if level is not None:
                levels[thread_id][mailbox_id] = level
            least = least_of_all(levels.values())
            changes = []
            for one, raw in parts.items():
                new = {"l": spelled(levels[one])} if levels[one] else {}
                new |= {"s": spelled(least)} if least else {}
                changes.append(instead(self.table.name, raw, {"l", "s"}, new))
            if not self.table.transact(changes):
                return
        raise StoreThrottledError(cause="this thread is being joined elsewhere")

    def _parts(self, tenant_id: TenantId, thread_id: ThreadId) -> dict[ThreadId, Raw]:
        """Return the items of all that is one with a thread; keys where there is none."""
        found = self._read(tenant_id, [thread_id])
        root = thread_of_item(thread_id, found[thread_id]).root
        found |= self._read(tenant_id, {root} - found.keys())
        members = thread_of_item(root, found[root]).members
        return found | self._read(tenant_id, members - found.keys())

    def _read(self, tenant_id: TenantId, ids: Collection[ThreadId]) -> dict[ThreadId, Raw]:
        keys = {thread_key(tenant_id, one): one for one in ids}
        found: dict[ThreadId, Raw] = {one: raw_key(key) for key, one in keys.items()}
        for raw in self.table.get_many(list(keys)):
            found[keys[Key(raw["pk"]["S"], raw["sk"]["S"])]] = raw
        return found
