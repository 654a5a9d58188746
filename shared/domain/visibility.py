"""Who sees how much of a message; deny by default.

A personal mailbox's mail is its owner's. On a contact's timeline others see it at the mailbox's
level. A shared mailbox's mail is for the tenant's users at the mailbox's level. Where several
mailboxes hold the message, the most open one decides. An administrator has no way around this.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from shared.domain.ids import TenantId, UserId
from shared.domain.mailbox import Mailbox, MailboxKind, Visibility

DEFAULT_VISIBILITY = {
    MailboxKind.PERSONAL: Visibility.METADATA,
    MailboxKind.SHARED: Visibility.FULL,
}
"""Where nothing is said: a shared mailbox that shows less is read by nobody, its owner included."""


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


_LEVELS = {
    Visibility.METADATA: Access.METADATA,
    Visibility.SUBJECT: Access.SUBJECT,
    Visibility.FULL: Access.FULL,
}


def access_to_mailbox(viewer: Viewer, mailbox: Mailbox, place: Place) -> Access:
    """Return how much of the mail in `mailbox` the viewer sees at `place`."""
    if viewer.tenant_id != mailbox.tenant_id:
        return Access.NONE
    if mailbox.kind is MailboxKind.SHARED:
        return _LEVELS[mailbox.visibility]
    if viewer.user_id == mailbox.owner_user_id:
        return Access.FULL
    return _LEVELS[mailbox.visibility] if place is Place.TIMELINE else Access.NONE


def access_to_message(viewer: Viewer, mailboxes: Iterable[Mailbox], place: Place) -> Access:
    """Return how much of a message held by `mailboxes` the viewer sees.

    The most open mailbox decides.
    """
    return max((access_to_mailbox(viewer, box, place) for box in mailboxes), default=Access.NONE)
