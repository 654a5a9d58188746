"""Mailboxes, messages and contacts put straight into a fake world."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.domain.contact import Contact
from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import (
    Address,
    ContactId,
    FolderId,
    MailboxId,
    MessageId,
    ProviderMessageId,
    TenantId,
    ThreadId,
    UserId,
)
from shared.domain.lease import Fence
from shared.domain.mail_server import Security, ServerSettings
from shared.domain.mailbox import (
    NOBODY,
    Direction,
    FolderState,
    Mailbox,
    MailboxKind,
    MailboxStatus,
    Provider,
    Purpose,
    Readers,
    RunState,
    Visibility,
)
from shared.domain.message import (
    Body,
    Copy,
    Flags,
    Message,
    Participant,
    ParticipantRole,
    StoredAttachment,
    copy_ref,
)
from shared.domain.taking_part import others_in
from shared.ports.stores import NewCopy
from tests.fakes.stores import InMemoryMessageStore, World

START = datetime(2026, 2, 1, 9, 0, tzinfo=UTC)
INBOX = FolderId("INBOX")
SENT = FolderId("Sent")
FOLDERS = (
    Folder(INBOX, "Inbox", FolderRole.INBOX),
    Folder(SENT, "Sent", FolderRole.SENT),
    Folder(FolderId("Trash"), "Trash", FolderRole.TRASH),
    Folder(FolderId("Parent"), "Parent", FolderRole.OTHER, selectable=False),
)


def add_mailbox(
    world: World,
    mailbox_id: str,
    *,
    tenant: str = "acme",
    owner: str = "ann",
    kind: MailboxKind = MailboxKind.PERSONAL,
    visibility: Visibility = Visibility.METADATA,
    granted_to: Readers = NOBODY,
    status: MailboxStatus = MailboxStatus.ACTIVE,
    address: str | None = None,
) -> Mailbox:
    """Put a mailbox with its folders."""
    server = ServerSettings("imap.example.org", 993, Security.TLS, owner)
    mailbox = Mailbox(
        tenant_id=TenantId(tenant),
        id=MailboxId(mailbox_id),
        provider=Provider.IMAP,
        address=address or f"{mailbox_id.lower()}@ours.example",
        status=status,
        kind=kind,
        purpose=Purpose.SALES,
        owner_user_id=UserId(owner),
        connected_at=START,
        visibility=visibility,
        granted_to=granted_to,
        recovery_note="ask Ann",
        imap=server,
        smtp=replace(server, host="smtp.example.org", port=587, security=Security.STARTTLS),
    )
    box = (mailbox.tenant_id, mailbox.id)
    world.mailboxes[box] = mailbox
    world.run_states[box] = RunState(due_slot="every-5#0#0")
    world.folders[box] = {folder.id: FolderState(folder) for folder in FOLDERS}
    return mailbox


def add_contact(
    world: World, contact_id: str, *addresses: str, tenant: str = "acme", name: str = "Somebody"
) -> Contact:
    """Put a contact."""
    contact = Contact(
        TenantId(tenant), ContactId(contact_id), name, tuple(map(Address, addresses)), START
    )
    world.contacts[contact.tenant_id, contact.id] = contact
    return contact


def message_of(
    key: str,
    *,
    tenant: str = "acme",
    sender: str = "cleo@client.example",
    to: tuple[str, ...] = ("ann@ours.example",),
    cc: tuple[str, ...] = (),
    bcc: tuple[str, ...] = (),
    subject: str = "Offer",
    minutes: int = 0,
    thread: str | None = None,
    attachments: tuple[StoredAttachment, ...] = (),
) -> Message:
    """Return a message whose ids have the form real ones have."""
    thread_part = _letters(f"{tenant}/{thread or key}")
    message_id = MessageId(f"m{thread_part}{_letters(key)}")
    participants = [Participant(ParticipantRole.FROM, Address(sender), "Cleo")]
    for role, addresses in (
        (ParticipantRole.TO, to), (ParticipantRole.CC, cc), (ParticipantRole.BCC, bcc)
    ):  # fmt: skip
        participants += [Participant(role, Address(address)) for address in addresses]
    at = START + timedelta(minutes=minutes)
    return Message(
        id=message_id,
        thread_id=ThreadId(f"t{thread_part}"),
        internet_message_id=f"<{key}@client.example>",
        in_reply_to=None,
        references=(),
        subject=subject,
        direction=Direction.INBOUND,
        sent_at=at,
        received_at=at,
        participants=tuple(participants),
        snippet=f"snippet of {key}",
        attachments=attachments,
        headers={"list-id": "none"},
    )


def store(
    world: World,
    mailbox: Mailbox,
    message: Message,
    *,
    folder: FolderId = INBOX,
    text: str = "Hello",
    html: str | None = "<p>Hello</p>",
    seen: bool = False,
    removed: bool = False,
    later: timedelta = timedelta(0),
) -> Message:
    """Put a copy of a message into a mailbox."""
    name = ProviderMessageId(f"{folder}/{message.id}")
    copy = Copy(
        mailbox.id,
        frozenset({folder}),
        name,
        message.id,
        message.received_at + later,
        Flags(seen=seen),
        direction=message.direction,
        removed_at=START if removed else None,
        blind=frozenset(
            one.address for one in message.participants if one.role is ParticipantRole.BCC
        ),
    )
    index = others_in(message.participants, mailbox)
    fence = Fence(
        mailbox.tenant_id, mailbox.id, world.run_states[mailbox.tenant_id, mailbox.id].generation
    )
    with_copy = replace(message, copies=frozenset({copy_ref(mailbox.id, name)}))
    InMemoryMessageStore(world).save(fence, [NewCopy(with_copy, Body(text, html), copy, index)])
    return message


def _letters(text: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()[:24]
    return digest.translate(str.maketrans("0189", "wxyz"))
