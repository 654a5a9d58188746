"""How the content of a send is kept until it is sent: an object of the send's own."""

import hashlib
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from shared.aws.clients import Clients, clients_of_process
from shared.aws.errors import code_of, is_hidden, is_missing, our_errors
from shared.aws.stored_objects import StoredObjects
from shared.aws.tables_of_sends import content_object_key
from shared.domain.errors import StoreRefusedError
from shared.ports.sending import SendRef


@dataclass(frozen=True, slots=True)
class S3OutgoingStore:
    """The port `OutgoingStore`."""

    bucket: str
    clients: Clients = field(default_factory=clients_of_process)

    def put(self, ref: SendRef, content: bytes) -> None:
        """Write the object."""
        with our_errors():
            self.clients.s3.put_object(
                Bucket=self.bucket, Key=content_object_key(ref), Body=content
            )

    def get(self, ref: SendRef, digest: str) -> bytes | None:
        """Read the object and compare what it is with what it has to be.

        Access denied is also the answer for one that is not there; so whether it is, is asked for.
        """
        key = content_object_key(ref)
        try:
            with our_errors(but=is_hidden):
                answer = self.clients.s3.get_object(Bucket=self.bucket, Key=key)
                content = answer["Body"].read()
        except ClientError as error:
            if is_hidden(error) and key in StoredObjects(self.bucket, self.clients).keys(key):
                raise StoreRefusedError(cause=code_of(error)) from error
            if is_missing(error) or is_hidden(error):
                return None
            raise
        return content if hashlib.sha256(content).hexdigest() == digest else None

    def delete(self, ref: SendRef) -> None:
        """Delete the object."""
        StoredObjects(self.bucket, self.clients).delete([content_object_key(ref)])
