"""What a user learns of a mailbox's dead letters, and how far each of them is from being mended.

Whoever may see the mailbox sees its letters: they say nothing of what a message says. The raw
message is for those who may read all the mailbox's mail; an administrator has no way around that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.backfill import OPEN, Backfill, BackfillState
from shared.domain.dead_letter import DeadLetter, LetterKind
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.ids import BackfillId, LetterId, MailboxId, ProviderMessageId
from shared.domain.mailbox import RunState
from shared.domain.message import Copy
from shared.domain.permissions import require_sight
from shared.domain.visibility import Access, Place, Viewer, access_to_mailbox
from shared.operations.read_mail import LINK_SECONDS
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.dead_letters import DeadLetterStore, LetterPlace
from shared.ports.stores import MailboxRecord, MailboxStore, MessageStore


class LetterState(StrEnum):
    """Where a letter is."""

    OPEN = "open"
    """Nothing is done about it."""
    REPLAYING = "replaying"
    """It is being read or done again."""
    SETTLED = "settled"
    """What it is about was stored or done since; a replay removes the letter."""


@dataclass(frozen=True, slots=True)
class LetterView:
    """A letter, and where it is."""

    letter: DeadLetter
    state: LetterState


@dataclass(frozen=True, slots=True)
class RawLink:
    """A link that downloads a raw message, until then."""

    letter: DeadLetter
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterPorts:
    """What reading letters needs from the world."""

    mailboxes: MailboxStore
    backfills: BackfillStore
    messages: MessageStore
    letters: DeadLetterStore
    clock: Clock


def list_dead_letters(
    viewer: Viewer,
    mailbox_id: MailboxId,
    *,
    before: LetterPlace | None,
    limit: int,
    ports: LetterPorts,
) -> tuple[list[LetterView], LetterPlace | None]:
    """Return up to `limit` letters, newest first, and where to go on, or None at the end."""
    record = _seen(viewer, mailbox_id, ports)
    found = ports.letters.list_letters(viewer.tenant_id, mailbox_id, before=before, limit=limit + 1)
    page = found[:limit]
    last = LetterPlace(page[-1].first_seen_at, page[-1].id) if len(found) > limit else None
    return letter_views(record, page, ports), last


def get_dead_letter(
    viewer: Viewer, mailbox_id: MailboxId, letter_id: LetterId, *, ports: LetterPorts
) -> LetterView:
    """Return one letter; raises `RequestError(DEAD_LETTER_NOT_FOUND)`."""
    record = _seen(viewer, mailbox_id, ports)
    letter = ports.letters.get_letter(viewer.tenant_id, mailbox_id, letter_id)
    if letter is None:
        raise RequestError(ErrorCode.DEAD_LETTER_NOT_FOUND)
    return letter_views(record, [letter], ports)[0]


def link_raw_message(
    viewer: Viewer, mailbox_id: MailboxId, letter_id: LetterId, *, ports: LetterPorts
) -> RawLink:
    """Return a link to the raw message of a letter.

    Raises `RequestError(RAW_MESSAGE_NOT_FOUND)` where none is kept, and without full access.
    """
    record = _seen(viewer, mailbox_id, ports)
    letter = ports.letters.get_letter(viewer.tenant_id, mailbox_id, letter_id)
    if letter is None:
        raise RequestError(ErrorCode.DEAD_LETTER_NOT_FOUND)
    access = access_to_mailbox(viewer, record.mailbox, Place.MAILBOX)
    if letter.raw_size is None or access is not Access.FULL:
        raise RequestError(ErrorCode.RAW_MESSAGE_NOT_FOUND)
    url = ports.letters.link_raw(letter, seconds=LINK_SECONDS)
    return RawLink(letter, url, ports.clock.now() + timedelta(seconds=LINK_SECONDS))


def place_to_text(place: LetterPlace | None) -> str | None:
    """Return what a page token keeps of a place."""
    return None if place is None else f"{place.first_seen_at.isoformat()} {place.letter_id}"


def place_in_text(text: str | None) -> LetterPlace | None:
    """Read what `place_to_text` gave; raises `RequestError(INVALID_PAGE_TOKEN)` otherwise."""
    if text is None:
        return None
    at, _, letter_id = text.partition(" ")
    try:
        instant = datetime.fromisoformat(at)
    except ValueError as error:
        raise RequestError(ErrorCode.INVALID_PAGE_TOKEN) from error
    if instant.tzinfo is None:
        raise RequestError(ErrorCode.INVALID_PAGE_TOKEN)
    return LetterPlace(instant, LetterId(letter_id))


def _seen(viewer: Viewer, mailbox_id: MailboxId, ports: LetterPorts) -> MailboxRecord:
    record = ports.mailboxes.get(viewer.tenant_id, mailbox_id)
    if record is None:
        raise RequestError(ErrorCode.MAILBOX_NOT_FOUND)
    require_sight(viewer, record.mailbox)
    return record


def letter_views(
    record: MailboxRecord, letters: Sequence[DeadLetter], ports: LetterPorts
) -> list[LetterView]:
    """Return where each of some letters of a mailbox is, in their order."""
    tenant_id, mailbox_id = record.mailbox.tenant_id, record.mailbox.id
    names = [name for one in letters if (name := one.provider_message_id) is not None]
    copies = ports.messages.copies_by_id(tenant_id, mailbox_id, names)
    wanted = {id_ for one in letters for id_ in (one.backfill_id, one.replay_id) if id_}
    backfills = {
        id_: found
        for id_ in wanted
        if (found := ports.backfills.get_backfill(tenant_id, mailbox_id, id_)) is not None
    }
    return [
        LetterView(letter, _state(letter, record.run_state, copies, backfills))
        for letter in letters
    ]


def _state(
    letter: DeadLetter,
    run_state: RunState,
    copies: Mapping[ProviderMessageId, Copy],
    backfills: Mapping[BackfillId, Backfill],
) -> LetterState:
    match letter.kind:
        case LetterKind.MESSAGE:
            is_settled = letter.provider_message_id in copies
            work_id = letter.replay_id
        case LetterKind.SYNC:
            synced_at = run_state.last_synced_at
            is_settled = synced_at is not None and synced_at > letter.last_seen_at
            work_id = None
        case _:
            work_id = letter.backfill_id
            backfill = backfills.get(work_id) if work_id else None
            is_settled = backfill is None or backfill.state not in {*OPEN, BackfillState.FAILED}
    if is_settled:
        return LetterState.SETTLED
    work = backfills.get(work_id) if work_id else None
    is_at_work = work is not None and work.state in OPEN
    return LetterState.REPLAYING if is_at_work else LetterState.OPEN
