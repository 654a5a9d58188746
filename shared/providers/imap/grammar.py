"""Decides how IMAP's text is written and read: quoting out, tokens in (RFC 3501, section 9).

Reading is by one regular expression and a stack instead of recursion, so that a hundred thousand
parentheses cost nothing, and bytes stay bytes, because servers send what they like.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.domain.errors import ErrorCode, RequestError

Response = Sequence[bytes]
"""One untagged response: lines and literals by turns, beginning and ending with a line."""
Value = bytes | None | list["Value"]
"""An atom, string or literal; NIL; a parenthesised list."""

_DEEPEST = 50
"""Lists nested deeper than this are dropped: MIME that deep is an attack or a broken server."""
_MOST_TOKENS = 250_000
"""In one line; a message of two thousand parts has a quarter of them."""
_LONGEST_TEXT = 1_000
"""Characters of a status text that are read."""
_TOKEN = re.compile(
    rb"[()]"
    rb'|"[^"\\]*(?:\\.[^"\\]*)*"'
    # A bracket within brackets ends the look for their end: a million of them would take hours.
    rb'|(?:[^ \t()"\[]+|\[[^\[\]]*\]|\[)+'
    # What is left is a quote that nothing closes.
    rb'|"',
    re.DOTALL,
)
_SEPARATORS = (b" ", b"\t", b"(", b")", b'"')
_SPECIAL = b'"{nN'
"""What a token begins with that is not simply an atom: a string, a literal, NIL."""
_QUOTE, _BRACE = _SPECIAL[0], _SPECIAL[1]
_LITERAL = re.compile(rb"\{[0-9]+\+?\}\Z")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_NUMBER = re.compile(rb"(?<!\S)[0-9]{1,10}(?!\S)")
_CONTROLS = re.compile(rb"[\r\n\0]")
_INTERNALDATE = re.compile(
    rb"\s*(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d{2}):(\d{2}):(\d{2})"
    rb" ([+-])([01]\d|2[0-3])([0-5]\d)\s*\Z"
)
_MONTH_NAMES = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_MONTHS = {name: position for position, name in enumerate(_MONTH_NAMES, start=1)}
_LONGEST_SET = 7_000
"""Characters in a sequence set: servers refuse command lines over 8,192 (RFC 7162, section 4)."""


class GrammarError(ValueError):
    """The server's text is not what the grammar allows."""


@dataclass(frozen=True, slots=True)
class StatusText:
    """What a status response says: `OK`, `NO`, `BAD`, `BYE` or `PREAUTH`, its code and its text."""

    kind: str
    code: str = ""
    text: str = ""
    arguments: bytes = b""
    """What follows the code within its brackets."""


_STATUS = re.compile(
    rb"\S+ (OK|NO|BAD|BYE|PREAUTH)(?: (?:\[([A-Za-z0-9-]+)([^\]]*)\] ?)?(.*))?\Z",
    re.DOTALL | re.IGNORECASE,
)


def status_text(line: bytes) -> StatusText | None:
    """Read a tagged or untagged status line, or return None for any other line."""
    match = _STATUS.match(line.rstrip(b"\r\n"))
    if match is None:
        return None
    kind, code, arguments, text = match.groups(b"")
    said = text[: 4 * _LONGEST_TEXT].decode("utf-8", "replace")[:_LONGEST_TEXT]
    words = (kind.decode().upper(), code.decode().upper())
    return StatusText(*words, text=said, arguments=arguments[:_LONGEST_SET].strip())


def refuse_controls(argument: bytes) -> None:
    """Raise `RequestError` for CR, LF or NUL, which would end a command and begin another (T29).

    Everything written to a server passes here; nothing else in this folder needs to care.
    """
    if _CONTROLS.search(argument):
        raise RequestError(ErrorCode.INVALID_REQUEST, cause="a control character in an argument")


def quoted(text: bytes) -> bytes:
    """Return `text` as a quoted string."""
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def parse(response: Response) -> list[Value]:
    """Return the values of a response, its literals in their places; raises `GrammarError`."""
    values: list[Value] = []
    stack = [values]
    too_deep = 0
    top = values
    for position in range(0, len(response), 2):
        literal = response[position + 1] if position + 1 < len(response) else None
        for token in _tokens(response[position]):
            if token == b"(":
                if len(stack) > _DEEPEST:
                    too_deep += 1
                    continue
                top = []
                stack[-1].append(top)
                stack.append(top)
            elif token == b")":
                if too_deep:
                    too_deep -= 1
                    continue
                if len(stack) == 1:
                    raise GrammarError("a closing parenthesis too many")
                stack.pop()
                top = stack[-1]
            elif not too_deep:
                top.append(_value(token, literal) if token[0] in _SPECIAL else token)
    if len(stack) > 1:
        raise GrammarError("an unclosed parenthesis")
    return values


def _tokens(line: bytes) -> list[bytes]:
    """Return the parentheses, atoms and quoted strings of a line, the latter with their quotes."""
    if len(line) > _MOST_TOKENS and sum(map(line.count, _SEPARATORS)) > _MOST_TOKENS:
        raise GrammarError("more tokens than any answer has")
    # One call for a line is three times as fast as one for each token.
    return _TOKEN.findall(line)


def _value(token: bytes, literal: bytes | None) -> Value:
    first = token[0]
    if first == _QUOTE:
        if len(token) == 1:
            raise GrammarError("an unclosed quote")
        text = token[1:-1]
        return _ESCAPED.sub(rb"\1", text) if b"\\" in text else text
    if first == _BRACE and _LITERAL.match(token):
        if literal is None:
            raise GrammarError("a literal without its bytes")
        return literal
    return None if len(token) == 3 and token.upper() == b"NIL" else token  # noqa: PLR2004  # "NIL"


def number(value: Value) -> int | None:
    """Return an unsigned number of at most 63 bits, or None for anything else."""
    if not isinstance(value, bytes) or not value.isdigit() or len(value) > 19:  # noqa: PLR2004
        return None
    parsed = int(value)
    return parsed if parsed < 1 << 63 else None


def pairs(values: Sequence[Value]) -> dict[bytes, Value]:
    """Return a list of alternating names and values as a dict, the names in upper case."""
    return {
        name.upper(): value
        for name, value in zip(values[::2], values[1::2], strict=False)
        if isinstance(name, bytes)
    }


def internal_date(value: Value) -> datetime | None:
    """Return an INTERNALDATE in UTC, or None where it is none (RFC 3501, section 2.3.3)."""
    match = _INTERNALDATE.match(value) if isinstance(value, bytes) else None
    if match is None:
        return None
    day, month, year, hour, minute, second, sign, east_hours, east_minutes = match.groups()
    try:
        offset = timedelta(hours=int(east_hours), minutes=int(east_minutes))
        local = datetime(
            int(year),
            _MONTHS[month.title()],
            int(day),
            int(hour),
            int(minute),
            min(int(second), 59),
            tzinfo=UTC,
        )
        return local + offset if sign == b"-" else local - offset
    except (KeyError, ValueError, OverflowError):
        return None


def search_date(moment: datetime) -> bytes:
    """Return the day of `moment` in UTC as SEARCH wants it, in English whatever the locale."""
    day = moment.astimezone(UTC)
    return b"%d-%b-%04d" % (day.day, _MONTH_NAMES[day.month - 1], day.year)


def date_time(moment: datetime) -> bytes:
    """Return `moment` in UTC as APPEND wants it (RFC 3501, `date-time`)."""
    at = moment.astimezone(UTC)
    return b'"%02d-%b-%04d %02d:%02d:%02d +0000"' % (
        at.day,
        _MONTH_NAMES[at.month - 1],
        at.year,
        at.hour,
        at.minute,
        at.second,
    )


def sequence_sets(uids: Iterable[int]) -> Iterator[bytes]:
    """Yield sequence sets that together name `uids`, each short enough for a command line."""
    pieces: list[bytes] = []
    length = 0
    for first, last in _runs(uids):
        piece = b"%d" % first if first == last else b"%d:%d" % (first, last)
        if length + len(piece) + 1 > _LONGEST_SET:
            yield b",".join(pieces)
            pieces, length = [], 0
        pieces.append(piece)
        length += len(piece) + 1
    if pieces:
        yield b",".join(pieces)


def _runs(uids: Iterable[int]) -> Iterator[tuple[int, int]]:
    first = last = -1
    for uid in sorted(set(uids)):
        if uid == last + 1 and first >= 0:
            last = uid
            continue
        if first >= 0:
            yield first, last
        first = last = uid
    if first >= 0:
        yield first, last


def numbers(line: bytes) -> Iterator[int]:
    """Yield the words of a line that are numbers of UID's length."""
    return (int(match[0]) for match in _NUMBER.finditer(line))


Span = tuple[int, int]
"""The first and the last number of a run."""


def read_set(text: Value, low: int, high: int) -> list[Span]:
    """Return what a sequence set names from `low` to `high`, as spans; raises `GrammarError`.

    The spans overlap as the server's do: a short text may name billions of numbers many times.
    """
    if not isinstance(text, bytes):
        raise GrammarError("not a sequence set")
    spans: list[Span] = []
    for piece in text.split(b","):
        first_text, colon, last_text = piece.partition(b":")
        first = number(first_text)
        last = number(last_text) if colon else first
        if first is None or last is None:
            raise GrammarError("not a sequence set")
        span = (max(min(first, last), low), min(max(first, last), high))
        if span[0] <= span[1]:
            spans.append(span)
    return spans


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the same numbers as spans in ascending order that do not touch."""
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def count(spans: Iterable[Span]) -> int:
    """Return how many numbers merged spans name."""
    return sum(last - first + 1 for first, last in spans)
