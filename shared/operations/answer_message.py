"""What an answer to a stored message begins with, and which mailbox it goes out from.

To answer a message, or to pass it on, one must see it in full; else it is the one that does not
exist. All of it is read from what is stored: the message may be gone from its provider by then.
"""

from dataclasses import dataclass, field, replace

from shared.domain.errors import ConflictError, ErrorCode, RequestError
from shared.domain.identity import thread_of
from shared.domain.ids import MailboxId, MessageId
from shared.domain.mailbox import Mailbox, MailboxKind, MailboxStatus, own_addresses
from shared.domain.message import Body, Message, ParticipantRole
from shared.domain.permissions import may_send, require_sending
from shared.domain.policy import TenantPolicy
from shared.domain.reply import Answer, answer_to, named_in
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
    sender: str
    """As whom: an address of the mailbox."""
    answered: Answered
    answer: Answer


def answer_of(
    viewer: Viewer,
    message_id: MessageId,
    kind: SendKind,
    *,
    named: MailboxId | None,
    mailboxes: MailboxStore,
    messages: MessageStore,
    reader: MailReader,
) -> AnswerView:
    """Return what an answer would begin with, from the mailbox it would go out from.

    That is the `named` one where one is. Raises `RequestError` (`MESSAGE_NOT_FOUND`,
    `MAILBOX_NOT_FOUND`, `OWNER_REQUIRED`, `NO_MAILBOX_TO_SEND_FROM`), `ConflictError(WRONG_STATE)`.
    """
    answered = load_answered(viewer, message_id, messages=messages, reader=reader)
    mailbox = mailbox_to_send_from(viewer, named, answered, mailboxes=mailboxes)
    sender = answered_as(viewer, answered, mailbox) or mailbox.address
    return AnswerView(kind, mailbox, sender, answered, beginning(viewer, answered, kind, mailbox))


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


def beginning(viewer: Viewer, answered: Answered, kind: SendKind, mailbox: Mailbox) -> Answer:
    """Return whom an answer from `mailbox` goes to and what it is called; never to the writer.

    Neither to another personal mailbox of theirs that holds the message too. A shared one is not
    the writer: others read it, and it may be the one that is answered.
    """
    own = own_addresses(mailbox)
    for box in answered.holding:
        if _is_the_viewer(viewer, box):
            own |= own_addresses(box)
    return answer_to(answered.message, kind, own, answered.policy)


def answered_as(viewer: Viewer, answered: Answered, mailbox: Mailbox) -> str | None:
    """Return which address of a mailbox the message names, to be answered from, or None.

    In To or Cc; for what the viewer wrote themselves in From, as whom they go on. For one that the
    account was called formerly stands the one it has.
    """
    roles = [ParticipantRole.TO, ParticipantRole.CC]
    if _is_the_viewer(viewer, mailbox):
        roles.insert(0, ParticipantRole.FROM)
    verified = (one.address for one in mailbox.aliases if one.verified_at is not None)
    names = {one: one for one in (mailbox.address, *verified)}
    names |= {one: mailbox.address for one in mailbox.former_addresses if one not in names}
    named = named_in(answered.message, roles, names, answered.policy)
    return None if named is None else names[named]


def _is_the_viewer(viewer: Viewer, mailbox: Mailbox) -> bool:
    return mailbox.kind is MailboxKind.PERSONAL and mailbox.owner_user_id == viewer.user_id


def mailbox_to_send_from(
    viewer: Viewer,
    named: MailboxId | None,
    answered: Answered | None,
    *,
    mailboxes: MailboxStore,
) -> Mailbox:
    """Return the mailbox a mail goes out from.

    The one that is named. Else, for an answer, one of the viewer's that holds the message: first
    those that the message names (`answered_as`), then their primary, and their own before those
    shared with them. One that is not active is passed over for another that holds it, and for no
    other: nobody answers as somebody else unless they say so. All else leaves from their primary,
    or from the only active mailbox they own where none is their primary.

    Raises `RequestError` (`MAILBOX_NOT_FOUND`, `OWNER_REQUIRED`, `NO_MAILBOX_TO_SEND_FROM`),
    `ConflictError(WRONG_STATE)` for a named one, or all that hold the message, not being active.
    """
    if named is not None:
        record = mailboxes.get(viewer.tenant_id, named)
        mailbox = require_sending(viewer, record.mailbox if record else None)
        if mailbox.status is not MailboxStatus.ACTIVE:
            raise _not_now(mailbox)
        return mailbox
    primary = mailboxes.primary(viewer.tenant_id, viewer.user_id)
    holding = _in_order(viewer, primary, answered) if answered else []
    waiting = None
    for mailbox_id in holding or ([primary] if primary else _only_own(viewer, mailboxes)):
        record = mailboxes.get(viewer.tenant_id, mailbox_id)
        box = record.mailbox if record else None
        if box is None or not may_send(viewer, box):
            continue
        if box.status is MailboxStatus.ACTIVE:
            return box
        waiting = waiting or box
    if holding and waiting:
        raise _not_now(waiting)
    raise RequestError(ErrorCode.NO_MAILBOX_TO_SEND_FROM)


def _only_own(viewer: Viewer, mailboxes: MailboxStore) -> list[MailboxId]:
    boxes = (record.mailbox for record in mailboxes.list_mailboxes(viewer.tenant_id))
    own = [
        box.id
        for box in boxes
        if box.owner_user_id == viewer.user_id and box.status is MailboxStatus.ACTIVE
    ]
    return own if len(own) == 1 else []


_NOT_NOW = {
    MailboxStatus.CONNECTING: "is still being connected.",
    MailboxStatus.RECONNECT_REQUIRED: "has to be reconnected before it can send.",
    MailboxStatus.DISCONNECTED: "is disconnected.",
}


def _not_now(mailbox: Mailbox) -> ConflictError:
    words = f"The mailbox {mailbox.address} {_NOT_NOW[mailbox.status]}"
    # The words are for who asks, the cause is for the log, which names nobody.
    return ConflictError(ErrorCode.WRONG_STATE, cause=f"mailbox is {mailbox.status}", words=words)


def _in_order(viewer: Viewer, primary: MailboxId | None, answered: Answered) -> list[MailboxId]:
    def rank(box: Mailbox) -> tuple[bool, bool, bool, MailboxId]:
        return (
            answered_as(viewer, answered, box) is None,
            box.id != primary,
            box.owner_user_id != viewer.user_id,
            box.id,
        )

    return [box.id for box in sorted(answered.holding, key=rank)]
