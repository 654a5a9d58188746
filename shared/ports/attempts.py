"""What has to be kept while people are at a provider's sign-in, and who lives on which grant."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.connecting import Attempt, Outcome
from shared.domain.ids import MailboxId, TenantId
from shared.domain.mailbox import Provider


class AttemptStore(Protocol):
    """Attempts, each found by its `state` and gone some time after its end.

    Every method may raise `StoreThrottledError`.
    """

    def add(self, state: str, attempt: Attempt) -> None:
        """Keep a new attempt."""
        ...

    def get(self, state: str) -> Attempt | None:
        """Return the attempt, consistently read; it may be over already."""
        ...

    def take(self, state: str, *, owner: str, now: datetime) -> bool:
        """Take the one right to redeem it; return whether it was there to be taken.

        The same `owner` gets the same answer again.
        """
        ...

    def end(self, state: str, outcome: Outcome) -> None:
        """Note how it ended, and forget what would redeem it."""
        ...


@dataclass(frozen=True, slots=True)
class AccountGrant:
    """What one account permitted one client: at Google a single grant, however many tokens."""

    provider: Provider
    client_id: str
    subject: str


class GrantHolders(Protocol):
    """Which mailboxes, of all tenants, live on an account's grant.

    Withdrawing it ends the tokens of all of them, so somebody has to know whether there are others.
    Every method may raise `StoreThrottledError`.
    """

    def hold(self, grant: AccountGrant, tenant_id: TenantId, mailbox_id: MailboxId) -> None:
        """Note that a mailbox lives on it; repeating it changes nothing."""
        ...

    def release(self, grant: AccountGrant, tenant_id: TenantId, mailbox_id: MailboxId) -> bool:
        """Note that the mailbox does no longer; return whether another one does."""
        ...

    def is_held(self, grant: AccountGrant) -> bool:
        """Whether any mailbox lives on it."""
        ...
