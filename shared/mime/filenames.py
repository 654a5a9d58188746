"""What an attachment is called: as the sender named it, but never a path, and never nothing."""

import re
from urllib.parse import unquote_to_bytes

from shared.mime.caps import MAX_FILENAME_CHARACTERS
from shared.mime.words import clean_line, decoded, decoded_words

_UNNAMED = {
    "message/rfc822": "message.eml",
    "message/delivery-status": "delivery-status.txt",
    "text/calendar": "invite.ics",
    "text/plain": "attachment.txt",
    "text/html": "attachment.html",
    "application/pkcs7-mime": "smime.p7m",
    "application/pkcs7-signature": "smime.p7s",
    "application/ms-tnef": "winmail.dat",
    "application/pgp-signature": "signature.asc",
}
_MAX_EXTENSION = 20
_EXTENDED = re.compile(r"([A-Za-z0-9_-]{1,40})'[A-Za-z-]{0,20}'(.*)", re.DOTALL)


def filename(name: str | None, content_type: str) -> str:
    """Return `name` decoded, without folders and control characters, or one that fits the type."""
    text = name or ""
    if "=?" in text:
        text = decoded_words(text)
    if "'" in text and "%" in text and (extended := _EXTENDED.fullmatch(text)):
        text = decoded(unquote_to_bytes(extended[2]), extended[1])
    text = clean_line(text, MAX_FILENAME_CHARACTERS * 4)
    text = text.replace("\\", "/").rpartition("/")[2].strip(" .") if text else ""
    if not text:
        return _UNNAMED.get(content_type, "attachment")
    if len(text) <= MAX_FILENAME_CHARACTERS:
        return text
    stem, dot, extension = text.rpartition(".")
    if not stem or len(extension) > _MAX_EXTENSION:
        return text[:MAX_FILENAME_CHARACTERS]
    return stem[: MAX_FILENAME_CHARACTERS - 1 - len(extension)] + dot + extension
