"""In which order the right to use a mailbox ends.

First no worker may write, then the secret goes.
"""

from dataclasses import dataclass

from shared.domain.backfill import OPEN, BackfillState
from shared.domain.errors import ConflictError
from shared.domain.ids import MailboxId, UserId
from shared.domain.mailbox import Mailbox, MailboxStatus
from shared.domain.permissions import require_change
from shared.domain.visibility import Viewer
from shared.operations.connect_mailbox import identity_of
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.secrets import SecretStore
from shared.ports.stores import MailboxStore


@dataclass(frozen=True, slots=True)
class DisconnectionPreview:
    """What disconnecting would touch."""

    mailbox: Mailbox
    primary_of: tuple[UserId, ...]
    """The users whose primary it is."""
    open_backfills: int


def preview_disconnection(
    viewer: Viewer, mailbox_id: MailboxId, *, mailboxes: MailboxStore, backfills: BackfillStore
) -> DisconnectionPreview:
    """Return what disconnecting the mailbox would touch; changes nothing."""
    record = mailboxes.get(viewer.tenant_id, mailbox_id)
    mailbox = require_change(viewer, record.mailbox if record else None)
    is_over = mailbox.status is MailboxStatus.DISCONNECTED
    users = () if is_over else tuple(mailboxes.primary_of(mailbox.tenant_id, mailbox.id))
    still_open = [
        backfill
        for backfill in backfills.list_backfills(mailbox.tenant_id, mailbox.id)
        if backfill.state in OPEN
    ]
    return DisconnectionPreview(mailbox, users, len(still_open))


def disconnect_mailbox(
    viewer: Viewer,
    mailbox_id: MailboxId,
    *,
    mailboxes: MailboxStore,
    backfills: BackfillStore,
    secrets: SecretStore,
    clock: Clock,
) -> None:
    """End sync and sending, delete the secret, keep the history.

    Repeating it completes an interrupted one.

    1. generation and fence raised, off the schedule: a worker at work now changes nothing any more
    2. secret deleted
    3. open backfills cancelled
    """
    record = mailboxes.get(viewer.tenant_id, mailbox_id)
    mailbox = require_change(viewer, record.mailbox if record else None)
    identity = identity_of(mailbox.tenant_id, mailbox.address)
    mailboxes.disconnect(mailbox.tenant_id, mailbox.id, identity)
    secrets.delete(mailbox.tenant_id, mailbox.id)
    for backfill in backfills.list_backfills(mailbox.tenant_id, mailbox.id):
        if backfill.state in OPEN:
            try:
                backfills.set_backfill_state(backfill, BackfillState.CANCELLED, now=clock.now())
            except ConflictError:
                # It ended by itself meanwhile; the sweeper cancels what is still open.
                continue
