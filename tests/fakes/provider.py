"""A mail server in memory behind the port `MailProvider`, with the faults a test asks for."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from shared.domain.cursor import Cursor
from shared.domain.errors import CursorExpiredError, ErrorCode, MailroomError, RetryLaterError
from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.message import FetchedMessage, Flags, MissingMessage
from shared.ports.provider import ChangePage, Look

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class FakeMail:
    raw: bytes
    received_at: datetime
    seen: bool = False
    modseq: int = 1


@dataclass
class FakeFolder:
    name: str
    role: FolderRole = FolderRole.OTHER
    uidvalidity: int = 1
    next_uid: int = 1
    modseq: int = 1
    mails: dict[int, FakeMail] = field(default_factory=dict)
    vanished: dict[int, int] = field(default_factory=dict)
    opens: bool = True

    @property
    def folder(self) -> Folder:
        return Folder(FolderId(f"f-{self.name.lower()}"), self.name, self.role)


@dataclass
class FakeMailServer:
    """The server: change it through its methods, as people and other mail programs would."""

    folders: dict[str, FakeFolder] = field(default_factory=dict)
    failure: MailroomError | None = None
    logins: int = 0
    fetched: list[ProviderMessageId] = field(default_factory=list)

    @classmethod
    def with_folders(cls, *names: str) -> "FakeMailServer":
        roles = {"INBOX": FolderRole.INBOX, "Sent": FolderRole.SENT, "Trash": FolderRole.TRASH}
        return cls({name: FakeFolder(name, roles.get(name, FolderRole.OTHER)) for name in names})

    def deliver(self, name: str, raw: bytes, received_at: datetime, *, seen: bool = False) -> int:
        folder = self.folders[name]
        uid = folder.next_uid
        folder.next_uid += 1
        folder.modseq += 1
        folder.mails[uid] = FakeMail(raw, received_at, seen, folder.modseq)
        return uid

    def mark_seen(self, name: str, uid: int) -> None:
        folder = self.folders[name]
        folder.modseq += 1
        folder.mails[uid].seen = True
        folder.mails[uid].modseq = folder.modseq

    def delete(self, name: str, uid: int) -> FakeMail:
        folder = self.folders[name]
        folder.modseq += 1
        folder.vanished[uid] = folder.modseq
        return folder.mails.pop(uid)

    def move(self, name: str, uid: int, to: str) -> int:
        mail = self.delete(name, uid)
        return self.deliver(to, mail.raw, mail.received_at, seen=mail.seen)

    def renumber(self, name: str) -> None:
        folder = self.folders[name]
        mails = [folder.mails[uid] for uid in sorted(folder.mails)]
        folder.uidvalidity += 1
        folder.mails = dict(enumerate(mails, 1))
        folder.next_uid = len(mails) + 1
        folder.modseq += 1
        folder.vanished = {}

    def ids(self, name: str, *, since: datetime = LONG_AGO) -> set[ProviderMessageId]:
        folder = self.folders[name]
        return {
            name_of(folder, uid) for uid, mail in folder.mails.items() if mail.received_at >= since
        }

    @contextmanager
    def open(self, grant: object) -> Iterator["FakeSession"]:
        assert grant is not None
        self.logins += 1
        if self.failure is not None:
            raise self.failure
        yield FakeSession(self)


def name_of(folder: FakeFolder, uid: int) -> ProviderMessageId:
    return ProviderMessageId(f"{folder.folder.id}.{folder.uidvalidity}.{uid}")


@dataclass
class FakeSession:
    server: FakeMailServer

    def look(self, cursors, is_active, *, now) -> Look:
        folders = tuple(folder.folder for folder in self.server.folders.values())
        changed = set()
        for fake in self.server.folders.values():
            cursor = cursors.get(fake.folder.id)
            if is_active(fake.folder) and (cursor is None or _read(cursor) != _now(fake)):
                changed.add(fake.folder.id)
        return Look(folders, frozenset(changed))

    def baseline(self, folder: Folder, *, now: datetime) -> Cursor:
        return _write(**_now(self._open(folder)))

    def changes(self, folder, cursor, known, *, since, limit, now) -> ChangePage:
        fake = self._open(folder)
        position = (
            _read(cursor)
            if cursor
            else {"uidvalidity": fake.uidvalidity, "last_uid": 0, "modseq": 0}
        )
        if position["uidvalidity"] != fake.uidvalidity:
            raise CursorExpiredError(ErrorCode.UIDVALIDITY_CHANGED)
        compares = cursor is None or position.get("compares", False)
        found = [
            uid
            for uid in sorted(fake.mails)
            if uid > position["last_uid"]
            and not (compares and since and fake.mails[uid].received_at < since)
        ]
        page, more = found[:limit], len(found) > limit
        last = page[-1] if more else fake.next_uid - 1
        held = known()
        flags = {
            name_of(fake, uid): Flags(seen=mail.seen, version=mail.modseq)
            for uid, mail in fake.mails.items()
            if uid <= position["last_uid"] and mail.modseq > position["modseq"]
        }
        gone = [name_of(fake, uid) for uid, at in fake.vanished.items() if at > position["modseq"]]
        if compares and not more:
            here = {name_of(fake, uid) for uid in fake.mails}
            gone = [name for name in held if name not in here]
        next_cursor = _write(fake.uidvalidity, last, fake.modseq)
        if compares and more:
            next_cursor = replace(
                next_cursor, position=json.dumps({**_read(next_cursor), "compares": True})
            )
        return ChangePage(
            tuple(name_of(fake, uid) for uid in page), flags, tuple(gone), next_cursor, more
        )

    def list_window(
        self, folder: Folder, *, since: datetime, upto: Cursor
    ) -> tuple[ProviderMessageId, ...]:
        fake = self._open(folder)
        position = _read(upto)
        if position["uidvalidity"] != fake.uidvalidity:
            raise CursorExpiredError(ErrorCode.UIDVALIDITY_CHANGED)
        return tuple(
            name_of(fake, uid)
            for uid in sorted(fake.mails, reverse=True)
            if uid <= position["last_uid"] and fake.mails[uid].received_at >= since
        )

    def fetch(
        self, folder: Folder, ids: Sequence[ProviderMessageId]
    ) -> Iterator[FetchedMessage | MissingMessage]:
        fake = self._open(folder)
        for name in ids:
            _, uidvalidity, uid = name.rsplit(".", 2)
            mail = fake.mails.get(int(uid)) if int(uidvalidity) == fake.uidvalidity else None
            self.server.fetched.append(name)
            if mail is None:
                yield MissingMessage(name, "gone")
            else:
                flags = Flags(seen=mail.seen, version=mail.modseq)
                yield FetchedMessage(name, mail.received_at, len(mail.raw), flags, raw=mail.raw)

    def read_part(self, folder, provider_message_id, section, encoding) -> Iterator[bytes]:
        raise NotImplementedError

    def _open(self, folder: Folder) -> FakeFolder:
        fake = next(f for f in self.server.folders.values() if f.folder.id == folder.id)
        if not fake.opens:
            raise RetryLaterError(ErrorCode.FOLDER_UNAVAILABLE)
        return fake


def _now(fake: FakeFolder) -> Mapping[str, int]:
    return {"uidvalidity": fake.uidvalidity, "last_uid": fake.next_uid - 1, "modseq": fake.modseq}


def _write(uidvalidity: int, last_uid: int, modseq: int) -> Cursor:
    return Cursor(
        "imap", 1, json.dumps({"uidvalidity": uidvalidity, "last_uid": last_uid, "modseq": modseq})
    )


def _read(cursor: Cursor) -> dict[str, int]:
    return json.loads(cursor.position)
