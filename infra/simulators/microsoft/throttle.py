"""Decides when an application asks too much of a mailbox: Exchange's three limits."""

from __future__ import annotations

import math
import threading
from collections import defaultdict, deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.simulators.kit.clock import Clock

Key = tuple[str, str]


@dataclass(slots=True)
class Limits:
    """What one application may do with one mailbox.

    Attributes:
        requests: in a window of `seconds`; every part of a batch is one.
        concurrent: at the same time.
        upload_bytes: in a window of `upload_seconds`.
        retry_seconds: told to who asks too much at the same time.
        request_bytes: of one request's body.
        message_bytes: of a message that is sent, as its organisation allows.
    """

    requests: int = 10_000
    seconds: float = 600.0
    concurrent: int = 4
    upload_bytes: int = 150 * 1024 * 1024
    upload_seconds: float = 300.0
    retry_seconds: int = 5
    request_bytes: int = 4 * 1024 * 1024
    message_bytes: int = 35 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Over:
    """A limit that was passed, and when to come again."""

    limit: str
    retry_after: int


class Throttle:
    """Counts what applications ask of mailboxes."""

    def __init__(self, clock: Clock) -> None:
        self.limits = Limits()
        self._clock = clock
        self._lock = threading.Lock()
        self._running: dict[Key, int] = defaultdict(int)
        self._asked: dict[Key, deque[float]] = defaultdict(deque)
        self._sent: dict[Key, deque[tuple[float, int]]] = defaultdict(deque)

    @contextmanager
    def places(self, key: Key, wanted: int = 1) -> Iterator[int]:
        """Hold up to so many of the mailbox's places. Gives how many there were."""
        with self._lock:
            got = max(0, min(wanted, self.limits.concurrent - self._running[key]))
            self._running[key] += got
        try:
            yield got
        finally:
            with self._lock:
                self._running[key] -= got

    def crowded(self) -> Over:
        """Return what is said to who finds no place."""
        return Over("MailboxConcurrency", self.limits.retry_seconds)

    def count(self, key: Key, upload: int) -> Over | None:
        """Count a request; the limit it passes, or None. A refused one does not count."""
        now = self._clock.epoch()
        with self._lock:
            asked, sent = self._asked[key], self._sent[key]
            while asked and asked[0] <= now - self.limits.seconds:
                asked.popleft()
            while sent and sent[0][0] <= now - self.limits.upload_seconds:
                sent.popleft()
            if len(asked) >= self.limits.requests:
                since = asked[0] if asked else now
                return Over("RequestCount", _wait(since + self.limits.seconds - now))
            if sum(size for _, size in sent) + upload > self.limits.upload_bytes:
                since = sent[0][0] if sent else now
                return Over("IncomingBytes", _wait(since + self.limits.upload_seconds - now))
            asked.append(now)
            if upload:
                sent.append((now, upload))
        return None


def _wait(seconds: float) -> int:
    return max(1, math.ceil(seconds))
