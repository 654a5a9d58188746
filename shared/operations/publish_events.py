"""In which order changes are told: as they came, and none before all earlier ones are on the bus.

So whoever stops says from where on to begin again, and what is told twice has the same key twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain.errors import MailroomError
from shared.domain.events import Change, events_of
from shared.ports.events import MOST_AT_ONCE, EventBus


@dataclass(frozen=True, slots=True)
class Published:
    """How far it came."""

    events: int
    """How many are on the bus by now."""
    stopped_at: str | None = None
    """The version of the first change that may not be; None: there is none."""
    error: MailroomError | None = None
    """What stood in the way."""


def publish_events(changes: Sequence[Change], *, bus: EventBus) -> Published:
    """Tell of changes, in their order; whatever a bus that is in trouble has to say is an outcome.

    What is raised is a bug.
    """
    told = [(change.version, event) for change in changes for event in events_of(change)]
    for start in range(0, len(told), MOST_AT_ONCE):
        part = told[start : start + MOST_AT_ONCE]
        try:
            bus.publish([event for _, event in part])
        except MailroomError as error:
            return Published(start, stopped_at=part[0][0], error=error)
    return Published(len(told))
