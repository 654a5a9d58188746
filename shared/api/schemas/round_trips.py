"""How a test message is asked for, and how far one came."""

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from shared.api.schemas.fields import Given, Shown
from shared.api.schemas.sends import CauseShown
from shared.domain.folders import FolderRole
from shared.domain.round_trip import RoundTripState, Step
from shared.operations.round_trips import RoundTripView


class AskForTest(Given):
    """A test message."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, populate_by_name=True)

    sender: Annotated[str, StringConstraints(min_length=1, max_length=400)] | None = Field(
        default=None, alias="from"
    )
    """Null: the mailbox's own address. It goes to the same."""


class StepShown(Shown):
    """A step of its way; null: not taken by now."""

    step: Step
    at: datetime | None
    seconds: float | None
    """After the one before it."""


class TestMessageShown(Shown):
    """A test message, and how far it came."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    id: str
    mailbox_id: str
    user_id: str
    """Who asked for it."""
    sender: str = Field(alias="from")
    """And to."""
    state: RoundTripState
    """`waiting`: ask again in some seconds."""
    steps: list[StepShown]
    """All of them, in the order in which they come as a rule."""
    stands_at: Step | None
    """The step it waits for, or did not get past."""
    cause: CauseShown | None
    """Why it stopped there, or waits longer than it should."""
    came_back_to: FolderRole | None
    """In which kind of folder it was found: `spam` says that others may find your mail there."""

    @classmethod
    def of(cls, view: RoundTripView) -> "TestMessageShown":
        """Show what a view holds."""
        send, trip = view.send, view.trip
        return cls(
            id=send.id,
            mailbox_id=send.mailbox_id,
            user_id=send.user_id,
            sender=send.sender,
            state=trip.state,
            steps=[StepShown(step=one.step, at=one.at, seconds=one.seconds) for one in trip.steps],
            stands_at=trip.stands_at,
            cause=CauseShown.of(trip.code),
            came_back_to=trip.came_back_to,
        )
