"""How it is recorded that an administrator was let in to a mailbox."""

from dataclasses import asdict, dataclass, replace
from itertools import islice

from shared.aws.mailbox_items import settings_document
from shared.aws.table import Table
from shared.aws.tables import SettingsItem, mailbox_pk, settings_key
from shared.aws.tables_of_openings import OPENING_PREFIX, OpeningItem, opening_key
from shared.domain.errors import ConflictError, ErrorCode
from shared.domain.ids import MailboxId, OpeningId, TenantId, UserId
from shared.domain.mailbox import Mailbox
from shared.domain.opening import Opening

_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class DynamoOpeningStore:
    """The port `OpeningStore`."""

    table: Table

    def save_with(self, mailbox: Mailbox, opening: Opening) -> Mailbox:
        """Replace the settings where their version is still the one read, and write its item."""
        after = replace(mailbox, version=mailbox.version + 1)
        fields = asdict(opening)
        key = opening_key(mailbox.tenant_id, mailbox.id, fields.pop("id"))
        failed = self.table.transact(
            [
                self.table.update_operation(
                    settings_key(mailbox.tenant_id, mailbox.id),
                    [
                        SettingsItem.document.set(settings_document(mailbox)),
                        SettingsItem.version.set(after.version),
                    ],
                    SettingsItem.version == mailbox.version,
                ),
                self.table.put_operation(
                    OpeningItem(key.pk, key.sk, opening_id=opening.id, **fields)
                ),
            ]
        )
        if failed and self.get_opening(mailbox.tenant_id, mailbox.id, opening.id) != opening:
            raise ConflictError(ErrorCode.VERSION_CONFLICT)
        return after

    def get_opening(
        self, tenant_id: TenantId, mailbox_id: MailboxId, opening_id: OpeningId
    ) -> Opening | None:
        """Read its item."""
        item = self.table.get(OpeningItem, opening_key(tenant_id, mailbox_id, opening_id))
        return _opening(item) if item else None

    def list_openings(
        self, tenant_id: TenantId, mailbox_id: MailboxId, *, before: OpeningId | None, limit: int
    ) -> list[Opening]:
        """Read backwards from `before`."""
        upper = OPENING_PREFIX + _LAST
        if before is not None:
            upper = opening_key(tenant_id, mailbox_id, before).sk
        found = self.table.query(
            mailbox_pk(tenant_id, mailbox_id),
            between=(OPENING_PREFIX, upper),
            newest_first=True,
            page=limit + 1,
        )
        openings = (_opening(OpeningItem.from_raw_data(raw)) for raw in found)
        return list(islice((one for one in openings if one.id != before), limit))


def _opening(item: OpeningItem) -> Opening:
    return Opening(
        OpeningId(item.opening_id),
        UserId(item.opened_by),
        item.reason,
        item.opened_at,
        item.ends_at,
    )
