"""How much of its function's time a run leaves, and whether its lack ended a session."""

from shared.domain.errors import ErrorCode, MailroomError

MARGIN_SECONDS = 15.0
"""Work stops this long before the function's time is up.

Enough to store a batch and end the run.
"""
END_SECONDS = 8.0
"""What is left of the function's time when a session is cut off: enough to write how it ended."""


def our_time_is_up(error: MailroomError, remaining_seconds: float) -> bool:
    """Whether a session was cut off because the function ends, not because the server is slow.

    Then a worker that holds a lease ends as if it had died: the next one reads one message at a
    time, and gives up in the end what takes longer than a function lives.
    """
    return error.code is ErrorCode.CONNECTION_TIMED_OUT and remaining_seconds < MARGIN_SECONDS
