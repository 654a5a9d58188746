"""How what is known of a thread is spelled in its item."""

from shared.aws.table import Raw
from shared.domain.ids import MailboxId, ThreadId
from shared.domain.threads import ThreadLevel, ThreadRecord


def thread_of_item(thread_id: ThreadId, raw: Raw) -> ThreadRecord:
    """Return the record of a thread that an item holds."""
    return ThreadRecord(
        thread_id,
        ThreadId(raw["j"]["S"]) if "j" in raw else thread_id,
        frozenset(ThreadId(one) for one in raw.get("k", {}).get("SS", ())),
        {
            MailboxId(mailbox_id): ThreadLevel(level["S"])
            for mailbox_id, level in raw.get("l", {}).get("M", {}).items()
        },
    )
