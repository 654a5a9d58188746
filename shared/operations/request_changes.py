"""What somebody does with mail in one mailbox: marked, moved or trashed here, at once.

It is written down first, with the copy as they want it, and asked of the provider after that: what
the queue loses, the minutely tick finds. It is done to this mailbox's copies alone, where several
mailboxes hold the message.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from shared.domain.change import Wanted
from shared.domain.errors import ConflictError, ErrorCode, RequestError, RetryLaterError
from shared.domain.folders import FolderRole
from shared.domain.identity import thread_of
from shared.domain.ids import FolderId, MailboxId, MessageId, ProviderMessageId
from shared.domain.mailbox import FolderState, Mailbox, MailboxStatus
from shared.domain.message import Message, place_of
from shared.domain.permissions import require_sending
from shared.domain.visibility import Access, Place, Viewer, access_to_mailbox, without_openings
from shared.operations.show_messages import CopyView, copy_views
from shared.ports.changing import ChangeStore
from shared.ports.clock import Clock
from shared.ports.queues import ChangesRequest, WorkQueues
from shared.ports.reading import Found, MailReader
from shared.ports.reading import Wanted as WantedKeys
from shared.ports.stores import MailboxStore

_NO_PLACES = frozenset({FolderRole.ALL, FolderRole.FLAGGED})
"""They show what other folders hold."""


@dataclass(frozen=True, slots=True)
class AskedChange:
    """What is to become of one message in the mailbox; None leaves as it is."""

    message_id: MessageId
    seen: bool | None = None
    flagged: bool | None = None
    folder_id: FolderId | None = None
    trashed: bool = False
    """Moved to the folder that is for trash; then `folder_id` is None."""


@dataclass(frozen=True, slots=True)
class ChangedMessage:
    """A message after what was asked of it."""

    message_id: MessageId
    copies: tuple[CopyView, ...] = ()
    """In this mailbox; empty where it has none that lives, or the caller may not see it in full."""

    def require_found(self) -> "ChangedMessage":
        """Return it; raises `RequestError(MESSAGE_NOT_FOUND)` where there was nothing to change."""
        if not self.copies:
            raise RequestError(ErrorCode.MESSAGE_NOT_FOUND)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPorts:
    """What asking for changes needs from the world."""

    mailboxes: MailboxStore
    reader: MailReader
    changes: ChangeStore
    queues: WorkQueues
    clock: Clock


def request_changes(
    viewer: Viewer, mailbox_id: MailboxId, asked: Sequence[AskedChange], *, ports: RequestPorts
) -> list[ChangedMessage]:
    """Have messages be as asked, and their provider told; return one for each, in order.

    Later ones for the same message join the earlier. Repeating it changes nothing.

    Raises `RequestError` (`MAILBOX_NOT_FOUND`, `OWNER_REQUIRED`, `FOLDER_NOT_FOUND`,
    `NO_TRASH_FOLDER`), `ConflictError(WRONG_STATE)` for a mailbox that is not active.
    """
    record = ports.mailboxes.get(viewer.tenant_id, mailbox_id)
    mailbox = require_sending(viewer, record.mailbox if record else None)
    if mailbox.status is not MailboxStatus.ACTIVE:
        words = f"Only an active mailbox's mail is changed, and this one is `{mailbox.status}`."
        raise ConflictError(ErrorCode.WRONG_STATE, words=words)
    targets = _Targets(mailbox, ports.mailboxes)
    wanted = [
        Wanted(one.seen, one.flagged, targets.trash() if one.trashed else targets.of(one.folder_id))
        for one in asked
    ]
    names = _copies_of(viewer, mailbox, [one.message_id for one in asked], reader=ports.reader)
    wishes: dict[ProviderMessageId, Wanted] = {}
    for one, its in zip(asked, wanted, strict=True):
        for name in names.get(one.message_id, ()):
            wishes[name] = wishes.get(name, Wanted()).joined_by(its)
    copies = ports.changes.wish(mailbox, wishes, now=ports.clock.now())
    if any(copy.pending for copy in copies.values()):
        # Written down as it is: where this is lost, the next minute's tick finds it.
        with suppress(RetryLaterError):
            ports.queues.send_changes([ChangesRequest(mailbox.tenant_id, mailbox.id)])
    return [
        ChangedMessage(
            one.message_id,
            tuple(
                view
                for name in names.get(one.message_id, ())
                if name in copies
                for view in copy_views(copies[name])
            ),
        )
        for one in asked
    ]


@dataclass(slots=True)
class _Targets:
    """The folders mail can be moved to, as last listed; read where one is asked for."""

    mailbox: Mailbox
    mailboxes: MailboxStore
    _states: Sequence[FolderState] | None = None

    def of(self, folder_id: FolderId | None) -> FolderId | None:
        if folder_id is None:
            return None
        if not any(state.folder.id == folder_id for state in self._places()):
            raise RequestError(ErrorCode.FOLDER_NOT_FOUND)
        return folder_id

    def trash(self) -> FolderId:
        for state in self._places():
            if state.folder.role is FolderRole.TRASH:
                return state.folder.id
        raise RequestError(ErrorCode.NO_TRASH_FOLDER)

    def _places(self) -> Sequence[FolderState]:
        if self._states is None:
            listed = self.mailboxes.folders(self.mailbox.tenant_id, self.mailbox.id)
            self._states = [
                state
                for state in listed
                if state.gone_at is None
                and state.folder.selectable
                and state.folder.role not in _NO_PLACES
            ]
        return self._states


def _copies_of(
    viewer: Viewer, mailbox: Mailbox, ids: Sequence[MessageId], *, reader: MailReader
) -> Mapping[MessageId, Sequence[ProviderMessageId]]:
    """Return the names of the mailbox's copies of those messages the viewer sees in full there."""
    threads = frozenset(thread for one in ids if (thread := thread_of(one)) is not None)
    keys = WantedKeys(messages=frozenset(ids), threads=threads)
    found = reader.read(mailbox.tenant_id, keys)
    return {
        name: [
            copy_name
            for box_id, copy_name in map(place_of, sorted(message.copies))
            if box_id == mailbox.id
        ]
        for name, message in found.messages.items()
        if _is_open(viewer, mailbox, message, found)
    }


def _is_open(viewer: Viewer, mailbox: Mailbox, message: Message, found: Found) -> bool:
    thread = found.thread(thread_of(message.id) or message.thread_id)
    level = thread.levels_in([mailbox]).get(mailbox.id)
    who = without_openings(viewer)
    return access_to_mailbox(who, mailbox, Place.MAILBOX, level) is Access.FULL
