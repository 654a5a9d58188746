"""What kind of message a stored one is: an invitation, a bounce, an automatic answer.

Decided when it is read, from what was stored, so that a better rule names old mail as well. What
only the content tells (`contents`) is missing from mail stored before it was looked at.
"""

from enum import StrEnum

from shared.domain.contents import AttachedMail, DeliveryReport, Invite, Sealed
from shared.domain.message import Message, ParticipantRole


class MessageKind(StrEnum):
    """What a message is besides words of a person; it may be several."""

    CALENDAR = "calendar"
    SIGNED = "signed"
    """By S/MIME or PGP. The signature is named, not checked."""
    ENCRYPTED = "encrypted"
    """By S/MIME or PGP; also sealed S/MIME of which it is not known how."""
    TNEF = "tnef"
    """Some of it is in a winmail.dat, which only Outlook reads."""
    DELIVERY_REPORT = "delivery_report"
    BOUNCE = "bounce"
    """Something did not arrive."""
    READ_RECEIPT = "read_receipt"
    AUTO_REPLY = "auto_reply"
    AUTOMATIC = "automatic"
    """No person sent it."""
    LIST = "list"
    """Sent to a mailing list."""


_BY_TYPE = {
    "text/calendar": MessageKind.CALENDAR,
    "application/ics": MessageKind.CALENDAR,
    "application/pkcs7-signature": MessageKind.SIGNED,
    "application/x-pkcs7-signature": MessageKind.SIGNED,
    "application/pgp-signature": MessageKind.SIGNED,
    "application/pgp-encrypted": MessageKind.ENCRYPTED,
    "application/ms-tnef": MessageKind.TNEF,
    "application/vnd.ms-tnef": MessageKind.TNEF,
    "message/delivery-status": MessageKind.DELIVERY_REPORT,
    "message/global-delivery-status": MessageKind.DELIVERY_REPORT,
    "message/disposition-notification": MessageKind.READ_RECEIPT,
    "message/global-disposition-notification": MessageKind.READ_RECEIPT,
}
_SEALED_TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_BY_NAME = {"winmail.dat": MessageKind.TNEF}
_IN_TEXT = {
    "-----BEGIN PGP MESSAGE": MessageKind.ENCRYPTED,
    "-----BEGIN PGP SIGNED MESSAGE": MessageKind.SIGNED,
}
_OF_MAIL_SERVERS = frozenset({"mailer-daemon", "postmaster"})


def kinds_of(message: Message) -> tuple[MessageKind, ...]:
    """Return what `message` is, in the order of `MessageKind`; nothing for plain words."""
    found = _by_attachments(message)
    found |= {kind for words, kind in _IN_TEXT.items() if message.snippet.startswith(words)}
    if _is_bounce(message):
        found.add(MessageKind.BOUNCE)
    # A report is sent by itself too (RFC 3834, 2); it is more than that.
    if not found & {MessageKind.DELIVERY_REPORT, MessageKind.BOUNCE, MessageKind.READ_RECEIPT}:
        found |= _automatic(message)
    if "list-id" in message.headers or _header(message, "precedence") == "list":
        found.add(MessageKind.LIST)
    return tuple(kind for kind in MessageKind if kind in found)


def invite_of(message: Message) -> Invite | None:
    """Return the first calendar entry `message` brings along."""
    return next((one.seen for one in message.attachments if isinstance(one.seen, Invite)), None)


def delivery_report_of(message: Message) -> DeliveryReport | None:
    """Return the delivery report `message` is."""
    reports = (one.seen for one in message.attachments if isinstance(one.seen, DeliveryReport))
    return next(reports, None)


def returned_by(message: Message) -> AttachedMail | None:
    """Return the message that the delivery report or bounce `message` is about.

    None where it brings none back that has a Message-ID.
    """
    if delivery_report_of(message) is None and not _is_bounce(message):
        return None
    mails = (one.seen for one in message.attachments if isinstance(one.seen, AttachedMail))
    return next(mails, None)


def _by_attachments(message: Message) -> set[MessageKind]:
    found = set()
    for one in message.attachments:
        if one.content_type in _SEALED_TYPES:
            is_signed = isinstance(one.seen, Sealed) and not one.seen.is_encrypted
            found.add(MessageKind.SIGNED if is_signed else MessageKind.ENCRYPTED)
        kind = _BY_TYPE.get(one.content_type) or _BY_NAME.get(one.filename.lower())
        if kind is not None:
            found.add(kind)
    return found


def _is_bounce(message: Message) -> bool:
    report = delivery_report_of(message)
    if report is not None:
        return any(one.action == "failed" for one in report.deliveries)
    if "x-failed-recipients" in message.headers:
        return True
    # Without a report it shows in who sent it, from where nothing can be sent back (RFC 5321, 6.1).
    senders = (one for one in message.participants if one.role is ParticipantRole.FROM)
    return _header(message, "return-path") == "<>" and any(
        one.address.partition("@")[0] in _OF_MAIL_SERVERS for one in senders
    )


def _automatic(message: Message) -> set[MessageKind]:
    submitted = _header(message, "auto-submitted").partition(";")[0].strip()
    replies = "x-autoreply" in message.headers or "x-autorespond" in message.headers
    if submitted == "auto-replied" or replies or _header(message, "precedence") == "auto_reply":
        return {MessageKind.AUTO_REPLY}
    return {MessageKind.AUTOMATIC} if submitted not in ("", "no") else set()


def _header(message: Message, name: str) -> str:
    return message.headers.get(name, "").strip().lower()
