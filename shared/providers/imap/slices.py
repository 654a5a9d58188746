"""Decides how one leaf of a message is read: slice by slice, decoded across their borders."""

import binascii
import quopri
import re
from collections.abc import Callable, Generator, Iterator, Mapping

from shared.domain.errors import ErrorCode, UnreadableMessageError
from shared.domain.folders import Folder
from shared.domain.ids import ProviderMessageId
from shared.providers.imap import errors, grammar
from shared.providers.imap.session import OpenFolders, read_fetch, uid_of
from shared.providers.imap.wire import Answer

SLICE_BYTES = 1 << 20


def read_part(
    open_folders: OpenFolders,
    folder: Folder,
    provider_message_id: ProviderMessageId,
    section: str,
    encoding: str,
) -> Iterator[bytes]:
    """Yield the decoded bytes of a leaf slice by slice.

    Raises `UnreadableMessageError`: `message_gone` when it is gone (an attachment cut short would
    look whole), `message_malformed` when the server cannot read this leaf for a lasting reason.
    """
    raw = open_folders.name_of(folder)
    decode = _DECODERS.get(encoding.lower(), _identity)()
    next(decode)
    offset = 0
    while True:
        uid = uid_of(provider_message_id, open_folders.select(raw))
        if uid is None:
            raise UnreadableMessageError(ErrorCode.MESSAGE_GONE, cause="renumbered")
        command = f"UID FETCH {uid} (UID BODY.PEEK[{section}]<{offset}.{SLICE_BYTES}>)"
        encoded = _slice(_answer(open_folders, raw, command.encode()), uid)
        if encoded and (decoded := decode.send(encoded)):
            yield decoded
        if len(encoded) < SLICE_BYTES:
            break
        offset += len(encoded)
    if rest := decode.send(b""):
        yield rest


def _answer(open_folders: OpenFolders, raw: bytes, command: bytes) -> Answer:
    """Return what a FETCH brought; asked again where it is refused while others are read.

    To retry a leaf the server never reads would hold up the mailbox; to give one up that it does
    not read just now would lose it.
    """
    for is_last_try in (False, True):
        answer = open_folders.wire.exchange([command])[0]
        if answer.ok or errors.is_about_now(answer.refusal):
            return answer.require_ok()
        if answer.refusal.code == errors.EXPUNGED:
            raise UnreadableMessageError(ErrorCode.MESSAGE_GONE, cause="expunged")
        if not is_last_try:
            open_folders.require_readable(raw)
    raise UnreadableMessageError(ErrorCode.MESSAGE_MALFORMED, cause=answer.refusal.text[:200])


def _slice(answer: Answer, uid: int) -> bytes:
    for response in answer.untagged:
        items = read_fetch(response) or {}
        if grammar.number(items.get(b"UID")) == uid:
            for key, value in items.items():
                if key.startswith(b"BODY["):
                    return value if isinstance(value, bytes) else b""
    raise UnreadableMessageError(ErrorCode.MESSAGE_GONE, cause="not delivered")


Decoder = Generator[bytes, bytes, None]
"""Takes encoded bytes and gives decoded ones; empty bytes mean the end."""


def _identity() -> Decoder:
    decoded = b""
    while True:
        decoded = yield decoded


def _base64() -> Decoder:
    kept = b""
    decoded = b""
    while True:
        encoded = yield decoded
        clean = kept + _NOT_BASE64.sub(b"", encoded)
        whole = len(clean) // 4 * 4
        clean, kept = (clean[:whole], clean[whole:]) if encoded else (clean + b"===", b"")
        decoded = _lenient_base64(clean)


def _lenient_base64(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text[: len(text) // 4 * 4])
    except binascii.Error:
        return b""


def _quoted_printable() -> Decoder:
    kept = b""
    decoded = b""
    while True:
        encoded = yield decoded
        lines = kept + encoded
        end = lines.rfind(b"\n") + 1 if encoded else len(lines)
        decoded, kept = quopri.decodestring(lines[:end]), lines[end:]


_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]+")
_DECODERS: Mapping[str, Callable[[], Decoder]] = {
    "base64": _base64,
    "quoted-printable": _quoted_printable,
}
