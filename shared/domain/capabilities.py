"""What providers do differently, as data."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.mailbox import Provider


@dataclass(frozen=True, slots=True)
class Capabilities:
    """How a provider names messages, and how fast a backfill may go there."""

    ids_begin_with_folder: bool
    """Whether a provider message id begins with its folder's id: a moved message has another id."""
    follows_whole_mailbox: bool
    """Whether one folder's changes tell those of the whole mailbox: folders are labels then."""
    chunks_in_flight: int
    """Chunks of one backfill at work at once, beside live sync."""
    import_seconds_a_message: float
    """What a message takes in a mailbox that has not been imported from; a guess, for a preview."""
    threads_by_subject: bool = False
    """Whether what it puts into one thread may have nothing in common but subject and people."""
    units_a_message: int = 0
    """What fetching one message costs of a quota of units a minute; 0: there is no such quota."""
    requests_a_message: int = 0
    """What it costs where a provider counts requests; 0: it counts none."""
    largest_mail: int = 25 * 1024 * 1024
    """How large a mail may be that is sent, in bytes, all encoded; a server may take less."""
    first_look_seconds: int = 30
    """So soon after a mail was handed over its provider shows whether it took it, as a rule."""
    watch_renewed_hours: int = 0
    """How often it is asked anew to tell of changes; 0: it tells nobody."""
    refuses_singly: bool = False
    """Whether it may take a mail for some of its recipients and refuse it for others."""


CAPABILITIES: Mapping[Provider, Capabilities] = {
    # Many servers allow few sessions for each mailbox.
    Provider.IMAP: Capabilities(
        ids_begin_with_folder=True,
        follows_whole_mailbox=False,
        chunks_in_flight=2,
        import_seconds_a_message=0.05,
        threads_by_subject=True,
        refuses_singly=True,
    ),
    # One, so that chunks can be spaced: developers.google.com/gmail/api/reference/quota.
    Provider.GMAIL: Capabilities(
        ids_begin_with_folder=False,
        follows_whole_mailbox=True,
        chunks_in_flight=1,
        import_seconds_a_message=0.1,
        threads_by_subject=True,
        units_a_message=20,
        # developers.google.com/workspace/gmail/api/guides/push: once a day, though it lasts a week.
        watch_renewed_hours=24,
    ),
    # Graph runs four requests of a mailbox at once, and a batch of a chunk asks for that many.
    Provider.OUTLOOK: Capabilities(
        ids_begin_with_folder=False,
        follows_whole_mailbox=False,
        chunks_in_flight=1,
        import_seconds_a_message=0.1,
        requests_a_message=1,
        watch_renewed_hours=72,
        # What was sent shows up in a search, and among the sent mail, a while after it was taken.
        first_look_seconds=60,
    ),
}
