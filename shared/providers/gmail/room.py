"""Decides how many large messages a process holds at once, whatever its threads are doing.

A message is held as Gmail writes it, as it came and as it is parsed: four of 34 MB at once took
half a gigabyte. Whoever reads one has a turn from the moment it turns out to be large until it is
stored.
"""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from shared.domain.errors import ErrorCode, RetryLaterError

LARGE_BYTES = 8 * 1024 * 1024
"""Of a message as Gmail writes it, a third more than it has."""
LARGE_AT_ONCE = 2
_turns = threading.BoundedSemaphore(LARGE_AT_ONCE)


class Room:
    """One session's turn, where it needs any. Entered around the reading and use of each message.

    Not thread-safe. It has one turn at most, so nobody waits for himself.
    """

    def __init__(self, seconds_left: Callable[[], float]) -> None:
        """Take how many seconds a turn may be waited for."""
        self._seconds_left = seconds_left
        self._has_turn = False

    def grow(self, size: int) -> None:
        """Wait for a turn where a message that is `size` bytes by now has become large.

        Raises `RetryLaterError` where none comes in time.
        """
        if self._has_turn or size <= LARGE_BYTES:
            return
        if not _turns.acquire(timeout=max(0.0, self._seconds_left())):
            raise RetryLaterError(
                ErrorCode.CONNECTION_TIMED_OUT, cause="no time left to wait for large messages"
            )
        self._has_turn = True

    def leave(self) -> None:
        """Let the next one in; of no effect without a turn."""
        if self._has_turn:
            self._has_turn = False
            _turns.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave()
