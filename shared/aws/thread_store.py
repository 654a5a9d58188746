"""How threads' records are read, and their levels written."""

from collections.abc import Collection
from dataclasses import dataclass

from shared.aws.table import Table, raw_key
from shared.aws.tables import Key, thread_key
from shared.aws.thread_items import thread_of_item
from shared.domain.ids import MailboxId, TenantId, ThreadId
from shared.domain.threads import ThreadLevel, ThreadRecord, without_record


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

    def set_level(
        self,
        tenant_id: TenantId,
        thread_id: ThreadId,
        mailbox_id: MailboxId,
        level: ThreadLevel | None,
    ) -> None:
        """Change one entry of the item's map, which has to be there first."""
        key = raw_key(thread_key(tenant_id, thread_id))
        name = {"#m": mailbox_id}
        if level is None:
            self.table.update_raw(
                {
                    "Key": key,
                    "UpdateExpression": "REMOVE l.#m",
                    "ConditionExpression": "attribute_exists(l.#m)",
                    "ExpressionAttributeNames": name,
                }
            )
            return
        self.table.update_raw(
            {
                "Key": key,
                "UpdateExpression": "SET l = if_not_exists(l, :none)",
                "ExpressionAttributeValues": {":none": {"M": {}}},
            }
        )
        self.table.update_raw(
            {
                "Key": key,
                "UpdateExpression": "SET l.#m = :level",
                "ExpressionAttributeNames": name,
                "ExpressionAttributeValues": {":level": {"S": level}},
            }
        )
