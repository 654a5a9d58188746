"""How much of one thread's mail in one mailbox others see, whatever the mailbox itself says.

Only a mailbox's own people say so; for all others there is no such thread. It is said of the
messages under the id that is asked for, or a forged header could open what it was joined to. What
shows less than the mailbox does counts for all that is one with it, also for what is joined later.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.errors import ErrorCode, RequestError
from shared.domain.ids import MailboxId, TenantId, ThreadId
from shared.domain.mailbox import Mailbox, MailboxKind
from shared.domain.message import place_of
from shared.domain.permissions import may_set_levels
from shared.domain.threads import ThreadLevel
from shared.domain.visibility import Viewer
from shared.operations.load_mail import load_nothing
from shared.ports.reading import READ_AT_ONCE, MailReader, Wanted
from shared.ports.stores import MessageStore
from shared.ports.threads import ThreadStore


@dataclass(frozen=True, slots=True)
class LevelOfThread:
    """How much others see of a thread's mail in a mailbox."""

    mailbox_id: MailboxId
    level: ThreadLevel | None
    """Said of the thread itself; None: as the mailbox says."""
    others: Mapping[ThreadId, ThreadLevel | None]
    """Those that are one with it and of which something else is said."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A thread, as far as it is in mailboxes whose levels the viewer may set."""

    parts: Mapping[ThreadId, Mapping[MailboxId, ThreadLevel]]
    boxes: Mapping[MailboxId, Mailbox]


def list_thread_levels(
    viewer: Viewer, thread_id: ThreadId, *, messages: MessageStore, reader: MailReader
) -> list[LevelOfThread]:
    """Return the levels that are the viewer's to set, in order of the mailboxes' ids.

    Raises `RequestError(THREAD_NOT_FOUND)` where there is none.
    """
    held = _held(viewer, thread_id, messages=messages, reader=reader)
    return [
        _level(held, thread_id, mailbox_id, held.parts[thread_id].get(mailbox_id))
        for mailbox_id in sorted(held.boxes)
    ]


def set_thread_level(
    viewer: Viewer,
    thread_id: ThreadId,
    level: ThreadLevel | None,
    *,
    mailbox_id: MailboxId | None,
    messages: MessageStore,
    reader: MailReader,
    threads: ThreadStore,
) -> LevelOfThread:
    """Say how much of a thread's mail in a mailbox others see; None: as the mailbox says.

    It counts with the next request. Repeating it changes nothing.

    Raises `RequestError` (`THREAD_NOT_FOUND`; `INVALID_REQUEST` where several mailboxes hold it and
    none is named, and for `private` in a shared one).
    """
    held = _held(viewer, thread_id, messages=messages, reader=reader)
    if mailbox_id is None and len(held.boxes) > 1:
        names = ", ".join(sorted(held.boxes))
        raise RequestError(
            ErrorCode.INVALID_REQUEST,
            fields=[("mailbox_id", f"Several of your mailboxes hold it: name one of {names}.")],
        )
    box = held.boxes.get(mailbox_id) if mailbox_id else next(iter(held.boxes.values()))
    if box is None:
        raise RequestError(ErrorCode.THREAD_NOT_FOUND)
    if box.kind is MailboxKind.SHARED and level is ThreadLevel.PRIVATE:
        words = "A shared mailbox's mail is for those it is granted to: at least `metadata`."
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("level", words)])
    threads.set_level(viewer.tenant_id, thread_id, box.id, level)
    return _level(held, thread_id, box.id, level)


def _level(
    held: _Held, thread_id: ThreadId, mailbox_id: MailboxId, level: ThreadLevel | None
) -> LevelOfThread:
    said = {one: levels.get(mailbox_id) for one, levels in sorted(held.parts.items())}
    others = {one: its for one, its in said.items() if one != thread_id and its is not level}
    return LevelOfThread(mailbox_id, level, others)


def _held(
    viewer: Viewer, thread_id: ThreadId, *, messages: MessageStore, reader: MailReader
) -> _Held:
    tenant_id = viewer.tenant_id
    root = reader.read(tenant_id, Wanted(threads=frozenset({thread_id}))).thread(thread_id).root
    members = reader.read(tenant_id, Wanted(threads=frozenset({root}))).thread(root).members
    parts = frozenset({thread_id, root}) | members
    records = reader.read(tenant_id, Wanted(threads=parts))
    holding = _holding(tenant_id, thread_id, messages=messages, reader=reader)
    if not holding:
        load_nothing(tenant_id, reader=reader)
    found = reader.read(tenant_id, Wanted(mailboxes=holding)).mailboxes
    boxes = {name: box for name, box in found.items() if may_set_levels(viewer, box)}
    if not boxes:
        raise RequestError(ErrorCode.THREAD_NOT_FOUND)
    return _Held({part: records.thread(part).levels for part in parts}, boxes)


def _holding(
    tenant_id: TenantId, thread_id: ThreadId, *, messages: MessageStore, reader: MailReader
) -> frozenset[MailboxId]:
    """Return the mailboxes that messages of a thread, and of all that is one with it, were in."""
    ids = [entry.message_id for entry in messages.thread(tenant_id, thread_id)]
    found: set[MailboxId] = set()
    for start in range(0, len(ids), READ_AT_ONCE):
        some = frozenset(ids[start : start + READ_AT_ONCE])
        for message in reader.read(tenant_id, Wanted(messages=some)).messages.values():
            found.update(place_of(ref)[0] for ref in message.copies)
    return frozenset(found)
