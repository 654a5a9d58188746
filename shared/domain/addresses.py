"""The one canonical form of an e-mail address, by which participants and contacts meet."""

import re

from shared.domain.ids import Address

MAX_ADDRESS_LENGTH = 320
"""64 for the local part, `@`, 255 for the domain (RFC 5321, 4.5.3.1)."""

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f<>,;:\\\"\s]")


def canonical_address(text: str) -> Address | None:
    """Return the canonical form of `text`, or None where it is no address.

    Lower case throughout: no provider in use tells local parts apart by case (RFC 5321, 2.4 asks
    for care, practice decided). The domain becomes its ASCII form (RFC 5891), so that
    `bücher.example` and `xn--bcher-kva.example` are one. Plus tags and dots stay: folding them is a
    tenant's choice.
    """
    text = text.strip().rstrip(".")
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain or len(text) > MAX_ADDRESS_LENGTH:
        return None
    if _FORBIDDEN.search(local) or _FORBIDDEN.search(domain) or ".." in domain:
        return None
    domain = domain.lower()
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    return Address(f"{local.lower()}@{domain}")


def domain_of(address: Address) -> str:
    """Return the part after the last `@`."""
    return address.rpartition("@")[2]
