"""How a backfill is cut into chunks, which are released next, and how far it has come."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import zip_longest

from shared.domain.errors import ErrorCode
from shared.domain.ids import BackfillId, FolderId, MailboxId, ProviderMessageId, TenantId
from shared.domain.ledger import Counts
from shared.domain.loops import NOT_YET, Worked

CHUNK_SIZE = 250
"""Messages in a chunk.

Small enough for a fraction of a function's time, large enough to batch well.
"""
MAX_DAYS = 365
_LATEST_COUNTS_FOR = 0.3
"""The share of the latest chunk in the pace."""


class BackfillState(StrEnum):
    """Where a backfill is."""

    PLANNING = "planning"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class BackfillKind(StrEnum):
    """What a backfill is for."""

    IMPORT = "import"
    """History of the last days, which a person asked for: one at a time."""
    REPLAY = "replay"
    """Some messages that are named, to be read again beside whatever else goes on."""
    REPAIR = "repair"
    """Messages that an audit found missing, brought in beside whatever else goes on."""
    CONTACT_HISTORY = "contact_history"
    """What a mailbox of contacts' mail alone left at its provider, of people added since."""


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
    """An import of the last `days` of a mailbox; a replay or a repair has no days."""

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
    """How many messages the plan lists, those included that were held already."""
    counts: Counts = field(default_factory=Counts)
    """The sums of its ended chunks, and of what was held already when it was planned."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    waiting_until: datetime | None = None
    paced_until: datetime | None = None
    """Before this no further chunk begins, so that live sync keeps its part of a quota."""
    code: ErrorCode | None = None
    """What it waits for or failed with."""
    progressed_at: datetime | None = None
    """When it last came further: began, was resumed, or ended a chunk."""
    seconds_a_message: float | None = None
    """The pace of its last chunks, each counting for less than the one after it."""
    kind: BackfillKind = BackfillKind.IMPORT
    added_after: datetime | None = None
    """Of a contact history: it is that of addresses contacts were given after this instant."""
    added_upto: datetime | None = None
    """… and up to this one."""

    @property
    def percent(self) -> int:
        """Progress from 0 to 100; 100 only when it is done."""
        if self.state is BackfillState.DONE:
            return 100
        if not self.planned:
            return 0
        return min(99, self.counts.settled * 100 // self.planned)

    def eta(self, now: datetime) -> datetime | None:
        """When it will be done at its recent pace.

        None while there is no pace to judge by, and while nobody knows when it goes on.
        """
        knows_when = self.state is BackfillState.RUNNING or self.waiting_until is not None
        if self.state not in RELEASING or not knows_when or self.seconds_a_message is None:
            return None
        left = timedelta(
            seconds=self.seconds_a_message * max(0, self.planned - self.counts.settled)
        )
        goes_on = max(self.progressed_at or now, self.waiting_until or self.created_at)
        # Overdue, it is as far away as if its next chunk began now.
        return goes_on + left if goes_on + left > now else now + left

    def with_chunk(
        self, counts: Counts, now: datetime, *, paced_until: datetime | None = None
    ) -> "Backfill":
        """Return it after one more chunk with these sums; it waits no longer.

        But for the rest the chunk owes its provider, until `paced_until`: also where it is paused.
        """
        waited = self.waiting_until if self.waiting_until and self.waiting_until <= now else None
        begun = max((at for at in (self.progressed_at, waited) if at), default=now)
        pace = self.seconds_a_message
        if counts.settled:
            latest = max(0.0, (now - begun).total_seconds()) / counts.settled
            pace = latest if pace is None else pace + (latest - pace) * _LATEST_COUNTS_FOR
        waits = self.state is BackfillState.WAITING
        after = replace(
            self,
            state=BackfillState.RUNNING if waits else self.state,
            waiting_until=None,
            code=None if self.state in OPEN else self.code,
            done=self.done + 1,
            counts=self.counts + counts,
            progressed_at=now,
            paced_until=max((at for at in (self.paced_until, paced_until) if at), default=None),
            seconds_a_message=pace,
        )
        if after.done < after.chunks or after.state not in OPEN:
            return after
        state, code = after.ending()
        return replace(after, state=state, code=code, ended_at=now)

    def ending(self) -> tuple[BackfillState, ErrorCode | None]:
        """Return how it ends when all its chunks are done: not well, where its sums do not balance.

        That is a bug of ours, which nobody would see if it were called done.
        """
        if self.counts.balances and self.counts.listed == self.planned:
            return BackfillState.DONE, None
        return BackfillState.FAILED, ErrorCode.INTERNAL


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
    not_handed_over: int = 0
    """How many of its runs ended because the provider did not hand a message over."""
    worked: Worked = NOT_YET
    """How often in a row a run left something of it to do at once."""


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
