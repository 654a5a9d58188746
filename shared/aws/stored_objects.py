"""Which objects belong to a mailbox, a copy or a message, by the beginnings of their keys.

Every object has one owner, named in its key: an attachment a copy, a body a message. So deleting is
deleting a beginning, and nobody has to know who else might still point there.

| object | key |
| --- | --- |
| attachment | `attachments/{tenant}/{mailbox}/{digest of provider id}/{digest}` |
| large attachment on its way | `attachments/.uploads/{tenant}/{mailbox}/{digest of …}/{random}` |
| body | `bodies/{tenant}/{message}/{digest}` |
| raw message of a dead letter | `letters/{tenant}/{mailbox}/{letter}` |
| content of a send | `outgoing/{tenant}/{mailbox}/{send}` |
| file to be attached to one | `sending-uploads/{tenant}/{user}/{upload}` |
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from botocore.exceptions import ClientError

from shared.aws.clients import Clients, clients_of_process
from shared.aws.errors import code_of, is_missing, our_errors
from shared.domain.errors import StoreThrottledError
from shared.domain.ids import MailboxId, MessageId, TenantId, UserId

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

ATTACHMENTS, BODIES, LETTERS = "attachments", "bodies", "letters"
OUTGOING, SENDING_UPLOADS = "outgoing", "sending-uploads"
# No tenant's folder is called so: `object_part` leaves no dot.
UPLOADS = f"{ATTACHMENTS}/.uploads"
_MOST_AT_ONCE = 1_000
_PIECE_BYTES = 1 << 20
_BEFORE, _AFTER = rb"(?<![a-z0-9._+\x80-\xff-])", rb"(?![a-z0-9\x80-\xff-]|\.[a-z0-9\x80-\xff])"
"""Where an address begins and ends: eve@example.org is not in steve@example.org."""
_LOOKS_AHEAD = 2


def object_part(text: str) -> str:
    """Return `text` as one part of an object's key: no slash, and never `.` or `..`."""
    return quote(text, safe="", errors="surrogatepass").replace(".", "%2E")


def of_mailbox(kind: str, tenant_id: TenantId, mailbox_id: MailboxId) -> str:
    """Return how the keys of a mailbox's objects of a kind begin."""
    return of_tenant(kind, tenant_id) + f"{object_part(mailbox_id)}/"


def of_tenant(kind: str, tenant_id: TenantId) -> str:
    """Return how the keys of all of a tenant's objects of a kind begin."""
    return f"{kind}/{object_part(tenant_id)}/"


def of_user(kind: str, tenant_id: TenantId, user_id: UserId) -> str:
    """Return how the keys of a user's objects of a kind begin."""
    return of_tenant(kind, tenant_id) + f"{object_part(user_id)}/"


def of_copy(kind: str, tenant_id: TenantId, holder: str) -> str:
    """Return how the keys of a copy's objects begin; `holder` is its `copy_ref`."""
    mailbox_id, _, name = holder.partition("/")
    if not (mailbox_id and name):
        raise ValueError("not a copy")
    # A digest, because a provider's id may be longer than a key.
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=15).hexdigest()
    return of_mailbox(kind, tenant_id, MailboxId(mailbox_id)) + f"{digest}/"


def of_message(tenant_id: TenantId, message_id: MessageId) -> str:
    """Return how the keys of a message's bodies begin."""
    return f"{BODIES}/{object_part(tenant_id)}/{object_part(message_id)}/"


class Upload(NamedTuple):
    """A large object on its way."""

    key: str
    upload_id: str


@dataclass(frozen=True, slots=True)
class StoredObjects:
    """The bucket's objects, found and deleted by how their keys begin."""

    bucket: str
    clients: Clients = field(default_factory=clients_of_process)

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin so, in order; a thousand are read at a time."""
        return (key for key, _size in self.sizes(prefix))

    def sizes(self, prefix: str, *, after: str = "") -> Iterator[tuple[str, int]]:
        """Yield keys as `keys` does, those past `after`, with the bytes of their objects."""
        while True:
            with our_errors():
                answer = self.clients.s3.list_objects_v2(
                    Bucket=self.bucket, Prefix=prefix, StartAfter=after, MaxKeys=_MOST_AT_ONCE
                )
            found = [(one["Key"], one["Size"]) for one in answer.get("Contents", [])]
            yield from found
            if not answer.get("IsTruncated"):
                return
            after = found[-1][0]

    def mentions(self, key: str, addresses: Iterable[bytes]) -> bool:
        """Whether an object holds one of the addresses, in small letters; it is read in pieces.

        False too for one that is gone, and for an address that is only a part of a longer one.
        """
        wanted = [address.lower() for address in addresses]
        named = re.compile(_BEFORE + b"(?:" + b"|".join(map(re.escape, wanted)) + b")" + _AFTER)
        overlap = max(map(len, wanted)) + 1 + _LOOKS_AHEAD
        try:
            with our_errors():
                answer = self.clients.s3.get_object(Bucket=self.bucket, Key=key)
                text, begin = b"", 0
                for piece in answer["Body"].iter_chunks(_PIECE_BYTES):
                    text = text[-overlap:] + piece.lower()
                    # What follows the last bytes is not known before the next piece.
                    settled = len(text) - _LOOKS_AHEAD
                    if any(found.end() <= settled for found in named.finditer(text, begin)):
                        return True
                    begin = 1  # the first byte of what is kept is there to be looked back at
                return named.search(text[-overlap:], min(begin, len(text))) is not None
        except ClientError as error:
            if not is_missing(error):
                raise
        return False

    def unfinished(self, prefix: str) -> list[Upload]:
        """Return up to a thousand uploads to such keys that were begun and not ended.

        Their parts are kept, and are in no list of objects.
        """
        with our_errors():
            answer = self.clients.s3.list_multipart_uploads(Bucket=self.bucket, Prefix=prefix)
        return [Upload(one["Key"], one["UploadId"]) for one in answer.get("Uploads", [])]

    def abort(self, uploads: Iterable[Upload]) -> None:
        """Let go of what was uploaded; one that is over already is over."""
        for one in uploads:
            try:
                with our_errors():
                    self.clients.s3.abort_multipart_upload(
                        Bucket=self.bucket, Key=one.key, UploadId=one.upload_id
                    )
            except ClientError as error:
                if code_of(error) != "NoSuchUpload":
                    raise

    def delete(self, keys: Sequence[str]) -> None:
        """Delete them; one that is gone already is gone."""
        for start in range(0, len(keys), _MOST_AT_ONCE):
            named: list[ObjectIdentifierTypeDef] = [
                {"Key": key} for key in keys[start : start + _MOST_AT_ONCE]
            ]
            with our_errors():
                answer = self.clients.s3.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": named, "Quiet": True}
                )
            refused = answer.get("Errors", [])
            if refused:
                raise StoreThrottledError(cause=f"objects kept: {refused[0].get('Code', '')}")
