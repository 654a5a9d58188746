"""The places of logins on moto, together and each by itself."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from shared.aws.clients import Clients
from shared.aws.login_keys import LoginKeys
from shared.aws.moving_secrets import MovingSecretStore, Place
from shared.aws.sealed_secrets import SealedSecretStore
from shared.aws.secret_store import SecretsManagerStore
from shared.aws.table import Table
from shared.aws.tables import StateItem, state_key
from shared.aws.tables_of_logins import login_key
from shared.domain.errors import MailroomError
from shared.domain.ids import MailboxId, TenantId
from shared.domain.mailbox import MailboxStatus
from shared.ports.secrets import SecretStore
from tests.fakes.backends import TABLE, table_definition
from tests.fakes.values import BOX, OTHER_BOX, OTHER_TENANT, TENANT


@cache
def _clients() -> Clients:
    return Clients(attempts=1)


@cache
def _table() -> Table:
    return Table(TABLE, clients=_clients(), attempts=1, sleep=lambda _: None)


@dataclass
class Logins:
    """A deployment's logins, of two mailboxes of two tenants; to be made while moto mocks AWS."""

    now: float = 1_000_000.0
    moved: list[Place] = field(default_factory=list)
    failed: list[MailroomError] = field(default_factory=list)
    clients: Clients = field(default_factory=_clients)
    key_id: str = ""

    def __post_init__(self) -> None:
        self.table = _table()
        if not self.key_id:
            self.table.client.create_table(TableName=TABLE, **table_definition())
            self.key_id = self.clients.kms.create_key()["KeyMetadata"]["Arn"]
        for tenant_id in (TENANT, OTHER_TENANT):
            for mailbox_id in (BOX, OTHER_BOX):
                self.set_status(MailboxStatus.ACTIVE, tenant_id, mailbox_id)

    def again(self) -> "Logins":
        """The same deployment without a login of the first mailbox, and with nothing in memory."""
        self.table.transact([self.table.delete_operation(login_key(TENANT, BOX))])
        self.secrets.delete(TENANT, BOX)
        return Logins(key_id=self.key_id)

    def set_status(
        self,
        status: MailboxStatus,
        tenant_id: TenantId = TENANT,
        mailbox_id: MailboxId = BOX,
    ) -> None:
        key = state_key(tenant_id, mailbox_id)
        self.table.update(key, [StateItem.status.set(status)])

    def keys(self, **changes: Any) -> LoginKeys:
        """What another process would have: nothing unwrapped yet."""
        return LoginKeys(self.table, self.key_id, self.clients, **changes)

    @cached_property
    def secrets(self) -> SecretsManagerStore:
        return SecretsManagerStore("mailroom-test", self.clients)

    @cached_property
    def sealed(self) -> SealedSecretStore:
        return self.sealed_with(self.keys())

    def sealed_with(self, keys: LoginKeys) -> SealedSecretStore:
        return SealedSecretStore(self.table, keys, lambda: self.now)

    def at(self, home: Place | None) -> MovingSecretStore:
        """The store of a function with such a setting."""
        return MovingSecretStore(
            secrets=self.secrets,
            sealed=self.sealed,
            home=home,
            moved=self.moved.append,
            failed=lambda _tenant_id, _mailbox_id, error: self.failed.append(error),
        )

    def where(self) -> set[Place]:
        """In which places there is a login of the first mailbox."""
        found = {Place.SEALED} if self.sealed.exists(TENANT, BOX) else set()
        return found | ({Place.SECRETS} if self.secrets.get(TENANT, BOX) else set())

    def raw(self) -> dict[str, Any]:
        """The item of its sealed login."""
        return self.table.get_raw(login_key(TENANT, BOX)) or {}


class MovesEveryTime:
    """A deployment whose setting is another one before each call."""

    def __init__(self, logins: Logins) -> None:
        self._logins = logins
        self._turn = 0

    def __getattr__(self, name: str) -> Any:
        self._turn += 1
        return getattr(self._logins.at(list(Place)[self._turn % 2]), name)


PLACES: dict[str, Callable[[Logins], SecretStore]] = {
    "secrets manager": lambda logins: logins.secrets,
    "sealed": lambda logins: logins.sealed,
    "at home in secrets manager": lambda logins: logins.at(Place.SECRETS),
    "at home in the table": lambda logins: logins.at(Place.SEALED),
    "moving": MovesEveryTime,
}
