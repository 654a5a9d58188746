"""Decides how we find what a folder lost while nobody told us: by date, a thousand at a time.

After a link was forgotten the folder is walked anew, which shows what it holds and not what it no
longer holds. So what we hold is gone through from its newest message to its oldest, beside lists of
the same dates. The cursor names the date that was reached: a folder of any size is compared in as
many runs as it takes. Dates do not shift when something is deleted meanwhile; pages by number do.

A list that left something out is no proof: the message itself has the last word.
"""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from shared.domain.folders import Folder
from shared.domain.ids import ProviderMessageId
from shared.ports.provider import KnownCopies
from shared.providers.outlook.entries import read_entry
from shared.providers.outlook.session import Session
from shared.providers.outlook.window import FIELDS, window_url

MOST_ASKED = 200
"""Messages asked for one by one in a step: of a folder that was emptied, each of them."""


def step(
    session: Session,
    folder: Folder,
    known: KnownCopies,
    *,
    upto: int | None,
    told: Collection[ProviderMessageId] = (),
) -> tuple[Sequence[ProviderMessageId], int | None]:
    """Compare some of what we hold, and return what is gone and up to when to go on; None: done.

    `upto`: seconds since 1970; what arrived later was compared before, None for nothing yet.
    `told`: what is known to be gone already.
    """
    held = session.held_here(folder, known)
    left = held[bisect_left(held, -upto, key=lambda one: one[0]) :] if upto is not None else held
    if not left:
        session.forget_held()
        return (), None
    newest, oldest = -left[0][0], -left[-1][0]
    listed, reach = _listed(session, folder, newest=newest, oldest=oldest)
    suspects: list[ProviderMessageId] = []
    judged = newest
    for number, name in left:
        if -number < reach or (len(suspects) >= MOST_ASKED and -number < judged):
            break
        judged = -number
        if name not in listed and name not in told:
            suspects.append(name)
    gone = _no_longer_here(session, folder, known, suspects)
    if judged > oldest:
        return gone, judged - 1
    session.forget_held()
    return gone, None


def _listed(session: Session, folder: Folder, *, newest: int, oldest: int) -> tuple[set[str], int]:
    """Return ids from `newest` on downwards, and down to which second these are all."""
    # One second more, as that of the newest has parts.
    url = window_url(folder, FIELDS, since=_instant(oldest), newest=_instant(newest + 1))
    ids: set[str] = set()
    for items, following in session.pages(url):
        entries = [read_entry(one) for one in items]
        ids |= {entry.id for entry in entries}
        last = min((int(entry.received_at.timestamp()) for entry in entries), default=newest)
        if following is not None and last < newest:
            return ids, last + 1
    return ids, oldest


def _no_longer_here(
    session: Session, folder: Folder, known: KnownCopies, suspects: Sequence[ProviderMessageId]
) -> list[ProviderMessageId]:
    if not suspects:
        return []
    copies = known.of(suspects)
    ours = [
        name
        for name, copy in copies.items()
        if copy.removed_at is None and folder.id in copy.folder_ids
    ]
    asked = session.ask(ours)
    return [name for name, one in asked.items() if one is None or one.folder_id != folder.id]


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
