"""What somebody says of a file before they upload it, to attach it to a mail."""

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from shared.domain.ids import UploadId, new_ulid

LARGEST_UPLOAD = 18 * 1024 * 1024
"""In bytes; encoded for a mail it is a good third more, and no provider takes much above 25 MB."""
_ULID = 26
_KNOWN = re.compile(r"[0-9A-Z]{26}[a-z2-7]{52}")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is to be uploaded: this content and no other."""

    filename: str
    content_type: str
    size: int
    sha256: bytes

    @property
    def megabytes(self) -> int:
        """How many megabytes it begins: what it is counted as."""
        return ceil(self.size / 1_000_000)


def new_upload_id(upload: Upload, now: datetime) -> UploadId:
    """Return a fresh id that names the content as well: whoever replaces it makes another one."""
    digest = base64.b32encode(upload.sha256).decode("ascii").rstrip("=").lower()
    return UploadId(new_ulid(now) + digest)


def digest_in(upload_id: UploadId) -> bytes | None:
    """Return the SHA-256 an id was made for, or None for a text that is no id of an upload."""
    if not _KNOWN.fullmatch(upload_id):
        return None
    return base64.b32decode(upload_id[_ULID:].upper() + "====")
