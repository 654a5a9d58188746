"""How this product's registrations at providers are kept: in Secrets Manager, read for minutes.

`{prefix}/oauth/{provider}` is the operator's, `{prefix}/oauth/{provider}/{tenant}` a tenant's own,
its last part a digest as in `secret_store`. Each holds JSON: `client_id`, `client_secret`; for
Microsoft `directory`, where only one organisation's accounts may sign in; for Google `push_topic`,
where Gmail is to publish changes.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from shared.aws.clients import Clients, clients_of_process
from shared.aws.errors import is_missing, our_errors
from shared.domain.errors import ConfigurationError, ErrorCode
from shared.domain.ids import TenantId
from shared.domain.mailbox import Provider
from shared.domain.secret import Secret
from shared.ports.sign_in import OAuthClient

REMEMBERED_SECONDS = 300.0
"""So long at most an old client is used after a new one was stored."""
_NEEDED = ("client_id", "client_secret")


@dataclass(frozen=True, slots=True)
class SecretsManagerOAuthClients:
    """The port `OAuthClients`. Safe to share between threads."""

    prefix: str
    clients: Clients = field(default_factory=clients_of_process)
    monotonic: Callable[[], float] = time.monotonic
    _read: dict[str, tuple[float, OAuthClient | None]] = field(default_factory=dict)

    def usable(
        self, tenant_id: TenantId, provider: Provider, *, anew: bool = False
    ) -> list[OAuthClient]:
        """Return the tenant's own, then the operator's.

        Raises `ConfigurationError(CLIENT_MISSING)` for a secret that is not what it should be.
        """
        names = [
            client_secret_name(self.prefix, provider, tenant_id),
            client_secret_name(self.prefix, provider),
        ]
        found = (self._client(name, anew=anew) for name in names)
        return [client for client in found if client is not None]

    def _client(self, name: str, *, anew: bool) -> OAuthClient | None:
        read_at, client = self._read.get(name, (float("-inf"), None))
        if anew or self.monotonic() - read_at >= REMEMBERED_SECONDS:
            client = self._stored(name)
            self._read[name] = self.monotonic(), client
        return client

    def _stored(self, name: str) -> OAuthClient | None:
        try:
            with our_errors(but=is_missing):
                answer = self.clients.secrets_manager.get_secret_value(SecretId=name)
        except ClientError as error:
            if is_missing(error):
                return None
            raise
        return read_client(answer.get("SecretString", ""))


def client_secret_name(prefix: str, provider: Provider, tenant_id: TenantId | None = None) -> str:
    """Return the name of the secret that holds a tenant's client, or the operator's."""
    if provider is Provider.IMAP:
        raise ValueError("IMAP has no OAuth client")
    name = f"{prefix}/oauth/{provider}"
    if tenant_id is None:
        return name
    tenant = hashlib.blake2b(tenant_id.encode("utf-8", "surrogatepass"), digest_size=8)
    return f"{name}/{tenant.hexdigest()}"


def written_client(client: OAuthClient) -> Secret:
    """Return a client as its secret's text."""
    document = {"client_id": client.client_id, "client_secret": client.client_secret.reveal()}
    if client.directory:
        document["directory"] = client.directory
    if client.push_topic:
        document["push_topic"] = client.push_topic
    return Secret(json.dumps(document))


def read_client(text: str) -> OAuthClient:
    """Read a secret's text; raises `ConfigurationError(CLIENT_MISSING)` for any other."""
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise _malformed("is not a JSON object")
    texts = {name: document.get(name, "") for name in (*_NEEDED, "directory", "push_topic")}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise _malformed(f"has a {name} that is no text")
        if not value.strip() and name in _NEEDED:
            raise _malformed(f"has no {name}")
    return OAuthClient(
        texts["client_id"].strip(),
        Secret(texts["client_secret"].strip()),
        texts["directory"].strip(),
        texts["push_topic"].strip(),
    )


def _malformed(what: str) -> ConfigurationError:
    return ConfigurationError(ErrorCode.CLIENT_MISSING, cause=f"an OAuth client's secret {what}")
