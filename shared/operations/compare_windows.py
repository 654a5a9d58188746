"""When a difference between a mailbox and our copies of it is believed.

A listing and an index that lags only raise a suspicion. It is dropped where the copies themselves,
read consistently, say otherwise; where a ledger says why there is no copy; and where the provider
has yet to tell of it: what happened after the position sync stands at is sync's to take in. Of what
we hold and the provider does not list, the message itself has the last word.
"""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.domain.audit import Window, parts_of
from shared.domain.capabilities import CAPABILITIES
from shared.domain.cursor import Cursor
from shared.domain.errors import ConflictError, CursorExpiredError, ErrorCode, RetryLaterError
from shared.domain.folders import Folder, is_active, is_wanted
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.lease import Fence
from shared.domain.mailbox import FolderState, Mailbox
from shared.domain.message import FetchedMessage
from shared.operations.folder_positions import cursor_of
from shared.operations.held_copies import HeldCopies
from shared.ports.audits import AuditStore
from shared.ports.clock import Clock
from shared.ports.provider import Look, MailSession
from shared.ports.stores import MailboxStore, MessageStore

BORDERS_DIFFER = timedelta(minutes=1)
"""What lies this close to a border may be listed on its other side."""
MOST_ASKED_FOR = 20
"""Copies that a provider no longer lists, and is asked for one by one, of one folder and part."""
_PAGE_SIZE = 1_000
_MOST_PAGES = 20
"""Where more has happened since sync was here, it is sync's turn."""


@dataclass(slots=True)
class Compared:
    """What a comparison found."""

    seen: list[Window] = field(default_factory=list)
    """The newest part of each window for which there was time, from the newest window on."""
    missing: dict[FolderId, tuple[ProviderMessageId, ...]] = field(default_factory=dict)
    """Listed, and not here for no reason, by the folder they were listed in, newest first."""
    listed: set[ProviderMessageId] = field(default_factory=set)
    ledgered: int = 0
    under_way: int = 0
    extra: int = 0
    mended: int = 0
    """Of the extra ones, those that are now where the provider has them, or gone as there."""
    left_out: set[FolderId] = field(default_factory=set)
    """Folders that could not be compared."""
    took_too_long: bool = False
    """The session ended amid a part."""

    def add(self, part: "Compared") -> None:
        """Add what a further part came to."""
        for folder_id, names in part.missing.items():
            self.missing[folder_id] = (*self.missing.get(folder_id, ()), *names)
        self.listed |= part.listed
        self.ledgered += part.ledgered
        self.under_way += part.under_way
        self.extra += part.extra
        self.mended += part.mended
        self.left_out |= part.left_out


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder that can be compared: where sync stands in it, and what is listed there."""

    folder: Folder
    cursor: Cursor
    ids: tuple[ProviderMessageId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One mailbox, and the session in which it is compared."""

    mailbox: Mailbox
    states: Mapping[FolderId, FolderState]
    """As read before the session began: what comes later is told from these positions on."""
    session: MailSession
    mailboxes: MailboxStore
    messages: MessageStore
    audits: AuditStore
    clock: Clock
    rng: random.Random
    parts_begin_for: timedelta
    """So long after the beginning no further part is begun but the first of a window."""

    def of(self, windows: Sequence[Window], *, parts: int) -> Compared:
        """Compare what lies in `windows`, newest first, each cut into `parts` or more.

        Each window has its share of the time, and its newest part is always begun. Raises what a
        session and the stores raise before the first part is over.
        """
        mailbox, found, now = self.mailbox, Compared(), self.clock.now()
        look = self.session.look(
            {}, lambda folder: is_active(folder, mailbox.active_folders), now=now
        )
        for number, window in enumerate(windows, start=1):
            ends_at = now + self.parts_begin_for * number / len(windows)
            held = self.audits.live_ids(
                mailbox.tenant_id, mailbox.id, since=window.since, before=window.before
            )
            for part in parts_of(window, held=len(held), at_least=parts, now=now):
                is_first = part.before == window.before
                if not is_first and self.clock.now() >= ends_at:
                    break
                try:
                    found.add(self._part(part, held, look, found.listed))
                except RetryLaterError as error:
                    if error.code is not ErrorCode.CONNECTION_TIMED_OUT or not found.seen:
                        raise
                    found.took_too_long = True
                    return found
                found.seen[number - 1 :] = [Window(part.since, window.before)]
        return found

    def _part(
        self,
        part: Window,
        held: Mapping[ProviderMessageId, datetime],
        look: Look,
        earlier: Collection[ProviderMessageId],
    ) -> Compared:
        """Compare one part, without what an `earlier` one listed: at a border, or undated."""
        found = Compared()
        places = self._places(look, part, found)
        found.listed = {name for place in places for name in place.ids if name not in earlier}
        absent = self._not_live([name for name in found.listed if name not in held])
        unlisted = [
            name
            for name, at in held.items()
            if name not in found.listed and name not in earlier and _is_inside(at, part)
        ]
        extra = self._extra(unlisted, places)
        if absent:
            settled = self.audits.settled(self.mailbox.tenant_id, self.mailbox.id)
            found.ledgered = len(absent & settled)
            absent -= settled
        for place in places:
            self._judge(place, absent, extra.get(place.folder.id, frozenset()), look, found)
        return found

    def _places(self, look: Look, part: Window, found: Compared) -> list[_Place]:
        """List each followed folder that sync has come to the end of."""
        places: list[_Place] = []
        for folder in look.folders:
            if folder.id not in look.followed:
                continue
            state = self.states.get(folder.id)
            cursor = cursor_of(self.mailbox, state) if state and not state.gone_at else None
            ids = None
            if cursor is not None and self.session.is_settled(cursor):
                ids = self._listed(folder, cursor, part)
            if cursor is None or ids is None:
                found.left_out.add(folder.id)
            else:
                places.append(_Place(folder, cursor, ids))
        return places

    def _listed(
        self, folder: Folder, cursor: Cursor, part: Window
    ) -> tuple[ProviderMessageId, ...] | None:
        try:
            return self.session.list_window(
                folder, since=part.since, before=part.before, upto=cursor
            )
        except CursorExpiredError:
            # Sync meets the same, and compares the folder.
            return None
        except RetryLaterError as error:
            if error.code is not ErrorCode.FOLDER_UNAVAILABLE:
                raise
            return None

    def _not_live(self, names: Sequence[ProviderMessageId]) -> set[ProviderMessageId]:
        copies = self.messages.copies_by_id(self.mailbox.tenant_id, self.mailbox.id, names)
        live = {name for name, copy in copies.items() if copy.removed_at is None}
        return set(names) - live

    def _extra(
        self, names: Sequence[ProviderMessageId], places: Sequence[_Place]
    ) -> dict[FolderId, set[ProviderMessageId]]:
        """Return the live ones of `names` by their folder, where all of theirs were listed."""
        copies = self.messages.copies_by_id(self.mailbox.tenant_id, self.mailbox.id, names)
        theirs = {name: copy.as_provider_has_it for name, copy in copies.items()}
        live = {name: copy for name, copy in theirs.items() if copy.removed_at is None}
        if CAPABILITIES[self.mailbox.provider].follows_whole_mailbox:
            return {place.folder.id: set(live) for place in places}
        here = {place.folder.id for place in places}
        return {
            folder_id: {
                name
                for name, copy in live.items()
                if folder_id in copy.folder_ids and copy.folder_ids <= here
            }
            for folder_id in here
        }

    def _judge(
        self,
        place: _Place,
        absent: set[ProviderMessageId],
        extra: Collection[ProviderMessageId],
        look: Look,
        found: Compared,
    ) -> None:
        missing = [name for name in place.ids if name in absent]
        # One message may be listed in two folders: it is missed once.
        absent.difference_update(missing)
        if not missing and not extra:
            return
        told = self._told_since(place)
        if told is None:
            # Nothing is known of these, so they count as what sync is still to take in.
            found.under_way += len(missing)
            found.left_out.add(place.folder.id)
            return
        believed = [name for name in missing if name not in told]
        still = self._not_live(believed)
        found.under_way += len(missing) - len(still)
        if still:
            found.missing[place.folder.id] = tuple(name for name in believed if name in still)
        left = sorted(name for name in extra if name not in told)
        found.extra += len(left)
        # Others each time: what can never be mended stays in the way of none.
        asked = self.rng.sample(left, min(len(left), MOST_ASKED_FOR))
        found.mended += self._mend(place, asked, look)

    def _told_since(self, place: _Place) -> set[ProviderMessageId] | None:
        """Return what sync is yet to be told of, or None where that cannot be known now."""
        known = HeldCopies(self.mailbox, place.folder, self.messages)
        told: set[ProviderMessageId] = set()
        cursor, now = place.cursor, self.clock.now()
        for _ in range(_MOST_PAGES):
            try:
                page = self.session.changes(
                    place.folder, cursor, known, since=None, limit=_PAGE_SIZE, now=now
                )
            except CursorExpiredError:
                return None
            told.update(page.added, page.too_old, page.removed, page.placed)
            if not page.more:
                return told
            cursor = page.next_cursor
        return None

    def _mend(self, place: _Place, names: Sequence[ProviderMessageId], look: Look) -> int:
        """Put copies where their messages say they are; return how many were elsewhere.

        Not where sync is at work or has been, or begins before it is written: it may just have been
        told better.
        """
        folders = {folder.id: folder for folder in look.folders}
        placed: dict[ProviderMessageId, frozenset[FolderId]] = {}
        for one in self.session.fetch(place.folder, names) if names else ():
            if not isinstance(one, FetchedMessage):
                if one.reason == "gone":
                    placed[one.provider_message_id] = frozenset()
            elif one.folder_ids is not None:
                is_ours = is_wanted(one.folder_ids, folders, self.mailbox.active_folders)
                placed[one.provider_message_id] = one.folder_ids if is_ours else frozenset()
        fence = self._before_next_run(place) if placed else None
        if fence is None:
            return 0
        try:
            return self.messages.place_copies(fence, placed, now=self.clock.now())
        except ConflictError:
            return 0

    def _before_next_run(self, place: _Place) -> Fence | None:
        """Return a fence that the next run passes, or None where one is or was here."""
        tenant_id, mailbox_id = self.mailbox.tenant_id, self.mailbox.id
        record = self.mailboxes.get(tenant_id, mailbox_id)
        if record is None or record.run_state.lease_owner is not None:
            return None
        here = self.states[place.folder.id].cursor
        stands = self.mailboxes.folders(tenant_id, mailbox_id)
        if all((one.folder.id, one.cursor) != (place.folder.id, here) for one in stands):
            return None
        return Fence(tenant_id, mailbox_id, self.mailbox.generation, record.run_state.fence)


def _is_inside(at: datetime, part: Window) -> bool:
    is_before = part.before is None or at < part.before - BORDERS_DIFFER
    return part.since + BORDERS_DIFFER <= at and is_before
