"""How a browser uploads a file straight into the bucket, and nothing but the file it announced.

S3 refuses what has another length or another SHA-256 than the signature names; what is read is
compared again, since a bucket can be written by others than S3's callers of today.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from botocore.exceptions import ClientError

from shared.aws.clients import Clients, clients_of_process
from shared.aws.errors import is_hidden, is_missing, our_errors
from shared.aws.stored_objects import SENDING_UPLOADS, of_user
from shared.domain.ids import TenantId, UploadId, UserId
from shared.domain.uploads import LARGEST_UPLOAD, Upload, digest_in, new_upload_id
from shared.ports.uploads import UploadedFile, UploadPlace

_FILENAME = "filename"


@dataclass(frozen=True, slots=True)
class S3UploadStore:
    """The port `UploadStore`."""

    bucket: str
    clients: Clients = field(default_factory=clients_of_process)

    def place(
        self, tenant_id: TenantId, user_id: UserId, upload: Upload, *, now: datetime, seconds: int
    ) -> UploadPlace:
        """Sign a link; every header is part of the signature, and each is to be sent."""
        upload_id = new_upload_id(upload, now)
        digest = base64.b64encode(upload.sha256).decode("ascii")
        # A header is ASCII; so is this, whatever the file is called.
        name = base64.urlsafe_b64encode(upload.filename.encode()).decode("ascii")
        with our_errors():
            url = self.clients.s3.generate_presigned_url(
                "put_object",
                Params={
                    "Bucket": self.bucket,
                    "Key": of_user(SENDING_UPLOADS, tenant_id, user_id) + upload_id,
                    "ContentLength": upload.size,
                    "ContentType": upload.content_type,
                    "ChecksumSHA256": digest,
                    "Metadata": {_FILENAME: name},
                },
                ExpiresIn=seconds,
            )
        headers = {
            "Content-Type": upload.content_type,
            "x-amz-checksum-sha256": digest,
            f"x-amz-meta-{_FILENAME}": name,
        }
        return UploadPlace(upload_id, url, "PUT", headers, now + timedelta(seconds=seconds))

    def get(self, tenant_id: TenantId, user_id: UserId, upload_id: UploadId) -> UploadedFile | None:
        """Read it, no further than an upload may be large."""
        digest = digest_in(upload_id)
        # A text that is no id takes a request too.
        key = of_user(SENDING_UPLOADS, tenant_id, user_id) + (upload_id if digest else "-")
        try:
            with our_errors(but=is_hidden):
                answer = self.clients.s3.get_object(Bucket=self.bucket, Key=key)
                content = answer["Body"].read(LARGEST_UPLOAD)
        except ClientError as error:
            if is_missing(error) or is_hidden(error):
                return None
            raise
        filename = _filename(answer["Metadata"].get(_FILENAME, ""))
        if hashlib.sha256(content).digest() != digest or not filename:
            return None
        return UploadedFile(filename, answer["ContentType"], content)


def _filename(text: str) -> str:
    try:
        return base64.b64decode(text, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
