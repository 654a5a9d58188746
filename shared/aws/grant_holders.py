"""How the mailboxes on one grant are counted: one item a grant, changed by one atomic write each.

So that of two mailboxes that let go at the same time exactly one learns that it was the last.
"""

from dataclasses import dataclass

from shared.aws.table import Table
from shared.aws.tables_of_sign_ins import HoldersItem, holder, holders_key
from shared.domain.ids import MailboxId, TenantId
from shared.ports.attempts import AccountGrant


@dataclass(frozen=True, slots=True)
class DynamoGrantHolders:
    """The port `GrantHolders`."""

    table: Table

    def hold(self, grant: AccountGrant, tenant_id: TenantId, mailbox_id: MailboxId) -> None:
        """Add to the set."""
        name = holder(tenant_id, mailbox_id)
        self.table.update(holders_key(grant), [HoldersItem.mailboxes.add({name})])

    def release(self, grant: AccountGrant, tenant_id: TenantId, mailbox_id: MailboxId) -> bool:
        """Take out of the set; an item whose set is empty goes."""
        key, name = holders_key(grant), holder(tenant_id, mailbox_id)
        left = self.table.update(key, [HoldersItem.mailboxes.delete({name})], returning="ALL_NEW")
        if left and HoldersItem.from_raw_data(left).mailboxes:
            return True
        nobody = HoldersItem.mailboxes.does_not_exist()
        failed = self.table.transact([self.table.delete_operation(key, nobody)])
        # Refused: somebody came between the two writes.
        return bool(failed)

    def is_held(self, grant: AccountGrant) -> bool:
        """Read the item."""
        item = self.table.get(HoldersItem, holders_key(grant))
        return bool(item and item.mailboxes)
