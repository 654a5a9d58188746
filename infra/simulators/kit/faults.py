"""Decides when a fault strikes: which request, after how many, how often.

A fault is a function around a request: it may answer instead, change what the request finds,
change the answer, or tell the server to hang up. What each does is said where it is defined.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from werkzeug.wrappers import Response

from infra.simulators.kit.call import Call

Proceed = Callable[[], Response]
Around = Callable[[Mapping[str, Any], Call, Proceed], Response]

_COMMON = ("fault", "times", "after", "route", "user")


class UnknownFaultError(ValueError):
    """No such fault, or no such parameter. The text lists the known ones."""


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A way to misbehave.

    Attributes:
        around: called with the parameters, the call and what would answer it.
        route: the requests it strikes when nothing else is asked for: regex on `METHOD /path`.
        parameters: the known ones with their defaults.
        whole: strikes whole requests only, never a part of a batch (it is about the connection).
        is_push: strikes what goes out (`PUSH /address`) and nothing else.
    """

    around: Around
    route: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False
    is_push: bool = False


@dataclass(slots=True)
class Armed:
    """A fault waiting for its requests.

    Attributes:
        id: to disarm it.
        name: of the fault.
        times: how many more requests it strikes; None for ever.
        after: how many more matching requests pass before.
        route: regex on `METHOD /path`; the kind's own when empty.
        user: strikes this user's requests only, when not empty.
        parameters: all of them, defaults filled in.
        struck: how many it has struck.
    """

    id: int
    name: str
    times: int | None
    after: int
    route: str
    user: str
    parameters: dict[str, Any]
    struck: int = 0


class Faults:
    """The armed faults of one simulator."""

    def __init__(self, kinds: Mapping[str, FaultKind]) -> None:
        self.kinds = kinds
        self._lock = threading.Lock()
        self._armed: list[Armed] = []
        self._ids = itertools.count(1)

    def arm(
        self,
        fault: str,
        *,
        times: int | None = 1,
        after: int = 0,
        route: str = "",
        user: str = "",
        **parameters: Any,
    ) -> Armed:
        """Let `fault` strike the next `times` matching requests, after `after` have passed.

        Parts of a batch count as requests where `route` matches them; a fault with neither a route
        of its own nor one given strikes whole requests only. Raises UnknownFaultError.
        """
        kind = self.kinds.get(fault)
        if kind is None:
            raise UnknownFaultError(f"no fault {fault!r}; known: {', '.join(sorted(self.kinds))}")
        unknown = sorted(set(parameters) - set(kind.parameters))
        if unknown:
            known = ", ".join([*_COMMON, *kind.parameters])
            raise UnknownFaultError(f"{fault} has no {', '.join(unknown)}; known: {known}")
        try:
            re.compile(route)
        except re.error as error:
            raise UnknownFaultError(f"route is no regular expression: {error}") from None
        armed = Armed(
            id=next(self._ids),
            name=fault,
            times=times,
            after=after,
            route=route or kind.route,
            user=user,
            parameters={**kind.parameters, **parameters},
        )
        with self._lock:
            self._armed.append(armed)
        return armed

    def armed(self) -> list[Armed]:
        """Return what is armed, also what has struck its last."""
        with self._lock:
            return list(self._armed)

    def clear(self, fault_id: int | None = None) -> None:
        """Disarm one or all."""
        with self._lock:
            self._armed = [a for a in self._armed if fault_id not in (None, a.id)]

    def around(self, call: Call, proceed: Proceed) -> Response:
        """Answer `call`, with every fault whose turn it is around `proceed`."""
        for armed in reversed(self._take(call)):
            call.fault = ",".join(filter(None, [armed.name, call.fault]))
            proceed = self._wrap(armed, call, proceed)
        return proceed()

    def _wrap(self, armed: Armed, call: Call, inner: Proceed) -> Proceed:
        return lambda: self.kinds[armed.name].around(armed.parameters, call, inner)

    def _take(self, call: Call) -> list[Armed]:
        taken = []
        with self._lock:
            for armed in self._armed:
                if not self._strikes(armed, call):
                    continue
                if armed.after:
                    armed.after -= 1
                    continue
                armed.struck += 1
                if armed.times is not None:
                    armed.times -= 1
                taken.append(armed)
        return taken

    def _strikes(self, armed: Armed, call: Call) -> bool:
        if armed.times == 0 or armed.user not in ("", call.user):
            return False
        if self.kinds[armed.name].is_push != call.is_push:
            return False
        if call.batch and (self.kinds[armed.name].whole or not armed.route):
            return False
        return re.search(armed.route, call.line) is not None
