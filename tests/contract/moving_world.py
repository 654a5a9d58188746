"""A world whose messages keep their id when they move: our copies are in folders, and move too."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.domain.cursor import Cursor
from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.message import Copy, FetchedMessage, Flags, MissingMessage
from tests.contract.provider_worlds import NOW, Followed, ProviderWorld, number_of
from tests.fakes.known import a_copy


@dataclass
class Held:
    """What we hold under one id: never forgotten, as copies are not."""

    number: int
    copy: Copy


@dataclass
class KnownHere:
    """The port `KnownCopies` over a world's copies, for one folder."""

    world: "MovingWorld"
    folder: Folder

    def in_folder(self) -> dict[ProviderMessageId, Copy]:
        return {
            name: one.copy
            for name, one in self.world.ours.items()
            if one.copy.removed_at is None and self.folder.id in one.copy.folder_ids
        }

    def of(self, ids) -> dict[ProviderMessageId, Copy]:
        return {name: self.world.ours[name].copy for name in ids if name in self.world.ours}


@dataclass
class MovingWorld(ProviderWorld):
    """Takes pages in as `sync_mailbox` does, where copies move and come back."""

    ours: dict[ProviderMessageId, Held] = field(default_factory=dict)
    fetched: list[ProviderMessageId] = field(default_factory=list)
    """Every id whose content was fetched, in order: a second time would be a waste."""

    def folders(self) -> dict[str, Folder]:
        found = super().folders().values()
        return {"INBOX" if one.role is FolderRole.INBOX else one.name: one for one in found}

    def numbers(self, name: str = "INBOX") -> set[int]:
        here = KnownHere(self, self.folder(name)).in_folder()
        return {self.ours[one].number for one in here}

    def follow(
        self,
        cursor: Cursor | None,
        name: str = "INBOX",
        *,
        since: datetime | None = None,
        limit: int = 100,
        pages: int = 1_000,
    ) -> Followed:
        folder = self.folder(name)
        with self.session() as session:
            return self.take_in(session, folder, cursor, since=since, limit=limit, pages=pages)

    def take_in(self, session, folder, cursor, *, since=None, limit=100, pages=1_000) -> Followed:
        """Take in page after page within a session."""
        told = Followed(cursor or Cursor("", 0, ""))
        for _ in range(pages):
            page = session.changes(
                folder, cursor, KnownHere(self, folder), since=since, limit=limit, now=self.now
            )
            assert len(page.added) <= limit
            told.added += self._fetch(session, folder, page.added)
            told.too_old += len(page.too_old)
            for one, folder_ids in page.placed.items():
                told.added.append(self.ours[one].number)
                self._place(one, folder_ids)
            for one, flags in page.flags.items():
                if one in self.ours:
                    told.changed[self.ours[one].number] = flags
                    self._flag(one, flags)
            told.removed += [
                number for one in page.removed if (number := self._remove(one, folder.id))
            ]
            told.cursor = cursor = Cursor.decode(page.next_cursor.encode())
            if not page.more:
                break
        self._mirror()
        return told

    def _fetch(self, session, folder, names) -> list[int]:
        added = []
        for one in session.fetch(folder, names):
            if isinstance(one, MissingMessage):
                assert one.reason == "gone"
                continue
            assert isinstance(one, FetchedMessage)
            name = one.provider_message_id
            self.fetched.append(name)
            copy = a_copy(name, one.flags, one.folder_ids or frozenset({folder.id}))
            copy = replace(copy, received_at=one.received_at)
            self.ours[name] = Held(number_of(one), copy)
        for name in names:
            if name in self.ours:
                added.append(self.ours[name].number)
        return added

    def _place(self, name: ProviderMessageId, folder_ids: frozenset[FolderId]) -> None:
        held = self.ours[name]
        held.copy = replace(held.copy, folder_ids=folder_ids, removed_at=None)

    def _flag(self, name: ProviderMessageId, flags: Flags) -> None:
        held = self.ours[name]
        if flags.version >= held.copy.flags.version:
            held.copy = replace(held.copy, flags=flags)

    def _remove(self, name: ProviderMessageId, folder_id: FolderId) -> int | None:
        held = self.ours.get(name)
        if held is None or held.copy.removed_at or folder_id not in held.copy.folder_ids:
            return None
        held.copy = replace(held.copy, removed_at=NOW)
        return held.number

    def _mirror(self) -> None:
        """Show what lives as the suite knows it."""
        self.copies.clear()
        self.copies |= {
            name: (one.number, one.copy.flags)
            for name, one in self.ours.items()
            if one.copy.removed_at is None
        }
