"""How audits are told of the copies a person's erasure takes away: none of those is missing.

The provider lists such a message for as long as it is there. Whose mail is kept out does not answer
for it: a person may be let in again, and a copy may go because another mailbox's alone names them.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from shared.aws.packing import pack
from shared.aws.side_by_side import side_by_side
from shared.aws.table import Table
from shared.aws.tables import StateItem, state_key
from shared.aws.tables_of_audits import SettledItem, settled_by_erasure_key
from shared.domain.erasure import Erasure
from shared.domain.ids import MailboxId

_IN_ITEM = 500
"""Ids of the longest kind, which are Outlook's, take 80 KB before they are packed."""


def settle_copies(
    table: Table, erasure: Erasure, refs: Iterable[str], workers: ThreadPoolExecutor
) -> None:
    """Write the ids of copies below their mailboxes; `refs` are their `copy_ref`s.

    Not below a mailbox that is gone: its own erasure may have looked there for the last time.
    Repeating it changes nothing.
    """
    names: dict[MailboxId, list[str]] = defaultdict(list)
    for ref in sorted(refs):
        mailbox_id, _, name = ref.partition("/")
        names[MailboxId(mailbox_id)].append(name)
    parts = [
        (mailbox_id, ids[start : start + _IN_ITEM])
        for mailbox_id, ids in names.items()
        for start in range(0, len(ids), _IN_ITEM)
    ]

    def write(part: tuple[MailboxId, list[str]]) -> None:
        mailbox_id, ids = part
        digest = hashlib.blake2b("\n".join(ids).encode(), digest_size=12).hexdigest()
        key = settled_by_erasure_key(erasure.tenant_id, mailbox_id, erasure.id, digest)
        is_there = table.check_operation(
            state_key(erasure.tenant_id, mailbox_id), StateItem.generation.exists()
        )
        table.transact([is_there, table.put_operation(SettledItem(key.pk, key.sk, ids=pack(ids)))])

    side_by_side(workers, write, parts)
