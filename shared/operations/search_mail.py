"""Which messages a search finds, and by which index.

With a sender or recipient the address's own index is read: it is the shortest list. Without one, or
when the address is one of our own mailboxes (those are in no address index), the mailboxes' lists
are read, newest first. Search shows what mailboxes hold now, to those who may open them; the
contact's timeline is the place where others see some of it, and where what was deleted stays. A
subject the viewer may not read is not matched either, or searching would read it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from shared.domain.addresses import canonical_address
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.ids import Address, FolderId, MailboxId, MessageId
from shared.domain.mailbox import Mailbox, own_addresses
from shared.domain.message import Message, ParticipantRole
from shared.domain.permissions import require_sight
from shared.domain.policy import TenantPolicy
from shared.domain.visibility import Access, Place, Viewer, access_to_mailbox
from shared.operations.load_mail import load_first
from shared.operations.page_through import Indexes, Judged, Page, page_through
from shared.operations.show_messages import MessageView, show_messages
from shared.ports.reading import MailReader, Wanted
from shared.ports.stores import MailboxStore, MessageStore, TimelineEntry

MOST_MAILBOXES = 50
"""Mailboxes one search reads side by side; a user who may open more has to name one."""

_PRECISION = timedelta(milliseconds=1)
"""An index may keep its instants less exactly than the copies do."""

_SENDERS = frozenset({ParticipantRole.FROM})
_RECIPIENTS = frozenset({ParticipantRole.TO, ParticipantRole.CC, ParticipantRole.BCC})


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for; every field that is set must hold.

    Instants: from `since` on, before `until`.
    """

    mailbox_id: MailboxId | None = None
    folder_id: FolderId | None = None
    sender: str | None = None
    recipient: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A search with its addresses in canonical form and its subject folded."""

    search: Search
    sender: Address | None
    recipient: Address | None
    subject: str
    policy: TenantPolicy
    """Says which addresses are one."""


def search_mail(
    viewer: Viewer,
    search: Search,
    *,
    before: TimelineEntry | None,
    limit: int,
    mailboxes: MailboxStore,
    messages: MessageStore,
    reader: MailReader,
) -> Page:
    """Return a page of what is found, newest first.

    Without a mailbox all of the tenant's are read first: only they say which the viewer may open.
    With an address the tenant's policy is: it says where that one's mail is found.

    Raises `RequestError(INVALID_REQUEST)` naming the field, `MAILBOX_NOT_FOUND` for a mailbox the
    viewer may not know of. One they may know of and not open (an administrator, another's personal
    one) holds nothing for them.
    """
    wanted = _checked(search)
    if wanted.sender or wanted.recipient:
        found = reader.read(viewer.tenant_id, Wanted(policy=True))
        wanted = replace(wanted, policy=found.policy)
    boxes = _boxes(viewer, search, mailboxes)
    open_boxes = [box.id for box in boxes if access_to_mailbox(viewer, box, Place.MAILBOX)]
    if not open_boxes:
        return Page((), None)
    if search.mailbox_id is not None and search.folder_id is not None:
        states = mailboxes.folders(viewer.tenant_id, search.mailbox_id)
        if search.folder_id not in {state.folder.id for state in states}:
            reason = "This mailbox has no such folder; `GET /v1/mailboxes/{id}/folders` lists ids."
            raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("folder", reason)])

    def judge(entries: Sequence[TimelineEntry]) -> Judged:
        first: dict[MessageId, TimelineEntry] = {}
        loaded = load_first(viewer.tenant_id, entries, reader=reader)
        for entry in entries[: loaded.number]:
            first.setdefault(entry.message_id, entry)
        views = show_messages(viewer, loaded.found, first, Place.MAILBOX)
        matching = {
            name: view for name, view in views.items() if _is_found(wanted, view, first[name])
        }
        return Judged(matching, loaded.number, loaded.requests)

    indexes = _indexes(viewer, wanted, boxes, open_boxes, messages)
    return page_through(indexes, judge, before=before, limit=limit)


def _boxes(viewer: Viewer, search: Search, mailboxes: MailboxStore) -> list[Mailbox]:
    """Return the mailbox that is named, or every one of the tenant, to judge by."""
    if search.mailbox_id is None:
        return [record.mailbox for record in mailboxes.list_mailboxes(viewer.tenant_id)]
    record = mailboxes.get(viewer.tenant_id, search.mailbox_id)
    return [require_sight(viewer, record.mailbox if record else None)]


def _checked(search: Search) -> _Wanted:
    refused: list[tuple[str, str]] = []
    addresses: list[Address | None] = []
    for name, text in (("from", search.sender), ("to", search.recipient)):
        address = canonical_address(text) if text is not None else None
        if text is not None and address is None:
            refused.append((name, "This is not an e-mail address."))
        addresses.append(address)
    if search.folder_id is not None and search.mailbox_id is None:
        refused.append(("mailbox_id", "A folder belongs to a mailbox: name it too."))
    if search.since and search.until and search.since >= search.until:
        refused.append(("until", "This must be later than `since`."))
    if search.subject is not None and not search.subject.strip():
        refused.append(("subject", "At least one letter of the subject."))
    if refused:
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=refused)
    subject = (search.subject or "").strip().casefold()
    return _Wanted(search, addresses[0], addresses[1], subject, TenantPolicy())


def _indexes(
    viewer: Viewer,
    wanted: _Wanted,
    boxes: Sequence[Mailbox],
    open_boxes: Sequence[MailboxId],
    messages: MessageStore,
) -> Indexes:
    since, until = wanted.search.since, wanted.search.until
    # A mailbox's own mail is under its own addresses in no index.
    ours = {wanted.policy.address(one) for box in boxes for one in own_addresses(box)}
    for address in (wanted.sender, wanted.recipient):
        if address is not None and wanted.policy.address(address) not in ours:
            exact, also_of = wanted.policy.found_under([address])
            by_address = partial(messages.by_address, since=since, until=until, also_of=also_of)
            return partial(by_address, viewer.tenant_id, exact)
    if len(open_boxes) > MOST_MAILBOXES:
        reason = f"You can open more than {MOST_MAILBOXES} mailboxes: name one."
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("mailbox_id", reason)])
    by_mailbox = partial(messages.by_mailbox, since=since, until=until)
    return partial(by_mailbox, viewer.tenant_id, open_boxes)


def _fits(wanted: _Wanted, message: Message) -> bool:
    """Whether sender and recipient are those asked for."""

    def is_there(address: Address | None, roles: Collection[ParticipantRole]) -> bool:
        return address is None or any(
            one.role in roles and wanted.policy.is_same(one.address, address)
            for one in message.participants
        )

    return is_there(wanted.sender, _SENDERS) and is_there(wanted.recipient, _RECIPIENTS)


def _is_found(wanted: _Wanted, view: MessageView, entry: TimelineEntry) -> bool:
    search = wanted.search
    # Asked again of what is left to see: a search must not find by a blind copy that is hidden.
    if not _fits(wanted, view.message):
        return False
    if wanted.subject and (
        view.access < Access.SUBJECT or wanted.subject not in view.message.subject.casefold()
    ):
        return False
    places = [
        copy.received_at
        for copy in view.copies
        if search.mailbox_id in (None, copy.mailbox_id)
        and search.folder_id in (None, copy.folder_id)
        and (search.until is None or copy.received_at < search.until)
    ]
    # Several mailboxes may hold it, received at different times: it is shown at the newest of them
    # only.
    return bool(places) and (entry.folder_id is None or entry.at >= max(places) - _PRECISION)
