"""Uploads in memory; what comes is put in by `upload`, as S3 takes it over HTTP."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.domain.ids import TenantId, UploadId, UserId
from shared.domain.uploads import Upload, new_upload_id
from shared.ports.uploads import UploadedFile, UploadPlace

Place = tuple[TenantId, UserId, UploadId]


@dataclass
class InMemoryUploadStore:
    """The port `UploadStore`."""

    announced: dict[Place, Upload] = field(default_factory=dict)
    contents: dict[Place, bytes] = field(default_factory=dict)

    def place(
        self, tenant_id: TenantId, user_id: UserId, upload: Upload, *, now: datetime, seconds: int
    ) -> UploadPlace:
        upload_id = new_upload_id(upload, now)
        self.announced[tenant_id, user_id, upload_id] = upload
        url = f"https://objects.invalid/{upload_id}"
        headers = {"Content-Type": upload.content_type}
        return UploadPlace(upload_id, url, "PUT", headers, now + timedelta(seconds=seconds))

    def get(self, tenant_id: TenantId, user_id: UserId, upload_id: UploadId) -> UploadedFile | None:
        where = (tenant_id, user_id, upload_id)
        content = self.contents.get(where)
        if content is None or hashlib.sha256(content).digest() != self.announced[where].sha256:
            return None
        return UploadedFile(
            self.announced[where].filename, self.announced[where].content_type, content
        )

    def upload(self, place: UploadPlace, content: bytes) -> None:
        """Have a file arrive."""
        (where,) = (one for one in self.announced if one[2] == place.id)
        self.contents[where] = content
