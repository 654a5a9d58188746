r"""How a header field is written: folded, in ASCII, and read again as what it says.

The standard library writes the words (RFC 2047), but does not fold: it encodes a Message-ID that is
longer than a line (github.com/python/cpython/issues/100991), the comma between two addresses
(100884) and loses the quotes around a name with one (121284, 87720). Here a field is a row of
tokens, none of which is ever broken.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from email.charset import Charset
from itertools import repeat
from urllib.parse import quote

from shared.domain.composing import NamedAddress, writable_id

_LINE = 76
_WORD = 60
"""Behind the longest name of a field it still fits into a line."""
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_PLAIN_PARAMETER = re.compile(r"[A-Za-z0-9 ()+,/=_.-]*")
"""Some that read mail take a semicolon for the end, also in quotes."""
_UTF_8 = Charset("utf-8")


def folded(name: str, tokens: Iterable[str]) -> str:
    r"""Return a field's value: `tokens` with a space, or a line's end and a space, between them."""
    lines = [""]
    room = _LINE - len(name) - 2
    for token in tokens:
        if lines[-1] and len(lines[-1]) + 1 + len(token) > room:
            lines.append(token)
            room = _LINE - 1
        else:
            lines[-1] += f" {token}" if lines[-1] else token
    return "\r\n ".join(lines)


def words(text: str) -> list[str]:
    """Return a text as tokens: its own words, or encoded ones."""
    own = text.split()
    if text.isascii() and "=?" not in text and all(len(word) <= _WORD for word in own):
        return own
    return _encoded(" ".join(own))


def addresses(people: Sequence[NamedAddress]) -> Iterator[str]:
    """Yield the tokens of a list of addresses."""
    for number, one in enumerate(people, 1):
        end = "," if number < len(people) else ""
        name = _phrase(one.name)
        yield from name
        yield (f"<{one.address}>" if name else one.address) + end


def _phrase(name: str) -> list[str]:
    name = " ".join(name.split())
    if len(name) > _WORD or not name.isascii() or "=?" in name:
        return _encoded(name)
    if not name or _ATOMS.fullmatch(name):
        return name.split()
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return [f'"{escaped}"']


def _encoded(text: str) -> list[str]:
    return [word for word in _UTF_8.header_encode_lines(text, repeat(_WORD)) if word]


def ids(names: Iterable[str]) -> list[str]:
    """Return Message-IDs in angle brackets, without those that cannot be written."""
    return [f"<{bare}>" for name in names if (bare := writable_id(name))]


def parameters(value: str, given: Iterable[tuple[str, str]]) -> list[str]:
    """Return the tokens of a value with parameters (RFC 2045, 5.1; RFC 2231, 3 and 4)."""
    tokens = [value]
    for name, text in given:
        tokens[-1] += ";"
        if len(text) <= _WORD and _PLAIN_PARAMETER.fullmatch(text):
            tokens.append(f'{name}="{text}"')
        else:
            tokens += _extended(name, text)
    return tokens


def _extended(name: str, text: str) -> list[str]:
    pieces = [""]
    for letter in text:
        coded = quote(letter, safe="")
        if len(pieces[-1]) + len(coded) > _WORD:
            pieces.append("")
        pieces[-1] += coded
    if len(pieces) == 1:
        return [f"{name}*=utf-8''{pieces[0]}"]
    first, *rest = pieces
    coded_pieces = [f"{name}*0*=utf-8''{first}"]
    coded_pieces += [f"{name}*{number}*={piece}" for number, piece in enumerate(rest, 1)]
    return [f"{piece};" for piece in coded_pieces[:-1]] + coded_pieces[-1:]
