"""Decides how a header is made again of what Gmail tells of it, so that no address in it is hidden.

Gmail decodes a name before it tells it, so that what was an encoded word may come as a quote that
nothing closes, a bracket or a comma: read as it stands it would swallow the address behind it. What
could be such a mark is taken for the end of a name. That finds an address too many at times.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.message import FetchedMessage
from shared.providers.gmail import errors, message
from shared.providers.gmail.api import objects
from shared.providers.header_fields import ADDRESS_FIELDS

_HOLD_ADDRESSES = frozenset(map(str.lower, ADDRESS_FIELDS))
_NAME = re.compile(r"[!-9;-~]{1,200}")
_COMMENT = re.compile(r"\([^()<>@]*\)")
_BRACKET = re.compile(r"[()]")
_QUOTES = re.compile(r"[\"\\]")
_ENDS = re.compile(r">(?=\s*[^\s,;])")
_LONE = re.compile(r"<(?=[^<>]*<)")


def read(body: bytes | bytearray | memoryview) -> FetchedMessage:
    """Read a `Message` of format `metadata`; raises `RetryLaterError` for what is none."""
    found = errors.decoded_object(bytes(body))
    if found is None:
        raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="not a JSON object")
    payload = found.get("payload", {})
    if not isinstance(payload, dict):
        raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="no payload")
    return replace(message.known(found), header=_header(payload))


def _header(payload: Mapping[str, Any]) -> bytes:
    lines = (f"{name}: {value}\r\n" for name, value in _fields(payload))
    return "".join(lines).encode("utf-8", "replace")


def _fields(payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for one in objects(payload, "headers"):
        name, value = one.get("name"), one.get("value")
        if isinstance(name, str) and isinstance(value, str) and _NAME.fullmatch(name):
            holds_addresses = name.lower() in _HOLD_ADDRESSES
            shown = _separated(value) if holds_addresses else value
            yield name, " ".join(shown.split())


def _separated(value: str) -> str:
    """Return a list of addresses in which no mark of a name's hides an address."""
    without_comments = _BRACKET.sub(", ", _COMMENT.sub(" ", value))
    return _ENDS.sub(">,", _LONE.sub("", _QUOTES.sub("", without_comments)))
