"""What a mail is made of that somebody asks for: as whom, to whom, what it says, what goes along.

All that can be wrong with it is found here, and each field is named; nothing is written.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from shared.domain.addresses import canonical_address
from shared.domain.capabilities import CAPABILITIES
from shared.domain.composing import (
    Draft,
    DraftAttachment,
    NamedAddress,
    message_id_of,
    sendable_address,
)
from shared.domain.errors import ErrorCode, RequestError, SendRefusedError
from shared.domain.ids import Address, MailboxId, MessageId, SendId, UploadId
from shared.domain.mailbox import Mailbox
from shared.domain.message import StoredAttachment
from shared.domain.quoting import Original, Written
from shared.domain.reply import Answer
from shared.domain.sending import SendKind
from shared.domain.signature import Signature
from shared.domain.visibility import Viewer
from shared.operations.answer_content import ContentToSend, content_to_send
from shared.operations.answer_message import Answered, answered_as, beginning
from shared.operations.sender_of import sender_of
from shared.ports.composer import Composer
from shared.ports.signatures import SignatureStore
from shared.ports.uploads import AttachmentReader, UploadStore

_LINE, _ENCODED = 57, 78
"""Bytes of a file that make a line in base64, and what that line takes."""


@dataclass(frozen=True, slots=True)
class Attached:
    """An uploaded file that goes along."""

    upload_id: UploadId
    inline: bool = False
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answering:
    """Which message is answered or passed on, and what of it goes along."""

    message_id: MessageId
    kind: SendKind
    quote: bool = True
    forward_attachments: bool = True


@dataclass(frozen=True, slots=True)
class AskedMail:
    """A mail as somebody asks for it. What is None is chosen for them."""

    mailbox_id: MailboxId | None = None
    sender: str | None = None
    sender_name: str | None = None
    to: tuple[NamedAddress, ...] | None = None
    """None: whom an answer goes to. Addresses here are as they were typed."""
    cc: tuple[NamedAddress, ...] | None = None
    bcc: tuple[NamedAddress, ...] = ()
    subject: str | None = None
    text: str | None = None
    html: str | None = None
    reply_to: NamedAddress | None = None
    attachments: tuple[Attached, ...] = ()
    answers: Answering | None = None
    signature: bool = True
    send_at: datetime | None = None
    undo_seconds: int = 0


@dataclass(frozen=True, slots=True)
class WritePorts:
    """Where what goes along is read, and who writes what it says."""

    uploads: UploadStore
    attachments: AttachmentReader
    signatures: SignatureStore
    composer: Composer


@dataclass(frozen=True, slots=True)
class MailWriter:
    """Writes one mail of `viewer`, from `mailbox`, about what it answers."""

    viewer: Viewer
    asked: AskedMail
    mailbox: Mailbox
    answered: Answered | None
    ports: WritePorts
    most_recipients: int

    def draft(self, send_id: SendId, due_at: datetime) -> Draft:
        """Return the mail of a send as it is sent at `due_at`.

        Raises `RequestError` (`INVALID_REQUEST`, `SENDER_NOT_VERIFIED`, `ADDRESS_NOT_SUPPORTED`,
        `UPLOAD_NOT_FOUND`, `ATTACHMENT_NOT_FOUND`), `SendRefusedError(MAIL_TOO_LARGE)`.
        """
        asked = self.asked
        address, answer = asked.sender, None
        if self.answered is not None and asked.answers is not None:
            address = address or answered_as(self.viewer, self.answered, self.mailbox)
            answer = beginning(self.viewer, self.answered, asked.answers.kind, self.mailbox)
        sender = sender_of(self.mailbox, address, asked.sender_name)
        people = self._people(answer)
        if not (asked.text or asked.html or asked.attachments or answer):
            reason = "Write something, or attach a file."
            raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("text", reason)])
        subject = asked.subject
        if subject is None:
            subject = answer.subject if answer else ""
        reply_to = self._reply_to()
        room = CAPABILITIES[self.mailbox.provider].largest_mail // _ENCODED * _LINE
        uploaded = tuple(self._uploaded(room))
        content = self._content(room - sum(len(one.content) for one in uploaded))
        return Draft(
            sender=sender,
            internet_message_id=message_id_of(send_id, sender.address),
            date=due_at,
            to=people.to,
            cc=people.cc,
            bcc=people.bcc,
            reply_to=reply_to,
            subject=subject,
            text=content.text,
            html=content.html,
            attachments=(*uploaded, *content.attachments),
            in_reply_to=answer.in_reply_to if answer else None,
            references=answer.references if answer else (),
        )

    def _people(self, answer: Answer | None) -> "_People":
        """Return whom it goes to, each once: of an address in several fields the first counts."""
        asked, checked = self.asked, _Checked()
        # To an answer that names somebody itself nobody is added.
        begins = answer if asked.to is None else None
        cc = begins.cc if begins is not None and asked.cc is None else asked.cc
        people = _People(
            tuple(checked.people("to", begins.to if begins else asked.to or ())),
            tuple(checked.people("cc", cc or ())),
            tuple(checked.people("bcc", asked.bcc)),
        )
        checked.raise_refusals()
        number = sum(map(len, people))
        if not 1 <= number <= self.most_recipients:
            reason = f"From 1 to {self.most_recipients} recipients, Cc and Bcc included."
            if not number and begins is not None and begins.left_out:
                reason = "Nobody is left: those it would go to cannot be sent to, and are left out."
            raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("to", reason)])
        return people

    def _reply_to(self) -> NamedAddress | None:
        given = self.asked.reply_to
        if given is not None:
            address = sendable_address(given.address, "reply_to.address")
            return NamedAddress(address, given.name)
        if self.mailbox.reply_to is None:
            return None
        return NamedAddress(sendable_address(self.mailbox.reply_to, "reply_to"))

    def _uploaded(self, room: int) -> Iterator[DraftAttachment]:
        """Yield the files that were uploaded; no more is read than a mail may be large."""
        viewer = self.viewer
        for number, one in enumerate(self.asked.attachments):
            file = self.ports.uploads.get(viewer.tenant_id, viewer.user_id, one.upload_id)
            if file is None:
                reason = "Nothing of yours was uploaded there, or not what was announced."
                raise RequestError(
                    ErrorCode.UPLOAD_NOT_FOUND,
                    fields=[(f"attachments.{number}.upload_id", reason)],
                )
            room -= len(file.content)
            if room < 0:
                raise SendRefusedError(ErrorCode.MAIL_TOO_LARGE)
            yield DraftAttachment(
                file.filename, file.content_type, file.content, one.content_id, one.inline
            )

    def _content(self, room: int) -> ContentToSend:
        answers, original = self.asked.answers, None
        if self.answered is not None and answers is not None:
            original = Original(self.answered.message, self.answered.body, answers.kind)
        is_forward = answers is not None and answers.kind is SendKind.FORWARD
        return content_to_send(
            Written(self.asked.text, self.asked.html),
            signature=self._signature(),
            original=original,
            quotes=answers is not None and answers.quote,
            passes_files_on=is_forward and answers is not None and answers.forward_attachments,
            room=room,
            composer=self.ports.composer,
            read=self._read,
        )

    def _signature(self) -> Signature | None:
        if not self.asked.signature:
            return None
        return self.ports.signatures.get_signature(self.viewer.tenant_id, self.viewer.user_id)

    def _read(self, part: StoredAttachment) -> bytes | None:
        if self.answered is None or part.digest is None:
            return None
        holder = min(self.answered.message.copies)
        return self.ports.attachments.get(self.viewer.tenant_id, part.digest, holder=holder)


class _People(NamedTuple):
    to: tuple[NamedAddress, ...]
    cc: tuple[NamedAddress, ...]
    bcc: tuple[NamedAddress, ...]


class _Checked:
    """Takes addresses as they were typed, each once, and notes what is wrong with others."""

    def __init__(self) -> None:
        self.refused: list[tuple[str, str]] = []
        self._codes: set[ErrorCode] = set()
        self._taken: set[Address] = set()

    def people(self, name: str, given: Iterable[NamedAddress]) -> Iterator[NamedAddress]:
        for number, one in enumerate(given):
            try:
                address = sendable_address(one.address, f"{name}.{number}.address")
            except RequestError as error:
                self.refused.extend(error.fields)
                self._codes.add(error.code)
                continue
            same = canonical_address(address) or Address(address)
            if same not in self._taken:
                self._taken.add(same)
                yield NamedAddress(address, one.name)

    def raise_refusals(self) -> None:
        """Raise what was refused, under its own code where it is all of one."""
        if self.refused:
            code = next(iter(self._codes)) if len(self._codes) == 1 else ErrorCode.INVALID_REQUEST
            raise RequestError(code, fields=self.refused)
