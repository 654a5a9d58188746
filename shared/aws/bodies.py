"""Where bodies too large for the table are: one packed object each, named by tenant and message."""

from dataclasses import dataclass, field
from urllib.parse import quote

from botocore.exceptions import ClientError

from shared.aws.clients import Clients, clients_of_process
from shared.aws.errors import is_missing, our_errors
from shared.domain.errors import StoreThrottledError
from shared.domain.ids import MessageId, TenantId


def object_part(text: str) -> str:
    """Return `text` as one part of an object's key: no slash, and never `.` or `..`."""
    return quote(text, safe="", errors="surrogatepass").replace(".", "%2E")


@dataclass(frozen=True, slots=True)
class BodyObjects:
    """Packed bodies in the bucket."""

    bucket: str
    clients: Clients = field(default_factory=clients_of_process)

    def put(self, tenant_id: TenantId, message_id: MessageId, packed: bytes) -> None:
        """Write a packed body; it must be there before the item that points to it."""
        with our_errors():
            self.clients.s3.put_object(
                Bucket=self.bucket, Key=_key(tenant_id, message_id), Body=packed
            )

    def get(self, tenant_id: TenantId, message_id: MessageId) -> bytes:
        """Read a packed body.

        Raises `StoreThrottledError` where it is not found: it was written before its item, so it is
        late or lost, and must not be shown as an empty message.
        """
        try:
            with our_errors():
                answer = self.clients.s3.get_object(
                    Bucket=self.bucket, Key=_key(tenant_id, message_id)
                )
                return answer["Body"].read()
        except ClientError as error:
            if is_missing(error):
                raise StoreThrottledError(cause="body is not there yet") from error
            raise


def _key(tenant_id: TenantId, message_id: MessageId) -> str:
    return f"bodies/{object_part(tenant_id)}/{object_part(message_id)}"
