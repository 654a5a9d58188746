"""How fast messages may be fetched where a provider counts units of quota a minute.

Whoever has fetched waits in a queue before fetching more: that costs nothing, while a worker that
paced itself would be paid for idling.
"""

from datetime import timedelta
from math import ceil, inf

from shared.domain.capabilities import CAPABILITIES
from shared.domain.mailbox import Provider, StoredMail

BACKFILL_SHARE = 0.8
"""Of what a minute allows; the rest is live sync's, which comes first."""
SYNC_SHARE = 0.9
"""Of what a minute allows; the rest is for listing, and for who opens the mailbox elsewhere."""
LONGEST_REST = timedelta(minutes=15)
"""What a queue can hold a request back."""


def times_asked(provider: Provider, store: StoredMail) -> int:
    """Return how often a message may cost a quota of units, if there is one.

    A header costs as many as all of it: what is fetched for its header costs them twice.
    """
    counts_units = CAPABILITIES[provider].units_a_message > 0
    return 2 if counts_units and store is StoredMail.CONTACTS_ONLY else 1


def most_at_once(
    provider: Provider, units_per_minute: int, share: float, store: StoredMail = StoredMail.ALL
) -> float:
    """Return how many messages may be fetched without a rest; infinite without such a quota."""
    units = CAPABILITIES[provider].units_a_message * times_asked(provider, store)
    return max(1, int(units_per_minute * share / units)) if units else inf


def rest_after(
    provider: Provider, asked: int, took: timedelta, *, units_per_minute: int, share: float
) -> timedelta:
    """Return how long to wait, in whole seconds, after asking `asked` times within `took`.

    For a message, or for its header.
    """
    units = CAPABILITIES[provider].units_a_message
    minutes = asked * units / (units_per_minute * share)
    seconds = ceil(minutes * 60 - took.total_seconds())
    return min(timedelta(seconds=max(0, seconds)), LONGEST_REST)


def import_seconds(
    provider: Provider, measured: float | None, *, messages: int, asked: int, units_per_minute: int
) -> float:
    """Return what a backfill of `messages` takes, in seconds, for which is asked `asked` times.

    Each as `measured` in an earlier one of the mailbox, where there was one, but never faster than
    the quota lets a long one go on.
    """
    traits = CAPABILITIES[provider]
    pace = traits.import_seconds_a_message if measured is None else measured
    slowest = asked * traits.units_a_message * 60 / (units_per_minute * BACKFILL_SHARE)
    return max(messages * pace, slowest)
