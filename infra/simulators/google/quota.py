"""Decides what a call costs and when a minute's units are used up (the table of May 2026).

Over the last sixty seconds, not per minute of the clock: a client that waits a minute is always
served, and one that bets on the turn of the minute is not. Kept in memory: a restart forgives.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.simulators.google.world import World

_WINDOW_SECONDS = 60.0
UNITS = {
    "getProfile": 1,
    "labels.list": 1,
    "labels.get": 1,
    "labels.create": 5,
    "labels.update": 5,
    "labels.patch": 5,
    "labels.delete": 5,
    "history.list": 2,
    "messages.list": 5,
    "messages.get": 20,
    "messages.attachments.get": 20,
    "messages.modify": 5,
    "messages.delete": 10,
    "messages.trash": 20,
    "messages.untrash": 20,
    "messages.import": 25,
    "messages.insert": 25,
    "messages.send": 100,
    "messages.batchModify": 50,
    "messages.batchDelete": 50,
    "threads.list": 10,
    "threads.get": 40,
    "threads.modify": 10,
    "threads.trash": 20,
    "threads.untrash": 20,
    "threads.delete": 20,
    "drafts.list": 5,
    "drafts.get": 20,
    "drafts.create": 10,
    "drafts.update": 15,
    "drafts.delete": 10,
    "drafts.send": 100,
    "settings.sendAs.list": 1,
    "watch": 100,
    "stop": 50,
}
"""By method. Not in any table we saw, so set like their nearest kin: labels.patch (as update),
messages.untrash and threads.trash/untrash (as messages.trash), threads.delete, drafts.list and
drafts.delete (as those of messages)."""


class Quota:
    """Units used in the last minute, by user and project, and by project."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._used: dict[tuple[str, str], deque[tuple[float, int]]] = {}

    def charge(self, address: str, project: str, units: int) -> str:
        """Charge a call. Returns "" or the limit it would pass: "user" or "project"."""
        now = self._world.clock.epoch()
        limits = self._world.limits
        with self._lock:
            if self._sum(("", project), now) + units > limits.project_units:
                return "project"
            if self._sum((address, project), now) + units > limits.user_units:
                return "user"
            for key in (("", project), (address, project)):
                self._used[key].append((now, units))
        return ""

    def used(self, address: str, project: str) -> int:
        """Return the units that a user's last minute cost."""
        with self._lock:
            return self._sum((address, project), self._world.clock.epoch())

    def _sum(self, key: tuple[str, str], now: float) -> int:
        recent = self._used.setdefault(key, deque())
        while recent and recent[0][0] <= now - _WINDOW_SECONDS:
            recent.popleft()
        return sum(units for _, units in recent)
