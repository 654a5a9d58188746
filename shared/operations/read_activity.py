"""What an administrator learns of all mailboxes at once: what came in by the hour, and what failed.

It is counted from the runs that ended, and nothing is written for it. A poll that found nothing is
no run; nor is a mail's way into its mailbox's history that is sent from here.

What is not known is said to be so: of a mailbox with more runs than are read, the hours that the
rest may have ended in are None. The present hour has only begun.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.domain.dead_letter import DeadLetter
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.ids import MailboxId
from shared.domain.run import Run, RunReason
from shared.domain.visibility import Viewer
from shared.operations.read_dead_letters import LetterPorts, LetterState, letter_views
from shared.ports.activity import ActivityStore
from shared.ports.stores import MailboxRecord

MOST_RUNS = 400
"""Of one mailbox that are read: what a day of a mailbox has that gets mail with every poll, and
more. A run is read with the names of what it listed, so they are not free."""
MOST_LETTERS = 50
"""Of one mailbox that are looked at, each with what became of it."""

_HOUR = timedelta(hours=1)
_ID_TO_END = _HOUR
"""More than passes between the making of a run's id, by which runs are read, and its end."""
_OLDER_MAIL = {
    RunReason.BACKFILL,
    RunReason.REPLAY,
    RunReason.REPAIR,
    RunReason.CONTACT_HISTORY,
}
"""Reasons of runs whose mail is not new: an import's burst would hide what came in."""

ByHour = tuple[int | None, ...]
"""A figure for each hour, the first one first; None: not known."""


@dataclass(frozen=True, slots=True)
class LettersSeen:
    """How many of a mailbox's latest dead letters are not settled."""

    open: int
    replaying: int
    more: bool
    """Whether there are letters that were not looked at."""


@dataclass(frozen=True, slots=True)
class MailboxActivity:
    """What happened in one mailbox."""

    mailbox_id: MailboxId
    synced: ByHour
    imported: ByHour
    runs_failed: Mapping[ErrorCode, int]
    """Of the hours that are known."""
    letters: LettersSeen


@dataclass(frozen=True, slots=True)
class Activity:
    """What happened in some mailboxes, from the beginning of an hour to now."""

    since: datetime
    until: datetime
    items: tuple[MailboxActivity, ...]
    next: MailboxId | None
    """The mailbox to go on after, or None at the end."""


def read_activity(
    viewer: Viewer,
    *,
    hours: int,
    after: MailboxId | None,
    limit: int,
    activity: ActivityStore,
    ports: LetterPorts,
) -> Activity:
    """Return the last `hours` of up to `limit` mailboxes, in the order in which they are listed.

    Raises `RequestError(ADMIN_REQUIRED)`.
    """
    if not viewer.is_admin:
        raise RequestError(ErrorCode.ADMIN_REQUIRED)
    until = ports.clock.now()
    since = _hour_of(until) - (hours - 1) * _HOUR
    found = activity.page_mailboxes(viewer.tenant_id, after=after, limit=limit + 1)
    page = found[:limit]
    names = [record.mailbox.id for record in page]
    runs = activity.latest_runs(
        viewer.tenant_id, names, since=since - _ID_TO_END, most=MOST_RUNS + 1
    )
    letters = activity.latest_letters(viewer.tenant_id, names, most=MOST_LETTERS + 1)
    items = tuple(
        _of_mailbox(record, since, hours, runs[name], _seen(record, letters[name], ports))
        for record, name in zip(page, names, strict=True)
    )
    return Activity(since, until, items, names[-1] if len(found) > limit else None)


def _of_mailbox(
    record: MailboxRecord, since: datetime, hours: int, runs: Sequence[Run], letters: LettersSeen
) -> MailboxActivity:
    known_from = since
    if len(runs) > MOST_RUNS:
        # Those not read began before this one, and may have ended after it.
        known_from = max(since, runs[MOST_RUNS - 1].started_at + _ID_TO_END)
    synced, imported = [0] * hours, [0] * hours
    failed: Counter[ErrorCode] = Counter()
    first_known = -((since - known_from) // _HOUR)
    for run in runs[:MOST_RUNS]:
        hour = (run.ended_at - since) // _HOUR
        if not first_known <= hour < hours:
            continue
        counted = imported if run.reason in _OLDER_MAIL else synced
        counted[hour] += run.counts.stored
        if run.code is not None:
            failed[run.code] += 1
    unknown = (None,) * min(first_known, hours)
    return MailboxActivity(
        record.mailbox.id,
        (*unknown, *synced[len(unknown) :]),
        (*unknown, *imported[len(unknown) :]),
        dict(failed.most_common()),
        letters,
    )


def _seen(record: MailboxRecord, letters: Sequence[DeadLetter], ports: LetterPorts) -> LettersSeen:
    looked_at = letters[:MOST_LETTERS]
    states = Counter(
        view.state for view in (letter_views(record, looked_at, ports) if looked_at else ())
    )
    return LettersSeen(
        states[LetterState.OPEN], states[LetterState.REPLAYING], len(letters) > MOST_LETTERS
    )


def _hour_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
