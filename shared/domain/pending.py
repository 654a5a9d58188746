"""What becomes of a copy by what somebody wants of it, and by what its provider says.

Until the provider has acknowledged what is wanted, that is what the copy shows; what the provider
says meanwhile is kept beside it. Whoever gives a wish up has it there, and asks nobody.
"""

from dataclasses import replace
from datetime import datetime

from shared.domain.change import Wanted
from shared.domain.ids import FolderId
from shared.domain.message import Copy, Flags, Pending


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
        version=before.version + 1 if before else 1,
        asked_at=before.asked_at if before else now,
        generation=generation,
        flags=before.flags if before else copy.flags,
        folder_ids=before.folder_ids if before else copy.folder_ids,
    )
    return replace(copy, flags=flags, folder_ids=places, pending=pending)


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


def _as_wanted(flags: Flags, wanted: Wanted) -> Flags:
    return replace(
        flags,
        seen=flags.seen if wanted.seen is None else wanted.seen,
        flagged=flags.flagged if wanted.flagged is None else wanted.flagged,
    )
