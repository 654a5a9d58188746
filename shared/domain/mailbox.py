"""What a mailbox is, and which changes of status are possible."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from shared.domain.addresses import canonical_address
from shared.domain.errors import Acts, ErrorCode
from shared.domain.explanations import explain
from shared.domain.folders import Folder
from shared.domain.ids import (
    Address,
    BackfillId,
    FolderId,
    MailboxId,
    RunId,
    TenantId,
    UserId,
)
from shared.domain.loops import NOT_YET, Worked
from shared.domain.mail_server import ServerSettings
from shared.domain.opening import Opening


class Provider(StrEnum):
    """Where a mailbox lives."""

    GMAIL = "gmail"
    OUTLOOK = "outlook"
    IMAP = "imap"


class MailboxKind(StrEnum):
    """Whose mailbox it is."""

    PERSONAL = "personal"
    SHARED = "shared"


class Purpose(StrEnum):
    """What people use it for."""

    PERSONAL = "personal"
    SALES = "sales"
    SUPPORT = "support"
    BILLING = "billing"
    OTHER = "other"


class Visibility(StrEnum):
    """How much of a mailbox's mail others than its owner see; `domain/visibility` says where."""

    METADATA = "metadata"
    SUBJECT = "subject"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Readers:
    """Whom a shared mailbox is granted to; besides its owner, who needs no granting."""

    users: tuple[UserId, ...] = ()
    everyone: bool = False
    """Every user of the mailbox's tenant, those of tomorrow included."""

    def __contains__(self, user_id: UserId) -> bool:
        """Whether the user, of the mailbox's own tenant, is one of them."""
        return self.everyone or user_id in self.users


NOBODY, EVERYONE = Readers(), Readers(everyone=True)


@dataclass(frozen=True, slots=True)
class Alias:
    """A further address the account's mail may be sent from."""

    address: str
    display_name: str = ""
    verified_at: datetime | None = None
    """When it was seen to be the account's own; None: nobody may send from it yet."""


class StoredMail(StrEnum):
    """Of which messages a mailbox's content is stored."""

    ALL = "all"
    CONTACTS_ONLY = "contacts_only"
    """Of those a contact takes part in; of all others nothing but the provider's id is kept."""


class MailboxStatus(StrEnum):
    """Where a mailbox is in its life."""

    CONNECTING = "connecting"
    ACTIVE = "active"
    RECONNECT_REQUIRED = "reconnect_required"
    DISCONNECTED = "disconnected"


TRANSITIONS: dict[MailboxStatus, frozenset[MailboxStatus]] = {
    MailboxStatus.CONNECTING: frozenset({MailboxStatus.ACTIVE, MailboxStatus.DISCONNECTED}),
    MailboxStatus.ACTIVE: frozenset(
        {MailboxStatus.RECONNECT_REQUIRED, MailboxStatus.DISCONNECTED, MailboxStatus.ACTIVE}
    ),
    MailboxStatus.RECONNECT_REQUIRED: frozenset({MailboxStatus.ACTIVE, MailboxStatus.DISCONNECTED}),
    MailboxStatus.DISCONNECTED: frozenset({MailboxStatus.ACTIVE}),
}


def may_become(before: MailboxStatus, after: MailboxStatus) -> bool:
    """Whether a mailbox may go from `before` to `after`."""
    return after in TRANSITIONS[before]


class Direction(StrEnum):
    """Which way trouble or a message goes."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


@dataclass(frozen=True, slots=True)
class LatestError:
    """The trouble a mailbox is in, one for each direction; cleared by the next success."""

    code: ErrorCode
    first_seen_at: datetime
    last_seen_at: datetime
    count: int
    run_id: RunId | None = None
    next_retry_at: datetime | None = None

    @property
    def acts(self) -> Acts:
        """Whose move it is."""
        return explain(self.code).acts

    def again(
        self,
        code: ErrorCode,
        *,
        now: datetime,
        run_id: RunId | None,
        next_retry_at: datetime | None,
    ) -> "LatestError":
        """Return this error after it was seen once more; another code starts a new count."""
        if code is not self.code:
            return LatestError(code, now, now, 1, run_id, next_retry_at)
        return LatestError(code, self.first_seen_at, now, self.count + 1, run_id, next_retry_at)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One connected e-mail account of a tenant: its settings and its health."""

    tenant_id: TenantId
    id: MailboxId
    provider: Provider
    address: str
    status: MailboxStatus
    kind: MailboxKind
    purpose: Purpose
    owner_user_id: UserId
    connected_at: datetime
    former_addresses: tuple[str, ...] = ()
    """What the account was called at earlier sign-ins: mail of that time bears these."""
    aliases: tuple[Alias, ...] = ()
    subject: str = ""
    """The provider's own name for the account (see `SignedIn`); empty where the address is it."""
    display_name: str = ""
    reply_to: str | None = None
    recovery_note: str = ""
    visibility: Visibility = Visibility.METADATA
    granted_to: Readers = NOBODY
    """Always nobody for a personal mailbox, which is its owner's."""
    openings: tuple[Opening, ...] = ()
    """By which administrators see its mail; some may have ended."""
    create_contacts: bool = False
    store: StoredMail = StoredMail.ALL
    contacts_since: datetime | None = None
    """When `store` was first turned to contacts alone; None where it was so from the beginning."""
    backfill_days: int = 0
    history_from: datetime | None = None
    """The date floor of what belongs to us: messages the provider received earlier stay there."""
    active_folders: tuple[FolderId, ...] | None = None
    allow_untrusted_certificate: bool = False
    imap: ServerSettings | None = None
    smtp: ServerSettings | None = None
    sync_minutes: int = 5
    generation: int = 1
    inbound_error: LatestError | None = None
    outbound_error: LatestError | None = None
    version: int = 1
    """Raised by every change of settings; guards against lost updates."""


def renamed(mailbox: Mailbox, address: str) -> Mailbox:
    """Return the mailbox under the address its account has by now, still knowing the one before."""
    known = dict.fromkeys((*mailbox.former_addresses, mailbox.address))
    return replace(
        mailbox, address=address, former_addresses=tuple(one for one in known if one != address)
    )


def own_addresses(mailbox: Mailbox) -> frozenset[Address]:
    """Return the addresses a mailbox has and had; a name that is none stands for itself.

    An alias counts once it was verified: anybody could claim somebody else's address.
    """
    aliases = (one.address for one in mailbox.aliases if one.verified_at is not None)
    names = (mailbox.address, *mailbox.former_addresses, *aliases)
    return frozenset(canonical_address(one) or Address(one) for one in names)


def identity_of(mailbox: Mailbox) -> str:
    """Return the name under which a tenant connects an account at most once."""
    return f"{mailbox.tenant_id}:{mailbox.provider}:{mailbox.subject or mailbox.address}"


@dataclass(frozen=True, slots=True)
class Watch:
    """A provider's promise to tell of one mailbox's changes until `expires_at`."""

    name: str
    """The provider's own: a subscription's id at Microsoft, the topic at Google."""
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PushState:
    """What is known of a provider's telling of changes; `domain/push` says what follows from it."""

    watch: Watch | None = None
    renew_at: datetime | None = None
    """When a watch is to be asked for, or renewed; None: as soon as may be."""
    heard_at: datetime | None = None
    """When a word of it last brought a run; None: not yet, or not since it kept news to itself."""


@dataclass(frozen=True, slots=True)
class RunState:
    """The part of a mailbox that runs change: small, so that an idle poll writes one unit."""

    fence: int = 0
    generation: int = 1
    lease_owner: str | None = None
    lease_expires_at: datetime | None = None
    suspect: str | None = None
    strikes: dict[str, int] = field(default_factory=dict)
    due_slot: str | None = None
    not_before: datetime | None = None
    failures: int = 0
    """Consecutive failed runs."""
    last_synced_at: datetime | None = None
    last_news_at: datetime | None = None
    """When a run last found something new or changed."""
    requested_run_id: RunId | None = None
    contacts_to: datetime | None = None
    """Addresses that contacts were given up to then have had their history asked for."""
    history_id: BackfillId | None = None
    """The latest backfill that brings such history in."""
    history_again: bool = False
    """The mailbox was reconnected since: whoever was at that backfill may have been cut off."""
    worked: Worked = NOT_YET
    push: PushState = PushState()


@dataclass(frozen=True, slots=True)
class FolderState:
    """A folder as last listed, with the encoded cursor up to which it is durably stored."""

    folder: Folder
    cursor: str | None = None
    gone_at: datetime | None = None
    scope: str = ""
    """`scope_of` the folders that were chosen when the cursor was reached."""
    resets: int = 0
    """How often in a row, less than a day apart, its cursor was found expired."""
    reset_at: datetime | None = None
    """When it last was."""
    news_from: datetime | None = None
    """Set while what it holds is compared: of that, what was received later is news."""
