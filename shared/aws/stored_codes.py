"""What a stored code is that only a newer version knows: `internal`, so that all else is read.

Codes are what releases add most often. One that was taken back must still show its mailboxes.
"""

from contextlib import suppress

from shared.domain.errors import ErrorCode


def stored_code(text: str) -> ErrorCode:
    """Return the code that was written as `text`."""
    with suppress(ValueError):
        return ErrorCode(text)
    return ErrorCode.INTERNAL
