"""Decides how many large answers a process holds at once, whatever its threads are doing.

A message is held as it came, as it is decoded and as it is parsed. A function polls dozens of
mailboxes at the same time, and must not hold a large one of each. Whoever reads one has a turn from
the moment it turns out to be large until the session asks for something else.
"""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from shared.domain.errors import ErrorCode, RetryLaterError

LARGE_AT_ONCE = 2
_turns = threading.BoundedSemaphore(LARGE_AT_ONCE)


class Room:
    """One session's turn, where it needs any; entered around the use of what may be large.

    Not thread-safe. It has one turn at most, so nobody waits for himself.
    """

    def __init__(self, seconds_left: Callable[[], float], *, large_bytes: int) -> None:
        """Take how many seconds a turn may be waited for, and from which size one is needed."""
        self._seconds_left = seconds_left
        self._large_bytes = large_bytes
        self._has_turn = False

    def grow(self, size: int) -> None:
        """Wait for a turn where an answer that is `size` bytes by now has become large.

        Raises `RetryLaterError` where none comes in time.
        """
        if self._has_turn or size <= self._large_bytes:
            return
        if not _turns.acquire(timeout=max(0.0, self._seconds_left())):
            cause = "no time left to wait for other large answers"
            raise RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT, cause=cause)
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
