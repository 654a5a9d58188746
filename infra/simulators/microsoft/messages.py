"""Decides how a mailbox keeps its messages, and what a change to one leaves for delta to find.

A message has one row for as long as it is in the mailbox (its immutable id) and a new item number
each time it enters a folder (its default id). Every change takes the mailbox's next number. A
message that leaves a folder leaves a removal there.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.simulators.microsoft.folders import SEARCH, Folder, FolderError, Folders
from infra.simulators.microsoft.ids import conversation_index
from infra.simulators.microsoft.mime_read import Attachment, Mail, read_mail, topic

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from infra.simulators.kit.clock import Clock
    from infra.simulators.kit.store import Store
    from infra.simulators.microsoft.accounts import User

_CHANGEABLE = (
    "is_read",
    "importance",
    "flag",
    "categories",
    "focus",
    "subject",
    "facts",
    "html",
    "plain",
    "is_draft",
    "sent",
    "internet_id",
    "received",
    "conversation",
    "thread_index",
)
NOT_FLAGGED = '{"flagStatus": "notFlagged"}'


@dataclass(frozen=True, slots=True)
class Change:
    """What subscriptions are told of: what became of a message, and where it was or is by that."""

    user: int
    kind: str
    message: int
    folder: int
    item: int
    seq: int


@dataclass(frozen=True, slots=True)
class Thread:
    """Where a message stands in a conversation."""

    key: bytes
    index: bytes


class Messages:
    """The messages of one mailbox."""

    def __init__(self, store: Store, clock: Clock, user: User, folders: Folders) -> None:
        self._store = store
        self._clock = clock
        self._user = user
        self.folders = folders

    # ---- finding ------------------------------------------------------------------------------

    def of(self, pk: int) -> sqlite3.Row | None:
        """Return a message by number, or None."""
        return self._store.row(
            "select * from messages where pk = ? and user = ?", pk, self._user.pk
        )

    def find(self, name: str) -> sqlite3.Row | None:
        """Return a message by default or immutable id, or None.

        Raises:
            MalformedIdError: the text is no id of this mailbox.
        """
        place = self.folders.namer.read(name)
        if place.kind == "immutable":
            return self.of(place.item)
        row = self._store.row(
            "select * from messages where user = ? and item = ?", self._user.pk, place.item
        )
        # The id of the place it was moved away from is good no more.
        return row if row is not None and row["folder"] == place.folder else None

    def attachments(self, message: int) -> list[sqlite3.Row]:
        """Return a message's attachments."""
        return self._store.rows("select * from attachments where message = ? order by pk", message)

    def mail(self, row: sqlite3.Row) -> Mail:
        """Return what a kept message says, to be written out."""
        facts = json.loads(row["facts"])
        headers = [(name, value) for name, value in facts.pop("headers", [])]
        return Mail(
            subject=row["subject"],
            internet_id=row["internet_id"],
            sent=row["sent"],
            importance=row["importance"],
            html=row["html"],
            plain=row["plain"],
            calendar=row["calendar"],
            facts=facts,
            headers=headers,
            attachments=[
                Attachment(
                    one["name"],
                    one["content_type"],
                    one["content"],
                    bool(one["is_inline"]),
                    one["content_id"],
                    one["kind"],
                )
                for one in self.attachments(row["pk"])
            ],
        )

    # ---- adding -------------------------------------------------------------------------------

    def deliver(
        self, raw: bytes, folder: Folder, *, received: float | None = None, seen: bool = False
    ) -> int:
        """Put a message into a folder. Returns its number."""
        return self.add(read_mail(raw), folder, received=received, is_read=seen)

    def add(
        self,
        mail: Mail,
        folder: Folder,
        *,
        received: float | None = None,
        is_read: bool = False,
        is_draft: bool = False,
        thread: Thread | None = None,
    ) -> int:
        """Put what a message says into a folder. Returns its number."""
        if folder.kind == SEARCH:
            raise FolderError("ErrorInvalidOperation", "A search folder holds no items.")
        now = self._clock.epoch()
        arrived = int(now if received is None else received)
        if not mail.internet_id:
            mail.internet_id = self.new_internet_id()
        thread = thread or self.thread_of(mail, arrived)
        seq = self.folders.next_seq()
        pk = self._store.insert(
            "insert into messages (user, folder, item, entered_seq, changed_seq, received, sent,"
            " created, modified, is_read, is_draft, importance, flag, categories, focus,"
            " conversation, thread_index, internet_id, subject, has_attachments, size, facts,"
            " html, plain, calendar) values"
            " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(self._user.pk, folder.pk, seq, seq, seq, arrived),
            *(arrived if mail.sent is None else mail.sent, int(now), int(now)),
            *(is_read, is_draft, mail.importance, NOT_FLAGGED, "[]", "focused"),
            *(thread.key, thread.index, mail.internet_id, mail.subject),
            *(_has_files(mail.attachments), _size(mail)),
            *(json.dumps({**mail.facts, "headers": mail.headers}),),
            *(mail.html, mail.plain, mail.calendar),
        )
        for one in mail.attachments:
            self._insert_attachment(pk, one)
        self.folders.touch(folder.pk)
        self._tell("created", pk, folder.pk, seq)
        return pk

    def thread_of(self, mail: Mail, received: int) -> Thread:
        """Return the conversation that a message joins by its references, or a new one."""
        for reference in reversed(mail.references):
            row = self._store.row(
                "select conversation, thread_index from messages where user = ? and internet_id = ?"
                " order by pk desc limit 1",
                self._user.pk,
                reference,
            )
            if row is not None:
                return reply_thread(row)
        # By the first reference, so that two replies meet whose first message nobody has here.
        root = mail.references[0] if mail.references else mail.internet_id
        named = f"{root} {topic(mail.subject)}" if root else secrets.token_hex(16)
        key = hashlib.sha256(f"{self._user.oid} {named}".encode()).digest()[:16]
        return Thread(key, conversation_index(received, key, len(mail.references)))

    def new_internet_id(self) -> str:
        """Return a Message-ID as Exchange makes one for its own messages."""
        host = hashlib.sha256(self._user.tid.encode()).hexdigest()[:12].upper()
        return f"<{secrets.token_hex(16).upper()}@{host}.prod.outlook.example>"

    # ---- changing -----------------------------------------------------------------------------

    def update(self, pk: int, **values: Any) -> None:
        """Change columns of a message, as one change of the mailbox."""
        unknown = set(values) - set(_CHANGEABLE)
        if unknown:
            raise ValueError(f"not to be changed: {', '.join(sorted(unknown))}")
        row = self.of(pk)
        if row is None:
            return
        columns = "".join(f"{name} = ?, " for name in values)
        seq = self.folders.next_seq()
        self._store.execute(
            f"update messages set {columns} changed_seq = ?, modified = ? where pk = ?",  # noqa: S608 - names checked above
            *values.values(),
            seq,
            int(self._clock.epoch()),
            pk,
        )
        self.folders.touch(row["folder"])
        self._tell("updated", pk, row["folder"], row["item"])

    def move(self, pk: int, folder: Folder) -> None:
        """Take a message out of its folder and put it into another, where it is a new item."""
        row = self.of(pk)
        if row is None:
            return
        if folder.kind == SEARCH:
            raise FolderError("ErrorMoveCopyFailed", "The move or copy operation failed.")
        self._leave(row)
        seq = self.folders.next_seq()
        self._store.execute(
            "update messages set folder = ?, item = ?, entered_seq = ?, changed_seq = ?,"
            " modified = ? where pk = ?",
            *(folder.pk, seq, seq, seq, int(self._clock.epoch()), pk),
        )
        self.folders.touch(folder.pk)
        self._tell("created", pk, folder.pk, seq)

    def copy(self, pk: int, folder: Folder) -> int | None:
        """Put a copy into a folder. Returns its number."""
        row = self.of(pk)
        if row is None:
            return None
        made = self.add(
            self.mail(row),
            folder,
            received=row["received"],
            is_read=bool(row["is_read"]),
            is_draft=bool(row["is_draft"]),
            thread=Thread(row["conversation"], row["thread_index"]),
        )
        self.update(made, flag=row["flag"], categories=row["categories"], focus=row["focus"])
        return made

    def delete(self, pk: int) -> None:
        """Take a message out of the mailbox for good."""
        row = self.of(pk)
        if row is None:
            return
        self._leave(row)
        self._store.execute("delete from attachments where message = ?", pk)
        self._store.execute("delete from messages where pk = ?", pk)

    def delete_gently(self, pk: int) -> None:
        """Do as DELETE does: to Deleted Items, from there out of sight."""
        row = self.of(pk)
        if row is None:
            return
        trash = self.folders.known("deleteditems")
        recoverable = self.folders.known("recoverableitemsdeletions")
        if row["folder"] == recoverable.pk:
            self.delete(pk)
        else:
            self.move(pk, recoverable if row["folder"] == trash.pk else trash)

    def empty(self, folders: Iterable[int]) -> None:
        """Delete everything in folders that are no more."""
        for folder in folders:
            for row in self._store.rows("select pk from messages where folder = ?", folder):
                self.delete(row["pk"])

    def attach(self, pk: int, attachment: Attachment) -> int:
        """Add an attachment to a message. Returns its number."""
        made = self._insert_attachment(pk, attachment)
        self._count_attachments(pk)
        return made

    def detach(self, attachment: sqlite3.Row) -> None:
        """Take an attachment off its message."""
        self._store.execute("delete from attachments where pk = ?", attachment["pk"])
        self._count_attachments(attachment["message"])

    def _count_attachments(self, pk: int) -> None:
        files = any(not one["is_inline"] for one in self.attachments(pk))
        self._store.execute("update messages set has_attachments = ? where pk = ?", files, pk)
        self.update(pk)

    def _leave(self, row: sqlite3.Row) -> None:
        self._store.execute(
            "insert into removals values (?, ?, ?, ?, ?, ?)",
            *(self._user.pk, row["folder"], self.folders.next_seq()),
            *(row["item"], row["pk"], row["entered_seq"]),
        )
        self.folders.touch(row["folder"])
        self._tell("deleted", row["pk"], row["folder"], row["item"])

    def _tell(self, kind: str, pk: int, folder: int, item: int) -> None:
        self._store.tell(Change(self._user.pk, kind, pk, folder, item, self.folders.seq()))

    def _insert_attachment(self, pk: int, one: Attachment) -> int:
        count = self._store.value("select count(*) from attachments where message = ?", pk)
        # The same attachment of the same message always has the same id.
        guid = hashlib.sha256(f"{self._user.oid} {pk} {count} {one.name}".encode()).digest()[:16]
        return self._store.insert(
            "insert into attachments (message, guid, kind, name, content_type, is_inline,"
            " content_id, size, modified, content) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(pk, guid, one.kind, one.name, one.content_type, one.is_inline, one.content_id),
            # Exchange counts the properties around the content too.
            *(len(one.content) + 300, int(self._clock.epoch()), one.content),
        )


def reply_thread(row: sqlite3.Row) -> Thread:
    """Return where an answer to a kept message stands."""
    replies = (len(row["thread_index"]) - 22) // 5
    step = (0x10000000 + replies).to_bytes(4, "big") + b"\x10"
    return Thread(row["conversation"], row["thread_index"] + step)


def _has_files(attachments: Iterable[Attachment]) -> bool:
    # Graph says false for a message whose only attachments are pictures in its text.
    return any(not one.is_inline for one in attachments)


def _size(mail: Mail) -> int:
    texts = sum(len(one or "") for one in (mail.html, mail.plain, mail.calendar))
    return texts + sum(len(one.content) for one in mail.attachments)
