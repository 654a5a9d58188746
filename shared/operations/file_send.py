"""How a sent mail comes to its timeline at once: as the copy that sync finds among the sent mail.

1. it is among the sent mail, put there by the provider or, where it does not do that, by us
2. under the id it has there it goes the way of every message: policy, contacts, thread, copy

So sync, whenever it gets there, finds a copy that is stored already. Where nothing is known yet of
the copy there, sync is asked to look at once instead. Repeating any of it changes nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from shared.domain.folders import Folder, is_wanted
from shared.domain.ids import FolderId, MessageId, ProviderMessageId, RunId, new_ulid
from shared.domain.lease import Fence
from shared.domain.ledger import Ledger
from shared.domain.mailbox import Mailbox
from shared.domain.message import ALL_IS_NEWS, FetchedMessage
from shared.operations.gate import Gate
from shared.operations.ingest import Ingest
from shared.operations.meet_senders import senders_of
from shared.operations.note_dead_letters import DeadLetters
from shared.ports.clock import Clock
from shared.ports.contacts import ContactStore
from shared.ports.dead_letters import DeadLetterStore
from shared.ports.parser import MessageParser
from shared.ports.policies import PolicyStore
from shared.ports.sending import Accepted, Outgoing, SendSession
from shared.ports.stores import AttachmentStore, MailboxStore, MessageStore

_END_OF_HEADER = b"\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePorts:
    """What storing a sent mail needs from the world."""

    mailboxes: MailboxStore
    messages: MessageStore
    attachments: AttachmentStore
    letters: DeadLetterStore
    contacts: ContactStore
    policies: PolicyStore
    parser: MessageParser
    clock: Clock
    remaining_seconds: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Filed:
    """What is known of a mail after it was filed."""

    provider_message_id: ProviderMessageId | None = None
    message_id: MessageId | None = None
    """None where it is not stored: not yet, or as the mailbox or its tenant wishes."""
    is_left_to_sync: bool = False
    """Sync has to find it."""


LEFT_TO_SYNC = Filed(is_left_to_sync=True)


def file_send(
    session: SendSession, mail: Outgoing, accepted: Accepted, mailbox: Mailbox, *, ports: FilePorts
) -> Filed:
    """Have the mail among the sent mail, and on its timeline.

    Raises what a session and the stores raise, `ConflictError(STALE_WRITE)` where the mailbox was
    reconnected or disconnected meanwhile.
    """
    found = session.file(mail, accepted)
    folder_id = session.sent_folder()
    if found is None or found.raw is None or folder_id is None:
        return LEFT_TO_SYNC
    states = ports.mailboxes.folders(mailbox.tenant_id, mailbox.id)
    folders = {state.folder.id: state.folder for state in states}
    folder = folders.get(folder_id)
    if folder is None:
        return LEFT_TO_SYNC
    name = found.provider_message_id
    if not is_wanted(found.folder_ids or {folder_id}, folders, mailbox.active_folders):
        return Filed(name)
    store_own(found, folder, folders, mailbox, ports)
    stored = ports.messages.copies_by_id(mailbox.tenant_id, mailbox.id, [name])
    return Filed(name, stored[name].message_id if name in stored else None)


def file_test(session: SendSession, mail: Outgoing, accepted: Accepted) -> Filed:
    """Have a test message among the sent mail; it is nobody's, and on no timeline."""
    found = session.file(mail, accepted)
    return Filed(found.provider_message_id if found is not None else None)


def store_own(
    found: FetchedMessage,
    folder: Folder,
    folders: dict[FolderId, Folder],
    mailbox: Mailbox,
    ports: FilePorts,
) -> None:
    """Store a message of which we have all the bytes, as a sync that fetched it would."""
    fence = Fence(mailbox.tenant_id, mailbox.id, mailbox.generation)
    source = _OwnMail(found)
    ingest = Ingest(
        mailbox=mailbox,
        fence=fence,
        session=source,
        parser=ports.parser,
        messages=ports.messages,
        attachments=ports.attachments,
        ledger=Ledger(),
        remaining_seconds=ports.remaining_seconds,
        folders=folders,
        since=None,
        dead_letters=DeadLetters(
            fence=fence,
            run_id=RunId(new_ulid(ports.clock.now())),
            session=source,
            letters=ports.letters,
            now=ports.clock.now,
            remaining_seconds=ports.remaining_seconds,
            kept_out=lambda: ports.messages.kept_out(mailbox.tenant_id),
        ),
        gate=Gate(mailbox.tenant_id, ports.messages, ports.policies),
        contacts=ports.contacts,
        senders=senders_of(
            mailbox, contacts=ports.contacts, mailboxes=ports.mailboxes, now=ports.clock.now
        ),
        news_from=ALL_IS_NEWS,
    )
    ingest.take_in(folder, [found.provider_message_id])


@dataclass(frozen=True, slots=True)
class _OwnMail:
    """The port `MessageSource` over a mail whose bytes are ours."""

    message: FetchedMessage

    def fetch(
        self,
        folder: Folder,  # noqa: ARG002 - the port
        ids: Sequence[ProviderMessageId],
    ) -> Iterator[FetchedMessage]:
        """Yield it."""
        yield from (self.message for _ in ids)

    def fetch_headers(
        self,
        folder: Folder,  # noqa: ARG002 - the port
        ids: Sequence[ProviderMessageId],
    ) -> Iterator[FetchedMessage]:
        """Yield its header."""
        header = self._raw().partition(_END_OF_HEADER)[0] + _END_OF_HEADER
        yield from (replace(self.message, raw=None, header=header) for _ in ids)

    def read_part(self, *_: object) -> Iterator[bytes]:
        """Raise: a mail that came whole has no parts elsewhere."""
        raise AssertionError("somebody asks for a part of a mail that is whole")

    def read_raw(self, *_: object) -> Iterator[bytes]:
        """Yield it as it is."""
        yield self._raw()

    def _raw(self) -> bytes:
        return self.message.raw or b""
