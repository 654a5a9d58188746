"""Which mailboxes are asked to sync in a given minute."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from shared.domain.run import RunReason
from shared.domain.schedule import slots_at
from shared.ports.queues import SyncRequest, WorkQueues
from shared.ports.stores import MailboxStore

BATCH = 500


def schedule_sync(*, at: datetime, mailboxes: MailboxStore, queues: WorkQueues) -> int:
    """Queue a run for every mailbox due in the minute of `at` and return how many.

    Ticks may come twice, late or never: a run too many finds nothing, one too few is made up by the
    next.
    """
    due = _due(at, mailboxes)
    queued = 0
    while batch := list(islice(due, BATCH)):
        queues.send_syncs(batch)
        queued += len(batch)
    return queued


def _due(at: datetime, mailboxes: MailboxStore) -> Iterator[SyncRequest]:
    for slot in slots_at(at):
        for due in mailboxes.due(slot):
            if due.not_before is None or due.not_before <= at:
                yield SyncRequest(due.tenant_id, due.mailbox_id, RunReason.SCHEDULE)
