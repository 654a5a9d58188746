"""The one canonical form of an e-mail address, by which participants and contacts meet.

What a tenant may choose comes on top of it (`folded`): that a plus tag or the dots of a Gmail
address make no other one.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from shared.domain.ids import Address

MAX_ADDRESS_LENGTH = 320
"""64 for the local part, `@`, 255 for the domain (RFC 5321, 4.5.3.1)."""

_MAX_DOMAIN_LENGTH = 255
_MAX_LABEL_LENGTH = 63
_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")
"""What stands for a dot in a domain (RFC 3490, 3.1)."""
_JOINERS = "\u200c\u200d"
_GMAIL = "gmail.com"
GMAIL_DOMAINS = frozenset({_GMAIL, "googlemail.com"})
"""One mailbox has both, and dots in it mean nothing (https://support.google.com/mail/answer/7436150).

Not so the domains of Google Workspace: there they do.
"""
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f<>,;:\\\"\s]")
_WRITTEN_LOCAL = re.compile(r"[^\x00-\x20\x7f<>,;:\\\"\s@]*")
_WRITTEN_DOMAINS = (
    re.compile(r"(?:[a-zA-Z0-9\x80-\U0010ffff-]|\.(?=[a-zA-Z0-9\x80-\U0010ffff]))*"),
    re.compile(r"[a-zA-Z0-9._\x80-\U0010ffff-]*"),
)
"""The shortest and the longest: in eve@example.org_ italics end, and some hosts are called a_b."""
_BEFORE_LOCAL = re.compile(r"(?<![a-zA-Z0-9._+\x80-\U0010ffff-])")
"""Where an address may begin in what stands before its `@`: eve@ is not in steve@, but in 'eve@."""


def canonical_address(text: str) -> Address | None:
    """Return the canonical form of `text`, or None where it is no address.

    Lower case throughout: no provider in use tells local parts apart by case (RFC 5321, 2.4 asks
    for care, practice decided). The domain is as `canonical_domain` has it. Plus tags and dots
    stay: folding them is a tenant's choice.
    """
    text = text.strip().rstrip(".")
    local, at, written = text.rpartition("@")
    if not at or not local or len(text) > MAX_ADDRESS_LENGTH or _FORBIDDEN.search(local):
        return None
    domain = canonical_domain(written)
    return None if domain is None else Address(f"{local.lower()}@{domain}")


def canonical_domain(text: str) -> str | None:
    """Return a domain in lower case and ASCII, or None where `text` is none.

    `Bücher.example` and `xn--bcher-kva.example` are one, as browsers and registries have it
    (UTS 46, nontransitional): `straße.example` is another domain than `strasse.example`. Whether
    such a name may be registered is not asked: mail has come from it.
    """
    domain = text.lower()
    if not domain.isascii():
        labels = _mapped(domain).split(".")
        domain = ".".join(
            label if label.isascii() else "xn--" + label.encode("punycode").decode("ascii")
            for label in labels
        )
        if any(len(label) > _MAX_LABEL_LENGTH for label in domain.split(".")):
            return None
    if not domain or len(domain) > _MAX_DOMAIN_LENGTH:
        return None
    return None if ".." in domain or "@" in domain or _FORBIDDEN.search(domain) else domain


def _mapped(domain: str) -> str:
    """Return a domain in one spelling: full-width letters are letters, what cannot be seen goes."""
    composed = unicodedata.normalize("NFKC", domain.translate(_DOTS)).lower().translate(_DOTS)
    seen = (one for one in composed if unicodedata.category(one) != "Cf" or one in _JOINERS)
    return unicodedata.normalize("NFKC", "".join(seen))


def domain_of(address: Address) -> str:
    """Return the part after the last `@`."""
    return address.rpartition("@")[2]


def folded(address: Address, *, tags: bool, dots: bool) -> Address:
    """Return the address it is taken for, of a canonical one.

    `tags`: without what follows a `+`. `dots`: without the dots of a Gmail address, and Gmail's
    other domain is Gmail.
    """
    local, _, domain = address.rpartition("@")
    if tags:
        local = local.partition("+")[0] or local
    if dots and domain in GMAIL_DOMAINS:
        name, plus, tag = local.partition("+")
        local, domain = (name.replace(".", "") or name) + plus + tag, _GMAIL
    return Address(f"{local}@{domain}")


def has_spellings(address: Address, *, tags: bool, dots: bool) -> bool:
    """Whether other addresses are taken for it too."""
    return tags or (dots and domain_of(address) in GMAIL_DOMAINS)


def base_form(address: Address) -> Address:
    """Return what all addresses have in common that any tenant may take for one."""
    return folded(address, tags=True, dots=True)


@dataclass(slots=True)
class WrittenAddresses:
    """Finds what may be an address in bytes that nobody can read as a message.

    They come in pieces, and an address may lie across two: the last of each waits for the next.
    """

    _text: bytes = b""
    _begin: int = 0
    """What lies before it was looked at, and is kept to be looked back at."""

    def feed(self, piece: bytes) -> set[Address]:
        """Return the addresses in what has come so far, but for its last bytes."""
        self._text += piece
        return self._look(max(len(self._text) - MAX_ADDRESS_LENGTH, self._begin))

    def end(self) -> set[Address]:
        """Return the addresses in the last bytes: nothing comes after them."""
        return self._look(len(self._text))

    def _look(self, end: int) -> set[Address]:
        found: set[Address] = set()
        at = self._text.find(b"@", self._begin, end)
        while at >= 0:
            found.update(_around(self._text, at))
            at = self._text.find(b"@", at + 1, end)
        kept_from = max(end - MAX_ADDRESS_LENGTH, 0)
        self._text, self._begin = self._text[kept_from:], end - kept_from
        return found


def _around(text: bytes, at: int) -> Iterator[Address]:
    """Yield what may be the address whose `@` is there: its ends are not always plain."""
    before = text[max(at - MAX_ADDRESS_LENGTH, 0) : at].decode("utf-8", "replace")
    after = text[at + 1 : at + 1 + MAX_ADDRESS_LENGTH].decode("utf-8", "replace")
    local = _matched(_WRITTEN_LOCAL, before[::-1])[::-1]
    domains = {_matched(pattern, after) for pattern in _WRITTEN_DOMAINS}
    for begin, domain in product(_BEFORE_LOCAL.finditer(local), domains):
        address = canonical_address(f"{local[begin.start() :]}@{domain}")
        if address is not None:
            yield address


def _matched(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.match(text)
    return found.group() if found else ""
