"""Decides how a header is made again of what Gmail tells of it, so that no address in it is hidden.

Gmail decodes a name before it tells it, so that what was an encoded word may come as a quote that
nothing closes, a bracket or a comma: read as it stands it would swallow the address behind it. So
each field that holds addresses is followed by another of its name, with all that is written like
one in it: one too many at times.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from shared.domain.addresses import WrittenAddresses
from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.ids import Address
from shared.domain.message import FetchedMessage
from shared.providers.gmail import errors, message
from shared.providers.gmail.api import objects
from shared.providers.header_fields import ADDRESS_FIELDS

_HOLD_ADDRESSES = frozenset(map(str.lower, ADDRESS_FIELDS))
_MOST_FOUND = 1_000
"""A line of marks can be read as hundreds of addresses each longer than the other."""
_NAME = re.compile(r"[!-9;-~]{1,200}")


def read(body: bytes | bytearray | memoryview) -> FetchedMessage:
    """Read a `Message` of format `metadata`; raises `RetryLaterError` for what is none."""
    found = errors.decoded_object(bytes(body))
    if found is None:
        raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="not a JSON object")
    payload = found.get("payload", {})
    if not isinstance(payload, dict):
        raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="no payload")
    return replace(message.known(found), header=written(_fields(payload)))


def written(fields: Iterable[tuple[str, str]]) -> bytes:
    """Return a header of fields whose values are decoded."""
    lines: list[str] = []
    for name, value in fields:
        lines.append(f"{name}: {' '.join(value.split())}\r\n")
        if name.lower() in _HOLD_ADDRESSES and (found := _found(value)):
            lines.append(f"{name}: {', '.join(f'<{one}>' for one in found)}\r\n")
    return "".join(lines).encode("utf-8", "replace")


def _found(value: str) -> list[Address]:
    search = WrittenAddresses()
    found = search.feed(value.encode("utf-8", "replace")) | search.end()
    # A bracket would begin a comment, and is in no address.
    return sorted(one for one in found if "(" not in one and ")" not in one)[:_MOST_FOUND]


def _fields(payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for one in objects(payload, "headers"):
        name, value = one.get("name"), one.get("value")
        if isinstance(name, str) and isinstance(value, str) and _NAME.fullmatch(name):
            yield name, value
