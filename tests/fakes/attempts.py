"""Attempts and holders of grants in dicts."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.domain.connecting import Attempt, Outcome
from shared.domain.errors import MailroomError
from shared.domain.ids import MailboxId, TenantId
from shared.domain.secret import Secret
from shared.ports.attempts import AccountGrant


@dataclass
class InMemoryAttemptStore:
    """The port `AttemptStore`; set `failure` to have every call raise it."""

    attempts: dict[str, Attempt] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    failure: MailroomError | None = None

    def add(self, state: str, attempt: Attempt) -> None:
        self._fail()
        self.attempts[state] = attempt

    def get(self, state: str) -> Attempt | None:
        self._fail()
        return self.attempts.get(state)

    def take(self, state: str, *, owner: str, now: datetime) -> bool:
        self._fail()
        attempt = self.attempts.get(state)
        if attempt is None or attempt.expires_at <= now:
            return False
        if self.owners.setdefault(state, owner) != owner:
            return False
        self.attempts[state] = replace(attempt, taken_at=now)
        return True

    def end(self, state: str, outcome: Outcome) -> None:
        self._fail()
        if state in self.attempts:
            self.attempts[state] = replace(self.attempts[state], outcome=outcome, kept=Secret(""))

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


@dataclass
class InMemoryGrantHolders:
    """The port `GrantHolders`."""

    holders: dict[AccountGrant, set[tuple[TenantId, MailboxId]]] = field(default_factory=dict)

    def hold(self, grant: AccountGrant, tenant_id: TenantId, mailbox_id: MailboxId) -> None:
        self.holders.setdefault(grant, set()).add((tenant_id, mailbox_id))

    def release(self, grant: AccountGrant, tenant_id: TenantId, mailbox_id: MailboxId) -> bool:
        self.holders.setdefault(grant, set()).discard((tenant_id, mailbox_id))
        return self.is_held(grant)

    def is_held(self, grant: AccountGrant) -> bool:
        return bool(self.holders.get(grant))
