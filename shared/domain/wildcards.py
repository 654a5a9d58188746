"""What an entry of a policy stands for: an address or a domain, in which `*` is any characters.

Matching takes time in proportion to the text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

WILDCARD = "*"
ANY_SUBDOMAIN = "*."
"""Before an own domain: all that lies below it, and not itself."""


def domains_above(domain: str) -> Iterator[str]:
    """Yield the domains that one lies below, the nearest first."""
    at = domain.find(".")
    while at >= 0:
        yield domain[at + 1 :]
        at = domain.find(".", at + 1)


def is_own(own_domains: Sequence[str], domain: str) -> bool:
    """Whether a domain is one of the tenant's; one with `*`: whether all it stands for are."""
    exact, wide = _own(tuple(own_domains))
    return domain in exact or any(above in wide for above in domains_above(domain))


@lru_cache(maxsize=64)
def _own(entries: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    wide = (one.removeprefix(ANY_SUBDOMAIN) for one in entries if one.startswith(ANY_SUBDOMAIN))
    return frozenset(entries), frozenset(wide)


@dataclass(frozen=True, slots=True)
class Glob:
    """An entry with `*` in it.

    What lies between two stars gets its first place and no other. A star in a text is a character
    like any: an entry that matches another as a text stands for all that the other stands for.
    """

    parts: tuple[str, ...]
    """What stands before, between and after the stars: two or more, and any may be empty."""
    is_address: bool

    @classmethod
    def of(cls, entry: str) -> "Glob":
        """Read an entry."""
        return cls(tuple(entry.split(WILDCARD)), "@" in entry)

    def matches(self, text: str) -> bool:
        """Whether the whole of `text` is as the entry says."""
        first, *between, last = self.parts
        at, end = len(first), len(text) - len(last)
        if at > end or not text.startswith(first) or not text.endswith(last):
            return False
        # The first place will do for each: what follows has the more room for it.
        for part in between:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True
