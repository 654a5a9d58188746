"""Decides what is remembered of each request: what it cost and how it ended, never a secret."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

_KEPT = 50_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One answered request, or one answered part of a batch.

    The path is without its query, which may hold a code or a token.
    """

    id: int
    at: str
    method: str
    path: str
    route: str
    user: str
    status: int
    cost: int
    request_bytes: int
    response_bytes: int
    batch: int
    fault: str


class RequestLog:
    """What was asked since the start or the last `clear()`; the newest 50,000."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self._last_id = 0

    def next_id(self) -> int:
        """Return the id of a request that has just come in."""
        with self._lock:
            self._last_id += 1
            return self._last_id

    def add(self, entry: Entry) -> None:
        """Remember an answered request."""
        with self._lock:
            self._entries.append(entry)

    def clear(self) -> None:
        """Forget everything; ids go on."""
        with self._lock:
            self._entries.clear()

    def entries(self, *, route: str = "", user: str = "") -> list[Entry]:
        """Return what was answered, oldest first; of one route or user if named."""
        with self._lock:
            found = list(self._entries)
        return [e for e in found if route in ("", e.route) and user in ("", e.user)]

    def as_json(self) -> dict[str, Any]:
        """Return all entries and their totals. Parts are counted, their outer request's cost too.

        `cost` adds up because an outer batch request costs nothing itself. Bytes are of whole
        requests only: a part's bytes are inside them.
        """
        entries = self.entries()
        whole = [entry for entry in entries if not entry.batch]
        statuses: dict[str, int] = {}
        routes: dict[str, int] = {}
        for entry in entries:
            statuses[str(entry.status)] = statuses.get(str(entry.status), 0) + 1
            routes[entry.route] = routes.get(entry.route, 0) + 1
        return {
            "requests": [asdict(entry) for entry in entries],
            "totals": {
                "requests": len(whole),
                "parts": len(entries) - len(whole),
                "cost": sum(entry.cost for entry in entries),
                "request_bytes": sum(entry.request_bytes for entry in whole),
                "response_bytes": sum(entry.response_bytes for entry in whole),
                "statuses": statuses,
                "routes": routes,
            },
        }
