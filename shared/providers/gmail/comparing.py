"""Decides how a whole mailbox is listed and compared: window by window, to go on anywhere.

A window is a stretch of time that holds so few messages that listing it, and its labels, is a
matter of seconds; oldest first. Its ids are handed out in the order of their numbers, which is that
of arrival, and then what we hold of it is compared. A cursor holds the window and how far it is
done: another session lists that window anew and goes on behind, whatever was deleted or arrived
meanwhile, so a mailbox of any size comes to its end. Flags and labels are compared by listing each
label: five units for five hundred ids, where asking for each message would cost twenty.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import inf

from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.message import Flags
from shared.ports.provider import ChangePage, KnownCopies
from shared.providers.gmail import labels, listing, units
from shared.providers.gmail.api import GmailApi, objects
from shared.providers.gmail.held import Held, HeldCopy
from shared.providers.gmail.listing import Listing, Window, get_patiently, number_of
from shared.providers.gmail.position import Position, Walk
from shared.providers.gmail.scope import Scope

MOST_LABELS_COMPARED = 200
"""With more labels, where copies lie is told by later changes alone: a window takes a request for
each of them, and has to fit in a session."""
MOST_CHANGES = 250
"""Copies written for one page."""
_MOST_PAGES = 10
"""Of ids in a window."""
_SHORTEST_SECONDS = 10
"""Of a window, however much mail came in it."""


@dataclass(slots=True)
class _Stretch:
    """A window as it was listed."""

    listing: Listing
    ids: Sequence[ProviderMessageId]
    """Oldest first."""
    held: Sequence[HeldCopy]
    """What we hold of the window, in the order of the ids' numbers."""
    held_names: frozenset[ProviderMessageId]
    """Those, and what we hold of the time around it that is listed with it."""

    @property
    def window(self) -> Window:
        return self.listing.window


class Comparison:
    """The listing of one mailbox during one session. Not thread-safe."""

    def __init__(self, api: GmailApi, scope: Scope) -> None:
        self._api = api
        self._scope = scope
        self._held: Held | None = None
        self._stretch: _Stretch | None = None
        self._label_names: list[str] | None = None

    def page(
        self,
        position: Position,
        known: KnownCopies,
        *,
        since: datetime | None,
        limit: int,
        now: datetime,
    ) -> ChangePage:
        """Return the next ids we do not hold, at most `limit`, or what else differs."""
        walk = position.walk or Walk()
        stretch = self._listed(walk, known, since, now)
        if stretch is None:
            return _page(position, _halved(walk, since, now))
        fresh = [
            name
            for name in stretch.ids
            if name not in stretch.held_names and number_of(name) > walk.after
        ]
        added = _not_held(fresh[:limit], known)
        if len(fresh) > limit:
            return _page(position, replace(walk, after=number_of(fresh[limit - 1])), added)
        flags, placed, judged = self._judged(stretch, position, walk.judged)
        if judged:
            last = max((number_of(name) for name in stretch.ids[-1:]), default=0)
            following: Walk | None = replace(walk, after=max(walk.after, last), judged=judged)
        else:
            following = _after(stretch, since, now)
        return replace(_page(position, following, added), flags=flags, placed=placed)

    def _listed(
        self, walk: Walk, known: KnownCopies, since: datetime | None, now: datetime
    ) -> _Stretch | None:
        """Return a window, listed once in a session; None where too much came in it."""
        window = Window(walk.begin, walk.end)
        if self._stretch is not None and self._stretch.window == window:
            return self._stretch
        found = Listing(self._api, self._scope, window, since)
        most = None if _span(walk, since, now) <= _SHORTEST_SECONDS else _most_ids()
        ids = found.wanted(most=most)
        if ids is None:
            return None
        if self._held is None:
            # Once: what is handed out since is looked up by its id.
            self._held = Held(known.in_folder().values())
        # What was received before the floor is not listed, so it is not judged; in its first
        # second neither, whichever side of the border it is on.
        floor = since.timestamp() + 1 if since else -inf
        around = window.with_overlap()
        held = self._held.between(max(window.begin or -inf, floor), window.end or inf)
        beside = self._held.between(around.begin or -inf, around.end or inf)
        self._stretch = _Stretch(
            found,
            sorted(ids, key=number_of),
            sorted(held, key=lambda copy: number_of(copy.name)),
            frozenset(copy.name for copy in beside),
        )
        return self._stretch

    def _judged(
        self, stretch: _Stretch, position: Position, after: int
    ) -> tuple[dict[ProviderMessageId, Flags], dict[ProviderMessageId, frozenset[FolderId]], int]:
        """Return flags and folders of the copies that stand otherwise at Gmail, and how far it is.

        So far means: the number of the last one judged, or 0 where all are.
        """
        flags: dict[ProviderMessageId, Flags] = {}
        placed: dict[ProviderMessageId, frozenset[FolderId]] = {}
        listed = frozenset(stretch.ids)
        for copy in stretch.held:
            number = number_of(copy.name)
            if number <= after:
                continue
            if len(flags.keys() | placed.keys()) >= MOST_CHANGES:
                return flags, placed, after
            after = number
            if copy.name not in listed:
                placed[copy.name] = frozenset()
                continue
            label_ids = self._labels_of(copy.name, stretch)
            folders = labels.folder_ids(label_ids)
            if not self._too_many_labels and folders != copy.folder_ids:
                placed[copy.name] = folders if self._scope(folders) else frozenset()
            if not placed.get(copy.name, folders):
                continue
            seen = labels.flags_of(label_ids, position.history_id)
            # A copy fetched since the listing began is newer than what was listed.
            if labels.marks(seen) != copy.marks and copy.version <= position.history_id:
                flags[copy.name] = seen
        return flags, placed, 0

    def _labels_of(self, name: ProviderMessageId, stretch: _Stretch) -> frozenset[str]:
        asked = labels.FLAG_LABELS if self._too_many_labels else self._names_of_labels()
        return frozenset(one for one in asked if name in stretch.listing.with_label(one))

    @property
    def _too_many_labels(self) -> bool:
        return len(self._names_of_labels()) > MOST_LABELS_COMPARED

    def _names_of_labels(self) -> list[str]:
        """Return the labels that say where a message is or what its flags are."""
        if self._label_names is None:
            found = get_patiently(self._api, "labels", {}, cost=units.LABELS_LIST)
            names = [str(one.get("id", "")) for one in objects(found, "labels")]
            self._label_names = [one for one in names if labels.tells_of_a_copy(one)]
        return self._label_names


def _page(
    position: Position, following: Walk | None, added: tuple[ProviderMessageId, ...] = ()
) -> ChangePage:
    """Return a page after which the walk is `following`; None ends it.

    There is always more: what happened since the walk began comes right behind it.
    """
    return ChangePage(added, {}, (), position.walking(following).cursor(), more=True)


def _not_held(
    names: Sequence[ProviderMessageId], known: KnownCopies
) -> tuple[ProviderMessageId, ...]:
    """Leave out what was handed out since the copies were read, as part of the window before."""
    held = known.of(names) if names else {}
    return tuple(name for name in names if name not in held or held[name].removed_at is not None)


def _after(stretch: _Stretch, since: datetime | None, now: datetime) -> Walk | None:
    """Return the window behind one that is done: as long, or twice as long where it held little."""
    window = stretch.window
    if not window.end:
        return None
    span = _span(Walk(window.begin, window.end), since, now)
    if len(stretch.ids) * 2 <= _most_ids():
        span *= 2
    end = window.end + span
    return Walk(window.end, end if end < now.timestamp() else 0)


def _halved(walk: Walk, since: datetime | None, now: datetime) -> Walk:
    """Return the older half of a window; what was handed out of the whole stays so."""
    half = max(_SHORTEST_SECONDS, _span(walk, since, now) // 2)
    return replace(walk, end=_first(walk, since) + half)


def _span(walk: Walk, since: datetime | None, now: datetime) -> int:
    return max(0, (walk.end or int(now.timestamp()) + 1) - _first(walk, since))


def _first(walk: Walk, since: datetime | None) -> int:
    return walk.begin or (int(since.timestamp()) if since else 0)


def _most_ids() -> int:
    return _MOST_PAGES * listing.PAGE_IDS
