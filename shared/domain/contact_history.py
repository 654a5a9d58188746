"""When the history of an address is brought in that becomes a contact's after its mail came.

A mailbox of contacts' mail alone follows a log of the addresses contacts were given, by a position
of its own. What is younger than a while may be written still, so the position stays that far back:
behind it nothing appears any more, and no address is searched for twice.
"""

from datetime import datetime, timedelta

from shared.domain.backfill import Backfill
from shared.domain.mailbox import Mailbox, RunState, StoredMail

WRITTEN_WITHIN = timedelta(minutes=2)
"""A contact is written so soon after the instant its log says, clocks that differ included."""
LOG_LASTS = timedelta(days=60)
"""How long the log knows of an address."""
LOG_TRUSTED_FOR = LOG_LASTS - timedelta(days=1)
"""A mailbox that was not polled for longer looks through all its history instead."""
MOST_SEARCHED = 500
"""Addresses searched for by name; with more of them the whole history is listed, and judged."""
REST_FACTOR = 60
"""A search goes through much of a mailbox, whomever it is for: it takes no more of the time than
this part, and whoever is added meanwhile is searched for together.
"""
LONGEST_REST = timedelta(hours=1)
"""Also after one that was tried again for long, which looks the same from here."""


def unheard(mailbox: Mailbox, state: RunState, now: datetime) -> tuple[datetime, datetime] | None:
    """Return between which instants of the log a mailbox has still to look, or None for none."""
    if mailbox.store is StoredMail.ALL:
        return None
    begun = (mailbox.contacts_since or mailbox.connected_at) - WRITTEN_WITHIN
    after, upto = state.contacts_to or begun, now - WRITTEN_WITHIN
    return (after, upto) if after < upto else None


def is_forgotten(after: datetime, now: datetime) -> bool:
    """Whether the log no longer knows all that happened after an instant."""
    return now - after > LOG_TRUSTED_FOR


def rests_until(latest: Backfill) -> datetime | None:
    """Return until when no search follows the one a backfill was planned by; None: at once."""
    if latest.started_at is None:
        return None
    took = latest.started_at - latest.created_at
    return latest.started_at + min(took * REST_FACTOR, LONGEST_REST)
