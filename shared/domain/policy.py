"""What a tenant chooses of its mail: whom it keeps out, and which addresses it takes for one.

The choice holds for stored mail too, from the moment it is made: what it keeps out is not shown,
and is shown again when it changes back. Nothing here says how a message is judged: `matching` does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict

from shared.domain.addresses import (
    GMAIL_DOMAINS,
    MAX_ADDRESS_LENGTH,
    base_form,
    canonical_address,
    canonical_domain,
    domain_of,
    folded,
    has_spellings,
)
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.ids import Address
from shared.domain.public_domains import is_public_mail, is_shared_suffix
from shared.domain.wildcards import ANY_SUBDOMAIN, WILDCARD, Glob, is_own

MOST_OWN_DOMAINS = 200
MOST_BLOCKED = 1_000
MOST_CHARACTERS = 32_000
"""Of all entries together: the policy is read with every page of mail and by every run."""
MOST_WILDCARDS = 4
"""In one entry."""


class Automated(StrEnum):
    """What becomes of mail that a machine sent."""

    STORE = "store"
    SKIP = "skip"


class Folding(StrEnum):
    """Whether what is written differently is another address."""

    KEEP = "keep"
    """It is another one."""
    FOLD = "fold"
    """It is the same one."""


class _Choice(TypedDict):
    tags: bool
    dots: bool


@dataclass(frozen=True, slots=True)
class TenantPolicy:
    """A tenant's choice. One that nobody made yet has version 0 and keeps nothing out."""

    own_domains: tuple[str, ...] = ()
    """Canonical; `*.example.com` for what lies below it. None: nothing is internal."""
    blocklist: tuple[str, ...] = ()
    """Canonical addresses and domains, with or without `*`; see `matching`."""
    automated: Automated = Automated.STORE
    plus_tags: Folding = Folding.KEEP
    """Whether ann+news@example.com is ann@example.com, at every domain."""
    dots: Folding = Folding.KEEP
    """Whether a.nn@gmail.com is ann@gmail.com, and both the same at googlemail.com."""
    version: int = 0

    @property
    def folds(self) -> bool:
        """Whether any address is taken for another."""
        return Folding.FOLD in {self.plus_tags, self.dots}

    def address(self, address: Address) -> Address:
        """Return the address that a canonical one is taken for."""
        return folded(address, **self._choice)

    def is_same(self, one: Address, other: Address) -> bool:
        """Whether two canonical addresses are taken for one."""
        return one == other or (self.folds and self.address(one) == self.address(other))

    def found_under(
        self, addresses: Iterable[Address]
    ) -> tuple[tuple[Address, ...], tuple[Address, ...]]:
        """Return where the mail of these is found, and of all that are taken for one of them.

        Addresses whose own mail it is, and base forms of which all further spellings' mail is among
        it; some of that may be of others.
        """
        exact: dict[Address, None] = {}
        bases: dict[Address, None] = {}
        for one in map(self.address, addresses):
            spelled = has_spellings(one, **self._choice)
            base = base_form(one)
            if spelled:
                bases[base] = None
            if not spelled or one == base:
                exact[one] = None
        return tuple(exact), tuple(bases)

    @property
    def _choice(self) -> _Choice:
        return {"tags": self.plus_tags is Folding.FOLD, "dots": self.dots is Folding.FOLD}

    def written_as(self, address: Address) -> tuple[Address, ...]:
        """Return what to search for to find all that is taken for an address.

        Tags and dots cannot be listed: `@example.com` is whoever is there.
        """
        domain = domain_of(address)
        if self.dots is Folding.FOLD and domain in GMAIL_DOMAINS:
            return tuple(Address(f"@{one}") for one in sorted(GMAIL_DOMAINS))
        return (Address(f"@{domain}"),) if self.plus_tags is Folding.FOLD else (address,)


KEEPING = TenantPolicy()
"""Keeps nothing out, and addresses apart."""


def checked_policy(
    *,
    own_domains: Sequence[str],
    blocklist: Sequence[str],
    automated: Automated,
    plus_tags: Folding,
    dots: Folding,
) -> TenantPolicy:
    """Return a policy of what somebody wrote, each entry in canonical form and once.

    Raises `RequestError(INVALID_REQUEST)` naming every field that is refused, and why.
    """
    refused: list[tuple[str, str]] = []
    own = _entries("own_domains", own_domains, MOST_OWN_DOMAINS, refused)
    blocked = _entries("blocklist", blocklist, MOST_BLOCKED, refused)
    for name, number, entry in own:
        if reason := _not_an_own_domain(entry):
            refused.append((f"{name}.{number}", reason))
    domains = _each_once(own)
    for name, number, entry in blocked:
        if reason := _not_to_be_blocked(entry, domains):
            refused.append((f"{name}.{number}", reason))
    if sum(len(entry) for _, _, entry in (*own, *blocked)) > MOST_CHARACTERS:
        reason = f"At most {MOST_CHARACTERS:,} characters in all entries together."
        refused.append(("blocklist", reason))
    if refused:
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=refused)
    return TenantPolicy(
        own_domains=domains,
        blocklist=_each_once(blocked),
        automated=automated,
        plus_tags=plus_tags,
        dots=dots,
    )


_Entry = tuple[str, int, str]
"""Of which field, at which place, in canonical form."""


def _entries(
    name: str, written: Sequence[str], most: int, refused: list[tuple[str, str]]
) -> list[_Entry]:
    if len(written) > most:
        refused.append((name, f"At most {most:,} entries."))
        return []
    found = []
    for number, text in enumerate(written):
        entry = _canonical_entry(text)
        if entry is None:
            reason = "An address or a domain, such as eve@spam.example, spam.example or *.example."
            refused.append((f"{name}.{number}", reason))
        else:
            found.append((name, number, entry))
    return found


def _each_once(entries: Iterable[_Entry]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry for _, _, entry in entries))


def _canonical_entry(text: str) -> str | None:
    """Return an entry as it is kept, or None where it is none.

    All addresses of a domain are the domain: `*@spam.example` and `@spam.example` are
    `spam.example`.
    """
    text = text.strip()
    if len(text) > MAX_ADDRESS_LENGTH or text.count(WILDCARD) > MOST_WILDCARDS:
        return None
    local, at, written = text.rpartition("@")
    domain = _canonical_domain_entry(written)
    if domain is None:
        return None
    if not at or not local.strip(WILDCARD):
        # A word alone is no domain, and a star alone is everybody.
        return domain if "." in domain else None
    return canonical_address(f"{local}@{domain}")


def _canonical_domain_entry(written: str) -> str | None:
    domain = canonical_domain(written.removesuffix("."))
    if domain is None or domain.startswith(".") or not any(map(str.isalnum, domain)):
        return WILDCARD if written == WILDCARD else None
    return domain


def _not_an_own_domain(entry: str) -> str | None:
    domain = entry.removeprefix(ANY_SUBDOMAIN)
    if "@" in domain or WILDCARD in domain or "." not in domain:
        return "A domain, such as example.com, or *.example.com for all that lies below it."
    if is_public_mail(domain):
        return "This is a public mail service: its addresses belong to others too."
    if is_shared_suffix(domain):
        return "Others' domains end in this too: name your own, such as example.co.uk."
    return None


def _not_to_be_blocked(entry: str, own: Sequence[str]) -> str | None:
    if is_own(own, entry.rpartition("@")[2]):
        return "This is in your own domains, and your own people are never blocked."
    if WILDCARD in entry and any(map(Glob.of(entry).matches, own)):
        return "All of one of your own domains matches this, and your own people are never blocked."
    return None
