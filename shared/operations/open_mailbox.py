"""In which order an administrator is let in to a mailbox, and who learns of it.

The lasting record and the mailbox's settings, by which they see its mail, are one write: nobody is
let in who is not recorded. It ends by itself: `visibility` asks for the time.

Every function raises `RequestError(MAILBOX_NOT_FOUND)` for a mailbox the viewer may not know of.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from shared.domain.errors import ConflictError, ErrorCode, RequestError
from shared.domain.ids import MailboxId, OpeningId, new_ulid
from shared.domain.mailbox import Mailbox
from shared.domain.opening import MOST_OPEN, Opening
from shared.domain.permissions import may_know_openings, require_sight
from shared.domain.visibility import Access, Place, Viewer, access_to_mailbox, without_openings
from shared.ports.clock import Clock
from shared.ports.openings import OpeningStore
from shared.ports.stores import MailboxStore

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class OpeningPorts:
    """What opening a mailbox needs from the world."""

    mailboxes: MailboxStore
    openings: OpeningStore
    clock: Clock


def open_mailbox(
    viewer: Viewer,
    mailbox_id: MailboxId,
    reason: str,
    lasts: timedelta,
    *,
    is_allowed: bool,
    ports: OpeningPorts,
) -> Opening:
    """Let an administrator see a mailbox's mail as its owner does; return the record of it.

    Asked again with the same reason while it is open, it changes nothing.

    Raises `RequestError` (`ADMIN_REQUIRED`; `OPENINGS_OFF` unless the operator allows them),
    `ConflictError(WRONG_STATE)` for mail that is theirs to read anyway, while they have it open for
    another reason, or where too many have; `VERSION_CONFLICT`.
    """
    now = ports.clock.now()
    opening = Opening(OpeningId(new_ulid(now)), viewer.user_id, reason, now, now + lasts)
    for attempt in range(1, _ATTEMPTS + 1):
        mailbox = _seen(viewer, mailbox_id, ports)
        if not viewer.is_admin:
            raise RequestError(ErrorCode.ADMIN_REQUIRED)
        if not is_allowed:
            raise RequestError(ErrorCode.OPENINGS_OFF)
        if access_to_mailbox(without_openings(viewer), mailbox, Place.MAILBOX) is Access.FULL:
            raise ConflictError(ErrorCode.WRONG_STATE, words="You read its mail in full already.")
        still_open = tuple(one for one in mailbox.openings if one.is_open(now))
        mine = next((one for one in still_open if one.opened_by == viewer.user_id), None)
        if mine is not None and (mine.reason == reason):
            return mine
        if mine is not None:
            words = "You have it open for another reason: end that first."
            raise ConflictError(ErrorCode.WRONG_STATE, words=words)
        if len(still_open) >= MOST_OPEN:
            words = f"{MOST_OPEN} administrators have it open: wait until one has ended."
            raise ConflictError(ErrorCode.WRONG_STATE, words=words)
        if _saved(replace(mailbox, openings=(*still_open, opening)), opening, attempt, ports):
            return opening
    raise AssertionError("the last attempt returns or raises")


def end_opening(
    viewer: Viewer, mailbox_id: MailboxId, opening_id: OpeningId, *, ports: OpeningPorts
) -> Opening:
    """End an opening before its time, as the mailbox's owner or an administrator; return it.

    Repeating it changes nothing. Raises `RequestError` (`ADMIN_REQUIRED`, `OPENING_NOT_FOUND`),
    `ConflictError(WRONG_STATE)` for one that only other settings end, `VERSION_CONFLICT`.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        mailbox = _known(viewer, mailbox_id, ports)
        opening = ports.openings.get_opening(viewer.tenant_id, mailbox_id, opening_id)
        if opening is None:
            raise RequestError(ErrorCode.OPENING_NOT_FOUND)
        if opening.ends_at is None:
            words = "It is by the mailbox's settings: change those."
            raise ConflictError(ErrorCode.WRONG_STATE, words=words)
        now = ports.clock.now()
        if not opening.is_open(now):
            return opening
        ended = replace(opening, ends_at=now)
        others = tuple(one for one in mailbox.openings if one.id != opening_id)
        if _saved(replace(mailbox, openings=others), ended, attempt, ports):
            return ended
    raise AssertionError("the last attempt returns or raises")


def list_openings(
    viewer: Viewer,
    mailbox_id: MailboxId,
    *,
    before: OpeningId | None,
    limit: int,
    ports: OpeningPorts,
) -> tuple[list[Opening], OpeningId | None]:
    """Return up to `limit` openings, newest first, and the id to go on before, or None at the end.

    For the mailbox's owner and administrators; raises `RequestError(ADMIN_REQUIRED)`.
    """
    _known(viewer, mailbox_id, ports)
    found = ports.openings.list_openings(
        viewer.tenant_id, mailbox_id, before=before, limit=limit + 1
    )
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


def _seen(viewer: Viewer, mailbox_id: MailboxId, ports: OpeningPorts) -> Mailbox:
    record = ports.mailboxes.get(viewer.tenant_id, mailbox_id)
    return require_sight(viewer, record.mailbox if record else None)


def _known(viewer: Viewer, mailbox_id: MailboxId, ports: OpeningPorts) -> Mailbox:
    mailbox = _seen(viewer, mailbox_id, ports)
    if not may_know_openings(viewer, mailbox):
        raise RequestError(ErrorCode.ADMIN_REQUIRED)
    return mailbox


def _saved(mailbox: Mailbox, opening: Opening, attempt: int, ports: OpeningPorts) -> bool:
    """Whether both were written; False where somebody else wrote, and it is tried again.

    Raises `ConflictError(VERSION_CONFLICT)` with the last attempt.
    """
    try:
        ports.openings.save_with(mailbox, opening)
    except ConflictError:
        if attempt == _ATTEMPTS:
            raise
        return False
    return True
