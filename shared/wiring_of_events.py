"""What it takes to tell others of changes: the bus, the stream's records, and where untold ones go.

Apart from `wiring`, whose operations and stores none of it needs.
"""

import functools
from collections.abc import Mapping
from typing import Any

from shared.config import settings
from shared.domain.events import Change
from shared.ports.events import EventBus


@functools.cache
def bus() -> EventBus:
    """Return the bus of this deployment."""
    from shared.aws.clients import clients_of_process
    from shared.aws.event_bus import EventBridgeBus

    return EventBridgeBus(settings().event_bus, clients_of_process())


def change_of(record: Mapping[str, Any]) -> Change | None:
    """Return the change that a record of the stream tells of; see `stream_records`."""
    from shared.aws import stream_records

    return stream_records.change_of(record)


def set_aside(record: Mapping[str, Any]) -> str:
    """Keep that a record's change is not told; return the record's number."""
    from shared.aws.clients import clients_of_process
    from shared.aws.untold_events import UntoldEvents

    untold = UntoldEvents(settings().events_dead_letter_queue_url, clients_of_process())
    return untold.keep(record)
