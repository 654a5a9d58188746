"""A mail to the mailbox itself, by the way every mail goes, to see it come back through sync."""

from dataclasses import dataclass

from shared.domain.composing import Draft, NamedAddress, message_id_of, sendable_address
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.ids import MailboxId, SendId, new_ulid
from shared.domain.mailbox import Mailbox
from shared.domain.permissions import require_sight
from shared.domain.round_trip import RoundTrip, round_trip_of
from shared.domain.sending import Send, SendKind
from shared.domain.visibility import Viewer
from shared.operations.aliases import alias_of
from shared.operations.answer_message import mailbox_to_send_from
from shared.operations.read_sends import find_send
from shared.operations.request_send import NewSend, SendPorts, keep_send
from shared.operations.sender_of import sender_of
from shared.ports.clock import Clock
from shared.ports.sending import IdempotencyKey, SendStore
from shared.ports.stores import MailboxStore

_SUBJECT = "Test message"
_TEXT = """\
This message was sent to see that mail leaves this mailbox and comes back to it.
It is not kept here, and you may delete it.
"""


@dataclass(frozen=True, slots=True)
class RoundTripView:
    """A test message, and how far it came."""

    send: Send
    trip: RoundTrip


def request_test(
    viewer: Viewer,
    mailbox_id: MailboxId,
    sender: str | None,
    key: IdempotencyKey,
    *,
    ports: SendPorts,
) -> RoundTripView:
    """Have a test message sent from `sender` to itself, once; return it, of now or of before.

    `sender`: the mailbox's own address (None), or an alias, which may still have to be verified. It
    counts as every send does, and whoever may send may ask for it. Raises what `request_send`
    raises for a mail that says who it is from and nothing else.
    """
    now = ports.clock.now()
    send = ports.sends.find(viewer.tenant_id, key)
    if send is None:
        mailbox = mailbox_to_send_from(viewer, mailbox_id, None, mailboxes=ports.mailboxes)
        named = _sender(mailbox, sender)
        send_id = SendId(new_ulid(now))
        draft = Draft(
            sender=named,
            internet_message_id=message_id_of(send_id, named.address),
            date=now,
            to=(named,),
            subject=_SUBJECT,
            text=_TEXT,
            test_of=send_id,
        )
        new = NewSend(send_id, viewer.user_id, SendKind.TEST, now)
        send = keep_send(new, draft, mailbox, key, ports=ports, now=now)
    mailbox = _sight(viewer, send.mailbox_id, ports.mailboxes)
    return RoundTripView(send, round_trip_of(send, mailbox, now=now))


def read_test(
    viewer: Viewer,
    mailbox_id: MailboxId,
    send_id: SendId,
    *,
    mailboxes: MailboxStore,
    sends: SendStore,
    clock: Clock,
) -> RoundTripView:
    """Return how far a test message came, to those who see the send.

    Raises `RequestError` (`MAILBOX_NOT_FOUND`, `SEND_NOT_FOUND`).
    """
    mailbox, send = find_send(viewer, mailbox_id, send_id, mailboxes=mailboxes, sends=sends)
    if send.kind is not SendKind.TEST:
        raise RequestError(ErrorCode.SEND_NOT_FOUND)
    return RoundTripView(send, round_trip_of(send, mailbox, now=clock.now()))


def _sender(mailbox: Mailbox, address: str | None) -> NamedAddress:
    """Return as whom a test is sent; an alias is verified by its test, and not before."""
    alias = alias_of(mailbox, address) if address is not None else None
    if alias is None:
        return sender_of(mailbox, address, None)
    named = alias.display_name or mailbox.display_name
    return NamedAddress(sendable_address(alias.address, "from"), named)


def _sight(viewer: Viewer, mailbox_id: MailboxId, mailboxes: MailboxStore) -> Mailbox:
    record = mailboxes.get(viewer.tenant_id, mailbox_id)
    return require_sight(viewer, record.mailbox if record else None)
