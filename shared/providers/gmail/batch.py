"""Decides how several calls travel in one HTTP request, and how its answer is read part by part.

An answer may bring parts in any order, leave some out or lose their names; whoever asked finds each
by what it is. Source: developers.google.com/workspace/gmail/api/guides/batch.
"""

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.providers.http import Streamed
from shared.providers.room import Room

MOST_PARTS = 50
"""More in one batch are "likely to trigger rate limiting"."""
_BOUNDARY = re.compile(r'boundary="?([^";,]{1,200})"?', re.IGNORECASE)
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_NUMBER = re.compile(r"response-part-(\d{1,3})\b")
_HEAD_BYTES = 65_536
_END = b"--"


@dataclass(frozen=True, slots=True)
class Part:
    """One call's answer. `asked` is empty where the answer does not say what it answers."""

    asked: str
    status: int
    headers: Mapping[str, str]
    body: bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a batch. `json` is the body that it brings."""

    method: str
    target: str
    json: str = ""


def request(calls: Sequence[Call]) -> tuple[str, bytes]:
    """Return content type and body of a batch, at most 50 calls."""
    boundary = f"batch_{secrets.token_hex(16)}"
    pieces = [
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <part-{number}>\r\n\r\n"
        f"{call.method} {call.target} HTTP/1.1\r\n"
        + ("Content-Type: application/json\r\n" if call.json else "")
        + f"\r\n{call.json}\r\n"
        for number, call in enumerate(calls)
    ]
    body = "".join([*pieces, f"--{boundary}--\r\n"]).encode()
    return f"multipart/mixed; boundary={boundary}", body


def parts(streamed: Streamed, asked: Sequence[str], *, limit: int, room: Room) -> Iterator[Part]:
    """Yield the parts as they come, holding one at a time, at most `limit` bytes.

    A large one keeps its turn in `room` until the next is asked for, and is let go when yielded.
    Raises `RetryLaterError` where the answer is no batch at all. One that ends early is not told
    from one that leaves parts out.
    """
    found = _BOUNDARY.search(streamed.headers.get("content-type", ""))
    if not found:
        raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="not the answer to a batch")
    # A refusal names an instant to wait for; parts do not say when they were written.
    outer = {"date": streamed.headers.get("date", "")}
    for text in _split(streamed, found[1].encode(), limit, room):
        part = _read(text, asked, outer)
        # What waits here would hold a large message as long as its reader works on it.
        del text
        if part is not None:
            handed = [part]
            del part
            yield handed.pop()
        room.leave()


def _split(slices: Iterable[bytes], boundary: bytes, limit: int, room: Room) -> Iterator[bytearray]:
    """Yield what stands between boundaries. The first may stand at the very beginning."""
    marker = b"\n--" + boundary
    held, searched, inside = bytearray(b"\n"), 0, False
    for piece in slices:
        held += piece
        room.grow(len(held))
        while (at := held.find(marker, searched)) >= 0 and len(held) >= at + len(marker) + 2:
            # Cut in place, because a part may be as long as a message.
            part, held = held, held[at + len(marker) :]
            del part[at:]
            if inside:
                whole = [part]
                del part
                yield whole.pop()
            if held.startswith(_END):
                return
            inside, searched = True, 0
        searched = max(0, len(held) - len(marker) - 2)
        if len(held) > limit:
            raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="an endless part")


def _read(text: bytearray, asked: Sequence[str], outer: Mapping[str, str]) -> Part | None:
    """Return an `application/http` part, or None for what is none."""
    named, at = _head(text, 0)
    status = _STATUS.match(text, at)
    if not status:
        return None
    headers, at = _head(text, at)
    number = _NUMBER.search(named.get("content-id", ""))
    position = int(number[1]) if number else len(asked)
    name = asked[position] if position < len(asked) else ""
    return Part(name, int(status[1]), {**outer, **headers}, memoryview(text)[at:])


def _head(text: bytearray, at: int) -> tuple[dict[str, str], int]:
    """Return header fields from `at` on and where what follows them begins."""
    headers: dict[str, str] = {}
    while (end := text.find(b"\n", at, at + _HEAD_BYTES)) >= 0:
        line = text[at:end].decode("latin-1").strip()
        is_first = not headers and not line
        at = end + 1
        if line:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        elif not is_first:
            break
    return headers, at
