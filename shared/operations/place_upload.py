"""How a place is found for a file that somebody will attach to a mail."""

from shared.domain.uploads import Upload
from shared.domain.visibility import Viewer
from shared.ports.clock import Clock
from shared.ports.uploads import UploadPlace, UploadStore

UPLOAD_SECONDS = 900
"""How long a place takes its file: as long as a slow line needs for the largest one."""


def place_upload(
    viewer: Viewer, upload: Upload, *, uploads: UploadStore, clock: Clock
) -> UploadPlace:
    """Return where the viewer uploads a file to; nobody but they can attach it."""
    now = clock.now()
    return uploads.place(viewer.tenant_id, viewer.user_id, upload, now=now, seconds=UPLOAD_SECONDS)
