"""Where the files come from that a mail has attached: uploads, and mail that is passed on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.domain.ids import TenantId, UploadId, UserId
from shared.domain.uploads import Upload


@dataclass(frozen=True, slots=True)
class UploadPlace:
    """Where to send a file to, once, until `expires_at`; only with these headers, and this file."""

    id: UploadId
    url: str = field(repr=False)
    method: str
    headers: Mapping[str, str]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file as it was announced and then uploaded."""

    filename: str
    content_type: str
    content: bytes = field(repr=False)


class UploadStore(Protocol):
    """Files on their way to be attached, by the user who uploads them; kept for two days.

    Every method may raise `StoreThrottledError` and `StoreRefusedError`.
    """

    def place(
        self, tenant_id: TenantId, user_id: UserId, upload: Upload, *, now: datetime, seconds: int
    ) -> UploadPlace:
        """Return where to upload it to within `seconds`: nothing else is taken there."""
        ...

    def get(self, tenant_id: TenantId, user_id: UserId, upload_id: UploadId) -> UploadedFile | None:
        """Return it; None where nothing was uploaded, or something else than was announced."""
        ...


class AttachmentReader(Protocol):
    """Reads stored attachments whole; `holder` is a copy's `copy_ref`."""

    def get(self, tenant_id: TenantId, digest: str, *, holder: str) -> bytes | None:
        """Return one, or None where it is not there.

        Raises `StoreThrottledError` and `StoreRefusedError`.
        """
        ...
