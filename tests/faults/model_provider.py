"""A provider that fails when it is told to, at any of its answers: any session behind the port."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.domain.errors import ErrorCode, MailroomError, RetryLaterError
from tests.fakes.clock import FixedClock
from tests.faults.model_workers import passing

TROUBLES: dict[str, Callable[[], MailroomError]] = {
    "rate limit": lambda: RetryLaterError(ErrorCode.RATE_LIMITED, retry_after_seconds=90.0),
    "unavailable": lambda: RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE),
    "dropped": lambda: RetryLaterError(ErrorCode.CONNECTION_DROPPED),
    "not understood": lambda: RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD),
    "folder closed": lambda: RetryLaterError(ErrorCode.FOLDER_UNAVAILABLE),
}
OF_ONE_FOLDER = {"changes", "baseline", "list_window"}


@dataclass
class TroubledProvider:
    """The port `MailProvider` over another one's; a trouble comes once, at one of its answers."""

    inner: object
    clock: FixedClock
    troubles: list[tuple[str, int]] = field(default_factory=list)
    """Each with how many more answers come before it."""
    met: int = 0

    def trouble(self, name: str, after: int) -> None:
        self.troubles.append((name, after))

    @contextmanager
    def open(self, grant, *, seconds: float | None = None) -> Iterator["TroubledSession"]:
        self.answer("open", lambda: None)
        with self.inner.open(grant, seconds=seconds) as session:
            until = self.clock.now() + timedelta(seconds=870 if seconds is None else seconds)
            yield TroubledSession(self, session, until)

    def answer(self, name: str, ask: Callable[[], object]) -> object:
        """Let a worker stop here, and tell it of the trouble that is due."""
        due = [trouble for trouble, after in self.troubles if after == 0]
        self.troubles = [(trouble, after - 1) for trouble, after in self.troubles if after]
        for trouble in due:
            if trouble != "folder closed" or name in OF_ONE_FOLDER:
                make = TROUBLES[trouble]
                self.met += 1
                raise make()
        return passing(f"provider.{name}", ask)


@dataclass
class TroubledSession:
    """The port `MailSession`."""

    provider: TroubledProvider
    inner: object
    until: datetime

    def is_settled(self, cursor):
        return self.inner.is_settled(cursor)

    def look(self, *given, **named):
        return self._ask("look", lambda: self.inner.look(*given, **named))

    def baseline(self, *given, **named):
        return self._ask("baseline", lambda: self.inner.baseline(*given, **named))

    def changes(self, *given, **named):
        return self._ask("changes", lambda: self.inner.changes(*given, **named))

    def list_window(self, *given, **named):
        return self._ask("list_window", lambda: self.inner.list_window(*given, **named))

    def search_window(self, *given, **named):
        return self._ask("search_window", lambda: self.inner.search_window(*given, **named))

    # Written out: whether a provider tells of changes is seen by these.

    def watch(self, target):
        return self._ask("watch", lambda: self.inner.watch(target))

    def extend(self, name, *, until):
        return self._ask("extend", lambda: self.inner.extend(name, until=until))

    def unwatch(self, name):
        return self._ask("unwatch", lambda: self.inner.unwatch(name))

    def fetch(self, folder, ids):
        return self._each("fetch", self.inner.fetch(folder, ids))

    def fetch_headers(self, folder, ids):
        return self._each("fetch_headers", self.inner.fetch_headers(folder, ids))

    def _each(self, name, fetched):
        while (one := self._ask(name, lambda: next(fetched, None))) is not None:
            yield one

    def read_raw(self, *given, **named):
        return self.inner.read_raw(*given, **named)

    def read_part(self, *given, **named):
        return self.inner.read_part(*given, **named)

    def _ask(self, name, ask):
        if self.provider.clock.now() > self.until:
            raise RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT)
        return self.provider.answer(name, ask)
