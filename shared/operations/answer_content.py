"""What a mail says and carries along: what was written, the signature, the mail it is about.

Nothing of a message gets in that its writer was not shown: the caller hands over what they see.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shared.domain.composing import DraftAttachment, one_line
from shared.domain.contents import Picture
from shared.domain.errors import ErrorCode, RequestError, SendRefusedError
from shared.domain.message import StoredAttachment
from shared.domain.quoting import Original, Written
from shared.domain.signature import Signature
from shared.ports.composer import Composer

ReadFile = Callable[[StoredAttachment], bytes | None]
"""Returns an attachment of the original, or None where it is not there any more."""

MOST_PASSED_ON = 100
"""Files are read one by one, each in up to 30 ms, while the writer waits; a mail may have 1,000."""
_FIELD = "answers.forward_attachments"
_TOO_MANY = f"It has more than {MOST_PASSED_ON} files. Pass it on without its attachments."
_ENDINGS = {
    "image/gif": (".gif",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/png": (".png",),
    "image/webp": (".webp",),
}


@dataclass(frozen=True, slots=True)
class ContentToSend:
    """What goes into a draft."""

    text: str
    html: str | None
    attachments: tuple[DraftAttachment, ...]
    """Of the original: pictures that `html` shows, and files that are passed on."""


def content_to_send(
    written: Written,
    *,
    signature: Signature | None,
    original: Original | None,
    quotes: bool,
    passes_files_on: bool,
    room: int,
    composer: Composer,
    read: ReadFile,
) -> ContentToSend:
    """Return what a mail says, and what of the original goes along in at most `room` bytes.

    `quotes`: whether the original is quoted. `passes_files_on`: whether its attachments go along.

    A picture of the quote that is not there any more, or has no room, is left out; a file is not:
    raises `RequestError(ATTACHMENT_NOT_FOUND)` naming those that were not kept, and
    `SendRefusedError(MAIL_TOO_LARGE)`; `RequestError(INVALID_REQUEST)` for more than
    `MOST_PASSED_ON` files.
    """
    content = composer.content(written, signature=signature, original=original if quotes else None)
    files: list[StoredAttachment] = []
    if original is not None and passes_files_on:
        shown = list(content.pictures.values())
        files = [part for part in original.message.attachments if part not in shown]
    if len(files) > MOST_PASSED_ON:
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=[(_FIELD, _TOO_MANY)])
    if missing := [part for part in files if part.digest is None]:
        raise _not_kept(missing)
    room -= sum(part.size for part in files)
    if room < 0:
        raise SendRefusedError(ErrorCode.MAIL_TOO_LARGE)
    pictures = []
    for content_id, part in content.pictures.items():
        if part.digest is not None and part.size <= room and (found := read(part)) is not None:
            room -= part.size
            pictures.append(_picture(part, found, content_id))
    return ContentToSend(content.text, content.html, (*pictures, *_passed_on(files, read)))


def _passed_on(files: list[StoredAttachment], read: ReadFile) -> Iterator[DraftAttachment]:
    for part in files:
        content = read(part)
        if content is None:
            raise _not_kept([part])
        yield DraftAttachment(one_line(part.filename), part.content_type, content)


def _picture(part: StoredAttachment, content: bytes, content_id: str) -> DraftAttachment:
    """Return a picture under the type it was seen to be of, and with that type's ending.

    What a stranger's mail calls `invoice.exe` may begin like a picture and be a program too.
    """
    name, seen_as = one_line(part.filename) or "picture", part.content_type
    if isinstance(part.seen, Picture):
        seen_as = part.seen.content_type
        endings = _ENDINGS[seen_as]
        name = name if name.lower().endswith(endings) else f"{name}{endings[0]}"
    return DraftAttachment(name, seen_as, content, content_id, inline=True)


def _not_kept(parts: list[StoredAttachment]) -> RequestError:
    names = ", ".join(f'"{one_line(part.filename)}"' for part in parts)
    reason = f"Not kept here: {names}. Pass the mail on without its attachments."
    return RequestError(ErrorCode.ATTACHMENT_NOT_FOUND, fields=[(_FIELD, reason)])
