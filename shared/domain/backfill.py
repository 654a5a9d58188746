"""How a backfill is cut into chunks, which are released next, and how far it has come."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import zip_longest

from shared.domain.errors import ErrorCode
from shared.domain.ids import BackfillId, FolderId, MailboxId, ProviderMessageId, TenantId
from shared.domain.ledger import Counts

CHUNK_SIZE = 250
"""Messages in a chunk.

Small enough for a fraction of a function's time, large enough to batch well.
"""
MAX_DAYS = 365


class BackfillState(StrEnum):
    """Where a backfill is."""

    PLANNING = "planning"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


OPEN = frozenset(
    {BackfillState.PLANNING, BackfillState.RUNNING, BackfillState.WAITING, BackfillState.PAUSED}
)
RELEASING = frozenset({BackfillState.RUNNING, BackfillState.WAITING})


class ChunkState(StrEnum):
    """Where a chunk is. A chunk is released when its number is below the backfill's `released`."""

    OPEN = "open"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Backfill:
    """An import of the last `days` of a mailbox."""

    tenant_id: TenantId
    mailbox_id: MailboxId
    id: BackfillId
    days: int
    since: datetime
    state: BackfillState
    created_at: datetime
    generation: int
    chunks: int = 0
    released: int = 0
    """How many chunks, from number 0 on, have been handed to the queue."""
    done: int = 0
    planned: int = 0
    """How many messages the plan lists."""
    counts: Counts = field(default_factory=Counts)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    waiting_until: datetime | None = None
    paced_until: datetime | None = None
    """Before this no further chunk begins, so that live sync keeps its part of a quota."""
    code: ErrorCode | None = None

    @property
    def percent(self) -> int:
        """Progress from 0 to 100; 100 only when it is done."""
        if self.state is BackfillState.DONE:
            return 100
        if not self.planned:
            return 0
        return min(99, self.counts.settled * 100 // self.planned)

    def eta(self, now: datetime) -> datetime | None:
        """When it will be done at the pace so far, or None while there is no pace to judge by."""
        if self.state not in RELEASING or not self.started_at or not self.counts.settled:
            return None
        pace = (now - self.started_at) / self.counts.settled
        return max(now, self.waiting_until or now) + pace * max(
            0, self.planned - self.counts.settled
        )


@dataclass(frozen=True, slots=True)
class Chunk:
    """One bounded part of a backfill: some messages of one folder."""

    backfill_id: BackfillId
    number: int
    folder_id: FolderId
    ids: tuple[ProviderMessageId, ...]
    state: ChunkState = ChunkState.OPEN
    attempts: int = 0
    lease_owner: str | None = None
    lease_expires_at: datetime | None = None
    not_before: datetime | None = None
    previous_run_died: bool = False
    """Its lease was taken over from a run that never ended: handle messages one by one."""
    position: str | None = None
    """The folder's cursor when the chunk was first taken; see `operations.look_again`."""
    suspect: str | None = None
    strikes: Mapping[str, int] = field(default_factory=dict)


def plan_chunks(
    backfill_id: BackfillId,
    ids_by_folder: Iterable[tuple[FolderId, Sequence[ProviderMessageId]]],
    *,
    size: int,
) -> list[Chunk]:
    """Cut listings (each newest first) into chunks, the newest of every folder first.

    Folders take turns. Every listed id is in exactly one chunk; the same listing gives the same
    numbers.
    """
    cut = [
        [(folder_id, tuple(ids[start : start + size])) for start in range(0, len(ids), size)]
        for folder_id, ids in ids_by_folder
    ]
    in_turns = (piece for turn in zip_longest(*cut) for piece in turn if piece is not None)
    return [
        Chunk(backfill_id, number, folder_id, ids)
        for number, (folder_id, ids) in enumerate(in_turns)
    ]


def release_up_to(backfill: Backfill, in_flight_limit: int) -> int:
    """Return how many chunks may be released by now, counted from the first."""
    if backfill.state not in RELEASING:
        return backfill.released
    return max(backfill.released, min(backfill.chunks, backfill.done + in_flight_limit))


def window_start(now: datetime, days: int) -> datetime:
    """Return the date floor of a backfill of `days` (1 to 365) days, exact to the second."""
    if not 1 <= days <= MAX_DAYS:
        message = f"days must be from 1 to {MAX_DAYS}"
        raise ValueError(message)
    return now - timedelta(days=days)
