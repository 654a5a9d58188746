"""Decides how long a session waits by itself before it asks Gmail again, and when it gives up.

Source: developers.google.com/workspace/gmail/api/guides/handle-errors.
"""

from shared.domain.errors import ErrorCode, MailroomError, RetryLaterError
from shared.providers.gmail.api import GmailApi

PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further try: Google asks for at least one, and for twice as much each time
(guides/handle-errors)."""
QUOTA_PAUSES = (*PAUSES, 16.0, 30.0)
"""Together they outlast the minute that quota is counted by."""
LONGEST_PAUSE_SECONDS = 30.0
"""A longer wish is the run's to obey: nothing is gained by holding a function meanwhile."""


def pauses_of(error: MailroomError) -> tuple[float, ...]:
    """Return the pauses that are made for an error, one before each further try."""
    return QUOTA_PAUSES if error.code is ErrorCode.RATE_LIMITED else PAUSES


def pause(api: GmailApi, error: MailroomError, tries: int) -> None:
    """Wait before a further try, as long as Google wishes; raise `error` where it is no use."""
    pauses = pauses_of(error)
    if tries >= len(pauses):
        raise error
    wish = error.retry_after_seconds if isinstance(error, RetryLaterError) else None
    seconds = max(pauses[tries], wish or 0.0)
    if seconds > LONGEST_PAUSE_SECONDS or seconds >= api.seconds_left:
        raise error
    api.wait(seconds)
