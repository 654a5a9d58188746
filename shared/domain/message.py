"""What a message is: as fetched from a provider, as parsed, as stored."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from shared.domain.change import Wanted
from shared.domain.contents import SeenContent
from shared.domain.ids import (
    Address,
    FolderId,
    MailboxId,
    MessageId,
    ProviderMessageId,
    ThreadId,
)
from shared.domain.mailbox import Direction


class ParticipantRole(StrEnum):
    """The header a participant stands in."""

    FROM = "from"
    TO = "to"
    CC = "cc"
    BCC = "bcc"
    REPLY_TO = "reply_to"


@dataclass(frozen=True, slots=True)
class Participant:
    """One address on a message. `address` is canonical, `name` is as written, decoded."""

    role: ParticipantRole
    address: Address
    name: str = ""


def taking_part(participants: Iterable[Participant]) -> tuple[Address, ...]:
    """Return whom a message is from and to, each once; a Reply-To alone is nobody's part in it."""
    others = (one.address for one in participants if one.role is not ParticipantRole.REPLY_TO)
    return tuple(dict.fromkeys(others))


@dataclass(frozen=True, slots=True)
class Flags:
    """What the user did with one copy.

    `version` is the provider's own counter (IMAP modseq), 0 where it has none.
    """

    seen: bool = False
    flagged: bool = False
    answered: bool = False
    draft: bool = False
    version: int = 0


@dataclass(frozen=True, slots=True)
class FetchedPart:
    """One leaf of a message that was fetched in parts.

    Its MIME header lines and its body, still encoded.
    """

    section: str
    content_type: str
    charset: str | None
    encoding: str
    content: bytes
    disposition: str | None = None
    filename: str | None = None
    content_id: str | None = None
    truncated: bool = False
    """Whether `content` was cut off because the leaf is too large."""


@dataclass(frozen=True, slots=True)
class RemotePart:
    """A leaf that was left at the provider.

    `section` names it there, `size` is its encoded size in bytes.
    """

    section: str
    content_type: str
    encoding: str
    size: int
    filename: str | None = None
    disposition: str | None = None
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class FetchedMessage:
    """A message as a provider handed it over.

    `raw` whole, or `header` with `parts` and `remote` leaves.
    """

    provider_message_id: ProviderMessageId
    received_at: datetime
    size: int
    flags: Flags
    raw: bytes | None = None
    header: bytes | None = None
    parts: tuple[FetchedPart, ...] = ()
    remote: tuple[RemotePart, ...] = ()
    provider_thread_id: str | None = None
    folder_ids: frozenset[FolderId] | None = None
    """The folders it is in, where a provider knows of more than the one it was asked from."""


@dataclass(frozen=True, slots=True)
class MissingMessage:
    """A message that could not be fetched: `gone`, `unreadable` or `failing` (see `fetch`)."""

    provider_message_id: ProviderMessageId
    reason: str


@dataclass(frozen=True, slots=True)
class ParsedAttachment:
    """A non-text leaf.

    Exactly one of `content` (decoded bytes) and `section` (still at the provider) is set.
    """

    filename: str
    content_type: str
    size: int
    inline: bool = False
    content_id: str | None = None
    content: bytes | None = field(default=None, repr=False)
    section: str | None = None
    encoding: str = ""


TOO_MANY_PARTICIPANTS = "too_many_participants"
"""The defect of a message that names more than are kept of it."""


@dataclass(frozen=True, slots=True)
class ParsedMessage:
    """What `mime` makes of a fetched message.

    Every text is valid Unicode without NUL or lone surrogates.
    """

    internet_message_id: str | None
    references: tuple[str, ...]
    in_reply_to: str | None
    subject: str
    sent_at: datetime | None
    participants: tuple[Participant, ...]
    text: str
    html: str | None
    snippet: str
    attachments: tuple[ParsedAttachment, ...]
    headers: Mapping[str, str]
    """The few headers worth keeping, by lower-case name (List-Id, Auto-Submitted, Precedence, …).
    """
    fingerprint_source: bytes
    """What identity is derived from where Message-ID is missing or reused; see `identity`."""
    defects: tuple[str, ...] = ()
    """Which fallbacks were needed, as short codes; empty for a well-formed message."""
    truncated: bool = False

    def taking_part(self) -> tuple[Address, ...]:
        """Return whom it is from and to, each once; a Reply-To alone is nobody's part in it."""
        return taking_part(self.participants)

    def blind(self) -> frozenset[Address]:
        """Return whom this copy of the message names as blind recipients."""
        return frozenset(
            one.address for one in self.participants if one.role is ParticipantRole.BCC
        )


@dataclass(frozen=True, slots=True)
class StoredAttachment:
    """An attachment as stored: `digest` names its object, or `missing` says why there is none."""

    filename: str
    content_type: str
    size: int
    inline: bool = False
    content_id: str | None = None
    digest: str | None = None
    missing: str | None = None
    seen: SeenContent | None = None
    """What its content was seen to be, whatever `content_type` claims.

    None for what need not be known, and for all that was stored before content was looked at.
    """


@dataclass(frozen=True, slots=True)
class Body:
    """The readable part of a message. `html` is as received.

    It leaves only through the sanitiser.
    """

    text: str
    html: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """A message as stored, without its body."""

    id: MessageId
    thread_id: ThreadId
    internet_message_id: str | None
    in_reply_to: str | None
    references: tuple[str, ...]
    subject: str
    direction: Direction
    sent_at: datetime
    received_at: datetime
    participants: tuple[Participant, ...]
    snippet: str
    attachments: tuple[StoredAttachment, ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    defects: tuple[str, ...] = ()
    truncated: bool = False
    copies: frozenset[str] = frozenset()
    """`copy_ref` of every copy this message was ever stored under, live or removed."""


@dataclass(frozen=True, slots=True)
class Pending:
    """What somebody wants of a copy and its provider has not acknowledged, and what that has."""

    wanted: Wanted
    version: int
    """Begins with the first wish's instant; raised with each further, and with each word of the
    provider's. So a copy never has one again that it had before."""
    asked_at: datetime
    """When the last of these wishes came."""
    generation: int
    """The mailbox's then."""
    flags: Flags
    """As the provider last had them."""
    folder_ids: frozenset[FolderId]
    """Where the provider last had it; empty where it was found gone from its last folder."""


class News(StrEnum):
    """What is to be told of a copy that came, or went; nothing of one that history brought."""

    NEW = "n"
    """It was among the changes, or sent here, or came after the last sync: received, or sent."""
    AGAIN = "a"
    """So did one of a message that its mailbox has had before: it was moved, or copied."""
    SILENT = "s"
    """A comparison missed it: what it is a copy of may be there under another name."""


ALL_IS_NEWS = datetime.min.replace(tzinfo=UTC)
"""What a change or a send brings is told however old its date; see `Ingest.news_from`."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A message's presence in one mailbox under one id of its provider.

    IMAP names each folder's copy on its own; a provider whose ids survive a move has one that
    moves, or, with labels, one that is in several folders.
    """

    mailbox_id: MailboxId
    folder_ids: frozenset[FolderId]
    """Never empty: a removed copy keeps those it was in last."""
    provider_message_id: ProviderMessageId
    message_id: MessageId
    received_at: datetime
    flags: Flags
    removed_at: datetime | None = None
    """When it was found gone from its last folder; the message itself stays."""
    blind: frozenset[Address] = frozenset()
    """Whom this copy names as blind recipients: as a rule only the sender's own does."""
    direction: Direction | None = None
    """As its own mailbox sees it; None of copies stored before that was kept of each."""
    pending: Pending | None = None
    """Set while flags and folders are as somebody here wants them. Such a copy is live."""
    news: News | None = None

    @property
    def as_provider_has_it(self) -> "Copy":
        """The copy without what only we want of it: to be compared with what a provider says."""
        if self.pending is None:
            return self
        places = self.pending.folder_ids
        return replace(
            self,
            flags=self.pending.flags,
            folder_ids=places or self.folder_ids,
            removed_at=None if places else self.pending.asked_at,
            pending=None,
        )


def copy_ref(mailbox_id: MailboxId, provider_message_id: ProviderMessageId) -> str:
    """Return the name of a copy inside its tenant."""
    return f"{mailbox_id}/{provider_message_id}"


def place_of(ref: str) -> tuple[MailboxId, ProviderMessageId]:
    """Return what `copy_ref` made `ref` of."""
    mailbox_id, _, name = ref.partition("/")
    return MailboxId(mailbox_id), ProviderMessageId(name)
