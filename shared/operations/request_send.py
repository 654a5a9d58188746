"""How a mail is asked for: all that can be refused is refused first, then it is kept, then queued.

1. a key that was used already answers with the send it has
2. everything is checked, and the whole mail is composed; nothing is written
3. its content is kept; then the send, its key and its share of the caps, in one transaction; then
   it is queued

Whoever dies after the content leaves an object that goes by itself. Whoever dies after the
transaction leaves a send that comes up by itself. Asked again with the same key, either ends with
one send.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from shared.domain.capabilities import CAPABILITIES
from shared.domain.composing import Draft, envelope_of
from shared.domain.errors import (
    ConflictError,
    ErrorCode,
    LimitReachedError,
    RequestError,
    RetryLaterError,
    SendRefusedError,
)
from shared.domain.ids import MessageId, SendId, UserId, new_ulid
from shared.domain.mailbox import Mailbox
from shared.domain.message import ParticipantRole
from shared.domain.sending import MOST_FILES_NAMED, Recipient, Send, SendKind
from shared.domain.visibility import Viewer
from shared.operations.answer_message import load_answered, mailbox_to_send_from
from shared.operations.write_mail import AskedMail, MailWriter, WritePorts
from shared.ports.clock import Clock
from shared.ports.queues import SendRequest, WorkQueues
from shared.ports.reading import MailReader
from shared.ports.sending import IdempotencyKey, OutgoingStore, SendCaps, SendRef, SendStore
from shared.ports.stores import MailboxStore, MessageStore

MOST_DAYS_AHEAD = 60
_LONGEST_QUEUED = timedelta(seconds=900)
"""What is due later comes up by itself."""


@dataclass(frozen=True, slots=True)
class SendPorts:
    """What asking for a mail needs from the world."""

    mailboxes: MailboxStore
    messages: MessageStore
    reader: MailReader
    write: WritePorts
    sends: SendStore
    outgoing: OutgoingStore
    queues: WorkQueues
    clock: Clock
    caps: SendCaps
    most_recipients: int


@dataclass(frozen=True, slots=True)
class NewSend:
    """What a send is besides its mail."""

    id: SendId
    user_id: UserId
    kind: SendKind
    due_at: datetime
    answers: MessageId | None = None


def key_of(viewer: Viewer, key: str, body: bytes) -> IdempotencyKey:
    """Return what makes a request one: the caller's key, and what they ask for in one spelling."""
    hasher = hashlib.sha256()
    for part in (viewer.tenant_id, viewer.user_id, key):
        data = part.encode("utf-8", "surrogatepass")
        hasher.update(len(data).to_bytes(8, "big") + data)
    return IdempotencyKey(hasher.hexdigest(), hashlib.sha256(body).hexdigest())


def request_send(
    viewer: Viewer, asked: AskedMail, key: IdempotencyKey, *, ports: SendPorts
) -> Send:
    """Have a mail sent when it is due, at most once; return the send, of now or of before.

    Raises `RequestError` (`INVALID_REQUEST` naming the fields, `MESSAGE_NOT_FOUND`,
    `MAILBOX_NOT_FOUND`, `OWNER_REQUIRED`, `NO_MAILBOX_TO_SEND_FROM`, `SENDER_NOT_VERIFIED`,
    `ADDRESS_NOT_SUPPORTED`, `UPLOAD_NOT_FOUND`, `ATTACHMENT_NOT_FOUND`), `LimitReachedError`,
    `SendRefusedError(MAIL_TOO_LARGE)`, `ConflictError` (`KEY_REUSED`, `WRONG_STATE`).
    """
    known = ports.sends.find(viewer.tenant_id, key)
    if known is not None:
        return known
    now = ports.clock.now()
    due_at = _due_at(asked, now)
    answered = None
    if asked.answers is not None:
        answered = load_answered(
            viewer, asked.answers.message_id, messages=ports.messages, reader=ports.reader
        )
    mailbox = mailbox_to_send_from(viewer, asked.mailbox_id, answered, mailboxes=ports.mailboxes)
    writer = MailWriter(viewer, asked, mailbox, answered, ports.write, ports.most_recipients)
    send_id = SendId(new_ulid(now))
    new = NewSend(
        send_id,
        viewer.user_id,
        asked.answers.kind if asked.answers else SendKind.MESSAGE,
        due_at,
        asked.answers.message_id if asked.answers else None,
    )
    return keep_send(new, writer.draft(send_id, due_at), mailbox, key, ports=ports, now=now)


def keep_send(
    new: NewSend,
    draft: Draft,
    mailbox: Mailbox,
    key: IdempotencyKey,
    *,
    ports: SendPorts,
    now: datetime,
) -> Send:
    """Compose a mail that nothing more can be said against, keep it and queue it.

    Return the send, or the one of before where the key has one by now. Raises `LimitReachedError`,
    `SendRefusedError(MAIL_TOO_LARGE)`, `ConflictError` (`KEY_REUSED`, `WRONG_STATE`).
    """
    content = ports.write.composer.compose(draft)
    if len(content) > CAPABILITIES[mailbox.provider].largest_mail:
        raise SendRefusedError(ErrorCode.MAIL_TOO_LARGE)
    send = Send(
        tenant_id=mailbox.tenant_id,
        mailbox_id=mailbox.id,
        id=new.id,
        user_id=new.user_id,
        kind=new.kind,
        internet_message_id=draft.internet_message_id,
        sender=draft.sender.address,
        recipients=tuple(_recipients(draft)),
        blind=envelope_of(draft).blind,
        subject=draft.subject,
        digest=hashlib.sha256(content).hexdigest(),
        size=len(content),
        generation=mailbox.generation,
        created_at=now,
        due_at=new.due_at,
        answers=new.answers,
        files=tuple(one.filename for one in draft.attachments if not one.inline)[:MOST_FILES_NAMED],
    )
    kept = _keep(send, content, key, now, ports)
    if kept.id == new.id and new.due_at - now <= _LONGEST_QUEUED:
        _queue(kept, new.due_at - now, ports)
    return kept


def _recipients(draft: Draft) -> Iterator[Recipient]:
    """Yield those of the envelope, in its order, as they were named."""
    named: dict[str, Recipient] = {}
    for role, people in (
        (ParticipantRole.TO, draft.to),
        (ParticipantRole.CC, draft.cc),
        (ParticipantRole.BCC, draft.bcc),
    ):
        for one in people:
            named.setdefault(one.address, Recipient(one.address, name=one.name, role=role))
    return (named[address] for address in envelope_of(draft).recipients)


def _keep(send: Send, content: bytes, key: IdempotencyKey, now: datetime, ports: SendPorts) -> Send:
    """Keep content and send, in this order; return the send the key has.

    The content of a send that is certainly not kept goes again, and does not wait for the bucket's
    rule. Where nobody knows whether it is kept, a worker may need it.
    """
    ref = SendRef(send.tenant_id, send.mailbox_id, send.id)
    ports.outgoing.put(ref, content)
    try:
        kept = ports.sends.create(send, key, ports.caps, now=now)
    except (LimitReachedError, ConflictError):
        ports.outgoing.delete(ref)
        raise
    if kept.id != send.id:
        ports.outgoing.delete(ref)
    return kept


def _due_at(asked: AskedMail, now: datetime) -> datetime:
    """Return when it is to be sent: at its time, and not before the time to undo it is over."""
    at = now if asked.send_at is None else asked.send_at
    if at > now + timedelta(days=MOST_DAYS_AHEAD):
        reason = f"At most {MOST_DAYS_AHEAD} days from now."
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("send_at", reason)])
    return max(at, now + timedelta(seconds=asked.undo_seconds))


def _queue(send: Send, delay: timedelta, ports: SendPorts) -> None:
    request = SendRequest(send.tenant_id, send.mailbox_id, send.id)
    # It is kept and comes up by itself: who asked for it must not be told that it failed.
    with suppress(RetryLaterError):
        ports.queues.send_sends([request], delay_seconds=ceil(delay.total_seconds()))
