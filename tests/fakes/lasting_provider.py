"""A mail server in memory where a message keeps its id, behind the port `MailProvider`.

As at Outlook, where each folder tells its own changes and a message is in one of them, or with
`labels` as at Gmail, where one history tells of all and a message is in a set of them.
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.domain.change import Change, ChangeFate, ChangeOutcome
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
from shared.domain.message import Copy, Flags
from shared.ports.provider import ChangePage, KnownCopies, Look, Tally
from shared.providers.gmail.labels import ALL, ARCHIVE, folder_ids
from tests.fakes.provider import flags_as_wanted
from tests.fakes.whole_messages import WholeMessages

SYSTEM = (
    Folder(FolderId("INBOX"), "INBOX", FolderRole.INBOX),
    Folder(FolderId("SENT"), "Sent", FolderRole.SENT),
    Folder(FolderId("TRASH"), "Trash", FolderRole.TRASH),
)


@dataclass
class LastingMail:
    id: ProviderMessageId
    number: int
    raw: bytes
    received_at: datetime
    flags: Flags
    labels: frozenset[FolderId]
    """Where it was put; without any it is in the archive."""

    @property
    def folder_ids(self) -> frozenset[FolderId]:
        return folder_ids(self.labels)


@dataclass
class LastingMailServer:
    """The server: change it through its methods, as people and other mail programs would."""

    labels: bool
    folders: dict[FolderId, Folder] = field(
        default_factory=lambda: {folder.id: folder for folder in SYSTEM}
    )
    mails: dict[ProviderMessageId, LastingMail] = field(default_factory=dict)
    log: list[tuple[ProviderMessageId, frozenset[FolderId]]] = field(default_factory=list)
    """What happened to which message, and the folders that tell of it."""
    known_from: int = 0
    """An earlier position is forgotten."""
    made: int = 0
    failure: MailroomError | None = None
    password: str | None = None
    """What a grant must hold; None lets everybody in."""
    fetched: list[ProviderMessageId] = field(default_factory=list)
    judged: list[ProviderMessageId] = field(default_factory=list)
    """Messages whose headers alone were fetched."""
    unreadable: set[ProviderMessageId] = field(default_factory=set)
    """Messages it holds and cannot read."""
    failing: set[ProviderMessageId] = field(default_factory=set)
    """Messages it cannot read for now."""

    # what their owner does

    def deliver(
        self, folder_id: FolderId, raw: bytes, received_at: datetime, *, seen: bool = False
    ) -> ProviderMessageId:
        number = self._number()
        name = ProviderMessageId(f"18c{number:05x}")
        labels = self.labels_for(folder_id)
        mail = LastingMail(name, number, raw, received_at, Flags(seen=seen), labels)
        self.mails[name] = mail
        self._tell(mail, mail.folder_ids)
        return name

    def set_flags(self, name: ProviderMessageId, flags: Flags) -> None:
        mail = self.mails[name]
        mail.flags = flags
        self._tell(mail, mail.folder_ids)

    def move(self, name: ProviderMessageId, to: FolderId) -> None:
        self.place(name, self.labels_for(to))

    def place(self, name: ProviderMessageId, labels: frozenset[FolderId]) -> None:
        self._label(self.mails[name], labels)

    def add_label(self, name: ProviderMessageId, label: FolderId) -> None:
        self._label(self.mails[name], self.mails[name].labels | {label})

    def delete(self, name: ProviderMessageId) -> None:
        mail = self.mails.pop(name)
        self._tell(mail, mail.folder_ids)

    def create_folder(self, name: str) -> FolderId:
        """Make a folder; one of the same name later is another one."""
        folder_id = FolderId(f"Label_{self._number()}")
        self.folders[folder_id] = Folder(folder_id, name, FolderRole.OTHER)
        return folder_id

    def rename_folder(self, folder_id: FolderId, name: str) -> None:
        self.folders[folder_id] = replace(self.folders[folder_id], name=name)

    def delete_folder(self, folder_id: FolderId) -> None:
        """Delete a folder with what is in it, or a label, and leave its messages."""
        for mail in [one for one in self.mails.values() if folder_id in one.labels]:
            if self.labels:
                self._label(mail, mail.labels - {folder_id})
            else:
                self.delete(mail.id)
        del self.folders[folder_id]

    def forget_history(self) -> None:
        """Let every position that was given out so far be too old."""
        self.log.append((ProviderMessageId(""), frozenset()))
        self.known_from = len(self.log)

    def labels_for(self, folder_id: FolderId) -> frozenset[FolderId]:
        return frozenset() if folder_id == ARCHIVE.id else frozenset({folder_id})

    def _label(self, mail: LastingMail, labels: frozenset[FolderId]) -> None:
        told = mail.folder_ids
        mail.labels = labels
        self._tell(mail, told | mail.folder_ids)

    def _tell(self, mail: LastingMail, told: Iterable[FolderId]) -> None:
        self.log.append((mail.id, frozenset(told)))
        mail.flags = replace(mail.flags, version=len(self.log))

    def _number(self) -> int:
        self.made += 1
        return self.made

    # what a program sees

    @contextmanager
    def open(
        self, grant: ImapGrant, *, seconds: float | None = None
    ) -> Iterator["LastingMailSession"]:
        if seconds is not None and seconds <= 0:
            raise RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT)
        if self.failure is not None:
            raise self.failure
        if self.password is not None and grant.imap.password.reveal() != self.password:
            raise ReconnectRequiredError(ErrorCode.LOGIN_REJECTED)
        yield LastingMailSession(self)


@dataclass(frozen=True)
class _Position:
    """How much of the log is known and, amid a listing, up to which message it has come."""

    at: int
    after: int | None = None

    @classmethod
    def of(cls, cursor: Cursor) -> "_Position":
        if (cursor.provider, cursor.version) != ("lasting", 1):
            raise CursorExpiredError(ErrorCode.CURSOR_EXPIRED)
        return cls(*json.loads(cursor.position))

    def cursor(self) -> Cursor:
        return Cursor("lasting", 1, json.dumps([self.at, self.after]))


@dataclass
class _News:
    """What a page has to say, sorted."""

    added: list[ProviderMessageId] = field(default_factory=list)
    too_old: list[ProviderMessageId] = field(default_factory=list)
    flags: dict[ProviderMessageId, Flags] = field(default_factory=dict)
    placed: dict[ProviderMessageId, frozenset[FolderId]] = field(default_factory=dict)
    removed: list[ProviderMessageId] = field(default_factory=list)

    def page(self, reached: _Position, *, more: bool) -> ChangePage:
        return ChangePage(
            tuple(self.added),
            self.flags,
            tuple(self.removed),
            reached.cursor(),
            more=more,
            too_old=tuple(self.too_old),
            placed=self.placed,
        )


@dataclass
class LastingMailSession(WholeMessages):
    server: LastingMailServer
    _is_active: Callable[[Folder], bool] = lambda _folder: True

    def is_settled(self, cursor: Cursor) -> bool:
        try:
            return _Position.of(cursor).after is None
        except CursorExpiredError:
            return True

    def look(self, cursors, is_active, *, folders=(), last_look_at=None, now) -> Look:
        self._is_active = is_active
        listed = tuple(self.server.folders.values())
        if self.server.labels:
            listed = (ALL, *listed, ARCHIVE)
            followed = frozenset({ALL.id})
        else:
            followed = frozenset(one.id for one in listed if is_active(one))
        changed = {one for one in followed if self._has_changed(one, cursors.get(one))}
        return Look(listed, followed, frozenset(changed))

    def _has_changed(self, folder_id: FolderId, cursor: Cursor | None) -> bool:
        try:
            position = self._known(cursor) if cursor else None
        except CursorExpiredError:
            return True
        if position is None or position.after is not None:
            return True
        return any(self._tells(folder_id, told) for _, told in self.server.log[position.at :])

    def baseline(self, folder: Folder, *, now: datetime) -> Cursor:
        self._require(folder)
        return _Position(len(self.server.log)).cursor()

    def changes(self, folder, cursor, known, *, since, limit, now) -> ChangePage:
        self._require(folder)
        if cursor is None:
            return self._listed(folder, _Position(len(self.server.log), 0), known, since, limit)
        position = self._known(cursor)
        if position.after is not None:
            return self._listed(folder, position, known, since, limit)
        return self._told(folder, position, known, since, limit)

    def _listed(
        self,
        folder: Folder,
        position: _Position,
        known: KnownCopies,
        since: datetime | None,
        limit: int,
    ) -> ChangePage:
        here = [one for one in self.server.mails.values() if self._is_in(folder, one)]
        left = [one for one in here if one.number > (position.after or 0)]
        left = [one for one in left if since is None or one.received_at >= since]
        news = _News()
        held = known.of([one.id for one in left[:limit]])
        for mail in left[:limit]:
            self._sort(mail, held.get(mail.id), news, since=None)
        if len(left) > limit:
            return news.page(replace(position, after=left[limit - 1].number), more=True)
        there = {one.id for one in here}
        self._take_out([one for one in known.in_folder() if one not in there], news)
        return news.page(replace(position, after=None), more=len(self.server.log) > position.at)

    def _told(
        self,
        folder: Folder,
        position: _Position,
        known: KnownCopies,
        since: datetime | None,
        limit: int,
    ) -> ChangePage:
        # Taken with the listing: while we ask what is held, more may happen.
        end = len(self.server.log)
        following = enumerate(self.server.log[position.at : end], position.at)
        told = [(at, name) for at, (name, tell) in following if self._tells(folder.id, tell)]
        held = known.of(list(dict.fromkeys(name for _, name in told)))
        news = _News()
        seen: set[ProviderMessageId] = set()
        for at, name in told:
            if len(news.added) >= limit:
                return news.page(_Position(at), more=True)
            if name in seen:
                continue
            seen.add(name)
            mail = self.server.mails.get(name)
            if mail is not None and self._is_in(folder, mail):
                self._sort(mail, held.get(name), news, since)
            elif self._is_here(folder, held.get(name)):
                self._take_out([name], news)
        return news.page(_Position(end), more=False)

    def _sort(
        self, mail: LastingMail, held: Copy | None, news: _News, since: datetime | None
    ) -> None:
        if held is not None:
            if held.removed_at is not None or held.folder_ids != mail.folder_ids:
                news.placed[mail.id] = mail.folder_ids
            if replace(held.flags, version=0) != replace(mail.flags, version=0):
                news.flags[mail.id] = mail.flags
        elif since is not None and mail.received_at < since and not self.server.labels:
            news.too_old.append(mail.id)
        else:
            news.added.append(mail.id)

    def _take_out(self, names: list[ProviderMessageId], news: _News) -> None:
        if self.server.labels:
            news.placed |= dict.fromkeys(names, frozenset())
        else:
            news.removed += names

    def list_window(
        self, folder: Folder, *, since: datetime, upto: Cursor, before: datetime | None = None
    ) -> tuple[ProviderMessageId, ...]:
        self._require(folder)
        _Position.of(upto)
        here = [one for one in self.server.mails.values() if self._is_in(folder, one)]
        here = [one for one in here if not (before and one.received_at >= before)]
        found = [(one.received_at, one.id) for one in here if one.received_at >= since]
        return tuple(name for _, name in sorted(found, reverse=True))

    def tallies(
        self, folders: Sequence[Folder], instants: Sequence[datetime]
    ) -> Mapping[FolderId, Sequence[Tally]]:
        found = {}
        for folder in folders:
            with contextlib.suppress(RetryLaterError):
                self._require(folder)
                here = [one for one in self.server.mails.values() if self._is_in(folder, one)]
                counted = [sum(one.received_at >= since for one in here) for since in instants]
                found[folder.id] = [Tally(count) for count in counted]
        return found

    def apply(self, changes: Sequence[Change]) -> Iterator[tuple[ProviderMessageId, ChangeOutcome]]:
        for change in changes:
            yield change.provider_message_id, self._apply_one(change)

    def _apply_one(self, change: Change) -> ChangeOutcome:
        name, target = change.provider_message_id, change.wanted.move_to
        mail = self.server.mails.get(name)
        if mail is None:
            return ChangeOutcome(ChangeFate.GONE)
        after = flags_as_wanted(mail.flags, change.wanted)
        if after != mail.flags:
            self.server.set_flags(name, after)
        if target is None:
            return ChangeOutcome(ChangeFate.DONE, provider_message_id=name)
        if target not in {*self.server.folders, ARCHIVE.id}:
            return ChangeOutcome(ChangeFate.REFUSED, ErrorCode.FOLDER_NOT_FOUND)
        if target not in mail.folder_ids:
            system = {one.id for one in SYSTEM if one.role is not FolderRole.SENT}
            kept = mail.labels - system if self.server.labels else frozenset[FolderId]()
            self.server.place(name, kept | self.server.labels_for(target))
        return ChangeOutcome(ChangeFate.DONE, provider_message_id=name, folder_ids=mail.folder_ids)

    def _mail(self, folder: Folder, name: ProviderMessageId) -> LastingMail | None:
        return self.server.mails.get(name)

    def _known(self, cursor: Cursor) -> _Position:
        position = _Position.of(cursor)
        if position.at < self.server.known_from:
            raise CursorExpiredError(ErrorCode.CURSOR_EXPIRED)
        return position

    def _tells(self, folder_id: FolderId, told: frozenset[FolderId]) -> bool:
        return bool(told) and (self.server.labels or folder_id in told)

    def _is_in(self, folder: Folder, mail: LastingMail) -> bool:
        """Whether a message is one of the folder's or, among labels, one to be synced."""
        if not self.server.labels:
            return folder.id in mail.folder_ids
        listed = {**self.server.folders, ARCHIVE.id: ARCHIVE}
        return any(self._is_active(listed[one]) for one in mail.folder_ids)

    def _is_here(self, folder: Folder, held: Copy | None) -> bool:
        if held is None or held.removed_at is not None:
            return False
        return self.server.labels or folder.id in held.folder_ids

    def _require(self, folder: Folder) -> None:
        if folder.id not in ({ALL.id} if self.server.labels else self.server.folders):
            raise RetryLaterError(ErrorCode.FOLDER_UNAVAILABLE)
