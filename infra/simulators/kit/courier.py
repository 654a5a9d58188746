"""Decides how a simulator tells others of changes: posted in the background until it is taken.

Whoever answers 2xx has taken it; anything else is tried again, ever more seldom, as Pub/Sub and
Graph do. What waits is lost with the process, which is as real as a provider's bad day.
"""

from __future__ import annotations

import heapq
import http.client
import itertools
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from infra.simulators.kit.call import Call
from infra.simulators.kit.push_faults import DELAY, FORGED, OVERTAKEN

if TYPE_CHECKING:
    from infra.simulators.kit.clock import Clock
    from infra.simulators.kit.faults import Faults

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 60.0
_TRIED_FOR_SECONDS = 4 * 3600.0
_MOST_WAITING = 10_000
_KEPT = 10_000
_MOST_TOGETHER = 20
_JOIN_SECONDS = 15.0
_TAKEN = range(200, 300)
Written = tuple[Mapping[str, str], bytes]
"""Headers and body."""


@dataclass(frozen=True, slots=True)
class Push:
    """Something to tell somebody.

    Attributes:
        user: whose mailbox it is about.
        url: where it is posted to.
        value: what it says.
        write: makes a request of the values that go together; given what is to be forged, or "".
        together: others for the same place may come in the same request.
        timeout_seconds: how long an answer may take.
    """

    user: str
    url: str
    value: Any
    write: Callable[[Sequence[Any], str], Written]
    together: bool = False
    timeout_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Pushed:
    """One request that went out; `status` is 0 where no answer came, `failure` says why."""

    at: str
    url: str
    users: tuple[str, ...]
    tries: int
    status: int
    failure: str
    forged: str


@dataclass(order=True, slots=True)
class _Waiting:
    due: float
    number: int
    push: Push = field(compare=False)
    since: float = field(compare=False)
    forged: str = field(compare=False, default="")
    is_overtaken: bool = field(compare=False, default=False)
    tries: int = field(compare=False, default=0)


class Courier:
    """Delivers a simulator's pushes, one request at a time."""

    def __init__(self, faults: Faults, clock: Clock) -> None:
        self._faults = faults
        self._clock = clock
        self._wake = threading.Condition()
        self._waiting: list[_Waiting] = []
        self._under_way = 0
        self._numbers = itertools.count()
        self._log: deque[Pushed] = deque(maxlen=_KEPT)
        self._thread: threading.Thread | None = None
        self._stopped = False

    def send(self, push: Push) -> None:
        """Have a push delivered, as soon and as often as the armed faults say."""
        environ = {"REQUEST_METHOD": "PUSH", "PATH_INFO": f"/{push.user}"}
        call = Call(Request(environ), user=push.user, is_push=True)
        self._faults.around(call, lambda: self._put(push, call))

    def pushed(self) -> list[Pushed]:
        """Return the requests that went out, oldest first."""
        with self._wake:
            return list(self._log)

    def waiting(self) -> int:
        """Return how many have not been taken yet."""
        with self._wake:
            return len(self._waiting) + self._under_way

    def clear(self) -> None:
        """Forget what went out."""
        with self._wake:
            self._log.clear()

    def as_json(self) -> dict[str, Any]:
        """Return both as control shows them."""
        return {"pushes": [asdict(one) for one in self.pushed()], "waiting": self.waiting()}

    def stop(self) -> None:
        """Deliver no more."""
        with self._wake:
            self._stopped = True
            self._waiting.clear()
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)

    # ---- inside -------------------------------------------------------------------------------

    def _put(self, push: Push, call: Call) -> Response:
        now = time.monotonic()
        waiting = _Waiting(
            now + float(call.notes.get(DELAY, 0)),
            next(self._numbers),
            push,
            now,
            str(call.notes.get(FORGED, "")),
            bool(call.notes.get(OVERTAKEN, False)),
        )
        with self._wake:
            if self._stopped:
                return Response(status=503)
            heapq.heappush(self._waiting, waiting)
            if not waiting.is_overtaken:
                self._let_follow(waiting)
            del self._waiting[_MOST_WAITING:]
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            self._wake.notify()
        return Response(status=202)

    def _let_follow(self, overtaker: _Waiting) -> None:
        for one in self._waiting:
            if one.is_overtaken:
                one.due, one.number = overtaker.due, next(self._numbers)
                one.is_overtaken = False
        heapq.heapify(self._waiting)

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            if batch:
                self._deliver(batch)

    def _next(self) -> list[_Waiting] | None:
        with self._wake:
            if self._stopped:
                return None
            if not self._waiting:
                self._wake.wait()
                return []
            pause = self._waiting[0].due - time.monotonic()
            if pause > 0:
                self._wake.wait(pause)
                return []
            batch = [heapq.heappop(self._waiting)]
            while self._waiting and len(batch) < _MOST_TOGETHER and self._fits(batch[0]):
                batch.append(heapq.heappop(self._waiting))
            self._under_way = len(batch)
            return batch

    def _fits(self, first: _Waiting) -> bool:
        following = self._waiting[0]
        return (
            first.push.together
            and following.push.together
            and (following.push.url, following.forged) == (first.push.url, first.forged)
            and following.due <= time.monotonic()
        )

    def _deliver(self, batch: list[_Waiting]) -> None:
        first = batch[0]
        headers, body = first.push.write([one.push.value for one in batch], first.forged)
        request = urllib.request.Request(first.push.url, body, dict(headers), method="POST")
        status, failure = 0, ""
        try:
            with OPENER.open(request, timeout=first.push.timeout_seconds) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            with error:
                status = error.code
        except (OSError, ValueError, http.client.HTTPException) as error:
            failure = type(error).__name__
        now = time.monotonic()
        with self._wake:
            self._under_way = 0
            self._log.append(
                Pushed(
                    self._clock.now().isoformat(timespec="milliseconds"),
                    first.push.url,
                    tuple(one.push.user for one in batch),
                    first.tries + 1,
                    status,
                    failure,
                    first.forged,
                )
            )
            for one in batch if status not in _TAKEN and not self._stopped else ():
                pause = min(_FIRST_PAUSE_SECONDS * 2**one.tries, _LONGEST_PAUSE_SECONDS)
                one.tries += 1
                one.due = now + pause
                # Who forges does not insist.
                if not one.forged and one.due - one.since < _TRIED_FOR_SECONDS:
                    heapq.heappush(self._waiting, one)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        """Follow no redirect: it is an answer like any other that is not 2xx."""


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay())
"""Asks without a proxy: what a simulator tells is for this machine."""
