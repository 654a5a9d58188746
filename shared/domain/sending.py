"""What one mail on its way out is, and which turns it can take.

A send is written down, with its Message-ID and the digest of its finished content, before anything
leaves. From then on one worker at a time has it: each try has a number, and what a worker writes
names that number. Before the one step that cannot be taken back the worker notes that it is about
to take it. One that is found so after a worker died is never simply sent again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.errors import ErrorCode
from shared.domain.folders import FolderRole
from shared.domain.ids import MailboxId, MessageId, ProviderMessageId, SendId, TenantId, UserId
from shared.domain.message import ParticipantRole


class SendKind(StrEnum):
    """What it is to the people concerned."""

    MESSAGE = "message"
    REPLY = "reply"
    REPLY_ALL = "reply_all"
    FORWARD = "forward"
    TEST = "test"
    """To the mailbox itself, to see it come back."""


class SendStatus(StrEnum):
    """Where a send is."""

    QUEUED = "queued"
    """Waits for its time, or for its next try; can still be cancelled."""
    SENDING = "sending"
    """A worker has it."""
    SENT = "sent"
    """The provider took it for at least one recipient, and nobody waits any more."""
    FAILED = "failed"
    """Nobody got it, and nobody will."""
    UNKNOWN = "unknown"
    """It may have been taken; it is looked for, and never sent again."""
    CANCELLED = "cancelled"
    """Nobody got it: somebody cancelled it, or its mailbox was disconnected, in time."""


SHARDS_OF_SENDS = 8
"""Over so many places sends are spread by their mailboxes, to be found when their time comes."""
MOST_FILES_NAMED = 100
ENDED = frozenset({SendStatus.SENT, SendStatus.FAILED, SendStatus.CANCELLED})
"""Nothing follows; `UNKNOWN` may still be found to be sent."""


class RecipientStatus(StrEnum):
    """What became of one recipient."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    """It was called off before they got it."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """One of those a mail is for. `address` is as it goes into the envelope."""

    address: str
    status: RecipientStatus = RecipientStatus.WAITING
    code: ErrorCode | None = None
    """Why it was refused, or what it waits for."""
    name: str = ""
    """What whoever asked for the mail called them."""
    role: ParticipantRole = ParticipantRole.TO
    """To, Cc or Bcc: where they were first named."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """When sync found a test message among what was received, and in which kind of folder."""

    at: datetime
    place: FolderRole
    bears_sender: bool = True
    """Whether it is still from the address it was sent from."""


@dataclass(frozen=True, slots=True)
class Send:
    """One mail on its way out, or out."""

    tenant_id: TenantId
    mailbox_id: MailboxId
    id: SendId
    user_id: UserId
    """Who asked for it."""
    kind: SendKind
    internet_message_id: str
    """Ours, with its angle brackets; `sent_as` where the provider replaced it."""
    sender: str
    """The address in From and in the envelope."""
    recipients: tuple[Recipient, ...]
    blind: tuple[str, ...]
    """Those of `recipients` whom the content does not name."""
    subject: str
    digest: str
    """SHA-256 of the finished content, in hexadecimal: what is sent is what was asked for."""
    size: int
    generation: int
    """The mailbox's when it was asked for."""
    created_at: datetime
    due_at: datetime
    """Not before then: the time it was scheduled for, or the end of the time to undo it."""
    answers: MessageId | None = None
    """The message it replies to, or forwards."""
    files: tuple[str, ...] = ()
    """The names of its attachments, at most `MOST_FILES_NAMED`; not of pictures in its HTML."""
    provider_thread_id: str | None = None
    """The provider's thread it went into, where the provider tells."""
    status: SendStatus = SendStatus.QUEUED
    attempt: int = 0
    """The number of the latest try."""
    taken_at: datetime | None = None
    """When a worker first had it."""
    attempt_ends_at: datetime | None = None
    """While it is being sent: past then its worker has died."""
    deaths: int = 0
    """Tries in a row whose worker died, until one leaves it as it should."""
    draft: str | None = None
    """What lies ready at the provider, where sending takes two steps."""
    handed_over_at: datetime | None = None
    """When a worker was about to take the step that cannot be taken back."""
    next_try_at: datetime | None = None
    failures: int = 0
    """Tries in a row that failed, for the time to the next one."""
    looks: int = 0
    """How often an unknown outcome was looked for."""
    code: ErrorCode | None = None
    """Why it failed, or waits."""
    reply: str | None = None
    """The numbers of an SMTP reply, such as `550 5.1.1`; never its text."""
    sent_at: datetime | None = None
    accepted_at: datetime | None = None
    """When it was first known that its provider took it."""
    sent_as: str | None = None
    """The Message-ID under which it left, where that is not ours."""
    message_id: MessageId | None = None
    """The stored message, once it is on its timeline."""
    provider_message_id: ProviderMessageId | None = None
    """The provider's copy of it among the sent mail, once that is known."""
    filed_at: datetime | None = None
    """When all that follows sending was done: its copy among the sent mail, its timeline.

    Or when it was plain that nobody can do it any more.
    """
    arrival: Arrival | None = None
    """Of a test message. Noted by sync beside what workers write: none of them changes it."""

    @property
    def waiting(self) -> tuple[str, ...]:
        """The addresses of those who still have to get it."""
        return tuple(
            one.address for one in self.recipients if one.status is RecipientStatus.WAITING
        )

    @property
    def comes_up_at(self) -> datetime | None:
        """When somebody has to see to it next; None: nobody has, ever again.

        Whoever has it writes `attempt_ends_at`, or leaves it with `next_try_at`. What waits, and
        what is sent and not filed, always comes up; an unknown one as long as it says when, and
        one that failed or was cancelled where something lies ready that is to be discarded.
        """
        if self.attempt_ends_at is not None:
            return self.attempt_ends_at
        match self.status:
            case SendStatus.QUEUED:
                return self.next_try_at or self.due_at
            case SendStatus.SENDING:
                return self.due_at
            case SendStatus.SENT:
                return None if self.filed_at else self.next_try_at or self.due_at
            case SendStatus.UNKNOWN:
                return self.next_try_at
            case SendStatus.FAILED | SendStatus.CANCELLED:
                return self.next_try_at if self.draft is not None else None

    @property
    def has_gone(self) -> bool:
        """Whether somebody got it, or may have, in a try that is over."""
        return any(
            one.status in {RecipientStatus.ACCEPTED, RecipientStatus.UNKNOWN}
            for one in self.recipients
        )

    @property
    def may_be_cancelled(self) -> bool:
        """Whether it waits, and nobody has got anything of it or may have."""
        return (
            self.status is SendStatus.QUEUED and self.handed_over_at is None and not self.has_gone
        )

    @property
    def in_doubt(self) -> bool:
        """Whether somebody may have got it without our knowing."""
        return self.handed_over_at is not None and self.status in {
            SendStatus.SENDING,
            SendStatus.UNKNOWN,
        }


def with_outcome(
    send: Send, outcomes: Mapping[str, tuple[RecipientStatus, ErrorCode | None]]
) -> Send:
    """Return `send` after some recipients' fate is known, by address as in `recipients`."""
    return replace(
        send,
        recipients=tuple(
            replace(one, status=outcomes[one.address][0], code=outcomes[one.address][1])
            if one.address in outcomes
            else one
            for one in send.recipients
        ),
    )


def taken(send: Send, *, now: datetime, seconds: int) -> Send:
    """Return `send` as a worker has it for its next try, or look, of `seconds` at most.

    Where the one before has not left it, that one died.
    """
    return replace(
        send,
        status=SendStatus.SENDING if send.status is SendStatus.QUEUED else send.status,
        attempt=send.attempt + 1,
        taken_at=send.taken_at or now,
        deaths=send.deaths + (send.attempt_ends_at is not None),
        attempt_ends_at=now + timedelta(seconds=seconds),
        next_try_at=None,
    )


def cancelled(send: Send, *, now: datetime, code: ErrorCode | None = None) -> Send:
    """Return `send` after it was called off; whoever was at it is locked out.

    Where something lies ready at the provider, it comes up once more, to have that discarded.
    """
    called_off = dict.fromkeys(send.waiting, (RecipientStatus.CANCELLED, code))
    return replace(
        with_outcome(send, called_off),
        status=SendStatus.CANCELLED,
        code=code,
        attempt=send.attempt + 1,
        attempt_ends_at=None,
        next_try_at=None if send.draft is None else now,
    )


def left_behind(send: Send, *, now: datetime) -> Send:
    """Return `send` once its mailbox was disconnected and nobody can do anything for it any more.

    What nobody has got is cancelled; what somebody may have got is unknown and is not looked for;
    what was sent stays sent, and those who still waited are refused. Nothing of it comes up.
    """
    code = ErrorCode.MAILBOX_DISCONNECTED
    idle = replace(
        send, attempt=send.attempt + 1, attempt_ends_at=None, next_try_at=None, draft=None
    )
    if send.status is SendStatus.SENT:
        return replace(idle, filed_at=now)
    if send.status in ENDED:
        return idle
    if send.in_doubt:
        return replace(idle, status=SendStatus.UNKNOWN, code=ErrorCode.OUTCOME_UNKNOWN)
    refused = dict.fromkeys(send.waiting, (RecipientStatus.REFUSED, code))
    if send.sent_at is not None:
        sent = with_outcome(idle, refused)
        return replace(sent, status=SendStatus.SENT, filed_at=now)
    if send.has_gone:
        unknown = with_outcome(idle, refused)
        return replace(unknown, status=SendStatus.UNKNOWN, code=ErrorCode.OUTCOME_UNKNOWN)
    called_off = dict.fromkeys(send.waiting, (RecipientStatus.CANCELLED, code))
    return replace(with_outcome(idle, called_off), status=SendStatus.CANCELLED, code=code)
