"""How an administrator is let in to a mailbox, and how that is shown."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from shared.api.schemas.fields import Given, Shown, plain_text
from shared.domain.opening import LONGEST, Opening

_MOST_MINUTES = LONGEST // timedelta(minutes=1)
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=10, max_length=500),
    AfterValidator(plain_text),
]


class OpenMailbox(Given):
    """Why an administrator has to see a mailbox's mail, and for how long."""

    reason: Reason = Field(examples=["Ticket 4711: an order confirmation is missing"])
    """The mailbox's owner reads it."""
    minutes: Annotated[int, Field(ge=1, le=_MOST_MINUTES, strict=True)] = _MOST_MINUTES

    @property
    def lasts(self) -> timedelta:
        """How long."""
        return timedelta(minutes=self.minutes)


class OpeningShown(Shown):
    """One time that an administrator let themselves in, or anybody by the mailbox's settings."""

    id: str
    opened_by: str
    reason: str
    """In their words; or which settings of the mailbox they changed, and who sees more by that."""
    opened_at: datetime
    ends_at: datetime | None
    """Null: let in by the mailbox's settings, as long as those say so."""

    @classmethod
    def of(cls, opening: Opening) -> "OpeningShown":
        """Show an opening."""
        return cls(
            id=opening.id,
            opened_by=opening.opened_by,
            reason=opening.reason,
            opened_at=opening.opened_at,
            ends_at=opening.ends_at,
        )


class OpeningList(Shown):
    """Openings, newest first."""

    items: list[OpeningShown]
    next: str | None
