"""What becomes of a copy by what somebody wants of it, and by what its provider says.

Until the provider has acknowledged what is wanted, that is what the copy shows; what the provider
says meanwhile is kept beside it. Whoever gives a wish up has it there, and asks nobody.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.domain.change import Wanted
from shared.domain.ids import FolderId
from shared.domain.message import Copy, Flags, Pending

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def wished(copy: Copy, wanted: Wanted, *, now: datetime, generation: int) -> Copy:
    """Return a live copy as somebody wants it; the same where it is so and nothing is pending."""
    before = copy.pending
    joined = before.wanted.joined_by(wanted) if before else wanted
    places = frozenset({joined.move_to}) if joined.move_to else copy.folder_ids
    flags = _as_wanted(copy.flags, joined)
    if before is None and (flags, places) == (copy.flags, copy.folder_ids):
        return copy
    pending = Pending(
        joined,
        version=max(before.version + 1 if before else 0, moment(now)),
        asked_at=now,
        generation=generation,
        flags=before.flags if before else copy.flags,
        folder_ids=before.folder_ids if before else copy.folder_ids,
    )
    return replace(copy, flags=flags, folder_ids=places, pending=pending)


def without_void(copy: Copy, first_generation: int, *, now: datetime) -> Copy:
    """Return the copy without what was wished of it before its mailbox was last disconnected.

    `first_generation`: the mailbox's, since then. A wish that joined such a one would revive it.
    """
    if copy.pending is None or copy.pending.generation >= first_generation:
        return copy
    return given_up(copy, now=now)


def told_flags(copy: Copy, flags: Flags) -> Copy:
    """Return the copy after its provider said its flags; the same where that is no news."""
    if copy.removed_at is not None or flags.version < copy.flags.version:
        return copy
    pending = copy.pending
    if pending is None:
        return replace(copy, flags=flags)
    if flags == pending.flags:
        return copy
    said = replace(pending, flags=flags, version=pending.version + 1)
    return replace(copy, flags=_as_wanted(flags, pending.wanted), pending=said)


def told_places(copy: Copy, folder_ids: frozenset[FolderId], *, now: datetime) -> Copy:
    """Return the copy after its provider said where it is; in no folder: it is gone."""
    pending = copy.pending
    if pending is not None and pending.wanted.move_to is not None:
        if folder_ids == pending.folder_ids:
            return copy
        said = replace(pending, folder_ids=folder_ids, version=pending.version + 1)
        return replace(copy, pending=said)
    if not folder_ids:
        return copy if copy.removed_at is not None else given_up(copy, now=now, is_there=False)
    if pending is not None and folder_ids != pending.folder_ids:
        pending = replace(pending, folder_ids=folder_ids, version=pending.version + 1)
    return replace(copy, folder_ids=folder_ids, removed_at=None, pending=pending)


def acknowledged(
    copy: Copy, folder_ids: frozenset[FolderId] | None, *, is_active: bool, now: datetime
) -> Copy:
    """Return the copy after its provider did what is pending of it.

    `folder_ids`: where it is by now, where that was told; not `is_active`: none of them is synced.
    """
    return replace(
        copy,
        folder_ids=folder_ids or copy.folder_ids,
        removed_at=None if is_active else now,
        pending=None,
    )


def given_up(copy: Copy, *, now: datetime, is_there: bool = True) -> Copy:
    """Return the copy as its provider has it; not `is_there`: it has it no longer."""
    pending = copy.pending
    if pending is None:
        return copy if is_there else replace(copy, removed_at=now)
    places = pending.folder_ids
    return replace(
        copy,
        flags=pending.flags,
        folder_ids=places or copy.folder_ids,
        removed_at=None if places and is_there else now,
        pending=None,
    )


def carried(copy: Copy, *, read: Copy, moved: Copy) -> Copy:
    """Return how a moved copy goes on under its new id with what is pending of it by now.

    `copy`: as it stands under its old id; `read`: as it was when the move was begun; `moved`: under
    the new id, as the provider has it by then. For where more was wished, or said, in between.
    """
    if copy.pending is None or read.pending is None:
        raise AssertionError("only what is pending is carried")
    wanted = copy.pending.wanted
    theirs = _as_wanted(copy.pending.flags, read.pending.wanted)
    # Each folder counts its changes for itself.
    theirs = replace(theirs, version=moved.flags.version)
    pending = replace(copy.pending, flags=theirs, folder_ids=moved.folder_ids)
    places = frozenset({wanted.move_to}) if wanted.move_to else moved.folder_ids
    flags = _as_wanted(theirs, wanted)
    return replace(moved, flags=flags, folder_ids=places, removed_at=None, pending=pending)


def moment(now: datetime) -> int:
    """Return an instant, in microseconds, as the first of numbers that only grow.

    What is counted is forgotten when nothing is pending any more: a count that began at one each
    time would come to a number that somebody who slept meanwhile still holds.
    """
    return (now - _EPOCH) // timedelta(microseconds=1)


def _as_wanted(flags: Flags, wanted: Wanted) -> Flags:
    return replace(
        flags,
        seen=flags.seen if wanted.seen is None else wanted.seen,
        flagged=flags.flagged if wanted.flagged is None else wanted.flagged,
    )
