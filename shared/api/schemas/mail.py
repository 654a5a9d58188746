"""How messages, threads and attachments are shown. What a viewer may not see is null or empty."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import ConfigDict, Field

from shared.api.schemas.fields import Shown
from shared.domain.change import Wanted
from shared.domain.contents import AttachedMail, Invite, Moment, Picture
from shared.domain.identity import thread_named
from shared.domain.ids import TenantId
from shared.domain.kinds import MessageKind, delivery_report_of, invite_of, kinds_of, returned_by
from shared.domain.mailbox import Direction
from shared.domain.message import Participant, ParticipantRole, StoredAttachment
from shared.domain.time_zones import instant_of
from shared.domain.visibility import Access
from shared.operations.read_mail import AttachmentLink, OpenedMessage
from shared.operations.show_messages import CopyView, MessageView


class AccessShown(StrEnum):
    """How much of a message the caller is shown."""

    METADATA = "metadata"
    SUBJECT = "subject"
    FULL = "full"


_ACCESS = {
    Access.METADATA: AccessShown.METADATA,
    Access.SUBJECT: AccessShown.SUBJECT,
    Access.FULL: AccessShown.FULL,
}


class ParticipantShown(Shown):
    """Somebody on a message. The name is as they wrote it: escape it."""

    address: str
    name: str


class AmbiguousShown(Shown):
    """An address that several contacts have: all of them show its mail. At most 25 are named.

    Merging them, or taking the address off all but one, decides it for all mail at once.
    """

    address: str
    contacts: list[str]


PendingField = Literal["folder_id", "seen", "flagged"]


class CopyShown(Shown):
    """Where a message is now.

    Folder, flags and what is pending are null in a mailbox that is not the caller's to open.
    """

    mailbox_id: str
    folder_id: str | None
    seen: bool | None
    flagged: bool | None
    pending: list[PendingField] | None
    """Which of these somebody here has changed and the provider has not acknowledged yet."""

    @classmethod
    def of(cls, view: CopyView) -> "CopyShown":
        """Show what a view holds."""
        wanted = view.pending or Wanted()
        fields: list[tuple[PendingField, object]] = [
            ("folder_id", wanted.move_to),
            ("seen", wanted.seen),
            ("flagged", wanted.flagged),
        ]
        pending = [name for name, value in fields if value is not None]
        return cls(
            mailbox_id=view.mailbox_id,
            folder_id=view.folder_id,
            seen=view.seen,
            flagged=view.flagged,
            pending=None if view.folder_id is None else pending,
        )


class MessageShown(Shown):
    """A message in a list."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    id: str
    thread_id: str
    internet_message_id: str | None
    subject: str | None
    sender: list[ParticipantShown] = Field(alias="from")
    to: list[ParticipantShown]
    cc: list[ParticipantShown]
    direction: Direction
    sent_at: datetime
    received_at: datetime
    snippet: str | None
    contacts: list[str]
    ambiguous: list[AmbiguousShown]
    """Which of its addresses belong to several of `contacts`."""
    mailboxes: list[CopyShown]
    has_attachments: bool
    kinds: list[MessageKind]
    """What it is besides words of a person; empty without full access."""
    access: AccessShown

    @classmethod
    def of(cls, view: MessageView) -> "MessageShown":
        """Show what a view holds."""
        return cls(**_facts(view))


class AttachmentShown(Shown):
    """An attachment; `n` names it in its link's path. `missing` says why it cannot be had.

    `content_type` is what the sender claims. `picture_type` is what its content was seen to be,
    null where that is no picture a browser may show; all else is served as a file to be saved.
    """

    n: int
    filename: str
    content_type: str
    picture_type: str | None
    size: int
    inline: bool
    content_id: str | None
    missing: str | None


class MomentShown(Shown):
    """A time as a calendar has it; `local` is a date alone where it is a whole day.

    `time_zone` is as the sender named it, mostly as IANA or Windows do; null is the reader's own.
    """

    local: str
    time_zone: str | None
    at: datetime | None
    """The instant, in UTC; null for a whole day and where the zone is not known."""


class InviteShown(Shown):
    """An entry of a calendar. `method` says what is wanted of it: `request`, `reply`, `cancel`."""

    method: str | None
    uid: str | None
    summary: str | None
    location: str | None
    organizer: str | None
    starts: MomentShown | None
    ends: MomentShown | None
    repeats: bool


class DeliveryShown(Shown):
    """What became of a message on its way to one recipient.

    `action` is `failed`, `delayed`, `delivered`, `relayed` or `expanded`; `status` as `5.1.1`;
    `said` is what the other server said.
    """

    recipient: str
    action: str
    status: str | None
    said: str | None


class ReturnedShown(Shown):
    """The message that a delivery report is about, by the header the report brings back.

    `thread_id` is the thread it is in if it is stored and the caller may see it; else
    `GET /v1/threads/{thread_id}` answers 404. Anybody can send a report of anything.
    """

    internet_message_id: str
    thread_id: str


class WholeMessage(MessageShown):
    """A message alone."""

    text: str | None
    """What the sender wrote."""
    signature: str | None
    """What they put below all they write."""
    quoted_text: str | None
    """What they quoted at the end; `text`, `signature` and this make up the whole."""
    html: str | None
    """The whole, made safe to show; remote pictures are left out unless asked for.

    The signature and what is quoted at the end are each folded, in a `details` element. Null where
    there is none or it is too large to be answered.
    """
    blocked_images: int
    """How many remote pictures were left out of `html`."""
    content_security_policy: str | None
    """What the frame that `html` is shown in may load: the README has the frame."""
    cut: bool
    """Whether text or HTML was too large, or the HTML too dear to clean, to be answered whole."""
    attachments: list[AttachmentShown]
    calendar: InviteShown | None
    """The first entry of a calendar that came along."""
    deliveries: list[DeliveryShown]
    """What a delivery report says, by recipient; empty where it is none."""
    about: ReturnedShown | None
    """The message that a delivery report or bounce is about, where it brings it back."""
    headers: dict[str, str]

    @classmethod
    def opened(cls, message: OpenedMessage, tenant_id: TenantId) -> "WholeMessage":
        """Show a message that was opened inside a tenant."""
        parts = message.view.message.attachments
        invite = invite_of(message.view.message)
        report = delivery_report_of(message.view.message)
        returned = returned_by(message.view.message)
        return cls(
            **_facts(message.view),
            text=message.text,
            signature=message.signature,
            quoted_text=message.quoted_text,
            html=message.html,
            blocked_images=message.blocked_images,
            content_security_policy=message.content_security_policy,
            cut=message.cut,
            attachments=[_attachment(n, part) for n, part in enumerate(parts)],
            calendar=_invite(invite) if invite else None,
            deliveries=[
                DeliveryShown(
                    recipient=one.recipient, action=one.action, status=one.status, said=one.said
                )
                for one in (report.deliveries if report else ())
            ],
            about=_returned(returned, tenant_id) if returned else None,
            headers=dict(message.view.message.headers),
        )


class MessageList(Shown):
    """Messages, newest first. A page may be empty and still have a next one."""

    items: list[MessageShown]
    next: str | None


class ThreadShown(Shown):
    """What the caller may see of a thread, oldest first."""

    id: str
    items: list[MessageShown]
    next: str | None


class AttachmentLinkShown(Shown):
    """Where to download an attachment, until `expires_at`, without further login."""

    url: str
    expires_at: datetime
    filename: str
    content_type: str
    size: int

    @classmethod
    def of(cls, link: AttachmentLink) -> "AttachmentLinkShown":
        """Show a link."""
        return cls(
            url=link.url,
            expires_at=link.expires_at,
            filename=link.attachment.filename,
            content_type=link.attachment.content_type,
            size=link.attachment.size,
        )


def _facts(view: MessageView) -> dict[str, object]:
    message = view.message
    by_role: dict[ParticipantRole, list[ParticipantShown]] = {role: [] for role in ParticipantRole}
    for one in message.participants:
        by_role[one.role].append(_participant(one))
    return {
        "id": message.id,
        "thread_id": message.thread_id,
        "internet_message_id": message.internet_message_id,
        "subject": message.subject if view.access >= Access.SUBJECT else None,
        "sender": by_role[ParticipantRole.FROM],
        "to": by_role[ParticipantRole.TO],
        "cc": by_role[ParticipantRole.CC],
        "direction": message.direction,
        "sent_at": message.sent_at,
        "received_at": message.received_at,
        "snippet": message.snippet if view.access is Access.FULL else None,
        "contacts": list(view.contacts),
        "ambiguous": [
            AmbiguousShown(address=address, contacts=list(contacts))
            for address, contacts in view.ambiguous.items()
        ],
        "mailboxes": [CopyShown.of(copy) for copy in view.copies],
        "has_attachments": view.has_attachments,
        "kinds": list(kinds_of(message)),
        "access": _ACCESS[view.access],
    }


def _invite(invite: Invite) -> InviteShown:
    return InviteShown(
        method=invite.method,
        uid=invite.uid,
        summary=invite.summary,
        location=invite.location,
        organizer=invite.organizer,
        starts=_moment(invite.starts),
        ends=_moment(invite.ends),
        repeats=invite.repeats,
    )


def _returned(mail: AttachedMail, tenant_id: TenantId) -> ReturnedShown:
    thread_id = thread_named(tenant_id, mail.root)
    return ReturnedShown(internet_message_id=mail.internet_message_id, thread_id=thread_id)


def _moment(moment: Moment | None) -> MomentShown | None:
    if moment is None:
        return None
    return MomentShown(local=moment.local, time_zone=moment.time_zone, at=instant_of(moment))


def _participant(one: Participant) -> ParticipantShown:
    return ParticipantShown(address=one.address, name=one.name)


def _attachment(number: int, part: StoredAttachment) -> AttachmentShown:
    return AttachmentShown(
        n=number,
        filename=part.filename,
        content_type=part.content_type,
        picture_type=part.seen.content_type if isinstance(part.seen, Picture) else None,
        size=part.size,
        inline=part.inline,
        content_id=part.content_id,
        missing=part.missing,
    )
