"""Decides what time it is in a simulator: real time, moved forward by hand."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.simulators.kit.store import Store

_OFFSET = "clock_offset_seconds"


class Clock:
    """The only source of time of a simulator. The offset is kept with the state.

    Only forwards: a token that has expired must not come back to life.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._offset = float(store.meta(_OFFSET) or 0)

    @property
    def offset_seconds(self) -> float:
        """How far this clock is ahead of real time."""
        return self._offset

    def epoch(self) -> float:
        """Now, as seconds since 1970."""
        return time.time() + self._offset

    def now(self) -> dt.datetime:
        """Now, aware, in UTC."""
        return dt.datetime.fromtimestamp(self.epoch(), dt.UTC)

    def advance(self, seconds: float) -> None:
        """Move forward. Raises ValueError for a step back."""
        if seconds < 0:
            raise ValueError("the clock only goes forward")
        self._offset += seconds
        self._store.set_meta(_OFFSET, str(self._offset))
