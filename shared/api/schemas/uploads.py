"""How a file is announced, and where it is then uploaded to."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from shared.api.schemas.fields import OUR_ERROR, Given, Shown, one_line
from shared.domain.composing import MAX_FILENAME_CHARACTERS
from shared.domain.uploads import LARGEST_UPLOAD, Upload
from shared.ports.uploads import UploadPlace

_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,120}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def _content_type(text: str) -> str:
    if not _TYPE.fullmatch(text):
        raise PydanticCustomError(OUR_ERROR, "A type without parameters, such as application/pdf.")
    return text


def _digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise PydanticCustomError(OUR_ERROR, "The file's SHA-256 in hexadecimal, 64 characters.")
    return text


_lower = StringConstraints(strip_whitespace=True, to_lower=True, max_length=200)


class AnnounceUpload(Given):
    """A file that is about to be uploaded, to be attached to a mail."""

    filename: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_FILENAME_CHARACTERS),
        AfterValidator(one_line),
    ] = Field(examples=["offer.pdf"])
    content_type: Annotated[str, _lower, AfterValidator(_content_type)] = "application/octet-stream"
    size: Annotated[int, Field(ge=1, le=LARGEST_UPLOAD, strict=True)] = Field(examples=[48_213])
    """In bytes."""
    sha256: Annotated[str, _lower, AfterValidator(_digest)]
    """Of its content, in hexadecimal."""

    def to_upload(self) -> Upload:
        """Return what is announced."""
        return Upload(self.filename, self.content_type, self.size, bytes.fromhex(self.sha256))


class UploadPlaceShown(Shown):
    """Where the file is to be sent to, with exactly these headers, before `expires_at`.

    Nothing but the announced file is taken there. What no mail has it attached is gone two days
    later.
    """

    upload_id: str
    url: str
    method: str
    headers: Mapping[str, str]
    expires_at: datetime

    @classmethod
    def of(cls, place: UploadPlace) -> "UploadPlaceShown":
        """Show a place."""
        return cls(
            upload_id=place.id,
            url=place.url,
            method=place.method,
            headers=place.headers,
            expires_at=place.expires_at,
        )
