"""Which dates of a mailbox an audit looks at, so that the whole of it is seen within a month.

Each day the newest window, and one older one, which walks back from there to the date floor and
then begins again. The newest reaches back beyond the last audit: a lost one costs a day. What is
too much for one listing is cut into parts; where there is no time for all of them, a walk takes
longer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.domain.backfill import Backfill, BackfillKind, BackfillState
from shared.domain.ids import BackfillId, MailboxId, TenantId
from shared.domain.mailbox import Mailbox

OVERLAP = timedelta(days=2)
"""How far the newest window reaches back beyond the last audit."""
LONGEST_NEWEST = timedelta(days=30)
"""After a longer pause the walk begins again instead."""
OLDER_WINDOWS = 28
"""Into so many the whole of a mailbox is cut."""
SHORTEST_WINDOW = timedelta(days=1)
MOST_IN_PART = 20_000
"""Messages we hold of the dates that are listed at once."""
MOST_PARTS = 1_024
LINE_IS_DRAWN_WITHIN = timedelta(hours=1)
"""So soon after connecting sync has its first positions; what lies before is an import's."""


@dataclass(frozen=True, slots=True)
class Window:
    """Messages received at or after `since` and before `before`; None: up to now."""

    since: datetime
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Walk:
    """How far audits have come: all that is kept between two of them."""

    audited_at: datetime | None = None
    """When an audit last looked at the newest window to the end."""
    reached: datetime | None = None
    """The next older window ends here; None: where the newest one begins."""
    is_whole: bool = True
    """Whether nothing was left out since the walk began."""
    parts: int = 1
    """Into how many each window is cut, after one took too long to be listed."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What the latest audit of a mailbox found, in numbers of messages."""

    tenant_id: TenantId
    mailbox_id: MailboxId
    asked_at: datetime
    """The tick that asked for it: the same request delivered twice is one audit."""
    checked_at: datetime
    windows: tuple[Window, ...] = ()
    listed: int = 0
    """Ids at the provider in these windows."""
    stored: int = 0
    """Of those, with a copy."""
    ledgered: int = 0
    """Of those, without one for a reason that a ledger says."""
    missing: int = 0
    """Of those, without either: `repair_id` brings them in, or finds out why they are not here."""
    extra: int = 0
    """Copies that the provider no longer lists, and of which it told nothing."""
    mended: int = 0
    """Of those, the ones that are by now as the provider has them."""
    under_way: int = 0
    """Listed, and sync is just being told of them."""
    folders_left_out: int = 0
    """Folders that could not be compared, for the time being."""
    repair_id: BackfillId | None = None
    whole_mailbox_checked_at: datetime | None = None
    """When the walk last reached the date floor with nothing left out."""
    walk: Walk = field(default_factory=Walk)


def audited_from(mailbox: Mailbox, backfills: Iterable[Backfill]) -> datetime:
    """Return the date from which on a mailbox is to be complete.

    From its connecting on, and as far back as imports have been finished: what one that is under
    way, cancelled or failed was to bring in is not missing.
    """
    begun = mailbox.connected_at + (LINE_IS_DRAWN_WITHIN if mailbox.backfill_days else timedelta())
    imported = [
        backfill.since
        for backfill in backfills
        if backfill.kind is BackfillKind.IMPORT and backfill.state is BackfillState.DONE
    ]
    return min([begun, *imported])


def windows_of(walk: Walk, *, floor: datetime, now: datetime) -> tuple[Window, ...]:
    """Return what the next audit looks at: the newest window, then an older one if there is one."""
    if floor >= now:
        return ()
    before = walk.audited_at or now
    is_long_ago = now - before > LONGEST_NEWEST
    newest = Window(max(floor, (now if is_long_ago else before) - OVERLAP))
    if newest.since == floor:
        return (newest,)
    reached = None if is_long_ago else walk.reached
    end = min(reached, newest.since) if reached and reached > floor else newest.since
    span = max(SHORTEST_WINDOW, (now - floor) / OLDER_WINDOWS)
    return newest, Window(max(floor, end - span), end)


def parts_of(window: Window, *, held: int, at_least: int, now: datetime) -> tuple[Window, ...]:
    """Return a window cut into as many as it takes for one not to be too large, newest first.

    `held`: how many messages of these dates we hold.
    """
    count = min(MOST_PARTS, max(at_least, -(-held // MOST_IN_PART)))
    span = ((window.before or now) - window.since) / count
    borders = [window.since + number * span for number in range(count)]
    return tuple(
        Window(since, before)
        for since, before in zip(borders[::-1], [window.before, *borders[:0:-1]], strict=True)
    )


def walk_on(
    walk: Walk,
    windows: tuple[Window, ...],
    seen: Sequence[Window],
    *,
    floor: datetime,
    now: datetime,
    is_whole: bool,
) -> tuple[Walk, bool]:
    """Return how far audits have come after one of `windows`, and whether all was seen with it.

    `seen`: the newest parts of `windows` for which there was time. What there was none for is seen
    by the next walk, if it is of the newest window, else by the next audit. `is_whole`: whether
    nothing was left out of what was seen.
    """
    begins = len(windows) == 1 or windows[1].before == windows[0].since
    is_whole = is_whole and seen[0] == windows[0] and (begins or walk.is_whole)
    if len(seen) < len(windows):
        return replace(walk, audited_at=now, is_whole=is_whole), False
    oldest = seen[-1].since
    if oldest > floor:
        return Walk(now, oldest, is_whole, walk.parts), False
    return Walk(now), is_whole


def narrower(walk: Walk) -> Walk:
    """Return the walk after a window that took too long: the next audit takes half as much."""
    return replace(walk, parts=min(MOST_PARTS, walk.parts * 2))
