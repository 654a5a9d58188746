"""Decides how messages are found by their addresses: by Gmail's search, in either form of each.

To read who takes part in each message of a window would cost twenty units a message. The search
finds a whole address in its field (the reference of `messages.list` searches so itself), and does
not expand it to others of the same account (developers.google.com/workspace/gmail/api/guides/
filtering). It knows words of letters, digits and `_`: marks between them are ignored, or mean
something to the search, so an address with any but the plainest is also asked for as the phrase of
its words, in quotes (sensefulsolutions.com/2010/07/how-gmail-filter-email-matching-works.html).
Recipients are asked for in each field: whether `to:` finds a copy too is not written anywhere.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from shared.domain.ids import Address, ProviderMessageId
from shared.providers.gmail.api import GmailApi
from shared.providers.gmail.listing import Listing, Window, number_of
from shared.providers.gmail.scope import Scope
from shared.providers.header_fields import SEARCHED_FIELDS
from shared.providers.naming import forms_of

_LONGEST_SEARCH = 1_400
"""Characters: a filter of Gmail's has 1,500 at most, and what becomes of a longer search, cut off
or refused, is not written. One that is cut off would find too few."""
_PLAIN = re.compile(r"[a-z0-9_]+(?:[.-][a-z0-9_]+)*@[a-z0-9-]+(?:\.[a-z0-9-]+)*")
_WORDS = re.compile(r"\w+")


def search(
    api: GmailApi, scope: Scope, addresses: Sequence[Address], since: datetime
) -> tuple[ProviderMessageId, ...]:
    """Return the ids received since an instant that may name one of `addresses`, newest first.

    What several searches found is in the order of arrival, which Gmail's ids tell.
    """
    groups = list(_groups(addresses))
    found: dict[ProviderMessageId, None] = {}
    for group in groups:
        listing = Listing(api, scope, Window(), since, terms=f"{{{group}}}")
        found |= dict.fromkeys(listing.wanted() or ())
    if len(groups) > 1:
        return tuple(sorted(found, key=number_of, reverse=True))
    return tuple(found)


def _groups(addresses: Sequence[Address]) -> Iterator[str]:
    """Yield searches that together ask for every address in every field."""
    terms: list[str] = []
    length = 0
    for term in _terms(addresses):
        if terms and length + len(term) + 1 > _LONGEST_SEARCH:
            yield " ".join(terms)
            terms, length = [], 0
        terms.append(term)
        length += len(term) + 1
    if terms:
        yield " ".join(terms)


def _terms(addresses: Sequence[Address]) -> Iterator[str]:
    for address in dict.fromkeys(addresses):
        written = dict.fromkeys(text for form in forms_of(address) for text in _written(form))
        yield from (f"{field.lower()}:{text}" for text in written for field in SEARCHED_FIELDS)


def _written(form: str) -> Iterator[str]:
    """Yield how a search writes an address, or the domain of one that begins with its `@`."""
    if _PLAIN.fullmatch(form):
        yield form
        return
    if not form.startswith("@") and '"' not in form:
        yield f'"{form}"'
    if words := _WORDS.findall(form):
        yield f'"{" ".join(words)}"'
