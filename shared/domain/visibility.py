"""Who sees how much of a message; deny by default.

- A mailbox's owner sees all its mail in full, personal or shared, whatever its level.
- A shared mailbox's mail is for those it is granted to, everywhere, at its level.
- A personal mailbox's mail is its owner's. On a contact's timeline others see it at its level.
- Where a thread has a level of its own in a mailbox, that counts instead of the mailbox's: for its
  owner, and for those who see nothing of the mailbox, it changes nothing.
- Where several mailboxes hold a message, the most open one decides how much of the message is
  seen: what it says is the same in all of them. What is one mailbox's own (that it has the message,
  in which folder, whether it was read, whom its copy names as blind recipients) is seen by those
  alone who see that mailbox's mail.

Being an administrator opens nothing. One who has opened a mailbox (`operations/open_mailbox`) sees
its mail as its owner does until that ends.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum, StrEnum

from shared.domain.ids import MailboxId, TenantId, UserId
from shared.domain.mailbox import Mailbox, MailboxKind, Visibility
from shared.domain.threads import ThreadLevel

DEFAULT_VISIBILITY = {
    MailboxKind.PERSONAL: Visibility.METADATA,
    MailboxKind.SHARED: Visibility.FULL,
}
"""Where nothing is said: those a shared mailbox is granted to are there to read it."""


class Access(IntEnum):
    """How much of a message somebody sees, from nothing to all."""

    NONE = 0
    METADATA = 1
    SUBJECT = 2
    FULL = 3


class Place(StrEnum):
    """Where the message is being looked at."""

    TIMELINE = "timeline"
    MAILBOX = "mailbox"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks, as their verified token says."""

    tenant_id: TenantId
    user_id: UserId
    is_admin: bool = False
    asks_at: datetime | None = None
    """When the request came; None: not in a request, where no opening counts."""


def without_openings(viewer: Viewer) -> Viewer:
    """Return the viewer as one who has opened no mailbox."""
    return replace(viewer, asks_at=None)


_LEVELS = {
    ThreadLevel.PRIVATE: Access.NONE,
    ThreadLevel.METADATA: Access.METADATA,
    ThreadLevel.SUBJECT: Access.SUBJECT,
    ThreadLevel.FULL: Access.FULL,
}


_NO_LEVELS: Mapping[MailboxId, ThreadLevel] = {}


def is_granted(viewer: Viewer, mailbox: Mailbox) -> bool:
    """Whether a shared mailbox is granted to the viewer; its owner needs no granting."""
    return (
        mailbox.kind is MailboxKind.SHARED
        and viewer.tenant_id == mailbox.tenant_id
        and viewer.user_id in mailbox.granted_to
    )


def _has_open(viewer: Viewer, mailbox: Mailbox) -> bool:
    at = viewer.asks_at
    return (
        viewer.is_admin
        and at is not None
        and any(one.opened_by == viewer.user_id and one.is_open(at) for one in mailbox.openings)
    )


def access_to_mailbox(
    viewer: Viewer, mailbox: Mailbox, place: Place, level: ThreadLevel | None = None
) -> Access:
    """Return how much of the mail in `mailbox` the viewer sees at `place`.

    `level`: of a thread's, which counts instead of the mailbox's.
    """
    if viewer.tenant_id != mailbox.tenant_id:
        return Access.NONE
    if viewer.user_id == mailbox.owner_user_id or _has_open(viewer, mailbox):
        return Access.FULL
    is_on_timeline = mailbox.kind is MailboxKind.PERSONAL and place is Place.TIMELINE
    if is_granted(viewer, mailbox) or is_on_timeline:
        return _LEVELS[level or ThreadLevel(mailbox.visibility)]
    return Access.NONE


def access_to_message(
    viewer: Viewer,
    mailboxes: Iterable[Mailbox],
    place: Place,
    levels: Mapping[MailboxId, ThreadLevel] = _NO_LEVELS,
) -> Access:
    """Return how much of a message held by `mailboxes` the viewer sees.

    The most open mailbox decides. `levels`: its thread's, by mailbox.
    """
    each = (access_to_mailbox(viewer, box, place, levels.get(box.id)) for box in mailboxes)
    return max(each, default=Access.NONE)
