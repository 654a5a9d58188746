"""How much of each message one viewer is shown.

The one place where mail is cut down to what they may see. What the tenant's policy keeps out is
not there to be seen. It is judged as new mail is, by what is left for this viewer and by the copies
that let them see it: whom a hidden blind copy went to shows in nothing, not even in that the
message is there, and which copy came first decides nothing.

A message without a copy in a mailbox that still exists is not shown: it was stored by a run that
lost its lease, and counts for nothing. Removed copies do count: what was deleted at the provider
stays in the CRM.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

from shared.domain.change import Wanted
from shared.domain.identity import thread_of
from shared.domain.ids import Address, ContactId, FolderId, MailboxId, MessageId
from shared.domain.mailbox import Mailbox
from shared.domain.matching import why_kept_out
from shared.domain.message import Copy, Message, Participant, ParticipantRole
from shared.domain.policy import TenantPolicy
from shared.domain.taking_part import others_in
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

    Folder, flags and what is pending are the mailbox's own affair: None where it is not the
    viewer's.
    """

    mailbox_id: MailboxId
    received_at: datetime
    folder_id: FolderId | None = None
    seen: bool | None = None
    flagged: bool | None = None
    pending: Wanted | None = None
    """What of this somebody wants, and its provider has not acknowledged."""


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message cut down to what the viewer may see."""

    message: Message
    access: Access
    copies: tuple[CopyView, ...]
    contacts: tuple[ContactId, ...]
    ambiguous: Mapping[Address, Sequence[ContactId]]
    """Those of its addresses that several contacts have."""
    met: frozenset[Address]
    """Addresses of contacts on whose timelines it is, as far as the viewer sees that."""
    has_attachments: bool


@dataclass(frozen=True, slots=True)
class _OpenCopy:
    """A copy that opens something of its message to the viewer."""

    copy: Copy
    mailbox: Mailbox
    access: Access
    met: tuple[Address, ...]
    """Of those the message is with, seen from this copy, the addresses that contacts have."""


def show_messages(
    viewer: Viewer, found: Found, ids: Iterable[MessageId], place: Place
) -> dict[MessageId, MessageView]:
    """Return what the viewer may see of those messages in `ids` that were found, in their order.

    What they may not see at all is left out. `found`: all that decides over it, as it was read.

    With `Place.TIMELINE` the timeline's rule holds for each copy that puts its message on a
    contact's timeline, which are those with a contact among whom the message is with, as far as
    that copy would show them; for all other copies the mailbox's rule holds. So a blind copy that
    is hidden neither names its contact nor opens the message.
    """
    views = {}
    for message in (found.messages[one] for one in ids if one in found.messages):
        opened = _opened(viewer, message, found, place)
        if not opened:
            continue
        access = max(one.access for one in opened)
        blind = (one.copy.blind for one in opened if one.access is Access.FULL)
        shown = redact(message, access, frozenset[Address]().union(*blind))
        if _is_kept_out(replace(message, participants=shown.participants), opened, found.policy):
            continue
        by_address = {one.address: found.contacts_of(one.address) for one in shown.participants}
        views[message.id] = MessageView(
            replace(shown, thread_id=found.thread(message.thread_id).root),
            access,
            tuple(dict.fromkeys(chain.from_iterable(_copy_views(viewer, one) for one in opened))),
            tuple(dict.fromkeys(chain.from_iterable(by_address.values()))),
            {address: ids for address, ids in by_address.items() if len(ids) > 1},
            frozenset(chain.from_iterable(one.met for one in opened)),
            has_attachments=any(not part.inline for part in message.attachments),
        )
    return views


def _opened(viewer: Viewer, message: Message, found: Found, place: Place) -> list[_OpenCopy]:
    # Those of the thread its own header names: whatever that was joined to opens nothing.
    thread = found.thread(thread_of(message.id) or message.thread_id)
    levels = thread.levels_in(found.mailboxes.values())
    # Whom contacts are among is asked before the rule is: of most mail that leaves a few.
    known = [one for one in _without_blind(message) if found.contacts_of(one.address)]
    opened = []
    for copy in found.copies_in_mailboxes(message):
        box = found.mailboxes[copy.mailbox_id]
        for at in (place, Place.MAILBOX):
            access = access_to_message(viewer, [box], at, levels)
            blind = copy.blind if access is Access.FULL else ()
            hidden = [_blind(one) for one in sorted(blind) if found.contacts_of(one)]
            met = others_in([*known, *hidden], box, found.policy)
            if met:
                break
        if access is not Access.NONE:
            opened.append(_OpenCopy(copy, box, access, met))
    return opened


def _is_kept_out(seen: Message, opened: Sequence[_OpenCopy], policy: TenantPolicy) -> bool:
    """Whether the run of none of these copies' mailboxes would store what is seen of a message."""
    directions = {one.copy.direction or seen.direction for one in opened}
    return all(why_kept_out(policy, seen, one) is not None for one in directions)


def _without_blind(message: Message) -> Iterator[Participant]:
    return (one for one in message.participants if one.role is not ParticipantRole.BCC)


def _blind(address: Address) -> Participant:
    return Participant(ParticipantRole.BCC, address)


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
        participants=named + tuple(map(_blind, sorted(blind - named_blind))),
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


def _copy_views(viewer: Viewer, opened: _OpenCopy) -> Iterator[CopyView]:
    copy, box = opened.copy, opened.mailbox
    if copy.removed_at is not None:
        return
    if access_to_mailbox(viewer, box, Place.MAILBOX):
        yield from copy_views(copy)
    else:
        yield CopyView(box.id, copy.received_at)


def copy_views(copy: Copy) -> Iterator[CopyView]:
    """Yield one for each folder a live copy is in, for whom its mailbox's mail is."""
    for folder_id in sorted(copy.folder_ids):
        yield CopyView(
            copy.mailbox_id,
            copy.received_at,
            folder_id,
            copy.flags.seen,
            copy.flags.flagged,
            copy.pending.wanted if copy.pending else None,
        )
