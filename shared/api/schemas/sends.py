"""How a mail is asked for, and what is told of it until everybody has it or never will."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import orjson
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from shared.api.schemas.fields import (
    OUR_ERROR,
    Given,
    Instant,
    Line,
    Shown,
    as_lines,
    known_mailbox_id,
    one_line,
    plain_text,
)
from shared.api.schemas.mail import ParticipantShown
from shared.domain.composing import MAX_SUBJECT_CHARACTERS, NamedAddress, is_content_id
from shared.domain.errors import Acts, ErrorCode
from shared.domain.explanations import explain
from shared.domain.identity import thread_of
from shared.domain.ids import MailboxId, MessageId, UploadId
from shared.domain.quoting import Original, quoted_text
from shared.domain.sending import Recipient, RecipientStatus, Send, SendKind, SendStatus
from shared.operations.answer_message import AnswerView
from shared.operations.read_sends import SendView
from shared.operations.write_mail import Answering, AskedMail, Attached

MOST_UNDO_SECONDS = 300
_MOST_NAMED = 500
"""Of one field; how many a mail may be for in all says the deployment."""
_MOST_ATTACHED = 50
_LONGEST_BODY = 1_000_000


def _refuse(message: str) -> PydanticCustomError:
    return PydanticCustomError(OUR_ERROR, message)


def _content_id(text: str | None) -> str | None:
    if text is not None and not is_content_id(text):
        raise _refuse("At most 200 ASCII letters, digits, dots, @ and the like.")
    return text


Written = Annotated[
    str,
    BeforeValidator(as_lines),
    StringConstraints(max_length=_LONGEST_BODY),
    AfterValidator(plain_text),
]
Subject = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=MAX_SUBJECT_CHARACTERS),
    AfterValidator(one_line),
]
IdempotencyKeyText = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[!-~]+$")
]
"""Visible ASCII: one for each mail, such as a UUID."""


def _named_where_shown(text: str | None, info: ValidationInfo) -> str | None:
    if text is None and info.data.get("inline"):
        raise _refuse("What the HTML shows needs the id it is shown by.")
    return text


class AnswerKind(StrEnum):
    """How a message is answered, or passed on."""

    REPLY = "reply"
    REPLY_ALL = "reply_all"
    FORWARD = "forward"


class GivenParty(Given):
    """Somebody by address, and what they are called."""

    address: Annotated[str, StringConstraints(min_length=1, max_length=400)]
    name: Line = ""

    def to_named(self) -> NamedAddress:
        """Return them."""
        return NamedAddress(self.address, self.name)


class GivenSender(Given):
    """As whom: the mailbox's own address or one of its verified aliases."""

    address: Annotated[str, StringConstraints(min_length=1, max_length=400)] | None = None
    """Null: of an answer the one that the message names in To or Cc, else the mailbox's own."""
    name: Line | None = None
    """Null: as the alias is called, else as the mailbox is."""


class GivenAttachment(Given):
    """An uploaded file. With `inline` the HTML shows it as `cid:` and its `content_id`."""

    upload_id: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    inline: bool = False
    content_id: Annotated[
        str | None, AfterValidator(_content_id), AfterValidator(_named_where_shown)
    ] = Field(default=None, validate_default=True)


class GivenAnswer(Given):
    """Which message this answers or passes on; the caller sees it in full."""

    message_id: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    kind: AnswerKind
    quote: bool = True
    """Whether what it says stands below."""
    forward_attachments: bool = True
    """Whether its attachments go along, where it is passed on."""


Parties = Annotated[list[GivenParty], Field(max_length=_MOST_NAMED)]


class AskForSend(Given):
    """A mail to be sent. What is left out of an answer is as the message it answers says."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, populate_by_name=True)

    mailbox_id: str | None = None
    """Null: one of the caller's that holds what is answered, else their primary."""
    sender: GivenSender | None = Field(default=None, alias="from")
    to: Parties | None = None
    cc: Parties | None = None
    bcc: Parties = Field(default=[])
    subject: Subject | None = None
    text: Written | None = None
    html: Written | None = None
    """Without `text` one is made of it."""
    reply_to: GivenParty | None = None
    """Null: as the mailbox says."""
    attachments: list[GivenAttachment] = Field(default=[], max_length=_MOST_ATTACHED)
    answers: GivenAnswer | None = None
    signature: bool = True
    """Whether the caller's signature stands below what they wrote."""
    send_at: Instant | None = None
    """Not before then; at most 60 days ahead."""
    undo_seconds: Annotated[int, Field(ge=0, le=MOST_UNDO_SECONDS, strict=True)] = 0
    """For so long it can certainly be cancelled."""

    def canonical(self) -> bytes:
        """Return what is asked for in one spelling, whatever was left out or written out."""
        given = self.model_dump(mode="json", exclude_defaults=True)
        return orjson.dumps(given, option=orjson.OPT_SORT_KEYS)

    def to_asked(self) -> AskedMail:
        """Return what is asked for; raises `RequestError(MAILBOX_NOT_FOUND)`."""
        answers, sender = self.answers, self.sender
        return AskedMail(
            mailbox_id=MailboxId(known_mailbox_id(self.mailbox_id)) if self.mailbox_id else None,
            sender=sender.address if sender else None,
            sender_name=sender.name if sender else None,
            to=_named(self.to),
            cc=_named(self.cc),
            bcc=_named(self.bcc) or (),
            subject=self.subject,
            text=self.text,
            html=self.html,
            reply_to=self.reply_to.to_named() if self.reply_to else None,
            attachments=tuple(
                Attached(UploadId(one.upload_id), one.inline, one.content_id)
                for one in self.attachments
            ),
            answers=Answering(
                MessageId(answers.message_id),
                SendKind(answers.kind),
                answers.quote,
                answers.forward_attachments,
            )
            if answers
            else None,
            signature=self.signature,
            send_at=self.send_at,
            undo_seconds=self.undo_seconds,
        )


def _named(people: Iterable[GivenParty] | None) -> tuple[NamedAddress, ...] | None:
    return None if people is None else tuple(one.to_named() for one in people)


class CauseShown(Shown):
    """Why something failed, or what it waits for: what happened, whose move it is, what to do."""

    code: ErrorCode
    message: str
    acts: Acts
    fix: str

    @classmethod
    def of(cls, code: ErrorCode | None) -> "CauseShown | None":
        """Show a code in its words."""
        if code is None:
            return None
        words = explain(code)
        return cls(code=code, message=words.message, acts=words.acts, fix=words.fix)


class RecipientField(StrEnum):
    """In which field of a mail somebody is named."""

    TO = "to"
    CC = "cc"
    BCC = "bcc"


class RecipientShown(Shown):
    """One of those a mail is for, and what became of that."""

    address: str
    name: str
    field: RecipientField
    """Where they were named; nobody else sees that those of `bcc` got it."""
    blind: bool
    """Whether nobody else sees that they got it."""
    status: RecipientStatus
    cause: CauseShown | None
    """Why it was refused for them, or what it waits for."""

    @classmethod
    def of(cls, recipient: Recipient, blind: Iterable[str]) -> "RecipientShown":
        """Show a recipient."""
        return cls(
            address=recipient.address,
            name=recipient.name,
            field=RecipientField(recipient.role),
            blind=recipient.address in blind,
            status=recipient.status,
            cause=CauseShown.of(recipient.code),
        )


class SendShown(Shown):
    """A mail on its way out, or out."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    id: str
    mailbox_id: str
    user_id: str
    """Who asked for it."""
    kind: SendKind
    status: SendStatus
    cause: CauseShown | None
    """Why it failed, or what it waits for; of a sent one, why it is not on its timeline."""
    sender: str = Field(alias="from")
    recipients: list[RecipientShown]
    subject: str | None
    files: list[str]
    """The names of its first 100 attachments, to those who see it in full."""
    size: int
    created_at: datetime
    due_at: datetime
    next_try_at: datetime | None
    sent_at: datetime | None
    can_cancel: bool
    """Whether the caller may, and it is not too late."""
    internet_message_id: str
    """With its angle brackets, as it left."""
    answers: str | None
    """The message it answers or passes on."""
    message_id: str | None
    """The stored message; null until it is on its timeline, and where sync has put it there."""
    thread_id: str | None

    @classmethod
    def of(cls, view: SendView) -> "SendShown":
        """Show what a view holds."""
        send = view.send
        return cls(
            id=send.id,
            mailbox_id=send.mailbox_id,
            user_id=send.user_id,
            kind=send.kind,
            status=send.status,
            cause=CauseShown.of(send.code),
            sender=send.sender,
            recipients=[RecipientShown.of(one, send.blind) for one in send.recipients],
            subject=send.subject if view.shows_subject else None,
            files=list(send.files),
            size=send.size,
            created_at=send.created_at,
            due_at=send.due_at,
            next_try_at=_next_try_at(send),
            sent_at=send.sent_at,
            can_cancel=view.may_cancel,
            internet_message_id=send.sent_as or send.internet_message_id,
            answers=send.answers,
            message_id=send.message_id,
            thread_id=thread_of(send.message_id) if send.message_id else None,
        )


def _next_try_at(send: Send) -> datetime | None:
    """Return when it is tried, or looked for, again; None once nobody waits for it any more."""
    waits = {SendStatus.QUEUED, SendStatus.SENDING, SendStatus.UNKNOWN}
    return send.next_try_at if send.status in waits else None


class SendList(Shown):
    """Sends, newest first."""

    items: list[SendShown]
    next: str | None


class AnswerShown(Shown):
    """What an answer would begin with: to be shown while somebody writes it.

    The same is taken for whatever a send leaves out.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    mailbox_id: str
    sender: str = Field(alias="from")
    to: list[ParticipantShown]
    cc: list[ParticipantShown]
    left_out: list[ParticipantShown]
    """Whom it would go to as well, were theirs addresses that mail can be sent to."""
    subject: str
    quoted_text: str
    """What stands below it, where it is quoted; escape it."""

    @classmethod
    def of(cls, view: AnswerView) -> "AnswerShown":
        """Show an answer."""
        return cls(
            mailbox_id=view.mailbox.id,
            sender=view.sender,
            to=_shown(view.answer.to),
            cc=_shown(view.answer.cc),
            left_out=_shown(view.answer.left_out),
            subject=view.answer.subject,
            quoted_text=quoted_text(Original(view.answered.message, view.answered.body, view.kind)),
        )


def _shown(people: Iterable[NamedAddress]) -> list[ParticipantShown]:
    return [ParticipantShown(address=one.address, name=one.name) for one in people]
