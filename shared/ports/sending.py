"""How mail leaves: what a provider must be able to do to send, and what must be kept of a send.

A provider never touches a store or a clock. Sending has two parts, so that everything that can be
refused is refused before the one step that cannot be taken back.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from shared.domain.errors import ErrorCode, MailroomError
from shared.domain.ids import FolderId, MailboxId, ProviderMessageId, SendId, TenantId
from shared.domain.message import FetchedMessage
from shared.domain.sending import Arrival, Send
from shared.ports.provider import Grant


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A finished mail as a provider gets it, the same at every try."""

    send_id: SendId
    internet_message_id: str
    """As in the content, with its angle brackets."""
    sender: str
    recipients: tuple[str, ...]
    """Those who still have to get it."""
    content: bytes = field(repr=False)
    """MIME with CRLF and without Bcc."""
    blind_copy: bytes = field(repr=False)
    """The same with Bcc: for the sender's own copy, and where recipients are read from there."""
    provider_thread_id: str | None = None
    handed_over_at: datetime | None = None
    """When a worker was about to take the last step; without it no look says that it was not."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a provider took, for one recipient at least."""

    refused: Mapping[str, MailroomError] = field(default_factory=dict)
    """Recipients it did not take it for; a `RetryLaterError` may be tried again."""
    provider_message_id: ProviderMessageId | None = None
    """The copy among the sent mail, where the provider tells."""
    internet_message_id: str | None = None
    """The Message-ID under which it left, where the provider tells another than ours."""
    provider_thread_id: str | None = None


class Sighting(StrEnum):
    """What a provider shows of a mail whose outcome nobody knows."""

    SENT = "sent"
    NOT_SENT = "not_sent"
    """It certainly was not, and never will be by itself: it may be sent."""
    UNSEEN = "unseen"
    """Nothing can be told by now."""


class SendSession(Protocol):
    """An open way out of one mailbox. Not thread-safe.

    Every method may raise `ReconnectRequiredError`, `ConfigurationError`, `RetryLaterError` and
    `RequestError` (host or port not allowed).
    """

    def prepare(self, mail: Outgoing, draft: str | None) -> str | None:
        """Bring the mail to where one further step sends it; return what lies ready there.

        That is the provider's name of a draft, or None where there is none. `draft` is what an
        earlier try returned; without it, what such a try may have left is looked for first, so that
        repeating this leaves one. Whatever it raises, nobody has got anything. Raises
        `SendRefusedError` too, where nobody will: all recipients refused for good, or the mail.
        Where all are refused, and some for now, that is a `RetryLaterError`; both tell of each.
        """
        ...

    def send(self, mail: Outgoing, draft: str | None) -> Accepted:
        """Take the step that cannot be taken back, once, after `prepare` of this session.

        Raises `OutcomeUnknownError` where it may have been taken without our being told. After
        whatever else it raises (`SendRefusedError` too) nobody has got it; as `prepare`, it tells
        who was refused before.
        """
        ...

    def look_up(self, mail: Outgoing, draft: str | None) -> tuple[Sighting, Accepted | None]:
        """Return what the provider shows of a mail after an unknown outcome, by its Message-ID.

        With `SENT`, what is known of it. Where a provider sends after it has answered, only time
        tells that it does not: `mail.handed_over_at` says since when.
        """
        ...

    def file(self, mail: Outgoing, accepted: Accepted) -> FetchedMessage | None:
        """Have the mail among the sent mail, once, and return it as sync would fetch it from there.

        Only called for what was sent. Where the server puts it there itself, none is added. None:
        it is not known yet under which id sync will find it. Repeating it is harmless.
        """
        ...

    def sent_folder(self) -> FolderId | None:
        """Return the folder `file` speaks of, as sync names it; None where there is none."""
        ...

    def discard(self, draft: str) -> None:
        """Remove what lies ready and will never be sent; one that is gone is no trouble."""
        ...


class MailSender(Protocol):
    """Opens ways out."""

    def open(
        self, grant: Grant, *, seconds: float | None = None
    ) -> AbstractContextManager[SendSession]:
        """Begin; logs in where it first must. Lasts `seconds` at most, as `MailProvider.open`."""
        ...


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """What makes a repeated request one: the caller's key, and what they asked for with it."""

    digest: str
    """Of tenant, user and key."""
    body_digest: str


@dataclass(frozen=True, slots=True)
class SendCaps:
    """How much may leave; counted when it is asked for."""

    mailbox_a_day: int
    """Recipients a mailbox, in a UTC day."""
    tenant_a_day: int
    """Recipients a tenant, in a UTC day."""
    mailbox_a_minute: int
    """Sends a mailbox, in a UTC minute."""


@dataclass(frozen=True, slots=True)
class SendRef:
    """Which send something is about."""

    tenant_id: TenantId
    mailbox_id: MailboxId
    send_id: SendId


class SendStore(Protocol):
    """Sends, each with its key and its place among what is due.

    Every method may raise `StoreThrottledError` and `StoreRefusedError`.
    """

    def create(self, send: Send, key: IdempotencyKey, caps: SendCaps, *, now: datetime) -> Send:
        """Write the send, its key and its share of the caps in one transaction; return it.

        Where the key has a send already, that one is returned and nothing is written; raises
        `ConflictError(KEY_REUSED)` where it was another request's. Raises `LimitReachedError`
        where a cap is reached, and `ConflictError(WRONG_STATE)` where the mailbox is not active
        any more, or no longer of the send's generation.
        """
        ...

    def find(self, tenant_id: TenantId, key: IdempotencyKey) -> Send | None:
        """Return the send a key has; raises `ConflictError(KEY_REUSED)` as `create`."""
        ...

    def get(self, ref: SendRef) -> Send | None:
        """Return it, consistently read, or None."""
        ...

    def list_sends(
        self, tenant_id: TenantId, mailbox_id: MailboxId, *, limit: int, before: SendId | None
    ) -> list[Send]:
        """Return those of a mailbox, newest first, strictly before `before`."""
        ...

    def take(self, ref: SendRef, *, now: datetime, seconds: int) -> Send:
        """Have it for one try, or one look: status `sending` and the next number; return it.

        What is due is what `Send.comes_up_at` says. Raises `ConflictError(LEASE_HELD)` for one that
        is not, is gone, or is another's; `ConflictError(WRONG_STATE)` where its mailbox was
        disconnected since it was asked for: it is left behind then (`domain.sending.left_behind`),
        and never comes up again. One whose worker died is taken over, `handed_over_at` telling how
        far that one came. Only what waits becomes `sending`: an unknown one keeps its status while
        it is looked for, one that is sent while it is filed, and one that failed or was cancelled
        while its draft is discarded.
        """
        ...

    def write(self, send: Send, *, now: datetime) -> None:
        """Write how far a try came, or its end, where `send.attempt` is still the latest.

        Raises `ConflictError(STALE_WRITE)`. It stays among what is due for as long as
        `Send.comes_up_at` says an instant: a worker that leaves it takes `attempt_ends_at` away,
        and says in `next_try_at` when somebody is to go on. What waits again has no
        `handed_over_at`.
        """
        ...

    def write_handing_over(self, send: Send, *, now: datetime) -> None:
        """Write that it is about to be handed over, as `write`, while its mailbox is connected.

        Raises `ConflictError(WRONG_STATE)` where that was disconnected since it was asked for, be
        it connected again: then nothing is written, and whoever takes it next leaves it behind.
        """
        ...

    def cancel(self, ref: SendRef, *, now: datetime, code: ErrorCode | None = None) -> Send:
        """Cancel one that waits and of which nobody has got anything; repeating is harmless.

        One with a draft comes up once more, for that to be discarded. Raises
        `RequestError(SEND_NOT_FOUND)`, `ConflictError(TOO_LATE)`.
        """
        ...

    def note_arrival(self, ref: SendRef, arrival: Arrival) -> None:
        """Note that a test message came back, once; whoever has the send, and nothing else of it.

        Repeating it changes nothing, and one that is gone is no trouble.
        """
        ...

    def due(self, shard: int, *, now: datetime, limit: int) -> Sequence[SendRef]:
        """Return what waits for somebody since `now` or longer, oldest first.

        Eventually consistent.
        """
        ...

    def of_mailbox(self, tenant_id: TenantId, mailbox_id: MailboxId) -> Iterator[Send]:
        """Yield every send of a mailbox that is kept."""
        ...


class OutgoingStore(Protocol):
    """The finished content of sends."""

    def put(self, ref: SendRef, content: bytes) -> None:
        """Keep it; another one of the same send is replaced."""
        ...

    def get(self, ref: SendRef, digest: str) -> bytes | None:
        """Return it, or None where it is not there or not what `digest` (SHA-256) says."""
        ...

    def delete(self, ref: SendRef) -> None:
        """Let go of it; one that is gone is no trouble."""
        ...
