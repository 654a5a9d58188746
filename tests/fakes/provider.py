"""A mail server in memory behind the port `MailProvider`, with the faults a test asks for."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import ClassVar

from shared.domain.change import Change, ChangeFate, ChangeOutcome, Wanted
from shared.domain.cursor import Cursor
from shared.domain.errors import (
    CursorExpiredError,
    ErrorCode,
    MailroomError,
    ReconnectRequiredError,
    RetryLaterError,
)
from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.mail_server import ImapGrant
from shared.domain.message import Flags
from shared.ports.provider import ChangePage, Look, Tally
from tests.fakes.whole_messages import WholeMessages

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class FakeMail:
    raw: bytes
    received_at: datetime
    flags: Flags
    folder_ids: ClassVar[None] = None
    """Only its folder knows where it is."""


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
    tells: bool = True
    """Whether a look is told of it."""
    selectable: bool = True

    @property
    def folder(self) -> Folder:
        name = FolderId(f"f-{self.name.lower()}")
        return Folder(name, self.name, self.role, selectable=self.selectable)


@dataclass
class FakeMailServer:
    """The server: change it through its methods, as people and other mail programs would."""

    folders: dict[str, FakeFolder] = field(default_factory=dict)
    failure: MailroomError | None = None
    password: str | None = None
    """What a grant must hold; None lets everybody in."""
    logins: int = 0
    seconds: list[float | None] = field(default_factory=list)
    """How long each session might last."""
    numberings: int = 1
    fetched: list[ProviderMessageId] = field(default_factory=list)
    judged: list[ProviderMessageId] = field(default_factory=list)
    """Messages whose headers alone were fetched."""
    unreadable: set[ProviderMessageId] = field(default_factory=set)
    """Messages it holds and cannot read."""
    failing: set[ProviderMessageId] = field(default_factory=set)
    """Messages it cannot read for now."""
    read_only: set[str] = field(default_factory=set)
    """Names of folders in which nothing can be changed."""
    tells_moved: bool = True
    """Whether it says under which number a message it moved is found."""
    compares_daily: bool = False
    """Whether sessions compare a whole folder once a day, as the real adapter's do."""

    @classmethod
    def with_folders(cls, *names: str) -> "FakeMailServer":
        roles = {"INBOX": FolderRole.INBOX, "Sent": FolderRole.SENT, "Trash": FolderRole.TRASH}
        return cls({name: FakeFolder(name, roles.get(name, FolderRole.OTHER)) for name in names})

    def deliver(self, name: str, raw: bytes, received_at: datetime, *, seen: bool = False) -> int:
        folder = self.folders[name]
        uid = folder.next_uid
        folder.next_uid += 1
        folder.modseq += 1
        folder.mails[uid] = FakeMail(raw, received_at, Flags(seen=seen, version=folder.modseq))
        return uid

    def mark_seen(self, name: str, uid: int) -> None:
        self.set_flags(name, uid, replace(self.folders[name].mails[uid].flags, seen=True))

    def set_flags(self, name: str, uid: int, flags: Flags) -> None:
        folder = self.folders[name]
        folder.modseq += 1
        folder.mails[uid].flags = replace(flags, version=folder.modseq)

    def delete(self, name: str, uid: int) -> FakeMail:
        folder = self.folders[name]
        folder.modseq += 1
        folder.vanished[uid] = folder.modseq
        return folder.mails.pop(uid)

    def move(self, name: str, uid: int, to: str) -> int:
        mail = self.delete(name, uid)
        moved = self.deliver(to, mail.raw, mail.received_at)
        self.set_flags(to, moved, mail.flags)
        return moved

    def create_folder(self, name: str) -> None:
        """Make a folder. Like a real server, never with a numbering it has had before."""
        self.numberings += 1
        self.folders[name] = FakeFolder(name, uidvalidity=self.numberings)

    def delete_folder(self, name: str) -> None:
        del self.folders[name]

    def rename_folder(self, name: str, to: str) -> None:
        """Give a folder another name, and so another id; its numbering stays."""
        folder = self.folders.pop(name)
        folder.name = to
        self.folders[to] = folder

    def renumber(self, name: str) -> None:
        folder = self.folders[name]
        mails = [folder.mails[uid] for uid in sorted(folder.mails)]
        self.numberings += 1
        folder.uidvalidity = self.numberings
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
    def open(self, grant: ImapGrant, *, seconds: float | None = None) -> Iterator["FakeSession"]:
        assert grant is not None
        self.logins += 1
        self.seconds.append(seconds)
        if seconds is not None and seconds <= 0:
            raise RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT)
        if self.failure is not None:
            raise self.failure
        if self.password is not None and grant.imap.password.reveal() != self.password:
            raise ReconnectRequiredError(ErrorCode.LOGIN_REJECTED)
        yield FakeSession(self)


def flags_as_wanted(flags: Flags, wanted: Wanted) -> Flags:
    return replace(
        flags,
        seen=flags.seen if wanted.seen is None else wanted.seen,
        flagged=flags.flagged if wanted.flagged is None else wanted.flagged,
    )


def name_of(folder: FakeFolder, uid: int) -> ProviderMessageId:
    return ProviderMessageId(f"{folder.folder.id}.{folder.uidvalidity}.{uid}")


@dataclass
class _Position:
    """What a cursor of this server says."""

    uidvalidity: int
    last_uid: int
    modseq: int
    whole: bool = False
    """The listing began without a cursor and is not at its end."""
    day: int = 0
    """When the folder was last compared, where that is done daily."""

    @classmethod
    def now(cls, folder: FakeFolder, day: int) -> "_Position":
        return cls(folder.uidvalidity, folder.next_uid - 1, folder.modseq, day=day)

    @classmethod
    def of(cls, cursor: Cursor, folder: FakeFolder) -> "_Position":
        if (cursor.provider, cursor.version) != ("imap", 1):
            raise CursorExpiredError(ErrorCode.CURSOR_EXPIRED)
        try:
            position = cls(**json.loads(cursor.position))
        except ValueError as error:
            raise CursorExpiredError(ErrorCode.CURSOR_EXPIRED) from error
        if position.uidvalidity != folder.uidvalidity:
            raise CursorExpiredError(ErrorCode.UIDVALIDITY_CHANGED)
        return position

    def cursor(self) -> Cursor:
        return Cursor("imap", 1, json.dumps(asdict(self)))


@dataclass
class FakeSession(WholeMessages):
    server: FakeMailServer

    def is_settled(self, cursor: Cursor) -> bool:
        return True

    def look(self, cursors, is_active, *, folders=(), last_look_at=None, now) -> Look:
        fakes = self.server.folders.values()
        active = [fake for fake in fakes if fake.selectable and is_active(fake.folder)]
        silent = frozenset(
            fake.folder.id for fake in active if not fake.tells and cursors.get(fake.folder.id)
        )
        changed = frozenset(
            fake.folder.id
            for fake in active
            if fake.folder.id not in silent
            and self._has_changed(fake, cursors.get(fake.folder.id), now)
        )
        followed = frozenset(fake.folder.id for fake in active)
        return Look(tuple(fake.folder for fake in fakes), followed, changed, silent)

    def _has_changed(self, fake: FakeFolder, cursor: Cursor | None, now: datetime) -> bool:
        try:
            here = _Position.now(fake, self._day(now))
            return cursor is None or _Position.of(cursor, fake) != here
        except CursorExpiredError:
            return True

    def baseline(self, folder: Folder, *, now: datetime) -> Cursor:
        return _Position.now(self._open(folder), self._day(now)).cursor()

    def changes(self, folder, cursor, known, *, since, limit, now) -> ChangePage:
        fake = self._open(folder)
        day = self._day(now)
        start = _Position(fake.uidvalidity, 0, 0, whole=True)
        position = _Position.of(cursor, fake) if cursor else start
        compares = position.whole or position.day != day
        held = known.in_folder() if compares else {}
        found = [uid for uid in sorted(fake.mails) if uid > position.last_uid]
        page, more = found[:limit], len(found) > limit
        old = [uid for uid in page if since and fake.mails[uid].received_at < since]
        added = tuple(
            name for uid in page if uid not in old and (name := name_of(fake, uid)) not in held
        )
        too_old = () if position.whole else tuple(name_of(fake, uid) for uid in old)
        if more:
            rest = replace(position, last_uid=page[-1])
            return ChangePage(added, {}, (), rest.cursor(), more=True, too_old=too_old)
        here = {name_of(fake, uid): mail.flags for uid, mail in fake.mails.items()}
        if compares:
            gone = [name for name in held if name not in here]
            flags = {
                name: here[name]
                for name, was in held.items()
                if name in here and replace(here[name], version=0) != replace(was.flags, version=0)
            }
        else:
            gone = [name_of(fake, u) for u, at in fake.vanished.items() if at > position.modseq]
            flags = {
                name_of(fake, uid): mail.flags
                for uid, mail in fake.mails.items()
                if uid <= position.last_uid and mail.flags.version > position.modseq
            }
        reached = _Position.now(fake, day).cursor()
        return ChangePage(added, flags, tuple(gone), reached, too_old=too_old)

    def _day(self, now: datetime) -> int:
        return now.toordinal() if self.server.compares_daily else 0

    def list_window(
        self, folder: Folder, *, since: datetime, upto: Cursor, before: datetime | None = None
    ) -> tuple[ProviderMessageId, ...]:
        fake = self._open(folder)
        last = _Position.of(upto, fake).last_uid
        found = [
            (mail.received_at, uid)
            for uid, mail in fake.mails.items()
            if uid <= last
            and since <= mail.received_at
            and not (before and mail.received_at >= before)
        ]
        return tuple(name_of(fake, uid) for _at, uid in sorted(found, reverse=True))

    def tallies(
        self, folders: Sequence[Folder], instants: Sequence[datetime]
    ) -> Mapping[FolderId, Sequence[Tally]]:
        found = {}
        for folder in folders:
            with contextlib.suppress(RetryLaterError):
                dates = [mail.received_at for mail in self._open(folder).mails.values()]
                found[folder.id] = [Tally(sum(at >= since for at in dates)) for since in instants]
        return found

    def apply(self, changes: Sequence[Change]) -> Iterator[tuple[ProviderMessageId, ChangeOutcome]]:
        for change in changes:
            yield change.provider_message_id, self._apply_one(change)

    def _apply_one(self, change: Change) -> ChangeOutcome:
        folder_id, uidvalidity, text = change.provider_message_id.rsplit(".", 2)
        by_id = {one.folder.id: one for one in self.server.folders.values() if one.selectable}
        fake, uid, wanted = by_id.get(FolderId(folder_id)), int(text), change.wanted
        if fake is not None and not fake.opens:
            return ChangeOutcome(ChangeFate.LATER, ErrorCode.FOLDER_UNAVAILABLE)
        if fake is None or int(uidvalidity) != fake.uidvalidity or uid not in fake.mails:
            return ChangeOutcome(ChangeFate.GONE)
        if fake.name in self.server.read_only:
            return ChangeOutcome(ChangeFate.REFUSED, ErrorCode.CHANGE_REFUSED)
        before = fake.mails[uid].flags
        after = flags_as_wanted(before, wanted)
        if after != before:
            self.server.set_flags(fake.name, uid, after)
        name: ProviderMessageId | None = change.provider_message_id
        if wanted.move_to is None:
            return ChangeOutcome(ChangeFate.DONE, provider_message_id=name)
        target = by_id.get(wanted.move_to)
        if target is None:
            return ChangeOutcome(ChangeFate.REFUSED, ErrorCode.FOLDER_NOT_FOUND)
        if target is not fake:
            moved = self.server.move(fake.name, uid, target.name)
            name = name_of(target, moved) if self.server.tells_moved else None
        return ChangeOutcome(
            ChangeFate.DONE, provider_message_id=name, folder_ids=frozenset({wanted.move_to})
        )

    def _mail(self, folder: Folder, name: ProviderMessageId) -> FakeMail | None:
        listed = {fake.folder.id for fake in self.server.folders.values() if fake.selectable}
        if folder.id not in listed:
            return None
        fake = self._open(folder)
        _, uidvalidity, uid = name.rsplit(".", 2)
        return fake.mails.get(int(uid)) if int(uidvalidity) == fake.uidvalidity else None

    def _open(self, folder: Folder) -> FakeFolder:
        for fake in self.server.folders.values():
            if fake.folder.id == folder.id and fake.opens and fake.selectable:
                return fake
        raise RetryLaterError(ErrorCode.FOLDER_UNAVAILABLE)
