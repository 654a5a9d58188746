"""What one mail on its way out is, and which turns it can take.

A send is written down, with its Message-ID and the digest of its finished content, before anything
leaves. From then on one worker at a time has it: each try has a number, and what a worker writes
names that number. Before the one step that cannot be taken back the worker notes that it is about
to take it. One that is found so after a worker died is never simply sent again.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from shared.domain.errors import ErrorCode
from shared.domain.ids import MailboxId, MessageId, ProviderMessageId, SendId, TenantId, UserId


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


ENDED = frozenset({SendStatus.SENT, SendStatus.FAILED, SendStatus.CANCELLED})
"""Nothing follows; `UNKNOWN` may still be found to be sent."""


class RecipientStatus(StrEnum):
    """What became of one recipient."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One of those a mail is for. `address` is as it goes into the envelope."""

    address: str
    status: RecipientStatus = RecipientStatus.WAITING
    code: ErrorCode | None = None
    """Why it was refused, or what it waits for."""


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
    provider_thread_id: str | None = None
    """The provider's thread it goes into, where the mailbox itself holds what it answers."""
    status: SendStatus = SendStatus.QUEUED
    attempt: int = 0
    """The number of the latest try."""
    attempt_ends_at: datetime | None = None
    """While it is being sent: past then its worker has died."""
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
    sent_as: str | None = None
    """The Message-ID under which it left, where that is not ours."""
    message_id: MessageId | None = None
    """The stored message, once it is on its timeline."""
    provider_message_id: ProviderMessageId | None = None
    """The provider's copy of it among the sent mail, once that is known."""
    filed_at: datetime | None = None
    """When all that follows sending was done: its copy among the sent mail, its timeline."""

    @property
    def waiting(self) -> tuple[str, ...]:
        """The addresses of those who still have to get it."""
        return tuple(
            one.address for one in self.recipients if one.status is RecipientStatus.WAITING
        )

    @property
    def in_doubt(self) -> bool:
        """Whether somebody may have got it without our knowing."""
        return self.handed_over_at is not None and self.status in {
            SendStatus.SENDING,
            SendStatus.UNKNOWN,
        }


def with_outcome(send: Send, outcomes: dict[str, tuple[RecipientStatus, ErrorCode | None]]) -> Send:
    """Return `send` after some recipients' fate is known, by address as in `recipients`."""
    return replace(
        send,
        recipients=tuple(
            Recipient(one.address, *outcomes[one.address]) if one.address in outcomes else one
            for one in send.recipients
        ),
    )
