"""Where bodies too large for the table are: one packed object each, under its message.

The message's item names the digest. Named by the message alone, a body that
came later could take the place of the one stored first.
"""

import hashlib
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from shared.aws.clients import Clients, clients_of_process
from shared.aws.errors import code_of, is_hidden, is_missing, our_errors
from shared.aws.stored_objects import of_message
from shared.domain.errors import StoreThrottledError
from shared.domain.ids import MessageId, TenantId


@dataclass(frozen=True, slots=True)
class BodyObjects:
    """Packed bodies in the bucket."""

    bucket: str
    clients: Clients = field(default_factory=clients_of_process)

    def put(self, tenant_id: TenantId, message_id: MessageId, packed: bytes) -> bytes:
        """Write a packed body and return its digest.

        It must be there before the item that points to it.
        """
        digest = hashlib.sha256(packed).digest()
        with our_errors():
            key = _key(tenant_id, message_id, digest)
            self.clients.s3.put_object(Bucket=self.bucket, Key=key, Body=packed)
        return digest

    def get(self, tenant_id: TenantId, message_id: MessageId, digest: bytes) -> bytes:
        """Read the packed body `put` returned `digest` for.

        Raises `StoreThrottledError` where it is not found: it was written before its item, so it is
        late or lost, and must not be shown as an empty message.
        """
        try:
            with our_errors(but=is_hidden):
                key = _key(tenant_id, message_id, digest)
                answer = self.clients.s3.get_object(Bucket=self.bucket, Key=key)
                return answer["Body"].read()
        except ClientError as error:
            if is_missing(error) or is_hidden(error):
                cause = f"body is not there yet: {code_of(error)}"
                raise StoreThrottledError(cause=cause) from error
            raise


def _key(tenant_id: TenantId, message_id: MessageId, digest: bytes) -> str:
    return of_message(tenant_id, message_id) + digest.hex()
