"""Decides what a change of a mailbox does: labels, threads, and one history record for each.

Every change goes through here, whoever makes it, so history never misses one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.simulators.google.letters import Letter, read_letter

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from infra.simulators.google.world import World

SYSTEM_LABELS = (
    "CHAT",
    "SENT",
    "INBOX",
    "IMPORTANT",
    "TRASH",
    "DRAFT",
    "SPAM",
    "CATEGORY_FORUMS",
    "CATEGORY_UPDATES",
    "CATEGORY_PERSONAL",
    "CATEGORY_PROMOTIONS",
    "CATEGORY_SOCIAL",
    "STARRED",
    "UNREAD",
)
_MAX_STEP = 60  # history ids are not contiguous: others change what this mailbox is stored with
_INSERT = (
    "INSERT INTO messages (address, id, thread_id, internal_date, history_id, raw, size,"
    " internet_message_id, base_subject, snippet, subject_words, from_words, to_words, words,"
    " has_attachment) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def shown(number: int) -> str:
    """Return a message's or thread's id as the API shows it."""
    return f"{number:016x}"


@dataclass(frozen=True, slots=True)
class Change:
    """What is told of a change: whose mailbox, which labels it is about, the new history id."""

    address: str
    labels: frozenset[str]
    history_id: str
    begins_watch: bool = False
    """Nothing has changed: whoever watches from now on is told where they are."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as the tables have it, without its text."""

    id: int
    thread_id: int
    internal_date: int
    history_id: int
    size: int
    snippet: str
    internet_message_id: str


class Mailbox:
    """One account's mail."""

    def __init__(self, world: World, address: str) -> None:
        self.world = world
        self.address = address
        self._store = world.store

    # ---- reading ------------------------------------------------------------------------------

    def find(self, message_id: int) -> Stored | None:
        """Return a message, or None."""
        row = self._store.row(
            "SELECT id, thread_id, internal_date, history_id, size, snippet, internet_message_id"
            " FROM messages WHERE address = ? AND id = ?",
            self.address,
            message_id,
        )
        return None if row is None else Stored(*row)

    def raw(self, message_id: int) -> bytes:
        """Return a message's text; it must exist."""
        found: bytes = self._store.value(
            "SELECT raw FROM messages WHERE address = ? AND id = ?", self.address, message_id
        )
        return found

    def labels_of(self, message_id: int) -> list[str]:
        """Return a message's label ids, in Gmail's order: system labels do not come first."""
        rows = self._store.rows(
            "SELECT label FROM message_labels WHERE address = ? AND message_id = ?",
            self.address,
            message_id,
        )
        return [row[0] for row in rows]

    def thread(self, thread_id: int) -> list[int]:
        """Return the ids of a thread's messages, oldest first."""
        rows = self._store.rows(
            "SELECT id FROM messages WHERE address = ? AND thread_id = ?"
            " ORDER BY internal_date, id",
            self.address,
            thread_id,
        )
        return [row[0] for row in rows]

    def has_label(self, label_id: str) -> bool:
        """Say whether there is such a label."""
        return label_id in SYSTEM_LABELS or bool(
            self._store.value(
                "SELECT 1 FROM labels WHERE address = ? AND id = ?", self.address, label_id
            )
        )

    def history_id(self) -> int:
        """Return the mailbox's current history id, as the API shows it."""
        row = self._user()
        return int(row["history_start"]) + int(row["history_last"])

    def history_start(self) -> int:
        """Return what is added to a kept history id to show it."""
        return int(self._user()["history_start"])

    def _user(self) -> sqlite3.Row:
        row = self._store.row("SELECT * FROM users WHERE address = ?", self.address)
        if row is None:
            raise LookupError(self.address)
        return row

    # ---- changing -----------------------------------------------------------------------------

    def add(
        self,
        raw: bytes,
        labels: Iterable[str],
        *,
        internal_date: int | None = None,
        thread_id: int | None = None,
        letter: Letter | None = None,
        is_that_thread: bool = False,
    ) -> int:
        """Store a message. Returns its id.

        Args:
            raw: as it came.
            labels: label ids, which must exist.
            internal_date: milliseconds since 1970; now when None.
            thread_id: the thread asked for; kept only where it fits (see `_thread_of`).
            letter: the same message, if it was read already.
            is_that_thread: it was in `thread_id` before, so it fits.
        """
        letter = letter or read_letter(raw)
        with self._store.transaction():
            now = int(self.world.clock.epoch() * 1000)
            message_id = self._new_id(now)
            found = thread_id if is_that_thread else self._thread_of(letter, thread_id)
            thread = found or message_id
            self._store.execute(
                _INSERT,
                self.address,
                message_id,
                thread,
                now if internal_date is None else internal_date,
                raw,
                len(raw),
                letter.internet_message_id,
                letter.base_subject,
                letter.snippet,
                letter.subject_words,
                letter.from_words,
                letter.to_words,
                letter.words,
                int(letter.has_attachment),
            )
            self._put_labels(message_id, labels)
            self._record("messagesAdded", message_id, thread)
        return message_id

    def change_labels(self, message_id: int, add: Iterable[str], remove: Iterable[str]) -> None:
        """Add and remove labels of a message that exists; what changes nothing leaves no trace."""
        with self._store.transaction():
            found = self.find(message_id)
            if found is None:
                return
            before = set(self.labels_of(message_id))
            wanted = set(add)
            added = [label for label in dict.fromkeys(add) if label not in before]
            removed = [
                label for label in dict.fromkeys(remove) if label in before and label not in wanted
            ]
            if removed:
                self._store.execute_many(
                    "DELETE FROM message_labels WHERE address = ? AND message_id = ? AND label = ?",
                    [(self.address, message_id, label) for label in removed],
                )
                self._record("labelsRemoved", message_id, found.thread_id, removed)
            if added:
                self._put_labels(message_id, added)
                self._record("labelsAdded", message_id, found.thread_id, added)

    def delete(self, message_id: int) -> bool:
        """Delete a message for good. Says whether there was one."""
        with self._store.transaction():
            found = self.find(message_id)
            if found is None:
                return False
            self._record("messagesDeleted", message_id, found.thread_id)
            for table in ("message_labels", "drafts"):
                self._store.execute(
                    f"DELETE FROM {table} WHERE address = ? AND message_id = ?",  # noqa: S608 - our names
                    self.address,
                    message_id,
                )
            self._store.execute(
                "DELETE FROM messages WHERE address = ? AND id = ?", self.address, message_id
            )
            return True

    def trash(self, message_id: int) -> None:
        """Put a message into the trash: out of the inbox, its other labels kept."""
        self.change_labels(message_id, ["TRASH"], ["INBOX", "SPAM"])

    def untrash(self, message_id: int) -> None:
        """Take a message out of the trash. It does not come back to the inbox by itself."""
        self.change_labels(message_id, [], ["TRASH"])

    def next_number(self, column: str) -> int:
        """Count up `labels_last` or `drafts_last` and return it: such numbers are never reused."""
        with self._store.transaction():
            self._store.execute(
                f"UPDATE users SET {column} = {column} + 1 WHERE address = ?",  # noqa: S608 - our names
                self.address,
            )
            return int(self._user()[column])

    def _put_labels(self, message_id: int, labels: Iterable[str]) -> None:
        self._store.execute_many(
            "INSERT OR IGNORE INTO message_labels VALUES (?, ?, ?)",
            [(self.address, message_id, label) for label in labels],
        )

    def _new_id(self, now_ms: int) -> int:
        # The upper bits are the time of arrival, as Gmail's are; the lower ones tell apart what
        # arrived together.
        newest = self._store.value("SELECT MAX(id) FROM messages WHERE address = ?", self.address)
        after = int(newest or 0) + 1
        return max((now_ms << 20) | self.world.random.getrandbits(12), after)

    def _thread_of(self, letter: Letter, wanted: int | None) -> int | None:
        """Return the thread that a message joins: a message it refers to has the same subject.

        With `wanted` it joins that thread or none, as the API's reference says of `threadId`.
        """
        if not letter.references:
            return None
        marks = ",".join("?" * len(letter.references))
        sql = (
            "SELECT thread_id FROM messages WHERE address = ? AND base_subject = ?"  # noqa: S608 - only marks
            f" AND internet_message_id IN ({marks}) ORDER BY id DESC"
        )
        rows = self._store.rows(sql, self.address, letter.base_subject, *letter.references)
        threads = [int(row[0]) for row in rows]
        if wanted is not None:
            return wanted if wanted in threads else None
        return threads[0] if threads else None

    def _record(
        self, kind: str, message_id: int, thread_id: int, labels: Sequence[str] = ()
    ) -> None:
        last = int(self._user()["history_last"]) + self.world.random.randint(1, _MAX_STEP)
        self._store.execute(
            "UPDATE users SET history_last = ? WHERE address = ?", last, self.address
        )
        values: tuple[Any, ...] = (
            self.address,
            last,
            self.world.clock.epoch(),
            kind,
            message_id,
            thread_id,
            json.dumps(self.labels_of(message_id)),
            json.dumps(labels),
        )
        self._store.execute("INSERT INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *values)
        self._store.execute(
            "UPDATE messages SET history_id = ? WHERE address = ? AND id = ?",
            last,
            self.address,
            message_id,
        )
        touched = frozenset([*self.labels_of(message_id), *labels])
        self._store.tell(Change(self.address, touched, str(self.history_id())))
