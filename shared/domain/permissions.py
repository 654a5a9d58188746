"""Who may see and who may change a mailbox's settings.

A personal mailbox is seen and changed by its owner and the administrators; a shared one is seen by
its owner, those it is granted to and the administrators, who alone change it. Those whom its mail
is for may send from it, and nobody else. All others cannot tell it from one that does not exist.
Settings are not mail: what a message shows is decided in `visibility`.
"""

from shared.domain.errors import ErrorCode, RequestError
from shared.domain.mailbox import Mailbox, MailboxKind
from shared.domain.visibility import (
    Access,
    Place,
    Viewer,
    access_to_mailbox,
    is_granted,
    without_openings,
)


def may_see(viewer: Viewer, mailbox: Mailbox) -> bool:
    """Whether the mailbox is listed for the viewer."""
    if viewer.tenant_id != mailbox.tenant_id:
        return False
    return viewer.is_admin or viewer.user_id == mailbox.owner_user_id or is_granted(viewer, mailbox)


def may_know_openings(viewer: Viewer, mailbox: Mailbox) -> bool:
    """Whether the viewer is told which administrators were let in to the mailbox's mail."""
    return viewer.tenant_id == mailbox.tenant_id and (
        viewer.is_admin or viewer.user_id == mailbox.owner_user_id
    )


def may_set_levels(viewer: Viewer, mailbox: Mailbox) -> bool:
    """Whether the viewer may say how much of a thread's mail in the mailbox others see.

    Its owner; of a shared one also an administrator who reads it in full anyway.
    """
    if access_to_mailbox(without_openings(viewer), mailbox, Place.MAILBOX) is not Access.FULL:
        return False
    is_owner = viewer.user_id == mailbox.owner_user_id
    return is_owner or (viewer.is_admin and mailbox.kind is MailboxKind.SHARED)


def may_send(viewer: Viewer, mailbox: Mailbox) -> bool:
    """Whether the viewer may send from the mailbox: its owner, or one a shared one is granted to.

    Neither being an administrator nor an opening lets anybody write in another person's name.
    """
    if viewer.tenant_id != mailbox.tenant_id:
        return False
    return viewer.user_id == mailbox.owner_user_id or is_granted(viewer, mailbox)


def require_sending(viewer: Viewer, mailbox: Mailbox | None) -> Mailbox:
    """Return the mailbox if the viewer may send from it.

    Raises `MAILBOX_NOT_FOUND` where they may not even know of it, `OWNER_REQUIRED` where they may
    only see its settings.
    """
    mailbox = require_sight(viewer, mailbox)
    if not may_send(viewer, mailbox):
        raise RequestError(ErrorCode.OWNER_REQUIRED)
    return mailbox


def may_change(viewer: Viewer, mailbox: Mailbox) -> bool:
    """Whether the viewer may change, reconnect or disconnect the mailbox."""
    if not may_see(viewer, mailbox):
        return False
    return viewer.is_admin or (
        mailbox.kind is MailboxKind.PERSONAL and viewer.user_id == mailbox.owner_user_id
    )


def require_change(viewer: Viewer, mailbox: Mailbox | None) -> Mailbox:
    """Return the mailbox if the viewer may change it.

    Raises `MAILBOX_NOT_FOUND` where they may not even know of it, `ADMIN_REQUIRED` where they may
    only see it.
    """
    if mailbox is None or not may_see(viewer, mailbox):
        raise RequestError(ErrorCode.MAILBOX_NOT_FOUND)
    if not may_change(viewer, mailbox):
        raise RequestError(ErrorCode.ADMIN_REQUIRED)
    return mailbox


def require_sight(viewer: Viewer, mailbox: Mailbox | None) -> Mailbox:
    """Return the mailbox if the viewer may see it; raises `MAILBOX_NOT_FOUND` otherwise."""
    if mailbox is None or not may_see(viewer, mailbox):
        raise RequestError(ErrorCode.MAILBOX_NOT_FOUND)
    return mailbox
