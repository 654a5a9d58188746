"""How a mailbox's grant is kept in Secrets Manager: one secret each, gone at once when deleted.

The name holds a hash of the tenant, so that names can be matched by a policy and say nothing.
"""

import hashlib
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from shared.aws.clients import Clients, clients_of_process
from shared.aws.errors import is_label_elsewhere, is_missing, is_taken, our_errors
from shared.domain.errors import StoreThrottledError
from shared.domain.ids import MailboxId, TenantId
from shared.domain.secret import Secret
from shared.ports.secrets import KeptSecret

_TRIES = 3
_CURRENT = "AWSCURRENT"
_RENEWED = "MAILROOMRENEWED"
"""On a version that was written and is not, or not yet, the current one."""
_MOVED_AWAY = "moved"
"""In the place of a login that was moved to the table: no login reads so, each is a JSON object."""


@dataclass(frozen=True, slots=True)
class SecretsManagerStore:
    """The port `SecretStore`."""

    prefix: str
    clients: Clients = field(default_factory=clients_of_process)

    def put(self, tenant_id: TenantId, mailbox_id: MailboxId, secret: Secret) -> None:
        """Write a new version, or create the secret; whichever fits what is there."""
        name = self._name(tenant_id, mailbox_id)
        for _ in range(_TRIES):
            try:
                with our_errors(but=is_missing):
                    self.clients.secrets_manager.put_secret_value(
                        SecretId=name, SecretString=secret.reveal()
                    )
                    return
            except ClientError as error:
                if not is_missing(error):
                    raise
            try:
                with our_errors(but=is_missing):
                    self.clients.secrets_manager.create_secret(
                        Name=name, SecretString=secret.reveal()
                    )
                    return
            except ClientError as error:
                # Created meanwhile, or an older one of that name is still being deleted.
                if not (is_taken(error) or is_missing(error)):
                    raise
        raise StoreThrottledError(cause="a secret of that name is being deleted")

    def get(self, tenant_id: TenantId, mailbox_id: MailboxId) -> KeptSecret | None:
        """Read the current version."""
        kept = self._current(tenant_id, mailbox_id)
        return None if kept is None or kept.secret.reveal() == _MOVED_AWAY else kept

    def standing(self, tenant_id: TenantId, mailbox_id: MailboxId) -> str | None:
        """Return the current version, even of a login that was moved away; None: no secret."""
        kept = self._current(tenant_id, mailbox_id)
        return kept.version if kept else None

    def put_over(
        self, tenant_id: TenantId, mailbox_id: MailboxId, secret: Secret, *, standing: str | None
    ) -> None:
        """As `put`, if what stood is still what stands; else nothing."""
        if standing is not None:
            self.replace(tenant_id, mailbox_id, secret, version=standing)
            return
        try:
            with our_errors(but=is_missing):
                self.clients.secrets_manager.create_secret(
                    Name=self._name(tenant_id, mailbox_id), SecretString=secret.reveal()
                )
        except ClientError as error:
            # Created meanwhile, or an older one of that name is still being deleted.
            if not (is_taken(error) or is_missing(error)):
                raise

    def _current(self, tenant_id: TenantId, mailbox_id: MailboxId) -> KeptSecret | None:
        try:
            with our_errors(but=is_missing):
                answer = self.clients.secrets_manager.get_secret_value(
                    SecretId=self._name(tenant_id, mailbox_id), VersionStage=_CURRENT
                )
        except ClientError as error:
            if is_missing(error):
                return None
            raise
        return KeptSecret(Secret(answer["SecretString"]), answer["VersionId"])

    def replace(
        self, tenant_id: TenantId, mailbox_id: MailboxId, secret: Secret, *, version: str
    ) -> bool:
        """Write a version beside the current one, then move the label if nobody else has.

        Secrets Manager has no conditional write, but it moves a label only away from the version
        that is named (UpdateSecretVersionStage).
        """
        name = self._name(tenant_id, mailbox_id)
        try:
            with our_errors(but=is_missing):
                written = self.clients.secrets_manager.put_secret_value(
                    SecretId=name, SecretString=secret.reveal(), VersionStages=[_RENEWED]
                )
                self.clients.secrets_manager.update_secret_version_stage(
                    SecretId=name,
                    VersionStage=_CURRENT,
                    RemoveFromVersionId=version,
                    MoveToVersionId=written["VersionId"],
                )
        except ClientError as error:
            if is_missing(error) or is_label_elsewhere(error):
                return False
            raise
        return True

    def retire(self, tenant_id: TenantId, mailbox_id: MailboxId, version: str) -> bool:
        """Let it count no longer where that version stands; return whether none counts by now.

        Secrets Manager deletes under no condition, so this comes before a deletion that is to take
        nothing but what was read.
        """
        moved = Secret(_MOVED_AWAY)
        if self.replace(tenant_id, mailbox_id, moved, version=version):
            return True
        # Refused also where the request came twice: the first time moved the label.
        return self.get(tenant_id, mailbox_id) is None

    def delete(self, tenant_id: TenantId, mailbox_id: MailboxId) -> None:
        """Delete without the days of grace: a password nobody gave us leave to keep."""
        try:
            with our_errors(but=is_missing):
                self.clients.secrets_manager.delete_secret(
                    SecretId=self._name(tenant_id, mailbox_id), ForceDeleteWithoutRecovery=True
                )
        except ClientError as error:
            if not is_missing(error):
                raise

    def _name(self, tenant_id: TenantId, mailbox_id: MailboxId) -> str:
        return secret_name(self.prefix, tenant_id, mailbox_id)


def secret_name(prefix: str, tenant_id: TenantId, mailbox_id: MailboxId) -> str:
    """Return the name of a mailbox's secret."""
    tenant = hashlib.blake2b(tenant_id.encode("utf-8", "surrogatepass"), digest_size=8)
    if not (mailbox_id.isascii() and mailbox_id.isalnum()):
        # Ours are ULIDs; any other text could name another mailbox's secret.
        raise ValueError("not a mailbox id")
    return f"{prefix}/mailbox/{tenant.hexdigest()}/{mailbox_id}"
