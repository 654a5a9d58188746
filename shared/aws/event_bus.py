"""How events are handed to EventBridge, and what is done where it takes some of them only."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from shared.aws.clients import Clients
from shared.aws.errors import our_errors
from shared.domain.errors import StoreThrottledError
from shared.domain.events import Event

SOURCE = "mailroom"
_TRIES = 5
_FIRST_DELAY_SECONDS = 0.1
_PASSES = frozenset({"ThrottlingException", "InternalFailure", "InternalException"})
"""Of the codes of a single event those that time mends; see PutEvents in the API reference."""


@dataclass(frozen=True, slots=True)
class EventBridgeBus:
    """The port `EventBus`."""

    name: str
    clients: Clients
    sleep: Callable[[float], None] = time.sleep

    def publish(self, events: Sequence[Event]) -> None:
        """Put them in one request; those that were refused for a while again."""
        left = [self._entry(event) for event in events]
        for tried in range(_TRIES):
            with our_errors():
                answer = self.clients.events.put_events(Entries=left)
            codes = [str(one.get("ErrorCode", "")) for one in answer["Entries"]]
            if strange := set(codes) - _PASSES - {""}:
                raise ValueError(f"the bus does not take this: {min(strange)}")
            left = [entry for entry, code in zip(left, codes, strict=True) if code]
            if not left:
                return
            self.sleep(random.uniform(0.0, _FIRST_DELAY_SECONDS * 2**tried))  # noqa: S311 - jitter
        raise StoreThrottledError(cause="the bus took some events only")

    def _entry(self, event: Event) -> dict[str, Any]:
        return {
            "EventBusName": self.name,
            "Source": SOURCE,
            "DetailType": event.type,
            "Time": event.at,
            "Detail": orjson.dumps(event.detail).decode(),
        }
