"""With what a login is sealed: a key pair per tenant, its private half wrapped by one key of KMS.

HPKE (RFC 9180, base mode): whoever has the public key can seal, so that connecting a mailbox needs
no right to open anything. Tenant and mailbox are bound into each sealed text, which opens for no
other; the tenant is the encryption context of the wrapped key, which KMS writes into CloudTrail: as
a digest, because a tenant's id may say who it is.

Everything of `cryptography` is imported on first use: a process that opens no login pays for none.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from shared.aws.clients import Clients, clients_of_process
from shared.aws.errors import our_errors
from shared.aws.table import Table
from shared.aws.tables_of_logins import PairItem, pair_key
from shared.domain.errors import StoreRefusedError
from shared.domain.ids import MailboxId, TenantId
from shared.domain.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.hpke import Suite

REMEMBERED_SECONDS = 3_600.0
"""So long a private key stays in a process that has had it unwrapped."""
MOST_REMEMBERED = 1_000
PURPOSE = "mailroom-logins"
"""Also in the conditions of the roles in template.yaml: no other use of the key is ours."""
_PRIVATE_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class LoginKeys:
    """The key pairs of tenants. Safe to share between threads."""

    table: Table
    key_id: str
    """The key of KMS, by its ARN."""
    clients: Clients = field(default_factory=clients_of_process)
    monotonic: Callable[[], float] = time.monotonic
    _unwrapped: "OrderedDict[TenantId, tuple[float, X25519PrivateKey]]" = field(
        default_factory=OrderedDict, repr=False
    )
    _lock: Lock = field(default_factory=Lock, repr=False)

    def seal(self, tenant_id: TenantId, mailbox_id: MailboxId, secret: Secret) -> bytes:
        """Return the sealed text; makes the tenant's pair where there is none yet."""
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

        item = self._pair(tenant_id) or self._new_pair(tenant_id)
        public = X25519PublicKey.from_public_bytes(item.public)
        text = secret.reveal().encode("utf-8", "surrogatepass")
        return _suite().encrypt(text, public, _place(tenant_id, mailbox_id))

    def open(self, tenant_id: TenantId, mailbox_id: MailboxId, sealed: bytes) -> Secret:
        """Return what was sealed for this mailbox.

        Raises `StoreRefusedError` for what its tenant's key does not open: it was sealed for
        another mailbox or with a key that is not ours, or is damaged. Nobody's password is at
        fault, so no mailbox is parked for it.
        """
        from cryptography.exceptions import InvalidTag

        private = self._private(tenant_id)
        try:
            text = _suite().decrypt(sealed, private, _place(tenant_id, mailbox_id))
        except (InvalidTag, ValueError) as error:
            raise StoreRefusedError(cause="a sealed login does not open") from error
        return Secret(text.decode("utf-8", "surrogatepass"))

    def _pair(self, tenant_id: TenantId) -> PairItem | None:
        return self.table.get(PairItem, pair_key(tenant_id))

    def _new_pair(self, tenant_id: TenantId) -> PairItem:
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        private = X25519PrivateKey.generate()
        with our_errors():
            answer = self.clients.kms.encrypt(
                KeyId=self.key_id,
                Plaintext=private.private_bytes_raw(),
                EncryptionContext=_context(tenant_id),
            )
        key = pair_key(tenant_id)
        item = PairItem(
            key.pk,
            key.sk,
            public=private.public_key().public_bytes_raw(),
            wrapped=answer["CiphertextBlob"],
        )
        if self.table.put(item, PairItem.pk.does_not_exist()):
            return item
        # Somebody was first, or our own request came twice: what stands is what others read.
        stands = self._pair(tenant_id)
        if stands is None:
            raise StoreRefusedError(cause="a tenant's key pair was deleted")
        return stands

    def _private(self, tenant_id: TenantId) -> "X25519PrivateKey":
        with self._lock:
            unwrapped_at, private = self._unwrapped.get(tenant_id, (float("-inf"), None))
        if private is None or self.monotonic() - unwrapped_at >= REMEMBERED_SECONDS:
            private = self._unwrap(tenant_id)
            with self._lock:
                self._unwrapped[tenant_id] = self.monotonic(), private
                while len(self._unwrapped) > MOST_REMEMBERED:
                    self._unwrapped.popitem(last=False)
        return private

    def _unwrap(self, tenant_id: TenantId) -> "X25519PrivateKey":
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        item = self._pair(tenant_id)
        if item is None:
            raise StoreRefusedError(cause="a tenant's key pair is missing")
        with our_errors():
            answer = self.clients.kms.decrypt(
                KeyId=self.key_id,
                CiphertextBlob=item.wrapped,
                EncryptionContext=_context(tenant_id),
            )
        if len(answer["Plaintext"]) != _PRIVATE_KEY_BYTES:
            raise StoreRefusedError(cause="what KMS unwrapped is no private key")
        private = X25519PrivateKey.from_private_bytes(answer["Plaintext"])
        if private.public_key().public_bytes_raw() != item.public:
            # Whoever put another there could read every login sealed from then on.
            raise StoreRefusedError(cause="a tenant's public key is not that of its private one")
        return private


def _suite() -> "Suite":
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def _place(tenant_id: TenantId, mailbox_id: MailboxId) -> bytes:
    """Return what a sealed text is bound to: no two places have the same."""
    parts = [part.encode("utf-8", "surrogatepass") for part in (PURPOSE, tenant_id, mailbox_id)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _context(tenant_id: TenantId) -> dict[str, str]:
    tenant = hashlib.blake2b(tenant_id.encode("utf-8", "surrogatepass"), digest_size=16)
    return {"purpose": PURPOSE, "tenant": tenant.hexdigest()}
