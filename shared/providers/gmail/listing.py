"""Decides how a whole mailbox is listed and compared: by years, oldest first, to go on anywhere.

Gmail lists newest first and its page tokens expire (T49), so a listing goes year by year and hands
out the ids of a year in the order of their numbers, which is that of arrival. A cursor then holds
the year and the last id: another session lists that year anew and goes on behind it, whatever
was deleted or arrived meanwhile. Flags and labels of what we hold are compared by listing each
label: five units for five hundred ids, where asking for each message would cost twenty.
Source: developers.google.com/workspace/gmail/api/guides/filtering (dates in seconds are exact).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.message import Copy, Flags
from shared.ports.provider import ChangePage, KnownCopies
from shared.providers.gmail import labels, units
from shared.providers.gmail.api import GmailApi, objects
from shared.providers.gmail.position import Position, Walk
from shared.providers.gmail.scope import Scope

PAGE_IDS = 500
"""The most there are in one page."""
MOST_LABELS_COMPARED = 400
"""With more labels, where copies lie is told by later changes alone."""
_FIRST_YEAR = 2005
"""What is older came by import; it is listed in one go with the year before."""
_OVERLAP_SECONDS = 86_400
"""Windows overlap, so that nothing falls between them however a border is meant."""
_LISTINGS = 2
"""So often a listing is begun when its page token is refused."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time. `begin` 0 is the floor's, `end` None is open."""

    begin: int
    end: int | None


@dataclass
class Listing:
    """The listing of one mailbox during one session. Not thread-safe."""

    api: GmailApi
    scope: Scope
    _held: Mapping[ProviderMessageId, Copy] | None = None
    _active: frozenset[ProviderMessageId] | None = None
    """What has an active label, and below, what has none but others; where that matters."""
    _inactive: frozenset[ProviderMessageId] | None = None
    _ids: dict[Window, list[ProviderMessageId]] = field(default_factory=dict)

    def page(
        self,
        position: Position,
        known: KnownCopies,
        *,
        since: datetime | None,
        limit: int,
        now: datetime,
    ) -> ChangePage:
        """Return the next ids we do not hold, at most `limit`; at the end what else differs."""
        walk = position.walk or Walk()
        held = self._held_at_first(known)
        added: dict[ProviderMessageId, None] = {}
        for window in windows(since, now):
            if window.begin < walk.window:
                continue
            reached = walk.after if window.begin == walk.window else 0
            for name in self._ids_of(window, since):
                if _number(name) <= reached or name in held or name in added:
                    continue
                if len(added) >= limit:
                    further = position.walking(Walk(window.begin, reached))
                    return ChangePage(tuple(added), {}, (), further.cursor(), more=True)
                added[name] = None
                reached = _number(name)
        flags, placed = self._compared(position, held, since, now) if held else ({}, {})
        return ChangePage(
            added=tuple(added),
            flags=flags,
            removed=(),
            next_cursor=position.walking(None).cursor(),
            # What happened since the listing began comes right behind it.
            more=True,
            placed=placed,
        )

    def window(self, since: datetime) -> tuple[ProviderMessageId, ...]:
        """Return the ids since a date that are ours, newest first."""
        return tuple(self._wanted(Window(0, None), since))

    def _held_at_first(self, known: KnownCopies) -> Mapping[ProviderMessageId, Copy]:
        """Return what we hold, read once: what is handed out since is not handed out again."""
        if self._held is None:
            self._held = known.in_folder()
        return self._held

    def _ids_of(self, window: Window, since: datetime | None) -> list[ProviderMessageId]:
        """Return the ids of a window, oldest first, listed once in a session."""
        if window not in self._ids:
            self._ids[window] = sorted(self._wanted(window, since), key=_number)
        return self._ids[window]

    def _wanted(self, window: Window, since: datetime | None) -> list[ProviderMessageId]:
        """Return the ids of a window that are in an active folder, newest first.

        Where only some are active, by listing labels: fetching what is not ours to find that out
        would cost twenty units a message.
        """
        found = self._list(_query(window, since))
        if not self.scope.off:
            return found
        if self._active is None:
            self._active = self._labelled(self.scope.on, since)
        if not self.scope.archive:
            return [name for name in found if name in self._active]
        if self._inactive is None:
            self._inactive = self._labelled(self.scope.off, since) - self._active
        return [name for name in found if name not in self._inactive]

    def _labelled(
        self, names: Iterable[str], since: datetime | None
    ) -> frozenset[ProviderMessageId]:
        whole = _query(Window(0, None), since)
        return frozenset(name for label in sorted(names) for name in self._list(whole, label))

    def _list(self, q: str, label: str = "") -> list[ProviderMessageId]:
        """Return every id that a search finds, each once, as Gmail orders them."""
        unwanted = "" if self.scope.drafts or label else "-in:drafts"
        parameters = {"maxResults": str(PAGE_IDS), "fields": "messages/id,nextPageToken"}
        if query := " ".join(filter(None, (q, unwanted))):
            parameters["q"] = query
        if label:
            parameters["labelIds"] = label
        if self.scope.spam_and_trash:
            parameters["includeSpamTrash"] = "true"
        for _ in range(_LISTINGS):
            found = self._pages(parameters)
            if found is not None:
                return found
        raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="page tokens are refused")

    def _pages(self, parameters: Mapping[str, str]) -> list[ProviderMessageId] | None:
        """Return what all pages show, or None where a page's token is no longer taken."""
        ids: dict[ProviderMessageId, None] = {}
        token = ""
        while True:
            page = {**parameters, "pageToken": token} if token else parameters
            unless = {400: _StaleTokenError()} if token else {}
            try:
                found = self.api.get("messages", page, cost=units.MESSAGES_LIST, unless=unless)
            except _StaleTokenError:
                return None
            for one in objects(found, "messages"):
                ids[ProviderMessageId(str(one.get("id", "")))] = None
            previous, token = token, str(found.get("nextPageToken") or "")
            if not token:
                return list(ids)
            if token == previous:
                raise RetryLaterError(
                    ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="a page without an end"
                )

    def _compared(
        self,
        position: Position,
        held: Mapping[ProviderMessageId, Copy],
        since: datetime | None,
        now: datetime,
    ) -> tuple[dict[ProviderMessageId, Flags], dict[ProviderMessageId, frozenset[FolderId]]]:
        """Return flags and folders of the copies that stand otherwise at Gmail.

        What was received before the floor is not listed, so it is not judged; the first second
        neither, whichever side of the border it is on.
        """
        floor = since + timedelta(seconds=1) if since else datetime.min.replace(tzinfo=UTC)
        judged = {name: copy for name, copy in held.items() if copy.received_at > floor}
        listed = {name for one in windows(since, now) for name in self._ids_of(one, since)}
        placed: dict[ProviderMessageId, frozenset[FolderId]] = {
            name: frozenset() for name in judged if name not in listed
        }
        names = self._labels_to_compare()
        told = self._labels_by_id(names, since, listed & judged.keys())
        flags: dict[ProviderMessageId, Flags] = {}
        for name, label_ids in told.items():
            copy = judged[name]
            folders = labels.folder_ids(label_ids)
            if len(names) <= MOST_LABELS_COMPARED and folders != copy.folder_ids:
                placed[name] = folders if self.scope(folders) else frozenset()
            if not placed.get(name, folders):
                continue
            seen = labels.flags_of(label_ids, position.history_id)
            # A copy fetched since the listing began is newer than what was listed.
            if labels.marks(seen) != labels.marks(copy.flags) and (
                copy.flags.version <= position.history_id
            ):
                flags[name] = seen
        return flags, placed

    def _labels_to_compare(self) -> list[str]:
        found = self.api.get("labels", {}, cost=units.LABELS_LIST)
        places = [str(one.get("id", "")) for one in objects(found, "labels")]
        return [one for one in places if labels.tells_of_a_copy(one)]

    def _labels_by_id(
        self, names: list[str], since: datetime | None, ids: Iterable[ProviderMessageId]
    ) -> dict[ProviderMessageId, set[str]]:
        told: dict[ProviderMessageId, set[str]] = {name: set() for name in ids}
        asked = names if len(names) <= MOST_LABELS_COMPARED else list(labels.FLAG_LABELS)
        for label in asked:
            for name in self._list(_query(Window(0, None), since), label):
                if name in told:
                    told[name].add(label)
        return told


class _StaleTokenError(RetryLaterError):
    """A page token that Gmail no longer takes, or never took."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="a page token was refused")


def windows(since: datetime | None, now: datetime) -> list[Window]:
    """Return the stretches a mailbox is listed in, oldest first: years from the floor on."""
    first = since.year + 1 if since else _FIRST_YEAR
    borders = [
        int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in range(first, now.year + 1)
    ]
    return [Window(begin, end) for begin, end in zip([0, *borders], [*borders, None], strict=True)]


def _query(window: Window, since: datetime | None) -> str:
    """Return the search for a window. `after:` takes the second it names, `before:` does not."""
    words = []
    if window.begin:
        words.append(f"after:{window.begin - _OVERLAP_SECONDS}")
    elif since:
        words.append(f"after:{int(since.timestamp())}")
    if window.end:
        words.append(f"before:{window.end + _OVERLAP_SECONDS}")
    return " ".join(words)


def _number(name: ProviderMessageId) -> int:
    """Return a message's id as the number it writes, which grows with arrival."""
    try:
        return int(name, 16)
    except ValueError:
        raise RetryLaterError(
            ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="an id that is no number"
        ) from None
