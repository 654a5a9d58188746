"""In which order the right to use a mailbox ends.

First no worker may write, then the grant is withdrawn, then the secret goes: what withdraws a grant
is in the secret. A provider that does not answer never keeps a secret alive.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.backfill import OPEN, BackfillState
from shared.domain.errors import ConflictError, ErrorCode, RetryLaterError, StoreThrottledError
from shared.domain.ids import MailboxId, UserId
from shared.domain.mailbox import Mailbox, MailboxStatus, Provider, identity_of
from shared.domain.permissions import require_change
from shared.domain.sending import ENDED, Send, SendKind, SendStatus
from shared.domain.visibility import Viewer
from shared.operations.access import Grants
from shared.operations.end_watch import end_watch
from shared.operations.read_sends import MOST_LOOKED_AT
from shared.ports.attempts import AccountGrant, GrantHolders
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.provider import MailProvider
from shared.ports.push import PushStore
from shared.ports.sending import OutgoingStore, SendRef, SendStore
from shared.ports.stores import MailboxStore

LATELY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class DisconnectionPreview:
    """What disconnecting would touch."""

    mailbox: Mailbox
    primary_of: tuple[UserId, ...]
    """The users whose primary it is."""
    open_backfills: int
    queued_sends: int
    """Of the mails looked at, those somebody still has to see to: they would not go out any more,
    unless a worker has them already."""
    sent_lately_by: tuple[UserId, ...]
    """The users who sent one of the mails looked at within `LATELY`, who did so last first."""
    more_sends: bool
    """Whether there are older mails that were not looked at."""


def preview_disconnection(
    viewer: Viewer,
    mailbox_id: MailboxId,
    *,
    mailboxes: MailboxStore,
    backfills: BackfillStore,
    sends: SendStore,
    clock: Clock,
) -> DisconnectionPreview:
    """Return what disconnecting the mailbox would touch; changes nothing.

    Of its mails it looks at the `MOST_LOOKED_AT` that were asked for last.
    """
    record = mailboxes.get(viewer.tenant_id, mailbox_id)
    mailbox = require_change(viewer, record.mailbox if record else None)
    is_over = mailbox.status is MailboxStatus.DISCONNECTED
    users = () if is_over else tuple(mailboxes.primary_of(mailbox.tenant_id, mailbox.id))
    still_open = [
        backfill
        for backfill in backfills.list_backfills(mailbox.tenant_id, mailbox.id)
        if backfill.state in OPEN
    ]
    found = sends.list_sends(mailbox.tenant_id, mailbox.id, limit=MOST_LOOKED_AT + 1, before=None)
    looked_at = found[:MOST_LOOKED_AT]
    return DisconnectionPreview(
        mailbox,
        users,
        len(still_open),
        queued_sends=sum(_is_on_its_way(send) for send in looked_at),
        sent_lately_by=_senders(looked_at, since=clock.now() - LATELY),
        more_sends=len(found) > MOST_LOOKED_AT,
    )


def _is_on_its_way(send: Send) -> bool:
    # An unknown one that nobody looks for any more stays unknown.
    return send.status not in ENDED and send.comes_up_at is not None


def _senders(sends: Sequence[Send], *, since: datetime) -> tuple[UserId, ...]:
    """Return who sent any of them since then; a test shows nothing of who needs the mailbox."""
    sent = (
        (send.accepted_at or send.created_at, send.user_id)
        for send in sends
        if send.status is SendStatus.SENT and send.kind is not SendKind.TEST
    )
    latest_first = sorted((one for one in sent if one[0] >= since), reverse=True)
    return tuple(dict.fromkeys(user for _, user in latest_first))


@dataclass(frozen=True, slots=True)
class Disconnected:
    """What became of the grant at the provider."""

    provider: Provider
    revoked: bool = False
    """False also where there was none, or where others still live on it."""
    error: Exception | None = None
    """Why withdrawing it failed; it then ends at the provider by its owner's hand alone."""
    watch_error: Exception | None = None
    """Why the provider could not be told to tell no longer; it does so by itself within a week."""


def disconnect_mailbox(
    viewer: Viewer,
    mailbox_id: MailboxId,
    *,
    mailboxes: MailboxStore,
    backfills: BackfillStore,
    sends: SendStore,
    outgoing: OutgoingStore,
    grants: Grants,
    holders: GrantHolders,
    push: PushStore,
    provider_of: Callable[[Provider], MailProvider],
    clock: Clock,
) -> Disconnected:
    """End sync and sending, withdraw the grant, delete the secret, keep the history.

    Repeating it completes an interrupted one.

    1. generation and fence raised, off the schedule: a worker at work now changes nothing any more
    2. provider told to tell no longer, and whoever its words found forgotten: best effort
    3. grant withdrawn at its provider, unless another mailbox lives on it: best effort
    4. secret deleted
    5. open backfills cancelled
    6. mails that wait cancelled, and let go of: no worker takes one since 1, and what became of one
       that was being sent is found out
    """
    record = mailboxes.get(viewer.tenant_id, mailbox_id)
    mailbox = require_change(viewer, record.mailbox if record else None)
    mailboxes.disconnect(mailbox.tenant_id, mailbox.id, identity_of(mailbox))
    # Read again: a run may have made a watch since.
    stands = mailboxes.get(mailbox.tenant_id, mailbox.id)
    watch_error = (
        end_watch(stands, push=push, grants=grants, provider_of=provider_of) if stands else None
    )
    ended = replace(_withdraw(mailbox, grants, holders), watch_error=watch_error)
    grants.secrets.delete(mailbox.tenant_id, mailbox.id)
    for backfill in backfills.list_backfills(mailbox.tenant_id, mailbox.id):
        if backfill.state in OPEN:
            try:
                backfills.set_backfill_state(backfill, BackfillState.CANCELLED, now=clock.now())
            except ConflictError:
                # It ended by itself meanwhile; the sweeper cancels what is still open.
                continue
    _cancel_sends(mailbox, sends, outgoing, clock)
    return ended


def _cancel_sends(
    mailbox: Mailbox, sends: SendStore, outgoing: OutgoingStore, clock: Clock
) -> None:
    for send in sends.of_mailbox(mailbox.tenant_id, mailbox.id):
        ref = SendRef(send.tenant_id, send.mailbox_id, send.id)
        # One that somebody cancelled who died then has its content still.
        is_cancelled = send.code is ErrorCode.MAILBOX_DISCONNECTED
        if send.may_be_cancelled:
            # Else taken just before the disconnecting: its worker says what became of it.
            with suppress(ConflictError):
                sends.cancel(ref, now=clock.now(), code=ErrorCode.MAILBOX_DISCONNECTED)
                is_cancelled = True
        if is_cancelled:
            outgoing.delete(ref)


def _withdraw(mailbox: Mailbox, grants: Grants, holders: GrantHolders) -> Disconnected:
    if mailbox.provider is Provider.IMAP:
        return Disconnected(mailbox.provider)
    try:
        return _revoke_unless_shared(mailbox, grants, holders)
    except StoreThrottledError:
        # Ours, and soon well again; without the secret nothing could be withdrawn any more.
        raise
    except Exception as error:  # boundary: the secret has to go, whatever it was
        return Disconnected(mailbox.provider, error=error)


def _revoke_unless_shared(mailbox: Mailbox, grants: Grants, holders: GrantHolders) -> Disconnected:
    kept = grants.kept(mailbox)
    if kept is None:
        # Nothing to withdraw; perhaps a connecting that died held a grant before it was stored.
        for client in grants.clients.usable(mailbox.tenant_id, mailbox.provider):
            held = AccountGrant(mailbox.provider, client.client_id, mailbox.subject)
            holders.release(held, mailbox.tenant_id, mailbox.id)
        return Disconnected(mailbox.provider)
    grant = AccountGrant(mailbox.provider, kept.client_id, mailbox.subject)
    if holders.release(grant, mailbox.tenant_id, mailbox.id):
        return Disconnected(mailbox.provider)
    try:
        grants.revoke(mailbox, kept)
    except RetryLaterError:
        # The secret goes next, so there is no later: most of what passes is over by a second try,
        # and both together take ten seconds at most.
        grants.revoke(mailbox, kept)
    return Disconnected(mailbox.provider, revoked=True)
