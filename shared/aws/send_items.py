"""How sends are spelled in items, and read back."""

from datetime import datetime, timedelta
from typing import Any

from shared.aws.stored_codes import stored_code
from shared.aws.tables_of_sends import SendItem, send_due_key, send_key, slot_of_sends
from shared.domain.folders import FolderRole
from shared.domain.ids import MailboxId, MessageId, ProviderMessageId, SendId, TenantId, UserId
from shared.domain.message import ParticipantRole
from shared.domain.sending import (
    Arrival,
    Recipient,
    RecipientStatus,
    Send,
    SendKind,
    SendStatus,
)
from shared.ports.sending import SendRef

KEPT_DAYS = 90
"""How long a send is kept after it ended, or was due."""


def ref_of(send: Send) -> SendRef:
    """Return which one it is."""
    return SendRef(send.tenant_id, send.mailbox_id, send.id)


def forgotten_at(send: Send, now: datetime) -> int:
    """Return when a send may be forgotten that nobody touches any more, in seconds since 1970."""
    return int((max(send.due_at, now) + timedelta(days=KEPT_DAYS)).timestamp())


def send_item(send: Send, key_digest: str, *, now: datetime) -> SendItem:
    """Return the item of a send that is new."""
    key = send_key(ref_of(send))
    slot, due_key = place_of(send)
    return SendItem(
        key.pk,
        key.sk,
        tenant_id=send.tenant_id,
        mailbox_id=send.mailbox_id,
        send_id=send.id,
        key_digest=key_digest,
        document=document_of(send),
        attempt=send.attempt,
        version=1,
        expires_at=forgotten_at(send, now),
        due_slot=slot,
        due_key=due_key,
    )


def place_of(send: Send) -> tuple[str, str] | tuple[None, None]:
    """Return slot and key of a send among what is due; two None for one that nobody has to see."""
    at = send.comes_up_at
    if at is None:
        return None, None
    return slot_of_sends(send.tenant_id, send.mailbox_id), send_due_key(at, send.id)


def document_of(send: Send) -> dict[str, Any]:
    """Return all that the keys and the fence do not say; what has no value is left out."""
    found: dict[str, Any] = {
        "user": send.user_id,
        "kind": send.kind,
        "mid": send.internet_message_id,
        "from": send.sender,
        "to": [[one.address, one.status, one.code, one.name, one.role] for one in send.recipients],
        "blind": send.blind,
        "subject": send.subject,
        "digest": send.digest,
        "size": send.size,
        "generation": send.generation,
        "created": send.created_at.isoformat(),
        "due": send.due_at.isoformat(),
        "answers": send.answers,
        "files": send.files or None,
        "thread": send.provider_thread_id,
        "status": send.status,
        "taken": _time(send.taken_at),
        "attempt_ends": _time(send.attempt_ends_at),
        "deaths": send.deaths or None,
        "draft": send.draft,
        "handed_over": _time(send.handed_over_at),
        "next_try": _time(send.next_try_at),
        "failures": send.failures,
        "looks": send.looks,
        "code": send.code,
        "reply": send.reply,
        "sent": _time(send.sent_at),
        "accepted": _time(send.accepted_at),
        "sent_as": send.sent_as,
        "message": send.message_id,
        "copy": send.provider_message_id,
        "filed": _time(send.filed_at),
    }
    return {name: value for name, value in found.items() if value is not None}


def send_of(item: SendItem) -> Send:
    """Return the send an item holds."""
    found = item.document
    answers, message, copy = (found.get(name) for name in ("answers", "message", "copy"))
    return Send(
        tenant_id=TenantId(item.tenant_id),
        mailbox_id=MailboxId(item.mailbox_id),
        id=SendId(item.send_id),
        user_id=UserId(found["user"]),
        kind=SendKind(found["kind"]),
        internet_message_id=found["mid"],
        sender=found["from"],
        recipients=tuple(
            Recipient(
                address,
                RecipientStatus(status),
                stored_code(code) if code else None,
                name,
                ParticipantRole(role),
            )
            for address, status, code, name, role in found["to"]
        ),
        blind=tuple(found["blind"]),
        subject=found["subject"],
        digest=found["digest"],
        size=found["size"],
        generation=found["generation"],
        created_at=datetime.fromisoformat(found["created"]),
        due_at=datetime.fromisoformat(found["due"]),
        answers=MessageId(answers) if answers else None,
        files=tuple(found.get("files", ())),
        provider_thread_id=found.get("thread"),
        status=SendStatus(found["status"]),
        attempt=int(item.attempt),
        taken_at=_from_time(found.get("taken")),
        attempt_ends_at=_from_time(found.get("attempt_ends")),
        deaths=found.get("deaths", 0),
        draft=found.get("draft"),
        handed_over_at=_from_time(found.get("handed_over")),
        next_try_at=_from_time(found.get("next_try")),
        failures=found["failures"],
        looks=found["looks"],
        code=stored_code(found["code"]) if "code" in found else None,
        reply=found.get("reply"),
        sent_at=_from_time(found.get("sent")),
        accepted_at=_from_time(found.get("accepted")),
        sent_as=found.get("sent_as"),
        message_id=MessageId(message) if message else None,
        provider_message_id=ProviderMessageId(copy) if copy else None,
        filed_at=_from_time(found.get("filed")),
        arrival=_arrival_of(item.arrived),
    )


def arrival_text(arrival: Arrival) -> str:
    """Return an arrival as the attribute of its own holds it."""
    sender = "" if arrival.bears_sender else " other-sender"
    return f"{arrival.at.isoformat()} {arrival.place}{sender}"


def _arrival_of(text: str | None) -> Arrival | None:
    if text is None:
        return None
    at, place, *other_sender = text.split(" ")
    return Arrival(datetime.fromisoformat(at), FolderRole(place), not other_sender)


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _from_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
