"""Looks for canaries: values that must not come out, in whatever spelling somebody wrote them down."""

import base64
import html
import json
import quopri
import re
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

LEAST = 8
"""A shorter value, or part of one, would be found by chance."""


@dataclass(frozen=True)
class Leak:
    """Which canary was found, in which spelling, where, and what is around it."""

    canary: str
    spelling: str
    place: str
    around: str


def search(canaries, places):
    """Return the leaks of `canaries`, text by name, in `places`, text by name.

    A canary counts as found by half of it as well: what is cut short is still a leak.
    """
    leaks = []
    for place, text in places.items():
        squeezed = squeeze(text)
        for name, value in canaries.items():
            for spelling, needle in spellings(value):
                if (at := squeezed.find(needle)) >= 0:
                    around = squeezed[max(0, at - 80) : at + len(needle) + 40]
                    leaks.append(Leak(name, spelling, place, around))
                    break
    return leaks


def squeeze(text):
    """Drop line breaks, escaped ones too, and blanks: encoders break lines where they like.

    Backslashes that are themselves escaped become one, however often that was done.
    """
    return re.sub(r"=?(\\r)?\\n|=\r?\n|\s+", "", re.sub(r"\\+", r"\\", text))


def spellings(value):
    """Yield every spelling of the value and of its halves, by name, as `squeeze` leaves it."""
    middle = len(value) // 2
    found = set()
    for part in (value, value[:middle], value[middle:]):
        for name, text in _spelled(part):
            needle = squeeze(text)
            if len(needle) >= LEAST and needle not in found:
                found.add(needle)
                yield name, needle


def _spelled(value):
    raw = value.encode()
    yield "plain", value
    yield "JSON", json.dumps(value)[1:-1]
    yield "JSON as it is", json.dumps(value, ensure_ascii=False)[1:-1]
    yield "Python", repr(value)[1:-1]
    yield "Python bytes", repr(raw)[2:-1]
    yield "URL", quote(value, safe="")
    yield "path", quote(value)
    yield "form", quote_plus(value)
    yield "HTML", html.escape(value)
    yield "hex", raw.hex()
    yield "quoted-printable", quopri.encodestring(raw).decode()
    yield "encoded word", quopri.encodestring(raw, header=True).decode()
    if len(raw) >= LEAST:
        for shift in range(3):
            yield "base64", _core(base64.b64encode, raw, shift)
            yield "base64url", _core(base64.urlsafe_b64encode, raw, shift)


def _core(encode, raw, shift):
    """What base64 makes of `raw` wherever it stands in something longer, `shift` bytes off."""
    text = encode(b"\0" * shift + raw).decode().rstrip("=")
    first = (0, 2, 3)[shift]
    last = len(text) - (1 if (shift + len(raw)) % 3 else 0)
    return text[first:last]
