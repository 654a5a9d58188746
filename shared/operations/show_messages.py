"""How much of each message one viewer is shown.

The one place where mail is cut down to what they may see. What the tenant's policy keeps out is
not there to be seen, judged as new mail is and by what is left for this viewer: whom a hidden blind
copy went to shows in nothing, not even in that the message is there.

A message without a copy in a mailbox that still exists is not shown: it was stored by a run that
lost its lease, and counts for nothing. Removed copies do count: what was deleted at the provider
stays in the CRM.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.identity import thread_of
from shared.domain.ids import Address, ContactId, FolderId, MailboxId, MessageId
from shared.domain.mailbox import Mailbox
from shared.domain.matching import why_kept_out
from shared.domain.message import Copy, Message, Participant, ParticipantRole
from shared.domain.threads import ThreadLevel
from shared.domain.visibility import (
    Access,
    Place,
    Viewer,
    access_to_mailbox,
    access_to_message,
)
from shared.ports.reading import Found


@dataclass(frozen=True, slots=True)
class CopyView:
    """One folder that a live copy is in.

    Folder and flags are the mailbox's own affair: None where it is not the viewer's.
    """

    mailbox_id: MailboxId
    received_at: datetime
    folder_id: FolderId | None = None
    seen: bool | None = None


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message cut down to what the viewer may see."""

    message: Message
    access: Access
    copies: tuple[CopyView, ...]
    contacts: tuple[ContactId, ...]
    ambiguous: Mapping[Address, Sequence[ContactId]]
    """Those of its addresses that several contacts have."""
    has_attachments: bool


Boxes = Mapping[MailboxId, Mailbox]
Levels = Mapping[MailboxId, ThreadLevel]


def show_messages(
    viewer: Viewer, found: Found, ids: Iterable[MessageId], place: Place
) -> dict[MessageId, MessageView]:
    """Return what the viewer may see of those messages in `ids` that were found, in their order.

    What they may not see at all is left out. `found`: all that decides over it, as it was read.

    With `Place.TIMELINE` the timeline's rule holds for messages that are on a contact's timeline,
    which are those with a contact among the participants it shows; for all others the mailbox's
    rule holds. So a blind copy that is hidden neither names its contact nor opens the message.
    """
    boxes = found.mailboxes
    views = {}
    for message in (found.messages[one] for one in ids if one in found.messages):
        held = found.copies_in_mailboxes(message)
        # Those of the thread its own header names: whatever that was joined to opens nothing.
        levels = found.thread(thread_of(message.id) or message.thread_id).levels
        for at in (place, Place.MAILBOX):
            access, blind = _opened(viewer, held, boxes, at, levels)
            shown = redact(message, access, blind)
            by_address = {one.address: found.contacts_of(one.address) for one in shown.participants}
            known = tuple(dict.fromkeys(one for ids in by_address.values() for one in ids))
            if known:
                break
        seen = replace(message, participants=shown.participants)
        if access is not Access.NONE and not why_kept_out(found.policy, seen, message.direction):
            thread_id = found.thread(message.thread_id).root
            views[message.id] = MessageView(
                replace(shown, thread_id=thread_id),
                access,
                tuple(_copy_views(viewer, held, boxes, at, levels)),
                known,
                {address: ids for address, ids in by_address.items() if len(ids) > 1},
                has_attachments=any(not part.inline for part in message.attachments),
            )
    return views


def _opened(
    viewer: Viewer, held: Sequence[Copy], boxes: Boxes, place: Place, levels: Levels
) -> tuple[Access, frozenset[Address]]:
    """Return how much of a message its copies open, and whom those open in full name as blind."""
    access = access_to_message(viewer, [boxes[one.mailbox_id] for one in held], place, levels)
    open_blind = (
        one.blind
        for one in held
        if one.blind
        and access_to_message(viewer, [boxes[one.mailbox_id]], place, levels) is Access.FULL
    )
    return access, frozenset[Address]().union(*open_blind)


def redact(message: Message, access: Access, blind: AbstractSet[Address] = frozenset()) -> Message:
    """Return `message` without what `access` does not open.

    metadata: who, when, which way. subject: the subject too. full: everything. Of blind recipients
    those in `blind` are left, which copies in other mailboxes than the content's may have named.
    """
    named = tuple(
        one
        for one in message.participants
        if one.role is not ParticipantRole.BCC or one.address in blind
    )
    named_blind = {one.address for one in named if one.role is ParticipantRole.BCC}
    message = replace(
        message,
        participants=named
        + tuple(Participant(ParticipantRole.BCC, one) for one in sorted(blind - named_blind)),
    )
    if access is Access.FULL:
        return message
    return replace(
        message,
        subject=message.subject if access >= Access.SUBJECT else "",
        snippet="",
        attachments=(),
        headers={},
        defects=(),
    )


def _copy_views(
    viewer: Viewer, held: Sequence[Copy], boxes: Boxes, place: Place, levels: Levels
) -> list[CopyView]:
    views: dict[CopyView, None] = {}
    for copy in held:
        box = boxes[copy.mailbox_id]
        if copy.removed_at is not None or not access_to_message(viewer, [box], place, levels):
            continue
        if access_to_mailbox(viewer, box, Place.MAILBOX):
            for folder_id in sorted(copy.folder_ids):
                views[CopyView(box.id, copy.received_at, folder_id, copy.flags.seen)] = None
        else:
            views[CopyView(box.id, copy.received_at)] = None
    return list(views)
