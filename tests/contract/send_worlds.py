"""A mailbox that sends and people who get it: what the suite of all ways out is written in.

A provider joins the suite with a `SendWorld` in a module of its own, and a line in `WORLDS` of
`test_send_sessions.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP
from itertools import count
from typing import Any

from shared.domain.ids import FolderId, ProviderMessageId, SendId
from shared.domain.mail_server import ImapGrant, Security, ServerLogin, ServerSettings
from shared.domain.message import FetchedMessage
from shared.domain.secret import Secret
from shared.ports.provider import MailProvider
from shared.ports.sending import MailSender, Outgoing, SendSession
from tests.contract.provider_worlds import NOW
from tests.fakes.known import Known
from tests.fakes.sender import FakePost

ATTACHED = bytes(range(256)) * 40 + b"\r\n.\r\nfrom a line of its own\n.\rand more\r\n"
_numbers = count(1)


class SendWorld(ABC):
    """A way out of one mailbox, and those it leads to."""

    keeps_drafts = False
    """Whether what is prepared lies at the provider until it is sent."""
    reads_recipients = False
    """Whether a mail goes to those it names: to all of them, and all are taken or none."""
    keeps_bytes = True
    """Whether sync finds among the sent mail what was sent, byte by byte, with its Bcc."""
    sender: MailSender
    provider: MailProvider
    grant: Any
    address: str
    """The mailbox's own."""
    recipients: Sequence[str]
    """Three who can get mail."""

    @contextmanager
    def session(self) -> Iterator[SendSession]:
        with self.sender.open(self.grant) as session:
            yield session

    @abstractmethod
    def received(self, recipient: str) -> list[bytes]:
        """Return what arrived, each mail as often as it did."""

    @abstractmethod
    def drafts(self) -> int:
        """Return how much lies ready at the provider."""

    @abstractmethod
    def lose_next_answer(self) -> None:
        """Have the next mail taken without our being told."""

    def listed(self, folder_id: FolderId) -> dict[ProviderMessageId, FetchedMessage]:
        """Return what sync finds in a folder."""
        with self.provider.open(self.grant) as session:
            seen = session.look({}, lambda one: one.id == folder_id, now=NOW)
            (folder,) = [one for one in seen.folders if one.id == folder_id]
            page = session.changes(folder, None, Known(), since=None, limit=500, now=NOW)
            assert not page.more
            fetched = list(session.fetch(folder, page.added))
        return {one.provider_message_id: one for one in fetched if isinstance(one, FetchedMessage)}

    def mail(
        self,
        *,
        to: Sequence[str] | None = None,
        bcc: Sequence[str] = (),
        subject: str = "Grüße aus Köln",
        attached: bytes | None = ATTACHED,
    ) -> Outgoing:
        """Return a mail as the composer finishes it: CRLF, ASCII alone, without Bcc."""
        to = [self.recipients[0]] if to is None else to
        number = next(_numbers)
        message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
        message["From"], message["Subject"] = self.address, subject
        message["To"] = ", ".join(to)
        message["Date"] = NOW
        message["Message-ID"] = name = f"<send-{number}@mailroom.example>"
        message["In-Reply-To"] = "<question@customer.example>"
        message["References"] = "<first@customer.example> <question@customer.example>"
        message.set_content("Guten Tag,\n.\n..\nein Punkt und viele ✓\n")
        if attached is not None:
            message.add_attachment(
                attached, maintype="application", subtype="octet-stream", filename="Anlage ä.bin"
            )
        content = message.as_bytes()
        header = f"Bcc: {', '.join(bcc)}\r\n".encode() if bcc else b""
        return Outgoing(
            send_id=SendId(f"send{number}"),
            internet_message_id=name,
            sender=self.address,
            recipients=(*to, *bcc),
            content=content,
            blind_copy=header + content,
        )


class InMemory(SendWorld):
    """On the fake the operations are tested on."""

    address = "alice@mail.example"
    recipients = ("bob@customer.example", "eve@customer.example", "dan@customer.example")

    def __init__(self, post: FakePost) -> None:
        side = ServerLogin(
            ServerSettings("mail.fake.example", 993, Security.TLS, "alice"), Secret("any")
        )
        self.post = self.sender = post
        self.provider = post.server
        self.grant = ImapGrant(side, side)
        self.keeps_drafts = post.keeps_drafts

    def received(self, recipient):
        return self.post.arrived.get(recipient, [])

    def drafts(self):
        return len(self.post.drafts)

    def lose_next_answer(self):
        self.post.answers_lost = 1


@contextmanager
def plain(_request) -> Iterator[SendWorld]:
    yield InMemory(FakePost())


@contextmanager
def with_drafts(_request) -> Iterator[SendWorld]:
    yield InMemory(FakePost(keeps_drafts=True, saves_sent=True))
