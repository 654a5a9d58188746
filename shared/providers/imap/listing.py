"""Decides what changed in a folder since a cursor: by change numbers where the server has them.

QRESYNC tells flags and deletions, CONDSTORE flags, and a plain server neither. What a server does
not tell is found by comparing with the copies we hold, and only where the counts say that there is
something to find. Everything goes by UID; message numbers shift under our hands. UIDs are listed in
windows, so that no answer grows with the mailbox.
"""

import bisect
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.cursor import Cursor
from shared.domain.errors import CursorExpiredError, ErrorCode, RetryLaterError
from shared.domain.folders import Folder
from shared.domain.ids import ProviderMessageId
from shared.domain.message import Flags
from shared.ports.provider import ChangePage, KnownCopies
from shared.providers.imap import grammar
from shared.providers.imap.position import LARGEST_UID, FolderStatus, Position
from shared.providers.imap.searching import found_uids, refuse_too_many, search_command
from shared.providers.imap.session import OpenFolders, message_id, read_fetch, uid_of
from shared.providers.imap.wire import Answer, untagged

FIRST_WINDOW = 50_000
"""How many UIDs the first SEARCH spans; later ones grow while they find little."""
_MOST_VANISHED = 10_000
"""Above so many vanished UIDs we name only those we hold."""
_SEEN, _FLAGGED, _ANSWERED, _DRAFT = b"\\seen", b"\\flagged", b"\\answered", b"\\draft"


HeldFlags = Callable[[], Mapping[ProviderMessageId, Flags]]
"""Gives the flags of the folder's copies that we hold, read once."""


@dataclass(slots=True)
class _Listing:
    """One call of `changes`: what was asked, and what the first round trip brought."""

    open_folders: OpenFolders
    folder: Folder
    raw: bytes
    position: Position
    status: FolderStatus
    answers: list[Answer]
    knows_changes: bool
    """Whether the server was asked for flags (and deletions) since the position, and answered."""
    since: datetime | None
    before: datetime | None = None

    @property
    def top(self) -> int:
        """The highest UID that belongs to the position taken; 0 where the server does not say."""
        return self.status.last_uid if self.status.last_uid >= self.position.last_uid else 0


def changes(
    open_folders: OpenFolders,
    folder: Folder,
    cursor: Cursor | None,
    known: KnownCopies,
    *,
    since: datetime | None,
    limit: int,
    now: datetime,
) -> ChangePage:
    """Return what changed after `cursor`; see `MailSession.changes`."""
    raw = open_folders.name_of(folder)
    held_flags = functools.cache(lambda: _flags_of(known))
    listing = _begin(open_folders, folder, raw, Position.of(cursor) if cursor else None, since)
    status = listing.status
    uids = _next_uids(listing, limit)
    page, more = uids[:limit], len(uids) > limit
    added, too_old = _by_floor(listing, page)
    if listing.position.whole:
        held = held_flags()
        # A whole listing asks for the floor's day on: what lies before it was not asked for.
        added, too_old = [one for one in added if one not in held], []
    if more:
        rest = replace(listing.position, last_uid=page[-1], catching_up=True)
        return ChangePage(tuple(added), {}, (), rest.cursor(), more=True, too_old=tuple(too_old))
    last_uid = max(listing.top, listing.position.last_uid, *page, 0)
    flags, removed, compared = _changes_of_known(listing, held_flags, uids, now)
    compared_at = int(now.timestamp()) if compared else listing.position.compared_at
    reached_all = listing.position.reached(status, last_uid=last_uid, compared_at=compared_at)
    return ChangePage(
        tuple(added), flags, tuple(removed), reached_all.cursor(), too_old=tuple(too_old)
    )


def list_window(
    open_folders: OpenFolders,
    folder: Folder,
    *,
    since: datetime,
    upto: Cursor,
    before: datetime | None = None,
) -> tuple[ProviderMessageId, ...]:
    """Return what was received from `since` to `before` and lies before `upto`, newest first.

    Raises `CursorExpiredError` after a renumbering: the old position says nothing of what is there.
    """
    end = Position.of(upto)
    raw = open_folders.name_of(folder)
    listing = _begin(open_folders, folder, raw, None, since, before=before)
    if end.uidvalidity != listing.status.uidvalidity:
        raise CursorExpiredError(ErrorCode.UIDVALIDITY_CHANGED, cause="renumbered since")
    uids = _next_uids(listing, None)
    dated = _received(listing, [uid for uid in uids if uid <= end.last_uid])
    newest_first = sorted(
        (
            (received or since, uid)
            for uid, received in dated
            if not received or (received >= since and (before is None or received < before))
        ),
        reverse=True,
    )
    return tuple(
        message_id(folder, listing.status.uidvalidity, uid) for _received_at, uid in newest_first
    )


def _begin(
    open_folders: OpenFolders,
    folder: Folder,
    raw: bytes,
    position: Position | None,
    since: datetime | None,
    *,
    before: datetime | None = None,
) -> _Listing:
    """Take the folder's status, select it and ask what is new and changed, in one round trip.

    The status comes first, so what happens while we list lies after the position and is found next
    time. Raises `CursorExpiredError` for a new UIDVALIDITY.
    """
    last_uid = position.last_uid if position else 0
    is_whole = position is None or position.whole
    # An open folder may lag behind its status, and the position would pass what came between. NOOP
    # would do, but Dovecot carries it out after the SEARCH that follows it.
    select = open_folders.select_commands(raw, anew=True)
    window = (last_uid + 1, last_uid + FIRST_WINDOW)
    search = search_command(open_folders, window, since if is_whole else None, before)
    commands = [open_folders.status_command(raw), *select, search]
    if position and position.modseq and not is_whole and last_uid:
        modifier = b" VANISHED" if open_folders.has_qresync else b""
        commands.append(
            b"UID FETCH 1:%d (UID FLAGS) (CHANGEDSINCE %d%s)"
            % (last_uid, position.modseq, modifier)
        )
    answers = open_folders.wire.exchange(commands)
    status = open_folders.take_status(raw, answers)
    uidvalidity = open_folders.take_selection(raw, answers[1:], select)
    answers[1 + len(select)].require_ok()
    if status.uidvalidity != uidvalidity or (position and position.uidvalidity != uidvalidity):
        if position is None:
            raise RetryLaterError(ErrorCode.FOLDER_UNAVAILABLE, cause="UIDVALIDITY is unsteady")
        raise CursorExpiredError(ErrorCode.UIDVALIDITY_CHANGED, cause=f"now {uidvalidity}")
    begun = position or Position(raw.decode("latin-1"), uidvalidity, 0, whole=True)
    asked_changes = len(commands) > 2 + len(select)
    return _Listing(
        open_folders=open_folders,
        folder=folder,
        raw=raw,
        position=begun,
        status=status,
        answers=answers,
        knows_changes=asked_changes and answers[-1].ok,
        since=since,
        before=before,
    )


def _next_uids(listing: _Listing, limit: int | None) -> list[int]:
    """Return the UIDs after the position, ascending: all of them, or more than `limit`."""
    low, span = listing.position.last_uid + 1, FIRST_WINDOW
    high = low + span - 1
    floor = listing.since if listing.position.whole else None
    if not listing.top and listing.status.messages:
        # Without UIDNEXT nobody knows where to stop windowing.
        high = LARGEST_UID
        command = search_command(listing.open_folders, (low, high), floor, listing.before)
        answers = [listing.open_folders.wire.exchange([command])[0].require_ok()]
        return found_uids(answers, low, high)
    found = found_uids(listing.answers, low, min(high, listing.top))
    while high < listing.top and (limit is None or len(found) <= limit):
        span = span * 4 if len(found) < FIRST_WINDOW // 4 else FIRST_WINDOW
        low, high = high + 1, min(high + span, listing.top)
        command = search_command(listing.open_folders, (low, high), floor, listing.before)
        answers = listing.open_folders.wire.exchange([command])
        answers[0].require_ok()
        found += found_uids(answers, low, high)
        refuse_too_many(len(found))
    return found


def _by_floor(
    listing: _Listing, uids: Sequence[int]
) -> tuple[list[ProviderMessageId], list[ProviderMessageId]]:
    """Return the names of those `uids` received at or after the floor, and of those before it."""
    uidvalidity = listing.status.uidvalidity
    if listing.since is None or not uids:
        return [message_id(listing.folder, uidvalidity, uid) for uid in uids], []
    added: list[ProviderMessageId] = []
    too_old: list[ProviderMessageId] = []
    for uid, received in _received(listing, uids):
        # A date that cannot be read is no reason to pass a message over.
        place = added if received is None or received >= listing.since else too_old
        place.append(message_id(listing.folder, uidvalidity, uid))
    return added, too_old


def _received(listing: _Listing, uids: Sequence[int]) -> list[tuple[int, datetime | None]]:
    """Return when each of `uids` was received, ascending; None where the server does not say.

    That may be one which is gone by now, or one left out of an answer: whoever fetches it is told.
    """
    found: dict[int, datetime | None] = dict.fromkeys(uids)

    def take(response: list[bytes]) -> None:
        read = _uid_and_items(response)
        if read and read[0] in found and b"INTERNALDATE" in read[1]:
            found[read[0]] = grammar.internal_date(read[1][b"INTERNALDATE"])

    listing.open_folders.fetch_each(grammar.sequence_sets(uids), b"(UID INTERNALDATE)", take)
    return sorted(found.items())


def highest_uid(open_folders: OpenFolders) -> int:
    """Return the highest UID in the selected folder, 0 where it is empty; one round trip."""
    highest = 0

    def take(response: list[bytes]) -> None:
        nonlocal highest
        read = _uid_and_items(response)
        highest = max(highest, read[0] if read else 0)

    open_folders.fetch_each([b"*"], b"(UID)", take)
    return highest


def _uid_and_items(response: list[bytes]) -> tuple[int, dict[bytes, grammar.Value]] | None:
    items = read_fetch(response)
    uid = grammar.number(items.get(b"UID")) if items else None
    return (uid, items) if uid and uid <= LARGEST_UID and items else None


def _flags_of(known: KnownCopies) -> dict[ProviderMessageId, Flags]:
    return {name: copy.flags for name, copy in known.in_folder().items()}


def _changes_of_known(
    listing: _Listing, known: HeldFlags, new_uids: Sequence[int], now: datetime
) -> tuple[dict[ProviderMessageId, Flags], list[ProviderMessageId], bool]:
    """Return flags and removals among what was listed before, and whether all was compared."""
    position, status = listing.position, listing.status
    is_trustworthy = listing.knows_changes and status.modseq >= position.modseq > 0
    if not is_trustworthy or position.is_due(status, now):
        return *_compare(listing, known), True
    flags = _changed_flags(listing)
    if listing.open_folders.has_qresync:
        return flags, _vanished(listing, known), False
    # Nothing is ever added below the position, so an equal count means that nothing went away.
    left = status.messages - len(new_uids)
    if left == position.messages and not position.catching_up:
        return flags, [], False
    return flags, _missing(listing, known()), False


def _changed_flags(listing: _Listing) -> dict[ProviderMessageId, Flags]:
    flags: dict[ProviderMessageId, Flags] = {}
    for response in (one for answer in listing.answers for one in answer.untagged):
        read = _uid_and_items(response)
        if read and read[0] <= listing.position.last_uid and b"FLAGS" in read[1]:
            name = message_id(listing.folder, listing.status.uidvalidity, read[0])
            flags[name] = read_flags(read[1])
    return flags


def _vanished(listing: _Listing, known: HeldFlags) -> list[ProviderMessageId]:
    """Return what `VANISHED` names, of the part of the folder that was listed before."""
    low, high = 1, listing.position.last_uid
    spans = grammar.merged(
        span
        for response in untagged(listing.answers, b"VANISHED")
        for span in grammar.read_set(response[0].split()[-1], low, high)
    )
    if grammar.count(spans) > _MOST_VANISHED:
        held = sorted(_uids_of(listing, known()))
        uids = (
            uid
            for first, last in spans
            for uid in held[bisect.bisect_left(held, first) : bisect.bisect_right(held, last)]
        )
    else:
        uids = (uid for first, last in spans for uid in range(first, last + 1))
    return [message_id(listing.folder, listing.status.uidvalidity, uid) for uid in uids]


def _missing(listing: _Listing, held: Mapping[ProviderMessageId, Flags]) -> list[ProviderMessageId]:
    """Return which of `held` are no longer in the folder, by listing UIDs in windows."""
    uids = _uids_of(listing, held)
    if not uids:
        return []
    present: set[int] = set()
    low, last = min(uids), max(uids)
    while low <= last:
        high = min(low + FIRST_WINDOW - 1, last)
        # Only where we hold something: UIDs may lie far apart.
        if any(low <= uid <= high for uid in uids):
            command = search_command(listing.open_folders, (low, high), None)
            answers = listing.open_folders.wire.exchange([command])
            answers[0].require_ok()
            present.update(found_uids(answers, low, high))
        low = min((uid for uid in uids if uid > high), default=last + 1)
    return [name for uid, name in sorted(uids.items()) if uid not in present]


def _compare(
    listing: _Listing, known: HeldFlags
) -> tuple[dict[ProviderMessageId, Flags], list[ProviderMessageId]]:
    """Compare the flags of all we hold with the server's, and find what is gone."""
    held = known()
    uids = _uids_of(listing, held)
    other = [name for name in held if uid_of(name, listing.status.uidvalidity) is None]
    changed: dict[ProviderMessageId, Flags] = {}
    present: set[int] = set()

    def take(response: list[bytes]) -> None:
        read = _uid_and_items(response)
        name = uids.get(read[0]) if read else None
        if read is None or name is None or b"FLAGS" not in read[1]:
            return
        present.add(read[0])
        flags = read_flags(read[1])
        if replace(held[name], version=0) != replace(flags, version=0):
            changed[name] = flags

    items = b"(UID FLAGS MODSEQ)" if listing.status.modseq else b"(UID FLAGS)"
    if uids:
        whole = b"%d:%d" % (min(uids), max(uids))
        listing.open_folders.fetch_each([whole], items, take)
    absent = {uid: name for uid, name in uids.items() if uid not in present}
    if not absent:
        return changed, other
    # An answer that left something out is not proof; a second listing has to say the same.
    gone = _missing(listing, {name: held[name] for name in absent.values()})
    return changed, [*gone, *other]


def _uids_of(
    listing: _Listing, held: Mapping[ProviderMessageId, Flags]
) -> dict[int, ProviderMessageId]:
    pairs = ((uid_of(name, listing.status.uidvalidity), name) for name in held)
    return {uid: name for uid, name in pairs if uid is not None}


def read_flags(items: Mapping[bytes, grammar.Value]) -> Flags:
    """Return the flags of a FETCH response, with MODSEQ as their version."""
    listed = items.get(b"FLAGS")
    words = (
        {word.lower() for word in listed if isinstance(word, bytes)}
        if isinstance(listed, list)
        else set()
    )
    modseq = items.get(b"MODSEQ")
    version = grammar.number(modseq[0]) if isinstance(modseq, list) and modseq else None
    return Flags(
        seen=_SEEN in words,
        flagged=_FLAGGED in words,
        answered=_ANSWERED in words,
        draft=_DRAFT in words,
        version=version or 0,
    )
