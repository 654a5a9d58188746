"""Under which keys audits are found, and the shapes of their items.

| to …                                | pk                 | sk |
| ----------------------------------- | ------------------ | --- |
| know a mailbox's latest audit       | `{t}#mailbox#{id}` | `audit` |
| know what is settled without a copy | `{t}#mailbox#{id}` | `settled#{run}` |
| … because a person was erased       | `{t}#mailbox#{id}` | `settled#{erasure}#{digest}` |
"""

from pynamodb.attributes import BinaryAttribute, UnicodeAttribute

from shared.aws.tables import Item, JsonAttribute, Key, escape, mailbox_pk
from shared.domain.ids import ErasureId, MailboxId, RunId, TenantId

SETTLED_PREFIX = "settled#"


def audit_key(tenant_id: TenantId, mailbox_id: MailboxId) -> Key:
    """Key of a mailbox's latest audit."""
    return Key(mailbox_pk(tenant_id, mailbox_id), "audit")


def settled_key(tenant_id: TenantId, mailbox_id: MailboxId, run_id: RunId) -> Key:
    """Key of what a run settled without a copy."""
    return Key(mailbox_pk(tenant_id, mailbox_id), SETTLED_PREFIX + escape(run_id))


def settled_by_erasure_key(
    tenant_id: TenantId, mailbox_id: MailboxId, erasure_id: ErasureId, digest: str
) -> Key:
    """Key of what a person's erasure took away; `digest` is that of the ids."""
    sk = f"{SETTLED_PREFIX}{escape(erasure_id)}#{digest}"
    return Key(mailbox_pk(tenant_id, mailbox_id), sk)


class AuditItem(Item):
    """The latest audit of a mailbox: under 1 KB."""

    mailbox_id = UnicodeAttribute()
    document = JsonAttribute()


class SettledItem(Item):
    """What a run or an erasure settled without a copy; `ids` is packed."""

    ids = BinaryAttribute(legacy_encoding=False)
