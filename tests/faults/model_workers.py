"""Workers that can be stopped at any call of a port: to go on later, or never.

Each runs in a thread of its own, and only one thread runs at any time: what comes next is the
model's choice alone, so that a seed repeats.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.errors import StoreThrottledError

PATIENCE_SECONDS = 60.0
"""A thread that does not come to its next port by then hangs for good."""


class Death(BaseException):
    """The process ended here. Not an Exception: nothing may catch it."""


class Stop(StrEnum):
    """What happens to a worker at one of its calls."""

    NEVER = "never"
    DIES_BEFORE = "dies before"
    DIES_AFTER = "dies after"
    REFUSED = "is refused"
    ANSWER_LOST = "loses the answer"
    FREEZES = "freezes"


@dataclass(frozen=True)
class Fate:
    """What happens to a worker, and at which of its next calls."""

    stop: Stop = Stop.NEVER
    at: int = 0


WELL = Fate()


@dataclass
class Worker:
    """One run of one function, or of what one person does."""

    name: str
    job: Callable[[], object]
    deadline: datetime
    """When its function's time is over."""
    outlives: bool = False
    """Whether it may go on past its time: a thread its function left to itself."""
    error: BaseException | None = None
    is_over: bool = False
    calls: list[str] = field(default_factory=list)
    _fate: Fate = WELL
    _left: int = 0
    _doomed: bool = False
    _turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _back: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _thread: threading.Thread | None = None

    def run(self, fate: Fate = WELL) -> None:
        """Go on until the fate stops it or the job is over."""
        self._fate, self._left = fate, fate.at
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        self._turn.release()
        if not self._back.acquire(timeout=PATIENCE_SECONDS):
            raise AssertionError(f"{self.name} hangs after {self.calls[-3:]}")
        if self.is_over:
            self._thread.join()

    def end(self) -> None:
        """Let it die where it stands."""
        if not self.is_over:
            self._doomed = True
            self.run()

    def passes(self, name: str, call: Callable[[], object], *, may_be_refused: bool) -> object:
        """Make a call of a port, unless something else happens."""
        self.calls.append(name)
        stop = self._fate.stop if self._left == 0 else Stop.NEVER
        self._left -= 1
        if stop is Stop.FREEZES:
            self._back.release()
            self._turn.acquire()
        if self._doomed or stop is Stop.DIES_BEFORE:
            raise Death(name)
        if stop is Stop.REFUSED and may_be_refused:
            raise StoreThrottledError(cause=name)
        result = call()
        if stop is Stop.DIES_AFTER:
            raise Death(name)
        if stop is Stop.ANSWER_LOST and may_be_refused:
            raise StoreThrottledError(cause=name)
        return result

    def _work(self) -> None:
        self._turn.acquire()
        _here.worker = self
        try:
            if self._doomed:
                raise Death(self.name)
            self.job()
        except BaseException as error:  # boundary: the model judges what a worker raises
            self.error = error
        finally:
            self.is_over = True
            self._back.release()


_here = threading.local()


def seconds_left(now: datetime, otherwise: float) -> float:
    """What the worker whose thread this is has left of its time."""
    worker = getattr(_here, "worker", None)
    return otherwise if worker is None else (worker.deadline - now).total_seconds()


def passing(name: str, call: Callable[[], object], *, may_be_refused: bool = False) -> object:
    """Make a call as the worker whose thread this is; whoever is none just makes it."""
    worker = getattr(_here, "worker", None)
    if worker is None:
        return call()
    return worker.passes(name, call, may_be_refused=may_be_refused)


@dataclass
class Ported:
    """A port whose calls can be where a worker stops."""

    inner: object

    def __getattr__(self, name: str):
        attribute = getattr(self.inner, name)
        if not callable(attribute):
            return attribute
        told = f"{type(self.inner).__name__}.{name}"

        def call(*given, **named):
            return passing(told, lambda: attribute(*given, **named), may_be_refused=True)

        return call
