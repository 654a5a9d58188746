"""Decides what folders a mailbox has, what they are called, and how they come and go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.simulators.kit.mailbox import NoSuchThingError
from infra.simulators.microsoft.ids import MalformedIdError, Namer

if TYPE_CHECKING:
    import sqlite3

    from infra.simulators.kit.store import Store
    from infra.simulators.microsoft.accounts import User

ROOT = "msgfolderroot"
SEARCH = "search"
# well-known name, display name, hidden, under the root (rather than beside it)
_AT_FIRST = (
    (ROOT, "Top of Information Store", False, False),
    ("archive", "Archive", False, True),
    ("conversationhistory", "Conversation History", False, True),
    ("deleteditems", "Deleted Items", False, True),
    ("drafts", "Drafts", False, True),
    ("inbox", "Inbox", False, True),
    ("junkemail", "Junk Email", False, True),
    ("outbox", "Outbox", False, True),
    ("sentitems", "Sent Items", False, True),
    ("clutter", "Clutter", True, True),
    ("scheduled", "Scheduled", True, True),
    ("recoverableitemsdeletions", "Deletions", True, False),
)
_SEARCH_FOLDER = "Unread Mail"
WELL_KNOWN = frozenset(known for known, *_ in _AT_FIRST)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of a mailbox.

    Attributes:
        known: its well-known name; empty for a folder that its owner made.
        kind: empty, or ``search``, whose messages lie in other folders.
        query: of a search folder, as an OData filter.
    """

    pk: int
    name: str
    parent: int | None
    known: str
    hidden: bool
    kind: str
    query: str


class FolderError(Exception):
    """What was asked of a folder cannot be done: `code` as Graph has it."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Folders:
    """The folders of one mailbox, and its counter of changes."""

    def __init__(self, store: Store, user: User) -> None:
        self._store = store
        self._user = user
        self.namer = Namer(user.mailbox_guid, personal=user.options.personal)

    def make_first(self) -> None:
        """Make those that every mailbox begins with. Does nothing a second time."""
        if self._store.value("select count(*) from folders where user = ?", self._user.pk):
            return
        named = self._user.options.folder_names
        with self._store.transaction():
            root: int | None = None
            for known, name, hidden, under_root in _AT_FIRST:
                made = self._insert(
                    named.get(known, name), root if under_root else None, known, hidden=hidden
                )
                root = made if known == ROOT else root
            self._insert(_SEARCH_FOLDER, root, "", kind=SEARCH, query="isRead eq false")

    # ---- finding ------------------------------------------------------------------------------

    def all(self) -> list[Folder]:
        """Return every folder, in the order they were made."""
        return [
            _folder(row)
            for row in self._store.rows(
                "select * from folders where user = ? order by pk", self._user.pk
            )
        ]

    def of(self, pk: int) -> Folder | None:
        """Return a folder by number, or None."""
        row = self._store.row("select * from folders where pk = ? and user = ?", pk, self._user.pk)
        return _folder(row) if row else None

    def known(self, name: str) -> Folder:
        """Return a well-known folder, which every mailbox has."""
        row = self._store.row(
            "select * from folders where user = ? and known = ?", self._user.pk, name.lower()
        )
        if row is None:
            raise NoSuchThingError(f"no folder {name}")
        return _folder(row)

    def find(self, name: str) -> Folder | None:
        """Return a folder by id or well-known name, or None.

        Raises:
            MalformedIdError: the text is neither.
        """
        if name.lower() in WELL_KNOWN:
            return self.known(name)
        place = self.namer.read(name)
        if place.kind != "folder":
            raise MalformedIdError(name)
        return self.of(place.folder)

    def named(self, name: str) -> Folder:
        """Return a folder by id, well-known name or display name, for those who control it."""
        for folder in self.all():
            if name in (folder.known, folder.name, self.namer.folder(folder.pk)) and name:
                return folder
        raise NoSuchThingError(f"no folder {name}")

    def children(self, parent: int | None, *, hidden: bool) -> list[Folder]:
        """Return the folders in a folder; the root's when None."""
        wanted = self.known(ROOT).pk if parent is None else parent
        return [one for one in self.all() if one.parent == wanted and (hidden or not one.hidden)]

    # ---- changing -----------------------------------------------------------------------------

    def create(self, name: str, parent: int | None = None, *, hidden: bool = False) -> Folder:
        """Make a folder. Raises FolderError when its name is taken there or empty."""
        parent = self.known(ROOT).pk if parent is None else parent
        self._check_name(name, parent)
        made = self.of(self._insert(name, parent, "", hidden=hidden))
        assert made is not None  # noqa: S101 - it was made a line above
        return made

    def rename(self, folder: Folder, name: str) -> None:
        """Call a folder otherwise. Raises FolderError for a taken name or a well-known folder."""
        self._check_own(folder)
        if name != folder.name:
            self._check_name(name, folder.parent)
        self._change(folder, "name = ?", name)

    def move(self, folder: Folder, parent: Folder) -> None:
        """Put a folder into another. Raises FolderError when it cannot be done."""
        self._check_own(folder)
        above: Folder | None = parent
        while above is not None:
            if above.pk == folder.pk:
                raise FolderError("ErrorMoveCopyFailed", "The move or copy operation failed.")
            above = self.of(above.parent) if above.parent is not None else None
        self._check_name(folder.name, parent.pk)
        self._change(folder, "parent = ?", parent.pk)

    def delete(self, folder: Folder) -> list[int]:
        """Delete a folder with those in it. Returns the numbers of all that went, its own first.

        Raises:
            FolderError: it is a well-known one.
        """
        self._check_own(folder)
        gone = [folder.pk]
        for pk in gone:
            gone += [one.pk for one in self.all() if one.parent == pk]
        for pk in gone:
            self._store.execute("delete from folders where pk = ?", pk)
            self._store.execute(
                "insert into lost_folders values (?, ?, ?)", self._user.pk, self.next_seq(), pk
            )
        return gone

    def next_seq(self) -> int:
        """Return the number of the mailbox's next change."""
        self._store.execute("update users set seq = seq + 1 where pk = ?", self._user.pk)
        return self.seq()

    def seq(self) -> int:
        """Return the number of the mailbox's latest change."""
        return int(self._store.value("select seq from users where pk = ?", self._user.pk))

    def touch(self, folder: int) -> None:
        """Note that a folder's counts have changed, as its own delta shows."""
        self._store.execute("update folders set changed_seq = ? where pk = ?", self.seq(), folder)

    def changed_since(self, since: int, upto: int) -> list[tuple[int, int, Folder | None]]:
        """Return what happened between two numbers; the folder is None where it is gone."""
        changed = self._store.rows(
            "select * from folders where user = ? and changed_seq > ? and changed_seq <= ?",
            *(self._user.pk, since, upto),
        )
        lost = self._store.rows(
            "select * from lost_folders where user = ? and seq > ? and seq <= ?",
            *(self._user.pk, since, upto),
        )
        news: list[tuple[int, int, Folder | None]] = [
            (row["changed_seq"], row["pk"], _folder(row)) for row in changed
        ]
        news += [(row["seq"], row["folder"], None) for row in lost]
        return sorted(news, key=lambda one: one[:2])

    def _insert(
        self,
        name: str,
        parent: int | None,
        known: str,
        *,
        hidden: bool = False,
        kind: str = "",
        query: str = "",
    ) -> int:
        seq = self.next_seq()
        return self._store.insert(
            "insert into folders"
            " (user, name, parent, known, hidden, kind, query, born_seq, changed_seq)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(self._user.pk, name, parent, known, hidden, kind, query, seq, seq),
        )

    def _change(self, folder: Folder, assignment: str, value: object) -> None:
        self._store.execute(
            f"update folders set {assignment}, changed_seq = ? where pk = ?",  # noqa: S608 - ours
            value,
            self.next_seq(),
            folder.pk,
        )

    def _check_own(self, folder: Folder) -> None:
        if folder.known:
            raise FolderError(
                "ErrorDeleteDistinguishedFolder", "Distinguished folders cannot be deleted."
            )

    def _check_name(self, name: str, parent: int | None) -> None:
        if not name.strip():
            raise FolderError("ErrorInvalidRequest", "The folder's display name must not be empty.")
        if any(one.parent == parent and one.name == name for one in self.all()):
            raise FolderError(
                "ErrorFolderExists", "A folder with the specified name already exists."
            )


def _folder(row: sqlite3.Row) -> Folder:
    return Folder(
        row["pk"],
        row["name"],
        row["parent"],
        row["known"],
        bool(row["hidden"]),
        row["kind"],
        row["query"],
    )
