"""Values for tests of stores: believable, and different only where a test says so."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.domain.backfill import Backfill, BackfillState, Chunk
from shared.domain.contact import Contact
from shared.domain.dead_letter import DeadLetter, LetterKind, message_letter_id
from shared.domain.erasure import SETTLE_SECONDS, Erasure, ErasureKind, KeepsOut, hash_of
from shared.domain.errors import ErrorCode
from shared.domain.folders import Folder, FolderRole
from shared.domain.identity import thread_and_message_id
from shared.domain.ids import (
    Address,
    BackfillId,
    ContactId,
    ErasureId,
    FolderId,
    MailboxId,
    ProviderMessageId,
    RunId,
    SendId,
    TenantId,
    UserId,
)
from shared.domain.ledger import Counts
from shared.domain.mail_server import Security, ServerSettings
from shared.domain.mailbox import (
    Direction,
    FolderState,
    LatestError,
    Mailbox,
    MailboxKind,
    MailboxStatus,
    Provider,
    Purpose,
    Readers,
    RunState,
)
from shared.domain.message import (
    Body,
    Copy,
    Flags,
    Message,
    ParsedMessage,
    Participant,
    ParticipantRole,
    copy_ref,
)
from shared.domain.run import Run, RunReason
from shared.domain.sending import Recipient, Send, SendKind
from shared.ports.stores import MailboxRecord, MailboxStore, NewCopy

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_001, tzinfo=UTC)
TENANT, OTHER_TENANT = TenantId("acme"), TenantId("acme2")
BOX, OTHER_BOX = MailboxId("01JNA0000000000000000000B1"), MailboxId("01JNA0000000000000000000B2")
INBOX, SENT = FolderId("f1nbox"), FolderId("f5ent")
ADA, BOB = Address("ada@example.org"), Address("bob@example.org")
SLOT = "every-5#3#1"


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def a_mailbox(**changes) -> Mailbox:
    server = ServerSettings("imap.example.org", 993, Security.TLS, "sales@acme.example")
    mailbox = Mailbox(
        tenant_id=TENANT,
        id=BOX,
        provider=Provider.IMAP,
        address="sales@acme.example",
        status=MailboxStatus.CONNECTING,
        kind=MailboxKind.SHARED,
        purpose=Purpose.SALES,
        owner_user_id=UserId("u1"),
        connected_at=NOW,
        display_name="Sales – Zoë",
        reply_to="reply@acme.example",
        backfill_days=30,
        granted_to=Readers((UserId("u2"), UserId("u3"))),
        history_from=later(-86_400),
        active_folders=(INBOX, SENT),
        imap=server,
        smtp=replace(server, host="smtp.example.org", port=465),
    )
    return replace(mailbox, **changes)


def identity_of(mailbox: Mailbox) -> str:
    return f"imap:{mailbox.address}"


def connected(store: MailboxStore, /, **changes) -> MailboxRecord:
    """Create a mailbox and make it active; return it as it stands."""
    mailbox = a_mailbox(**changes)
    store.create(mailbox, RunState(generation=mailbox.generation), identity_of(mailbox))
    store.reconnect(mailbox, identity_of(mailbox), SLOT)
    return stands(store, mailbox)


def stands(store: MailboxStore, mailbox: Mailbox) -> MailboxRecord:
    record = store.get(mailbox.tenant_id, mailbox.id)
    assert record is not None
    return record


def lease_of(store: MailboxStore, record: MailboxRecord, owner="worker", at=NOW):
    mailbox = record.mailbox
    return store.take_lease(
        mailbox.tenant_id,
        mailbox.id,
        generation=mailbox.generation,
        owner=owner,
        now=at,
        seconds=180,
    )


def a_folder(folder_id: FolderId = INBOX, cursor: str | None = "imap:1:7") -> FolderState:
    return FolderState(Folder(folder_id, f"Ordner {folder_id}", FolderRole.OTHER), cursor)


def an_error(**changes) -> LatestError:
    return replace(
        LatestError(ErrorCode.CONNECTION_TIMED_OUT, NOW, later(60), 2, RunId("R1"), later(120)),
        **changes,
    )


def a_run(run_id: str = "01RUN1", **changes) -> Run:
    run = Run(
        tenant_id=TENANT,
        mailbox_id=BOX,
        id=RunId(run_id),
        reason=RunReason.SCHEDULE,
        started_at=NOW,
        ended_at=later(3),
        counts=Counts(listed=3, stored=1, already_stored=1, skipped={"before_floor": 1}),
        ledger={"stored": ("a",), "already_stored": ("b",), "skipped:before_floor": ("c",)},
    )
    return replace(run, **changes)


def a_backfill(backfill_id: str = "01BF1", **changes) -> Backfill:
    backfill = Backfill(
        tenant_id=TENANT,
        mailbox_id=BOX,
        id=BackfillId(backfill_id),
        days=30,
        since=later(-86_400 * 30),
        state=BackfillState.PLANNING,
        created_at=NOW,
        generation=2,
    )
    return replace(backfill, **changes)


def some_chunks(backfill: Backfill, count: int) -> list[Chunk]:
    return [
        Chunk(backfill.id, number, INBOX, (name(f"{number}a"), name(f"{number}b")))
        for number in range(count)
    ]


def a_letter(text: str = "1", **changes) -> DeadLetter:
    letter = DeadLetter(
        tenant_id=TENANT,
        mailbox_id=BOX,
        id=message_letter_id(name(text)),
        kind=LetterKind.MESSAGE,
        code=ErrorCode.MESSAGE_MALFORMED,
        generation=2,
        first_seen_at=NOW,
        last_seen_at=NOW,
        run_id=RunId("R1"),
        folder_id=INBOX,
        provider_message_id=name(text),
        received_at=later(-60),
        size=1234,
    )
    return replace(letter, **changes)


def name(text: str, folder_id: FolderId = INBOX) -> ProviderMessageId:
    return ProviderMessageId(f"{folder_id}.17.{text}")


def a_new_copy(
    text: str = "1",
    *,
    tenant_id: TenantId = TENANT,
    mailbox_id: MailboxId = BOX,
    folder_id: FolderId = INBOX,
    mail: str | None = None,
    root: str | None = None,
    received_at: datetime = NOW,
    flags: Flags = Flags(seen=True, version=5),  # noqa: B008 - frozen
    body: Body | None = None,
    addresses: tuple[Address, ...] = (ADA,),
    **changes,
) -> NewCopy:
    """A copy numbered `text` of the mail `mail` (its own by default) in the thread of `root`."""
    mail = mail or f"mail-{text}"
    participants = (
        Participant(ParticipantRole.FROM, ADA, "Ada L."),
        Participant(ParticipantRole.TO, Address("sales@acme.example")),
    )
    parsed = ParsedMessage(
        internet_message_id=f"<{mail}@example.org>",
        references=(f"<{root}@example.org>",) if root else (),
        in_reply_to=f"<{root}@example.org>" if root else None,
        subject=f"Offer {mail}",
        sent_at=received_at,
        participants=participants,
        text="",
        html=None,
        snippet="Dear all",
        attachments=(),
        headers={"list-id": "<l.example.org>"},
        fingerprint_source=mail.encode(),
    )
    thread_id, message_id = thread_and_message_id(tenant_id, parsed, ())
    pmid = name(text, folder_id)
    message = Message(
        id=message_id,
        thread_id=thread_id,
        internet_message_id=parsed.internet_message_id,
        in_reply_to=parsed.in_reply_to,
        references=parsed.references,
        subject=parsed.subject,
        direction=Direction.INBOUND,
        sent_at=received_at,
        received_at=received_at,
        participants=participants,
        snippet=parsed.snippet,
        attachments=(),
        headers=parsed.headers,
        copies=frozenset({copy_ref(mailbox_id, pmid)}),
    )
    copy = Copy(mailbox_id, frozenset({folder_id}), pmid, message_id, received_at, flags)
    return NewCopy(
        replace(message, **changes), body or Body(f"Hello {mail}", None), copy, addresses
    )


def a_contact(contact_id: str = "c1", *addresses: str, **changes) -> Contact:
    contact = Contact(
        tenant_id=TENANT,
        id=ContactId(contact_id),
        name="Ada L.",
        addresses=tuple(Address(one) for one in addresses) or (ADA,),
        updated_at=NOW,
        attributes={"stage": "lead"},
        version=0,
    )
    return replace(contact, **changes)


def merged_into(stores, into: Contact, other: Contact) -> Contact:
    """Merge one contact into another, both as they were read."""
    merged = replace(
        into,
        addresses=tuple(dict.fromkeys((*into.addresses, *other.addresses))),
        version=into.version + 1,
        merged=(*into.merged, *other.merged, other.id),
    )
    assert stores.contacts.merge_contacts(into, other, merged)
    return merged


def a_send(text: str = "1", **changes) -> Send:
    send = Send(
        tenant_id=TENANT,
        mailbox_id=BOX,
        id=SendId(f"01SEND{text}"),
        user_id=UserId("u1"),
        kind=SendKind.MESSAGE,
        internet_message_id=f"<send-{text}@acme.example>",
        sender="sales@acme.example",
        recipients=(Recipient("ada@example.org"), Recipient("Zoë@bücher.example")),
        blind=("Zoë@bücher.example",),
        subject="Angebot für Zoë",
        digest="d" * 64,
        size=1234,
        generation=2,
        created_at=NOW,
        due_at=later(10),
    )
    return replace(send, **changes)


def an_erasure(**changes) -> Erasure:
    erasure = Erasure(
        tenant_id=TENANT,
        id=ErasureId("01ERASED1"),
        kind=ErasureKind.MAILBOX,
        requested_by=UserId("u1"),
        requested_at=NOW,
        settles_at=later(SETTLE_SECONDS),
        mailbox_id=BOX,
        address_hashes=("a" * 32,),
    )
    return replace(erasure, **changes)


def a_person(*addresses: Address, **changes) -> Erasure:
    person = an_erasure(
        id=ErasureId("01ERASED2"),
        kind=ErasureKind.PERSON,
        mailbox_id=None,
        addresses=addresses or (ADA,),
        address_hashes=tuple(hash_of(b"key", one) for one in addresses or (ADA,)),
        keeps_out=KeepsOut.STORED_MAIL,
    )
    return replace(person, **changes)
