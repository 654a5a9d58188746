"""How "sync now" becomes one run, however often it is pressed."""

from shared.domain.errors import ConflictError, ErrorCode
from shared.domain.ids import MailboxId, RunId, new_ulid
from shared.domain.mailbox import MailboxStatus
from shared.domain.permissions import require_sight
from shared.domain.run import RunReason
from shared.domain.visibility import Viewer
from shared.ports.clock import Clock
from shared.ports.queues import SyncRequest, WorkQueues
from shared.ports.stores import MailboxStore


def request_sync(
    viewer: Viewer,
    mailbox_id: MailboxId,
    *,
    mailboxes: MailboxStore,
    queues: WorkQueues,
    clock: Clock,
) -> RunId:
    """Ask for a run at once and return its id; one that already waits is not doubled.

    Raises `ConflictError(WRONG_STATE)` for a mailbox that is not active.
    """
    record = mailboxes.get(viewer.tenant_id, mailbox_id)
    mailbox = require_sight(viewer, record.mailbox if record else None)
    if mailbox.status is not MailboxStatus.ACTIVE:
        words = f"Only an active mailbox is synced, and this one is `{mailbox.status}`."
        raise ConflictError(ErrorCode.WRONG_STATE, words=words)
    mine = RunId(new_ulid(clock.now()))
    run_id = mailboxes.request_run(mailbox.tenant_id, mailbox.id, mine)
    # Sent also when another request waits: its own message may have been lost, and a second one
    # finds nothing to do.
    queues.send_syncs([SyncRequest(mailbox.tenant_id, mailbox.id, RunReason.REQUESTED, run_id)])
    return run_id
