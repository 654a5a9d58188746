"""What an answer to a stored message begins with, and which mailbox it goes out from.

To answer a message, or to pass it on, one must see it in full; else it is the one that does not
exist. All of it is read from what is stored: the message may be gone from its provider by then.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from shared.domain.errors import ConflictError, ErrorCode, RequestError
from shared.domain.identity import thread_of
from shared.domain.ids import Address, MailboxId, MessageId
from shared.domain.mailbox import Mailbox, MailboxStatus, own_addresses
from shared.domain.message import Body, Message
from shared.domain.permissions import may_send, require_sending
from shared.domain.policy import TenantPolicy
from shared.domain.reply import Answer, answer_to
from shared.domain.sending import SendKind
from shared.domain.visibility import Access, Place, Viewer
from shared.operations.load_mail import load_one
from shared.operations.show_messages import show_messages
from shared.ports.reading import MailReader
from shared.ports.stores import MailboxStore, MessageStore


@dataclass(frozen=True, slots=True)
class Answered:
    """A message that somebody answers or passes on, as they see it: in full."""

    message: Message
    body: Body = field(repr=False)
    holding: tuple[Mailbox, ...]
    """The mailboxes that hold or held it and from which they may send; to judge by, not by state.
    """
    policy: TenantPolicy


@dataclass(frozen=True, slots=True)
class AnswerView:
    """What an answer would be, for somebody who is about to write it."""

    kind: SendKind
    mailbox: Mailbox
    answered: Answered
    answer: Answer


def answer_of(
    viewer: Viewer,
    message_id: MessageId,
    kind: SendKind,
    *,
    mailboxes: MailboxStore,
    messages: MessageStore,
    reader: MailReader,
) -> AnswerView:
    """Return what an answer would begin with, from the mailbox it would go out from.

    Raises `RequestError` (`MESSAGE_NOT_FOUND`, `NO_MAILBOX_TO_SEND_FROM`).
    """
    answered = load_answered(viewer, message_id, messages=messages, reader=reader)
    mailbox = mailbox_to_send_from(viewer, None, answered, mailboxes=mailboxes)
    return AnswerView(kind, mailbox, answered, beginning(answered, kind, mailbox))


def load_answered(
    viewer: Viewer, message_id: MessageId, *, messages: MessageStore, reader: MailReader
) -> Answered:
    """Return a message the viewer sees in full; raises `RequestError(MESSAGE_NOT_FOUND)`."""
    if thread_of(message_id) is None:
        raise RequestError(ErrorCode.MESSAGE_NOT_FOUND)
    found = load_one(viewer.tenant_id, message_id, reader=reader)
    view = show_messages(viewer, found, [message_id], Place.TIMELINE).get(message_id)
    if view is None or view.access is not Access.FULL:
        raise RequestError(ErrorCode.MESSAGE_NOT_FOUND)
    copies = found.copies_in_mailboxes(found.messages[message_id])
    boxes = {copy.mailbox_id: found.mailboxes[copy.mailbox_id] for copy in copies}
    return Answered(
        # Under the id it has itself: threads that were joined have another.
        replace(view.message, thread_id=found.messages[message_id].thread_id),
        messages.get_body(viewer.tenant_id, message_id) or Body("", None),
        tuple(box for box in boxes.values() if may_send(viewer, box)),
        found.policy,
    )


def beginning(answered: Answered, kind: SendKind, mailbox: Mailbox) -> Answer:
    """Return whom an answer from `mailbox` goes to and what it is called; never to the writer.

    Neither to another mailbox of theirs that holds the message too.
    """
    own = frozenset[Address]().union(*map(own_addresses, (mailbox, *answered.holding)))
    return answer_to(answered.message, kind, own, answered.policy)


def mailbox_to_send_from(
    viewer: Viewer,
    named: MailboxId | None,
    answered: Answered | None,
    *,
    mailboxes: MailboxStore,
) -> Mailbox:
    """Return the mailbox a mail goes out from.

    The one that is named. Else, for an answer, one of the viewer's that holds the message, their
    primary first and their own before those shared with them; else their primary.

    Raises `RequestError` (`MAILBOX_NOT_FOUND`, `OWNER_REQUIRED`, `NO_MAILBOX_TO_SEND_FROM`),
    `ConflictError(WRONG_STATE)` for a named one that is not active.
    """
    if named is not None:
        record = mailboxes.get(viewer.tenant_id, named)
        mailbox = require_sending(viewer, record.mailbox if record else None)
        if mailbox.status is not MailboxStatus.ACTIVE:
            raise ConflictError(ErrorCode.WRONG_STATE, words=_NOT_NOW[mailbox.status])
        return mailbox
    for mailbox_id in _by_default(viewer, answered, mailboxes):
        record = mailboxes.get(viewer.tenant_id, mailbox_id)
        box = record.mailbox if record else None
        if box and may_send(viewer, box) and box.status is MailboxStatus.ACTIVE:
            return box
    raise RequestError(ErrorCode.NO_MAILBOX_TO_SEND_FROM)


_NOT_NOW = {
    MailboxStatus.CONNECTING: "The mailbox is still being connected.",
    MailboxStatus.RECONNECT_REQUIRED: "The mailbox has to be reconnected before it can send.",
    MailboxStatus.DISCONNECTED: "The mailbox is disconnected.",
}


def _by_default(
    viewer: Viewer, answered: Answered | None, mailboxes: MailboxStore
) -> Iterator[MailboxId]:
    primary = mailboxes.primary(viewer.tenant_id, viewer.user_id)

    def rank(box: Mailbox) -> tuple[bool, bool, MailboxId]:
        return box.id != primary, box.owner_user_id != viewer.user_id, box.id

    holding = sorted(answered.holding, key=rank) if answered else []
    ids = [box.id for box in holding]
    yield from ids
    if primary is not None and primary not in ids:
        yield primary
