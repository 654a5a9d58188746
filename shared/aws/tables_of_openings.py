"""Under which key it is recorded that an administrator was let in to a mailbox.

| to …                                 | pk                       | sk                  |
| ------------------------------------ | ------------------------ | ------------------- |
| read who was let in, newest first    | `{t}#mailbox#{id}`       | `opening#{opening}` |
"""

from pynamodb.attributes import UnicodeAttribute, UTCDateTimeAttribute

from shared.aws.tables import Item, Key, escape, mailbox_pk
from shared.domain.ids import MailboxId, OpeningId, TenantId

OPENING_PREFIX = "opening#"


def opening_key(tenant_id: TenantId, mailbox_id: MailboxId, opening_id: OpeningId) -> Key:
    """Key of an opening; ids sort by time."""
    return Key(mailbox_pk(tenant_id, mailbox_id), OPENING_PREFIX + escape(opening_id))


class OpeningItem(Item):
    """An opening."""

    opening_id = UnicodeAttribute()
    opened_by = UnicodeAttribute()
    reason = UnicodeAttribute()
    opened_at = UTCDateTimeAttribute()
    ends_at = UTCDateTimeAttribute(null=True)
