"""How attachments become objects without ever being whole in memory, and how they are served.

The digest is known only at the end, so what is large goes to a name of its own first and is copied
to its digest's name, inside S3; what is small is kept until it is known. Each copy of a message has
its own: who deletes one need not know who else holds the same.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from botocore.exceptions import ClientError

from shared.aws.clients import Clients, clients_of_process
from shared.aws.errors import is_hidden, is_missing, our_errors
from shared.aws.stored_objects import ATTACHMENTS, UPLOADS, of_copy
from shared.domain.contents import PICTURE_TYPES
from shared.domain.errors import ErrorCode, UnreadableMessageError
from shared.domain.ids import TenantId

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES = 8 * 1024 * 1024
"""What is held in memory at most; S3 takes parts of 5 MB and more."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_BYTES_OF_A_NAME = 180
_FALLBACK_NAME = "attachment"
_DECEPTIVE = re.compile(
    # Controls, what turns the direction of writing, what is invisible, and every path separator.
    '[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff/\\\\:*?"<>|]'
)


@dataclass(frozen=True, slots=True)
class S3AttachmentStore:
    """The ports `AttachmentStore` and `AttachmentReader`."""

    bucket: str
    clients: Clients = field(default_factory=clients_of_process)

    def put(
        self, tenant_id: TenantId, slices: Iterable[bytes], *, holder: str, limit: int
    ) -> tuple[str, int]:
        """Store the slices; nothing is left behind when they fail or are too many."""
        hasher = hashlib.sha256()
        size = 0

        def measured() -> Iterator[bytes]:
            nonlocal size
            for piece in slices:
                size += len(piece)
                if size > limit:
                    raise UnreadableMessageError(
                        ErrorCode.MESSAGE_TOO_LARGE, cause="attachment past its limit"
                    )
                hasher.update(piece)
                yield piece

        parts = _in_parts(measured())
        first = next(parts)
        second = next(parts, None)
        if second is None:
            self._keep(_key(tenant_id, holder, hasher.hexdigest()), first)
        else:
            temporary = of_copy(UPLOADS, tenant_id, holder) + secrets.token_hex(16)
            self._upload(temporary, first, second, parts)
            self._copy(temporary, _key(tenant_id, holder, hasher.hexdigest()))
        return hasher.hexdigest(), size

    def stream_to(self, key: str, slices: Iterable[bytes]) -> None:
        """Store the slices under a name that is known before them; nothing of them if they fail."""
        parts = _in_parts(slices)
        first = next(parts)
        second = next(parts, None)
        if second is None:
            self._keep(key, first)
        else:
            self._upload(key, first, second, parts)

    def get(self, tenant_id: TenantId, digest: str, *, holder: str) -> bytes | None:
        """Read the object; who asks knows that it is small enough."""
        try:
            with our_errors(but=is_hidden):
                key = _key(tenant_id, holder, digest)
                return self.clients.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            if is_missing(error) or is_hidden(error):
                return None
            raise

    def link(
        self,
        tenant_id: TenantId,
        digest: str,
        *,
        holder: str,
        filename: str,
        content_type: str,
        seconds: int,
    ) -> str:
        """Sign a link to the one object; name and type are what we say, not what the mail said."""
        kind = content_type.strip().lower()
        with our_errors():
            return self.clients.s3.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self.bucket,
                    "Key": _key(tenant_id, holder, digest),
                    "ResponseContentDisposition": _disposition(filename),
                    "ResponseContentType": (
                        kind if kind in PICTURE_TYPES else "application/octet-stream"
                    ),
                    "ResponseCacheControl": "private, no-store",
                },
                ExpiresIn=seconds,
            )

    def _keep(self, key: str, content: bytes) -> None:
        with our_errors():
            self.clients.s3.put_object(Bucket=self.bucket, Key=key, Body=content)

    def _upload(self, key: str, first: bytes, second: bytes, rest: Iterator[bytes]) -> None:
        """Upload in parts; what was uploaded is given up when anything fails on the way."""
        with our_errors():
            upload_id = self.clients.s3.create_multipart_upload(Bucket=self.bucket, Key=key)[
                "UploadId"
            ]
        try:
            with our_errors():
                self.clients.s3.complete_multipart_upload(
                    Bucket=self.bucket,
                    Key=key,
                    UploadId=upload_id,
                    MultipartUpload={
                        "Parts": list(self._upload_parts(key, upload_id, first, second, rest))
                    },
                )
        except BaseException:  # boundary: half an upload is paid for until it is given up
            with our_errors():
                self.clients.s3.abort_multipart_upload(
                    Bucket=self.bucket, Key=key, UploadId=upload_id
                )
            raise

    def _upload_parts(
        self, key: str, upload_id: str, first: bytes, second: bytes, rest: Iterator[bytes]
    ) -> "Iterator[CompletedPartTypeDef]":
        for number, part in enumerate(_chain(first, second, rest), 1):
            answer = self.clients.s3.upload_part(
                Bucket=self.bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=part
            )
            yield {"PartNumber": number, "ETag": answer["ETag"]}

    def _copy(self, temporary: str, key: str) -> None:
        # The first one is left to the bucket's lifecycle rule: a worker needs no right to delete.
        with our_errors():
            self.clients.s3.copy_object(
                Bucket=self.bucket,
                Key=key,
                CopySource={"Bucket": self.bucket, "Key": temporary},
            )


def _in_parts(slices: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the slices in parts of `PART_BYTES`, at least one, only the last of them smaller."""
    kept = bytearray()
    yielded = False
    for piece in slices:
        kept += piece
        while len(kept) > PART_BYTES:
            yield bytes(kept[:PART_BYTES])
            del kept[:PART_BYTES]
            yielded = True
    if kept or not yielded:
        yield bytes(kept)


def _chain(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest


def _key(tenant_id: TenantId, holder: str, digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise ValueError("not a digest")
    return of_copy(ATTACHMENTS, tenant_id, holder) + digest


def _disposition(filename: str) -> str:
    """Return the header that makes a browser save the object, under a name that hides nothing.

    RFC 6266: the plain name for old clients, the encoded one for all others.
    """
    name = _DECEPTIVE.sub("_", filename).strip(" .") or _FALLBACK_NAME
    while len(name.encode()) > _BYTES_OF_A_NAME:
        stem, dot, ending = name.rpartition(".")
        name = f"{stem[:-1]}.{ending}" if dot and len(stem) > 1 else name[:-1]
    plain = "".join(letter if letter.isascii() and letter not in "%;" else "_" for letter in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
