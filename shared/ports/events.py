"""What it needs to have others told of changes."""

from collections.abc import Sequence
from typing import Protocol

from shared.domain.events import Event

MOST_AT_ONCE = 10
"""Events a bus takes together."""


class EventBus(Protocol):
    """Where others hear of changes."""

    def publish(self, events: Sequence[Event]) -> None:
        """Hand over at most `MOST_AT_ONCE` events; once it returns, the bus has all of them.

        Raises `StoreThrottledError` and `StoreRefusedError`; some may have been taken then, and may
        be handed over again.
        """
        ...
