"""What is done when a person has dead letters replayed.

Messages are read again by a backfill of their own, beside whatever goes on: it takes the path of
every chunk (lease, strikes, fence, ledger, sweeper), and `replayed_chunk` decides what becomes of a
letter then. Work is sent to its queue again and its letter goes after that: whoever dies between
the two leaves a letter that can be replayed once more, and work that fails again leaves it anew.

A replay has its id from its letters and the replay each of them had before: whoever asks twice, or
again because the answer was lost, finds the first under it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain.backfill import OPEN, BackfillKind, BackfillState
from shared.domain.dead_letter import DeadLetter, LetterKind
from shared.domain.errors import ConflictError, ErrorCode, RequestError
from shared.domain.ids import (
    BackfillId,
    FolderId,
    LetterId,
    MailboxId,
    ProviderMessageId,
    named_ulid,
)
from shared.domain.lease import Fence
from shared.domain.mailbox import Mailbox, MailboxStatus
from shared.domain.permissions import require_change
from shared.domain.visibility import Viewer
from shared.operations.bring_in import bring_in
from shared.operations.request_sync import request_sync
from shared.operations.start_backfill import BackfillAction, change_backfill
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.dead_letters import DeadLetterStore, LetterPlace
from shared.ports.queues import ChunkRequest, PlanRequest, WorkQueues
from shared.ports.stores import MailboxStore

MOST_AT_ONCE = 1_000
"""Letters of one request; the answer says where the next one goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPorts:
    """What replaying needs from the world."""

    mailboxes: MailboxStore
    backfills: BackfillStore
    letters: DeadLetterStore
    queues: WorkQueues
    clock: Clock


@dataclass(frozen=True, slots=True)
class Replay:
    """What a request had replayed."""

    queued: tuple[LetterId, ...]
    """Those of a replay that is under way already are among them, and are not queued twice."""
    backfill_id: BackfillId | None
    """The one that reads the messages; None where no message was to be read."""
    blocked: tuple[LetterId, ...] = ()
    """Failed imports that another one is in the way of: to be replayed after that."""
    next: LetterPlace | None = None
    """Where the request goes on that replays what there was no room for; None at the end."""


def replay_dead_letter(
    viewer: Viewer, mailbox_id: MailboxId, letter_id: LetterId, *, ports: ReplayPorts
) -> Replay:
    """Have one letter replayed.

    Raises `RequestError(DEAD_LETTER_NOT_FOUND)`, `ConflictError(WRONG_STATE)` while the mailbox is
    not active or another import is in the way of the one that failed, and
    `ConflictError(STALE_WRITE)` where it is disconnected or reconnected just now.
    """
    mailbox = _changeable(viewer, mailbox_id, ports)
    letter = ports.letters.get_letter(mailbox.tenant_id, mailbox.id, letter_id)
    if letter is None:
        raise RequestError(ErrorCode.DEAD_LETTER_NOT_FOUND)
    _require_active(mailbox)
    if letter.kind is LetterKind.MESSAGE:
        return _replay_messages(mailbox, [letter], ports)
    if not _replay_work(viewer, mailbox, letter, ports):
        words = "Another import of this mailbox is not over yet; replay this one after it."
        raise ConflictError(ErrorCode.WRONG_STATE, words=words)
    return Replay((letter.id,), None)


def replay_dead_letters(
    viewer: Viewer,
    mailbox_id: MailboxId,
    *,
    after: LetterPlace | None = None,
    ports: ReplayPorts,
) -> Replay:
    """Have all of a mailbox's letters replayed that something can be done about, oldest first.

    Each request goes on behind the one before, whatever became of its letters: what stays unread
    keeps no later one from its turn, and whoever follows `next` comes to an end.

    Raises `ConflictError(WRONG_STATE)` while the mailbox is not active, and
    `ConflictError(STALE_WRITE)` where it is disconnected or reconnected just now.
    """
    mailbox = _changeable(viewer, mailbox_id, ports)
    _require_active(mailbox)
    waiting = sorted(
        (
            letter
            for letter in ports.letters.all_letters(mailbox.tenant_id, mailbox.id)
            # The provider no longer has it and we kept nothing: only where it is asked for itself.
            if letter.code is not ErrorCode.MESSAGE_GONE or letter.raw_size is not None
        ),
        key=_place,
    )
    waiting = [letter for letter in waiting if after is None or _place(letter) > after]
    chosen = waiting[:MOST_AT_ONCE]
    messages = [letter for letter in chosen if letter.kind is LetterKind.MESSAGE]
    replay = _replay_messages(mailbox, messages, ports)
    no_room = {letter.id for letter in messages}.difference(replay.queued)
    # There is room for the first in any case.
    reached = next((at for at, one in enumerate(chosen) if at and one.id in no_room), len(chosen))
    work = [letter for letter in chosen[:reached] if letter.kind is not LetterKind.MESSAGE]
    done = [letter.id for letter in work if _replay_work(viewer, mailbox, letter, ports)]
    return Replay(
        (*done, *replay.queued),
        replay.backfill_id,
        blocked=tuple(letter.id for letter in work if letter.id not in done),
        next=_place(chosen[reached - 1]) if reached < len(waiting) else None,
    )


def _place(letter: DeadLetter) -> LetterPlace:
    return LetterPlace(letter.first_seen_at, letter.id)


def _changeable(viewer: Viewer, mailbox_id: MailboxId, ports: ReplayPorts) -> Mailbox:
    record = ports.mailboxes.get(viewer.tenant_id, mailbox_id)
    return require_change(viewer, record.mailbox if record else None)


def _require_active(mailbox: Mailbox) -> None:
    if mailbox.status is not MailboxStatus.ACTIVE:
        words = f"Only an active mailbox reads its mail again, and this one is `{mailbox.status}`."
        raise ConflictError(ErrorCode.WRONG_STATE, words=words)


# ---- messages ----


def _replay_messages(mailbox: Mailbox, letters: Sequence[DeadLetter], ports: ReplayPorts) -> Replay:
    at_work = _at_work(letters, ports.backfills)
    under_way = [letter for letter in letters if letter.replay_id in at_work]
    waiting = [letter for letter in letters if letter.replay_id not in at_work]
    by_folder: dict[FolderId, list[ProviderMessageId]] = {}
    for letter in waiting:
        folder_id, name = letter.folder_id, letter.provider_message_id
        if folder_id is not None and name is not None:
            by_folder.setdefault(folder_id, []).append(name)
    if not by_folder:
        replay_id = under_way[-1].replay_id if under_way else None
        return Replay(tuple(letter.id for letter in under_way), replay_id)
    backfill, names = bring_in(
        mailbox,
        _replay_id(mailbox, waiting),
        BackfillKind.REPLAY,
        by_folder,
        backfills=ports.backfills,
        queues=ports.queues,
        now=ports.clock.now(),
    )
    fresh = [letter for letter in waiting if letter.provider_message_id in names]
    ports.letters.note_replay(fresh, at=backfill.created_at, replay_id=backfill.id)
    if backfill.state not in OPEN:
        # Whoever began it could not say so here, and it is over: what it left is for another.
        ids = [letter.id for letter in letters]
        left = ports.letters.get_letters(mailbox.tenant_id, mailbox.id, ids)
        return _replay_messages(mailbox, [left[one] for one in ids if one in left], ports)
    return Replay(tuple(letter.id for letter in (*under_way, *fresh)), backfill.id)


def _replay_id(mailbox: Mailbox, letters: Sequence[DeadLetter]) -> BackfillId:
    # Nothing of a letter that reading it once more changes.
    at = max(letter.replayed_at or letter.first_seen_at for letter in letters)
    named = [(letter.id, letter.folder_id, letter.replay_id) for letter in letters]
    place = (mailbox.tenant_id, mailbox.id, mailbox.generation)
    return BackfillId(named_ulid(at, repr((place, named))))


def _at_work(letters: Sequence[DeadLetter], backfills: BackfillStore) -> set[BackfillId]:
    named = {letter.replay_id: letter for letter in letters if letter.replay_id is not None}
    found = (
        backfills.get_backfill(letter.tenant_id, letter.mailbox_id, replay_id)
        for replay_id, letter in named.items()
    )
    return {replay.id for replay in found if replay is not None and replay.state in OPEN}


# ---- work ----


def _replay_work(viewer: Viewer, mailbox: Mailbox, letter: DeadLetter, ports: ReplayPorts) -> bool:
    """Queue the work again, if there is any left, and remove its letter; return whether."""
    if letter.kind is LetterKind.SYNC:
        # As a person's wish, which overrides the rest a mailbox was put to when its poll was lost.
        request_sync(
            viewer, mailbox.id, mailboxes=ports.mailboxes, queues=ports.queues, clock=ports.clock
        )
    elif letter.backfill_id is not None and not _go_on(
        viewer, mailbox, letter.backfill_id, letter.chunk, ports
    ):
        return False
    fence = Fence(mailbox.tenant_id, mailbox.id, mailbox.generation)
    ports.letters.remove_letters(fence, [letter.id])
    return True


def _go_on(
    viewer: Viewer,
    mailbox: Mailbox,
    backfill_id: BackfillId,
    chunk: int | None,
    ports: ReplayPorts,
) -> bool:
    """Go on with a backfill; of one that is over or cancelled nothing is left to be done."""
    backfill = ports.backfills.get_backfill(mailbox.tenant_id, mailbox.id, backfill_id)
    if backfill is None or backfill.state not in {*OPEN, BackfillState.FAILED}:
        return True
    if backfill.state is BackfillState.FAILED:
        try:
            change_backfill(
                viewer,
                mailbox.id,
                backfill_id,
                BackfillAction.RESUME,
                mailboxes=ports.mailboxes,
                backfills=ports.backfills,
                queues=ports.queues,
                clock=ports.clock,
            )
        except ConflictError:
            return False
    elif chunk is None:
        ports.queues.send_plan(PlanRequest(mailbox.tenant_id, mailbox.id, backfill_id))
    else:
        request = ChunkRequest(mailbox.tenant_id, mailbox.id, backfill_id, chunk)
        ports.queues.send_chunks([request])
    return True
