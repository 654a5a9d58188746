"""What guards each change of a chunk, and what it sets and drops in the chunk's item."""

from datetime import datetime, timedelta

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from shared.aws.state_changes import set_or_remove, strike
from shared.aws.tables_of_backfills import ChunkItem
from shared.domain.backfill import Chunk, ChunkState
from shared.domain.ids import ProviderMessageId


def may_be_taken(owner: str, now: datetime) -> Condition:
    """It is not done, its time has come, and nobody else holds it."""
    is_free = (
        ChunkItem.lease_owner.does_not_exist()
        | (ChunkItem.lease_expires_at <= now)
        | (ChunkItem.lease_owner == owner)
    )
    is_time = ChunkItem.not_before.does_not_exist() | (ChunkItem.not_before <= now)
    may: Condition = (ChunkItem.state == ChunkState.OPEN) & is_free & is_time
    return may


def still_leased(chunk: Chunk) -> Condition:
    """The count of attempts is the chunk's fence: another lease has another."""
    held: Condition = (
        (ChunkItem.state == ChunkState.OPEN)
        & (ChunkItem.lease_owner == chunk.lease_owner)
        & (ChunkItem.attempts == chunk.attempts)
    )
    return held


def taken(owner: str, now: datetime, seconds: int, position: str | None) -> list[Action]:
    """One more attempt, held until its time is over; the position of the first one stays."""
    first = [ChunkItem.position.set(ChunkItem.position | position)] if position else []
    return [
        *first,
        ChunkItem.attempts.set(ChunkItem.attempts + 1),
        ChunkItem.lease_owner.set(owner),
        ChunkItem.lease_expires_at.set(now + timedelta(seconds=seconds)),
    ]


def suspecting(
    item: ChunkItem, chunk: Chunk, suspect: ProviderMessageId | None
) -> tuple[int, list[Action]]:
    """Return the strikes `suspect` had before, and what marks it."""
    is_ours = item.suspect_attempt == chunk.attempts
    survivor = item.suspect if is_ours else None
    before, strikes = strike(item.strikes or {}, survivor=survivor, suspect=suspect)
    return before, [
        set_or_remove(ChunkItem.suspect, suspect),
        ChunkItem.suspect_attempt.set(chunk.attempts),
        set_or_remove(ChunkItem.strikes, strikes or None),
    ]


def given_back(chunk: Chunk, not_before: datetime | None) -> list[Action]:
    """Free again, from then on."""
    return [
        *_free(),
        set_or_remove(ChunkItem.not_before, not_before),
        set_or_remove(ChunkItem.not_handed_over, chunk.not_handed_over or None),
        set_or_remove(ChunkItem.work_hour, chunk.worked.hour or None),
        set_or_remove(ChunkItem.work_times, chunk.worked.times or None),
    ]


def done(expires_at: int | None) -> list[Action]:
    """Nobody takes it again; `expires_at`: its time to live, if it has one."""
    return [
        ChunkItem.state.set(ChunkState.DONE),
        *_free(),
        ChunkItem.strikes.remove(),
        set_or_remove(ChunkItem.expires_at, expires_at),
    ]


def _free() -> list[Action]:
    return [
        ChunkItem.lease_owner.remove(),
        ChunkItem.lease_expires_at.remove(),
        ChunkItem.suspect.remove(),
    ]
