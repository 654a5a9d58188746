"""How a mailbox's grant is kept sealed in the table, beside the marks of a move to or from there.

Every write that depends on what was read is conditional on its version, so that two writers never
both win. A move holds the mark `busy_until`, which outlasts any invocation: at most one is at it.
"""

import secrets as randomness
from collections.abc import Callable
from dataclasses import dataclass

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from shared.aws.login_keys import LoginKeys
from shared.aws.table import Table
from shared.aws.tables import StateItem, state_key
from shared.aws.tables_of_logins import LoginItem, login_key
from shared.domain.ids import MailboxId, TenantId
from shared.domain.mailbox import MailboxStatus
from shared.domain.secret import Secret
from shared.ports.secrets import KeptSecret

BUSY_SECONDS = 20 * 60
"""Longer than any invocation lasts: who holds the mark and is silent so long is dead."""


@dataclass(frozen=True, slots=True)
class SealedLogin:
    """A sealed login with its marks, unopened."""

    sealed: bytes
    version: str
    is_copy: bool
    """Written by a move that has not ended: it counts only where Secrets Manager has none."""
    has_other: bool
    """Secrets Manager may still have one, which counts no longer."""
    is_busy: bool
    """A move, or the deletion of the other, is under way."""


@dataclass(frozen=True, slots=True)
class SealedSecretStore:
    """The port `SecretStore`, and the steps of a move."""

    table: Table
    keys: LoginKeys
    now: Callable[[], float]
    """Seconds since 1970, for turns."""

    # ---- the port ----

    def put(self, tenant_id: TenantId, mailbox_id: MailboxId, secret: Secret) -> None:
        """Write it, whatever was there; Secrets Manager may have an older one."""
        self.table.update(
            login_key(tenant_id, mailbox_id), self._anew(tenant_id, mailbox_id, secret)
        )

    def get(self, tenant_id: TenantId, mailbox_id: MailboxId) -> KeptSecret | None:
        """Open it."""
        login = self.look(tenant_id, mailbox_id)
        if login is None:
            return None
        return KeptSecret(self.open(tenant_id, mailbox_id, login), login.version)

    def replace(
        self, tenant_id: TenantId, mailbox_id: MailboxId, secret: Secret, *, version: str
    ) -> bool:
        """Write it anew where that version stands; the marks stay."""
        sealed = self.keys.seal(tenant_id, mailbox_id, secret)
        written = self.table.update(
            login_key(tenant_id, mailbox_id),
            [LoginItem.sealed.set(sealed), LoginItem.version.set(_new_version())],
            LoginItem.version == version,
        )
        return written is not None

    def delete(self, tenant_id: TenantId, mailbox_id: MailboxId) -> None:
        """Delete it: what is left in the table's backups is sealed."""
        self.table.transact([self.table.delete_operation(login_key(tenant_id, mailbox_id))])

    # ---- what a move asks ----

    def look(self, tenant_id: TenantId, mailbox_id: MailboxId) -> SealedLogin | None:
        """Return it with its marks."""
        item = self.table.get(LoginItem, login_key(tenant_id, mailbox_id))
        if item is None:
            return None
        return SealedLogin(
            item.sealed,
            item.version,
            is_copy=bool(item.is_copy),
            has_other=bool(item.has_other),
            is_busy=float(item.busy_until or 0) > self.now(),
        )

    def open(self, tenant_id: TenantId, mailbox_id: MailboxId, login: SealedLogin) -> Secret:
        """Return what is sealed."""
        return self.keys.open(tenant_id, mailbox_id, login.sealed)

    def exists(self, tenant_id: TenantId, mailbox_id: MailboxId) -> bool:
        """Whether there is one: for those who may not open it."""
        return self.table.get_raw(login_key(tenant_id, mailbox_id)) is not None

    def put_over(self, tenant_id: TenantId, mailbox_id: MailboxId, secret: Secret) -> bool:
        """As `put`, where there is one already; return whether there was."""
        written = self.table.update(
            login_key(tenant_id, mailbox_id),
            self._anew(tenant_id, mailbox_id, secret),
            LoginItem.pk.exists(),
        )
        return written is not None

    def add_copy(
        self, tenant_id: TenantId, mailbox_id: MailboxId, secret: Secret, *, over: str | None
    ) -> str | None:
        """Begin a move to here: write a copy where there is none, or over an abandoned one.

        Returns its version, or None where somebody else is at it or the mailbox is disconnected:
        a move must not bring back what disconnecting has deleted.
        """
        key = login_key(tenant_id, mailbox_id)
        item = LoginItem(
            key.pk,
            key.sk,
            sealed=self.keys.seal(tenant_id, mailbox_id, secret),
            version=_new_version(),
            is_copy=True,
            has_other=True,
            busy_until=self._end_of_turn(),
        )
        where = (
            LoginItem.pk.does_not_exist()
            if over is None
            else (LoginItem.version == over) & LoginItem.is_copy.exists() & self._is_free()
        )
        is_over = StateItem.status == MailboxStatus.DISCONNECTED
        failed = self.table.transact(
            [
                self.table.put_operation(item, where),
                self.table.check_operation(
                    state_key(tenant_id, mailbox_id), StateItem.pk.exists() & ~is_over
                ),
            ]
        )
        return None if failed else str(item.version)

    def settle_copy(self, tenant_id: TenantId, mailbox_id: MailboxId) -> bool:
        """Let a copy count from now on, renewed meanwhile or not; return whether it is there."""
        written = self.table.update(
            login_key(tenant_id, mailbox_id), [LoginItem.is_copy.remove()], LoginItem.pk.exists()
        )
        return written is not None

    def take_turn(self, tenant_id: TenantId, mailbox_id: MailboxId, version: str) -> bool:
        """Be the one who moves it, or deletes the other, where nobody is."""
        written = self.table.update(
            login_key(tenant_id, mailbox_id),
            [LoginItem.busy_until.set(self._end_of_turn()), LoginItem.has_other.set(True)],
            (LoginItem.version == version) & self._is_free(),
        )
        return written is not None

    def end_turn(self, tenant_id: TenantId, mailbox_id: MailboxId) -> None:
        """Secrets Manager has none any more, and nobody is at it."""
        self.table.update(
            login_key(tenant_id, mailbox_id),
            [LoginItem.busy_until.remove(), LoginItem.has_other.remove()],
            LoginItem.pk.exists(),
        )

    def give_up(self, tenant_id: TenantId, mailbox_id: MailboxId, version: str) -> bool:
        """Delete it where that version stands; return whether it did."""
        # In a transaction, though of one: sent twice, the second is known for the first again.
        key = login_key(tenant_id, mailbox_id)
        return not self.table.transact(
            [self.table.delete_operation(key, LoginItem.version == version)]
        )

    def is_disconnected(self, tenant_id: TenantId, mailbox_id: MailboxId) -> bool:
        """Whether the mailbox's life is over."""
        item = self.table.get(StateItem, state_key(tenant_id, mailbox_id))
        return item is None or item.status == MailboxStatus.DISCONNECTED

    def _anew(self, tenant_id: TenantId, mailbox_id: MailboxId, secret: Secret) -> list[Action]:
        # The turn stays whose it is: a second mover beside the first could undo what it did.
        return [
            LoginItem.sealed.set(self.keys.seal(tenant_id, mailbox_id, secret)),
            LoginItem.version.set(_new_version()),
            LoginItem.has_other.set(True),
            LoginItem.is_copy.remove(),
        ]

    def _end_of_turn(self) -> int:
        return int(self.now()) + BUSY_SECONDS

    def _is_free(self) -> Condition:
        busy_until = LoginItem.busy_until
        is_free: Condition = busy_until.does_not_exist() | (busy_until < int(self.now()))
        return is_free


def _new_version() -> str:
    return randomness.token_hex(16)
