"""What is remembered of a person who went to a provider to sign in, until they are back."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.domain.errors import ErrorCode
from shared.domain.ids import FolderId, MailboxId, TenantId, UserId
from shared.domain.mailbox import (
    MailboxKind,
    Provider,
    Purpose,
    Readers,
    StoredMail,
    Visibility,
)
from shared.domain.secret import Secret

ATTEMPT_LASTS = timedelta(minutes=10)
"""As long as a person may take at the provider; codes and cookies of it live no longer."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a person wants a mailbox to be, chosen before it is connected."""

    display_name: str = ""
    reply_to: str | None = None
    kind: MailboxKind = MailboxKind.PERSONAL
    purpose: Purpose = Purpose.PERSONAL
    backfill_days: int = 0
    active_folders: tuple[FolderId, ...] | None = None
    create_contacts: bool = False
    store: StoredMail = StoredMail.ALL
    visibility: Visibility = Visibility.METADATA
    granted_to: Readers | None = None
    """Said of a shared mailbox, never of a personal one; None: nothing was said."""
    owner_user_id: UserId | None = None
    recovery_note: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended; told again to whoever asks again."""

    mailbox_id: MailboxId | None = None
    code: ErrorCode | None = None
    """None: it ended on a connected mailbox."""
    failure: str = ""
    """The name of the class of the error, which says who caused it."""
    admin_consent_url: str = ""
    """Where an administrator approves, if that is what was missing."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sign-in under way. It is found by its `state` alone, which only its URL holds."""

    tenant_id: TenantId
    user_id: UserId
    is_admin: bool
    """As the token said that began it."""
    provider: Provider
    client_id: str
    redirect_uri: str
    return_url: str
    kept: Secret
    """What the adapter needs to redeem the code: the PKCE verifier and the nonce."""
    cookie_digest: str
    """Of the cookie that the browser which began it was given."""
    expires_at: datetime
    """In whole seconds."""
    mailbox_id: MailboxId | None = None
    """The mailbox to reconnect; None connects a new one."""
    wishes: Wishes = field(default_factory=Wishes)
    taken_at: datetime | None = None
    outcome: Outcome | None = None

    def is_over(self, now: datetime) -> bool:
        """Whether nobody may redeem it any more."""
        return self.taken_at is not None or self.expires_at <= now
