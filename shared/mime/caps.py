"""How much of one message is looked at, and how the rest is cut off before any parser sees it.

Parsers are quadratic in places (encoded words, parameters, nesting), so that a message of one
megabyte can cost minutes and gigabytes. Everything here is linear in the bytes and runs before
them.
"""

import re
from dataclasses import dataclass
from itertools import islice

from shared.domain.errors import ErrorCode, UnreadableMessageError

MAX_MESSAGE_BYTES = 50 * 1024 * 1024
MAX_HEADER_BLOCK_BYTES = 256 * 1024
MAX_HEADER_BYTES = 16 * 1024
MAX_HEADERS = 1_000
MAX_DEPTH = 50
MAX_PARTS = 1_000
MAX_PARTICIPANTS = 500
MAX_REFERENCES = 100
MAX_ID_CHARACTERS = 998
"""The longest line RFC 5322 allows (2.1.1); an id cannot be longer and legal."""
MAX_SUBJECT_CHARACTERS = 2_000
MAX_NAME_CHARACTERS = 500
MAX_KEPT_HEADER_CHARACTERS = 1_000
MAX_FILENAME_CHARACTERS = 255
MAX_BODY_BYTES = 1024 * 1024
"""Of text and of HTML each, as UTF-8."""

_MAX_DELIMITER_LINES = 100_000
_MAX_ENCODED_WORDS = 2_000
_FIELD = re.compile(rb"^[!-9;-~]+[ \t]*:", re.MULTILINE)
_PART_FIELD = re.compile(
    rb"^content-[a-z-]{1,40}[ \t]*:[^\n]*+(?:\n[ \t][^\n]*+)*+", re.MULTILINE | re.IGNORECASE
)
_DELIMITER_LINE = re.compile(rb"\n--")
_BOUNDARY_OR_DELIMITER = re.compile(
    rb"\n(--[^\r\n]{0,200})|boundary\*?0?\*?[ \t]*=[ \t]*+\"?+([^\"\r\n;]{1,200})", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Cut:
    """A message within the caps; `header` is its header block without the empty line after it."""

    raw: bytes
    header: bytes
    body_at: int
    defects: tuple[str, ...] = ()


def within_caps(raw: bytes) -> Cut:
    """Return `raw` cut to the caps; raises `UnreadableMessageError` where it is too large."""
    if len(raw) > MAX_MESSAGE_BYTES:
        raise UnreadableMessageError(ErrorCode.MESSAGE_TOO_LARGE, cause=f"{len(raw)} bytes")
    end, body_at = header_end(raw)
    defects: list[str] = []
    header = raw[:end]
    if end > MAX_HEADER_BYTES or header.count(b"\n") >= MAX_HEADERS:
        header = cut_header(header, defects)
        if defects:
            raw = b"%b\r\n\r\n%b" % (header, raw[body_at:])
            body_at = len(header) + 4
    raw = _cut_parts(raw, defects)
    return Cut(raw, header, body_at, tuple(defects))


def header_end(raw: bytes) -> tuple[int, int]:
    """Return where the header block ends and the body starts; the length where neither does."""
    if raw[:1] == b"\n" or raw[:2] == b"\r\n":
        return 0, 1 + (raw[:1] == b"\r")
    crlf = raw.find(b"\n\r\n")
    lf = raw.find(b"\n\n", 0, crlf + 1 if crlf >= 0 else len(raw))
    if lf >= 0:
        return lf, lf + 2
    if crlf >= 0:
        return crlf - (raw[crlf - 1 : crlf] == b"\r"), crlf + 3
    return len(raw), len(raw)


def cut_header(header: bytes, defects: list[str]) -> bytes:
    """Return `header` with long fields shortened and surplus ones left out; adds to `defects`."""
    fields: list[bytes] = []
    total = 0
    starts = _FIELD.finditer(header)
    match = next(starts, None)
    while match is not None:
        follower = next(starts, None)
        field = header[match.start() : follower.start() if follower else len(header)]
        match = follower
        if len(field) > MAX_HEADER_BYTES:
            field = _cut_field(field)
            _note(defects, "header_too_long")
        total += len(field)
        if len(fields) == MAX_HEADERS or total > MAX_HEADER_BLOCK_BYTES:
            _note(defects, "too_many_headers")
            break
        fields.append(field)
    return b"".join(field.rstrip(b"\r\n") + b"\r\n" for field in fields)[:-2] if defects else header


def _cut_field(field: bytes) -> bytes:
    half = MAX_HEADER_BYTES // 2
    if field[:11].lower() == b"references:":
        # The root names the thread and the last ids its latest turns: both ends matter.
        head_end = field.rfind(b">", 0, half) + 1 or half
        tail_at = field.find(b"<", len(field) - half)
        return field[:head_end] + b" " + (field[tail_at:] if tail_at > 0 else b"") + b"\r\n"
    return field[: MAX_HEADER_BYTES - 2].rstrip(b"\r\n") + b"\r\n"


def _cut_parts(raw: bytes, defects: list[str]) -> bytes:
    """Return `raw` up to where it nests too deep or holds too many parts."""
    # Nearly every message has few, and a pattern finds them in half the time that `count` takes.
    if next(islice(_DELIMITER_LINE.finditer(raw), MAX_DEPTH, None), None) is not None:
        if raw.count(b"\n--") > _MAX_DELIMITER_LINES:
            _note(defects, "too_many_parts")
            return raw[: _nth(raw, b"\n--", MAX_PARTS)]
        raw = _walk_parts(raw, defects)
    if len(raw) > MAX_HEADER_BLOCK_BYTES and raw.count(b"=?") > _MAX_ENCODED_WORDS:
        # An encoded file name is decoded in quadratic time, and every part may bring one.
        for field in _PART_FIELD.finditer(raw):
            if field.end() - field.start() > MAX_HEADER_BYTES:
                _note(defects, "part_header_too_long")
                return raw[: field.start()]
    return raw


def _walk_parts(raw: bytes, defects: list[str]) -> bytes:
    open_boundaries: list[bytes] = []
    parts = 0
    for token in _BOUNDARY_OR_DELIMITER.finditer(raw):
        declared = token[2]
        if declared is not None:
            open_boundaries.append(b"--" + declared.strip())
            if len(open_boundaries) > MAX_DEPTH:
                _note(defects, "too_deep")
                return raw[: token.start()]
            continue
        line = token[1]
        for level in range(len(open_boundaries) - 1, -1, -1):
            # By prefix, as parsers do.
            if line.startswith(open_boundaries[level]):
                closes = line[len(open_boundaries[level]) :].startswith(b"--")
                del open_boundaries[level + (not closes) :]
                parts += not closes
                break
        if parts > MAX_PARTS:
            _note(defects, "too_many_parts")
            return raw[: token.start()]
    return raw


def _nth(raw: bytes, needle: bytes, count: int) -> int:
    at = 0
    for _ in range(count):
        at = raw.find(needle, at) + 1
    return at


def _note(defects: list[str], code: str) -> None:
    if code not in defects:
        defects.append(code)
