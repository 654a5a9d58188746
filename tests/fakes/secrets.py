"""A secret store in a dict."""

from dataclasses import dataclass, field

from shared.domain.errors import MailroomError
from shared.domain.ids import MailboxId, TenantId
from shared.domain.secret import Secret


@dataclass
class InMemorySecretStore:
    """The port `SecretStore`; set `failure` to have every call raise it."""

    secrets: dict[tuple[TenantId, MailboxId], Secret] = field(default_factory=dict)
    failure: MailroomError | None = None

    def put(self, tenant_id: TenantId, mailbox_id: MailboxId, secret: Secret) -> None:
        self._fail()
        self.secrets[tenant_id, mailbox_id] = secret

    def get(self, tenant_id: TenantId, mailbox_id: MailboxId) -> Secret | None:
        self._fail()
        return self.secrets.get((tenant_id, mailbox_id))

    def delete(self, tenant_id: TenantId, mailbox_id: MailboxId) -> None:
        self._fail()
        self.secrets.pop((tenant_id, mailbox_id), None)

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure
