"""How imports are asked for, and how far they have come."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from pydantic import Field

from shared.api.schemas.fields import Given, Shown
from shared.domain.backfill import MAX_DAYS, Backfill, BackfillKind, BackfillState
from shared.domain.errors import Acts, ErrorCode
from shared.domain.explanation_words import Explanation
from shared.domain.explanations import (
    explain,
    explain_failed_import,
    explain_while_retried,
)
from shared.operations.preview_backfill import WindowPreview


class StartBackfill(Given):
    """How far back to import."""

    days: Annotated[int, Field(ge=1, le=MAX_DAYS, strict=True)]


class BackfillShown(Shown):
    """An import, a replay of dead letters, a repair or a contact's history; how far it has come.

    `listed` is what its plan names; only an import has `days`.
    """

    id: str
    mailbox_id: str
    kind: BackfillKind
    """`repair`: an audit found messages missing; `contact_history`: an address was added.

    In a mailbox that stores contacts' mail alone.
    """
    days: int
    since: datetime
    state: BackfillState
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    listed: int
    stored: int
    already_stored: int
    skipped: dict[str, int]
    """By reason, as of a run."""
    unreadable: int
    gone: int
    failed: int
    percent: int
    eta: datetime | None
    """At the pace of its last chunks; null while it is paused, or nobody knows when it goes on."""
    waiting_until: datetime | None
    code: ErrorCode | None
    """What it waits for or failed with; `message`, `acts` and `fix` say it in words."""
    message: str | None
    acts: Acts | None
    fix: str | None

    @classmethod
    def of(cls, backfill: Backfill, now: datetime) -> "BackfillShown":
        """Show a backfill as it stands at `now`."""
        counts = backfill.counts
        words = _words(backfill)
        return cls(
            id=backfill.id,
            mailbox_id=backfill.mailbox_id,
            kind=backfill.kind,
            days=backfill.days,
            since=backfill.since,
            state=backfill.state,
            created_at=backfill.created_at,
            started_at=backfill.started_at,
            ended_at=backfill.ended_at,
            listed=backfill.planned,
            stored=counts.stored,
            already_stored=counts.already_stored,
            skipped=dict(counts.skipped),
            unreadable=counts.unreadable,
            gone=counts.gone,
            failed=counts.failed,
            percent=backfill.percent,
            eta=backfill.eta(now),
            waiting_until=backfill.waiting_until,
            code=backfill.code,
            message=words.message if words else None,
            acts=words.acts if words else None,
            fix=words.fix if words else None,
        )


def _words(backfill: Backfill) -> Explanation | None:
    if backfill.code is None:
        return None
    if backfill.state is BackfillState.FAILED:
        return explain_failed_import(backfill.code)
    is_retried = backfill.waiting_until is not None
    return (explain_while_retried if is_retried else explain)(backfill.code)


class WindowShown(Shown):
    """What an import of the last `days` would be."""

    days: int
    messages: int
    """How many the provider has in the active folders; an IMAP server counts whole days."""
    missing: int | None
    """How many of them are not held yet, and would be fetched.

    Null where more are held than were counted: nobody can say then, nor how long it would take.
    """
    more: bool
    """True where there are more than were counted: `messages` is too low, and so is `missing`."""
    seconds: int | None
    """How long it takes, at the latest import's pace or a usual one; null where `missing` is."""
    quota: int | None
    """What it would cost: quota units at Gmail, requests at Outlook.

    Null where nothing counts them, and where `missing` is.
    """
    matching: int | None
    """In how many of `messages` a contact takes part and which your policy does not keep out.

    Null where the provider could not be asked in time.
    """
    looked_at: int
    """By the headers of how many messages that is known: where it is all of them it is exact."""


class BackfillPreview(Shown):
    """What imports of 7, 30, 90 and 365 days would be, the shortest first."""

    windows: list[WindowShown]

    @classmethod
    def of(cls, windows: Sequence[WindowPreview]) -> "BackfillPreview":
        """Show what was counted."""
        return cls(windows=[WindowShown(**asdict(window)) for window in windows])


class BackfillList(Shown):
    """Backfills, newest first."""

    items: list[BackfillShown]
    next: str | None = None
