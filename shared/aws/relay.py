"""How an invocation of the scheduler is told to do a part of a tick: an event of our own.

Lambda's own asynchronous queue carries it: it costs nothing while nobody uses it, and tries a
failed event again as it does a tick.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from shared.aws.clients import Clients, clients_of_process
from shared.aws.errors import our_errors
from shared.domain.ids import MailboxId
from shared.domain.schedule import SlotRange

_TEXTS = 3


@dataclass(frozen=True, slots=True)
class LambdaTickRelay:
    """The port `TickRelay`."""

    function_name: str
    clients: Clients = field(default_factory=clients_of_process)

    def hand_on(self, at: datetime, ranges: Sequence[SlotRange]) -> None:
        """Invoke the function without waiting for it."""
        with our_errors():
            self.clients.functions.invoke(
                FunctionName=self.function_name,
                InvocationType="Event",
                Payload=orjson.dumps(tick_event(at, ranges)),
            )


def tick_event(at: datetime, ranges: Sequence[SlotRange]) -> dict[str, Any]:
    """Return the event that asks for `ranges` of the tick of `at`."""
    return {
        "time": at.isoformat(),
        "ranges": [[part.slot, part.start or "", part.end or ""] for part in ranges],
    }


def ranges_in(event: Mapping[str, Any]) -> list[SlotRange] | None:
    """Return which ranges an event asks for, or None for the schedule's own: all of the minute's.

    Raises ValueError for what is neither.
    """
    if "ranges" not in event:
        return None
    found = event["ranges"]
    if not isinstance(found, list) or not all(_is_range(part) for part in found):
        raise ValueError("ranges of no known shape")
    return [
        SlotRange(slot, MailboxId(start) if start else None, MailboxId(end) if end else None)
        for slot, start, end in found
    ]


def _is_range(part: object) -> bool:
    return (
        isinstance(part, list)
        and len(part) == _TEXTS
        and all(isinstance(text, str) for text in part)
        and bool(part[0])
    )
