"""Decides how a message is read out of what Gmail answers, without holding it thrice."""

import binascii
import io
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.ids import ProviderMessageId
from shared.domain.message import FetchedMessage
from shared.providers.gmail import errors, labels
from shared.providers.gmail.api import texts, whole_number

# A quote inside a text is escaped, so this can only be the field's own name.
_RAW = re.compile(rb'"raw"\s*:\s*"')
_SLICE = 65_536
"""Characters decoded at a time, a multiple of four."""
_ESCAPED_PADDING = rb"\u003d"
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_END_MILLISECONDS = 253_402_300_799_000
"""The last second of the year 9999."""


def read(body: bytes | bytearray | memoryview) -> FetchedMessage:
    """Read a `Message` of format `raw`; raises `RetryLaterError` for what is none."""
    found, raw = _taken_apart(body)
    return replace(known(found), size=len(raw), raw=raw)


def known(found: Mapping[str, Any]) -> FetchedMessage:
    """Return what a `Message` of any format says beside its content; raises as `read` does."""
    label_ids = texts(found, "labelIds")
    milliseconds = min(max(0, whole_number(found.get("internalDate", 0))), _END_MILLISECONDS)
    message_id, thread_id = found.get("id"), found.get("threadId")
    if not isinstance(message_id, str) or not message_id:
        raise _garbled("no id")
    return FetchedMessage(
        provider_message_id=ProviderMessageId(message_id),
        received_at=_BEGIN + timedelta(milliseconds=milliseconds),
        size=max(0, whole_number(found.get("sizeEstimate", 0))),
        flags=labels.flags_of(label_ids, whole_number(found.get("historyId", 0))),
        provider_thread_id=thread_id if isinstance(thread_id, str) else None,
        folder_ids=labels.folder_ids(label_ids),
    )


def _taken_apart(body: bytes | bytearray | memoryview) -> tuple[dict[str, Any], bytes]:
    """Return the object without its `raw`, and that decoded."""
    begin = _RAW.search(body)
    if begin is None:
        raise _garbled("no raw message")
    whole = bytes(body[: begin.start()])
    view = memoryview(body)
    end = _end_of_text(view, begin.end())
    found = errors.decoded_object(whole + b'"raw":"' + bytes(view[end:]))
    if found is None:
        raise _garbled("not a JSON object")
    return found, _decoded(view[begin.end() : end])


def _end_of_text(view: memoryview, at: int) -> int:
    while at < len(view):
        piece = bytes(view[at : at + _SLICE])
        if (found := piece.find(b'"')) >= 0:
            return at + found
        at += _SLICE
    raise _garbled("a text without its end")


def _decoded(text: memoryview) -> bytes:
    # Some of Google's servers write the padding as an escape.
    end = len(text)
    while text[max(0, end - len(_ESCAPED_PADDING)) : end] == _ESCAPED_PADDING:
        end -= len(_ESCAPED_PADDING)
    # It hands over what was written without a copy.
    text, raw = text[:end], io.BytesIO()
    try:
        for at in range(0, len(text), _SLICE):
            piece = bytes(text[at : at + _SLICE]).translate(_TO_STANDARD)
            raw.write(binascii.a2b_base64(piece + b"=" * (-len(piece) % 4), strict_mode=True))
    except binascii.Error:
        raise _garbled("not base64url") from None
    return raw.getvalue()


def _garbled(cause: str) -> RetryLaterError:
    return RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause=cause)
