"""Decides how messages are counted: by listing their ids, as Gmail's own estimate is a guess.

Five units for each 500. What was received between two instants is listed once.
"""

from collections.abc import Sequence
from datetime import datetime

from shared.domain.ids import ProviderMessageId
from shared.ports.provider import Tally
from shared.providers.gmail.api import GmailApi
from shared.providers.gmail.listing import Listing, Window
from shared.providers.gmail.scope import Scope

MOST_COUNTED = 10_000
"""In twenty requests, for a hundred of the 6,000 units of a minute."""


def tallies(api: GmailApi, scope: Scope, instants: Sequence[datetime]) -> list[Tally]:
    """Return how many messages in active folders were received since each of `instants`."""
    found = set[ProviderMessageId]()
    counted: dict[datetime, Tally] = {}
    end = 0
    for since in sorted(set(instants), reverse=True):
        ids = None
        if len(found) < MOST_COUNTED:
            listing = Listing(api, scope, Window(end=end), since)
            ids = listing.wanted(most=MOST_COUNTED - len(found))
        if ids is None:
            counted[since] = Tally(MOST_COUNTED, more=True)
            continue
        # The borders of two windows overlap a little.
        found.update(ids)
        counted[since] = Tally(len(found))
        end = int(since.timestamp())
    return [counted[since] for since in instants]
