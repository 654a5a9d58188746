"""Who sees what of a mailbox's mails on their way out, and who calls one off.

Who asked for one sees it whole and calls it off, also once the mailbox is not granted to them any
more, and so does the mailbox's owner. Those a shared mailbox is granted to see as much as of its
mail, by its level or its thread's, without whom somebody else's mail goes to blindly. All others
cannot tell a send from one that does not exist.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from itertools import islice

from shared.domain.errors import ErrorCode, RequestError
from shared.domain.identity import thread_of
from shared.domain.ids import MailboxId, SendId, ThreadId
from shared.domain.mailbox import Mailbox
from shared.domain.permissions import require_sight
from shared.domain.sending import Send, SendStatus
from shared.domain.visibility import Access, Place, Viewer, access_to_mailbox, is_granted
from shared.ports.clock import Clock
from shared.ports.reading import Found, MailReader, Wanted
from shared.ports.sending import OutgoingStore, SendRef, SendStore
from shared.ports.stores import MailboxStore

MOST_LOOKED_AT = 500
"""Sends a request reads for those of some statuses: 400 KB, or 50 read units."""


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
    statuses: Collection[SendStatus],
    before: SendId | None,
    limit: int,
    mailboxes: MailboxStore,
    sends: SendStore,
    reader: MailReader,
) -> tuple[list[SendView], SendId | None]:
    """Return up to `limit` sends, newest first, and the id to go on before, or None at the end.

    `statuses`: of these alone; none: of all. At most `MOST_LOOKED_AT` are then looked at, so that a
    page may be short, or empty, and go on.

    A mailbox whose settings alone are the viewer's to see has none for them. Raises
    `RequestError(MAILBOX_NOT_FOUND)`.
    """
    record = mailboxes.get(viewer.tenant_id, mailbox_id)
    mailbox = require_sight(viewer, record.mailbox if record else None)
    if access_to_mailbox(viewer, mailbox, Place.MAILBOX) is Access.NONE:
        return [], None
    most = MOST_LOOKED_AT if statuses else limit
    found = sends.list_sends(viewer.tenant_id, mailbox_id, limit=most + 1, before=before)
    asked_for = (one for one in found[:most] if not statuses or one.status in statuses)
    page = list(islice(asked_for, limit))
    last = page[-1] if len(page) == limit else found[:most][-1] if found else None
    others = [one for one in page if not _is_theirs(viewer, mailbox, one)]
    threads = _threads(viewer, others, reader)
    views = [
        _view(viewer, mailbox, one, threads) if one in others else view_of_own(one) for one in page
    ]
    return views, last.id if last and last is not found[-1] else None


def find_send(
    viewer: Viewer,
    mailbox_id: MailboxId,
    send_id: SendId,
    *,
    mailboxes: MailboxStore,
    sends: SendStore,
) -> tuple[Mailbox, Send]:
    """Return a send the viewer may know of, and its mailbox; not cut down.

    Raises `RequestError` (`MAILBOX_NOT_FOUND`, `SEND_NOT_FOUND`).
    """
    record = mailboxes.get(viewer.tenant_id, mailbox_id)
    mailbox = record.mailbox if record else None
    send = sends.get(SendRef(viewer.tenant_id, mailbox_id, send_id))
    if mailbox and send and send.user_id == viewer.user_id:
        return mailbox, send
    mailbox = require_sight(viewer, mailbox)
    if send is None or access_to_mailbox(viewer, mailbox, Place.MAILBOX) is Access.NONE:
        raise RequestError(ErrorCode.SEND_NOT_FOUND)
    return mailbox, send


def get_send(
    viewer: Viewer,
    mailbox_id: MailboxId,
    send_id: SendId,
    *,
    mailboxes: MailboxStore,
    sends: SendStore,
    reader: MailReader,
) -> SendView:
    """Return one; raises `RequestError` (`MAILBOX_NOT_FOUND`, `SEND_NOT_FOUND`)."""
    mailbox, send = find_send(viewer, mailbox_id, send_id, mailboxes=mailboxes, sends=sends)
    if _is_theirs(viewer, mailbox, send):
        return view_of_own(send)
    return _view(viewer, mailbox, send, _threads(viewer, [send], reader))


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
    ref = SendRef(viewer.tenant_id, mailbox_id, send_id)
    mailbox, send = find_send(viewer, mailbox_id, send_id, mailboxes=mailboxes, sends=sends)
    if not _is_theirs(viewer, mailbox, send):
        raise RequestError(ErrorCode.OWNER_REQUIRED)
    cancelled = sends.cancel(ref, now=clock.now())
    outgoing.delete(ref)
    return view_of_own(cancelled)


def _is_theirs(viewer: Viewer, mailbox: Mailbox, send: Send) -> bool:
    return viewer.user_id in {send.user_id, mailbox.owner_user_id}


def _threads(viewer: Viewer, sends: Iterable[Send], reader: MailReader) -> Found:
    """Read what is recorded of the threads that sends answer, or are on."""
    ids = frozenset(thread for one in sends for thread in _threads_of(one))
    return reader.read(viewer.tenant_id, Wanted(threads=ids)) if ids else Found()


def _threads_of(send: Send) -> list[ThreadId]:
    named = (thread_of(one) for one in (send.answers, send.message_id) if one)
    return [one for one in named if one]


def _view(viewer: Viewer, mailbox: Mailbox, send: Send, threads: Found) -> SendView:
    """Return another's send as the viewer sees it; of its threads' levels the least open counts."""
    levels = [threads.thread(one).levels_in([mailbox]).get(mailbox.id) for one in _threads_of(send)]
    access = min(access_to_mailbox(viewer, mailbox, Place.MAILBOX, one) for one in levels or [None])
    if is_granted(viewer, mailbox):
        blind = frozenset(send.blind)
        shown = tuple(one for one in send.recipients if one.address not in blind)
        files = send.files if access is Access.FULL else ()
        send = replace(send, recipients=shown, blind=(), files=files)
    return SendView(send, may_cancel=False, shows_subject=access >= Access.SUBJECT)
