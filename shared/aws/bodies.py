"""Where bodies too large for the table are: one packed object each, named by tenant and digest.

The message's item names the digest. Named by the message, a body that came later could take the
place of the one stored first.
"""

import hashlib
from dataclasses import dataclass, field
from urllib.parse import quote

from botocore.exceptions import ClientError

from shared.aws.clients import Clients, clients_of_process
from shared.aws.errors import code_of, is_hidden, is_missing, our_errors
from shared.domain.errors import StoreThrottledError
from shared.domain.ids import TenantId


def object_part(text: str) -> str:
    """Return `text` as one part of an object's key: no slash, and never `.` or `..`."""
    return quote(text, safe="", errors="surrogatepass").replace(".", "%2E")


@dataclass(frozen=True, slots=True)
class BodyObjects:
    """Packed bodies in the bucket."""

    bucket: str
    clients: Clients = field(default_factory=clients_of_process)

    def put(self, tenant_id: TenantId, packed: bytes) -> bytes:
        """Write a packed body and return its digest.

        It must be there before the item that points to it.
        """
        digest = hashlib.sha256(packed).digest()
        with our_errors():
            self.clients.s3.put_object(Bucket=self.bucket, Key=_key(tenant_id, digest), Body=packed)
        return digest

    def get(self, tenant_id: TenantId, digest: bytes) -> bytes:
        """Read the packed body `put` returned `digest` for.

        Raises `StoreThrottledError` where it is not found: it was written before its item, so it is
        late or lost, and must not be shown as an empty message.
        """
        try:
            with our_errors():
                answer = self.clients.s3.get_object(Bucket=self.bucket, Key=_key(tenant_id, digest))
                return answer["Body"].read()
        except ClientError as error:
            if is_missing(error) or is_hidden(error):
                cause = f"body is not there yet: {code_of(error)}"
                raise StoreThrottledError(cause=cause) from error
            raise


def _key(tenant_id: TenantId, digest: bytes) -> str:
    return f"bodies/{object_part(tenant_id)}/{digest.hex()}"
