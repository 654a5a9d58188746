"""A secret store in a dict."""

from dataclasses import dataclass, field

from shared.domain.errors import MailroomError
from shared.domain.ids import MailboxId, TenantId
from shared.domain.secret import Secret
from shared.ports.secrets import KeptSecret


@dataclass
class InMemorySecretStore:
    """The port `SecretStore`; set `failure` to have every call raise it."""

    secrets: dict[tuple[TenantId, MailboxId], Secret] = field(default_factory=dict)
    versions: dict[tuple[TenantId, MailboxId], int] = field(default_factory=dict)
    failure: MailroomError | None = None

    def put(self, tenant_id: TenantId, mailbox_id: MailboxId, secret: Secret) -> None:
        self._fail()
        self._write((tenant_id, mailbox_id), secret)

    def get(self, tenant_id: TenantId, mailbox_id: MailboxId) -> KeptSecret | None:
        self._fail()
        place = tenant_id, mailbox_id
        secret = self.secrets.get(place)
        return KeptSecret(secret, str(self.versions[place])) if secret else None

    def replace(
        self, tenant_id: TenantId, mailbox_id: MailboxId, secret: Secret, *, version: str
    ) -> bool:
        self._fail()
        place = tenant_id, mailbox_id
        if place not in self.secrets or str(self.versions[place]) != version:
            return False
        self._write(place, secret)
        return True

    def delete(self, tenant_id: TenantId, mailbox_id: MailboxId) -> None:
        self._fail()
        self.secrets.pop((tenant_id, mailbox_id), None)

    def _write(self, place: tuple[TenantId, MailboxId], secret: Secret) -> None:
        self.secrets[place] = secret
        self.versions[place] = self.versions.get(place, 0) + 1

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure
