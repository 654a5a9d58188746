"""Who sees what of a mailbox's mails on their way out, and who calls one off.

Who asked for one sees it whole, and so does the mailbox's owner. Those a shared mailbox is granted
to see as much as of its mail, without whom somebody else's mail goes to blindly. All others cannot
tell a send from one that does not exist.
"""

from dataclasses import dataclass, replace

from shared.domain.errors import ErrorCode, RequestError
from shared.domain.ids import MailboxId, SendId
from shared.domain.mailbox import Mailbox
from shared.domain.permissions import require_sight
from shared.domain.sending import Send
from shared.domain.visibility import Access, Place, Viewer, access_to_mailbox, is_granted
from shared.ports.clock import Clock
from shared.ports.sending import OutgoingStore, SendRef, SendStore
from shared.ports.stores import MailboxStore


@dataclass(frozen=True, slots=True)
class SendView:
    """A send cut down to what the viewer may see."""

    send: Send
    may_cancel: bool
    """Whether they may call it off, and it can still be."""
    shows_subject: bool


def view_of_own(send: Send) -> SendView:
    """Return how whoever asked for it sees a send."""
    return SendView(send, may_cancel=send.may_be_cancelled, shows_subject=True)


def list_sends(
    viewer: Viewer,
    mailbox_id: MailboxId,
    *,
    before: SendId | None,
    limit: int,
    mailboxes: MailboxStore,
    sends: SendStore,
) -> tuple[list[SendView], SendId | None]:
    """Return up to `limit` sends, newest first, and the id to go on before, or None at the end.

    A mailbox whose settings alone are the viewer's to see has none for them. Raises
    `RequestError(MAILBOX_NOT_FOUND)`.
    """
    mailbox = _mailbox(viewer, mailbox_id, mailboxes)
    if access_to_mailbox(viewer, mailbox, Place.MAILBOX) is Access.NONE:
        return [], None
    found = sends.list_sends(viewer.tenant_id, mailbox_id, limit=limit + 1, before=before)
    page = found[:limit]
    views = [view for one in page if (view := _view(viewer, mailbox, one)) is not None]
    return views, page[-1].id if len(found) > limit else None


def get_send(
    viewer: Viewer,
    mailbox_id: MailboxId,
    send_id: SendId,
    *,
    mailboxes: MailboxStore,
    sends: SendStore,
) -> SendView:
    """Return one; raises `RequestError` (`MAILBOX_NOT_FOUND`, `SEND_NOT_FOUND`)."""
    mailbox = _mailbox(viewer, mailbox_id, mailboxes)
    send = sends.get(SendRef(viewer.tenant_id, mailbox_id, send_id))
    view = send and _view(viewer, mailbox, send)
    if not view:
        raise RequestError(ErrorCode.SEND_NOT_FOUND)
    return view


def cancel_send(
    viewer: Viewer,
    mailbox_id: MailboxId,
    send_id: SendId,
    *,
    mailboxes: MailboxStore,
    sends: SendStore,
    outgoing: OutgoingStore,
    clock: Clock,
) -> SendView:
    """Call one off that nobody has got anything of; repeating it changes nothing.

    As who asked for it, or as the mailbox's owner. Its content goes too, once nobody can send it.

    Raises `RequestError` (`MAILBOX_NOT_FOUND`, `SEND_NOT_FOUND`, `OWNER_REQUIRED`),
    `ConflictError(TOO_LATE)`.
    """
    mailbox = _mailbox(viewer, mailbox_id, mailboxes)
    ref = SendRef(viewer.tenant_id, mailbox_id, send_id)
    send = sends.get(ref)
    if send is None or _view(viewer, mailbox, send) is None:
        raise RequestError(ErrorCode.SEND_NOT_FOUND)
    if not _is_theirs(viewer, mailbox, send):
        raise RequestError(ErrorCode.OWNER_REQUIRED)
    cancelled = sends.cancel(ref, now=clock.now())
    outgoing.delete(ref)
    return view_of_own(cancelled)


def _mailbox(viewer: Viewer, mailbox_id: MailboxId, mailboxes: MailboxStore) -> Mailbox:
    record = mailboxes.get(viewer.tenant_id, mailbox_id)
    return require_sight(viewer, record.mailbox if record else None)


def _is_theirs(viewer: Viewer, mailbox: Mailbox, send: Send) -> bool:
    return viewer.user_id in {send.user_id, mailbox.owner_user_id}


def _view(viewer: Viewer, mailbox: Mailbox, send: Send) -> SendView | None:
    if _is_theirs(viewer, mailbox, send):
        return view_of_own(send)
    access = access_to_mailbox(viewer, mailbox, Place.MAILBOX)
    if access is Access.NONE:
        return None
    if is_granted(viewer, mailbox):
        blind = frozenset(send.blind)
        shown = tuple(one for one in send.recipients if one.address not in blind)
        send = replace(send, recipients=shown, blind=())
    return SendView(send, may_cancel=False, shows_subject=access >= Access.SUBJECT)
