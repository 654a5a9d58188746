"""Decides whether a text of addresses may name one that is searched for: rather once too often.

A header is read by rules for mail of every quality, and those belong to the parser. Here it is
enough that nothing the parser could read as an address is missed: folded or spaced out, quoted,
with a comment in it, in an encoded word, in either form of its domain.
"""

import binascii
import quopri
import re
from collections.abc import Collection, Iterator

from shared.domain.addresses import WrittenAddresses
from shared.domain.ids import Address

_ENCODED_WORD = re.compile(rb"=\?[^?\s]{1,75}\?([bBqQ])\?([^?\s]*)\?=")
_COMMENT = re.compile(r"\([^()]*\)")
_LOOSE = re.compile(r"[\s\"\\]+")


class Searched:
    """The addresses that are searched for; one that begins with `@` stands for its domain."""

    def __init__(self, addresses: Collection[Address]) -> None:
        self._exact = frozenset(addresses)
        self._written = frozenset(form for one in addresses for form in forms_of(one))

    def may_be_in(self, text: bytes) -> bool:
        """Whether `text`, a header's lines or a list of addresses, may name one of them."""
        return any(map(self._is_in, _readings(text)))

    def _is_in(self, reading: bytes) -> bool:
        if b"@" not in reading:
            return False
        lower = reading.decode("utf-8", "replace").lower()
        for plain in (lower, _COMMENT.sub("", lower)):
            tight = _LOOSE.sub("", plain)
            if any(form in tight for form in self._written):
                return True
        if reading.isascii():
            return False
        # Another spelling of a domain that is not ASCII is told by its canonical form alone.
        found = WrittenAddresses()
        named = found.feed(reading) | found.end()
        domains = {f"@{one.rpartition('@')[2]}" for one in named}
        return not self._exact.isdisjoint(named | domains)


def forms_of(address: Address) -> Iterator[str]:
    """Yield the forms in which a header may write an address: ASCII's, and the domain's own."""
    yield address
    local, _, domain = address.rpartition("@")
    if "xn--" in domain:
        try:
            yield f"{local}@{domain.encode().decode('idna')}".lower()
        except UnicodeError:
            return


def _readings(text: bytes) -> Iterator[bytes]:
    """Yield `text` as it is, and with its encoded words decoded where there are any."""
    yield text
    if b"=?" in text:
        yield _ENCODED_WORD.sub(_decoded, text)


def _decoded(word: re.Match[bytes]) -> bytes:
    """Return a word's bytes: of the charsets in use, all write an address as ASCII does."""
    if word[1] in b"qQ":
        return quopri.decodestring(word[2], header=True)
    try:
        return binascii.a2b_base64(word[2] + b"==")
    except binascii.Error:
        return word[2]
