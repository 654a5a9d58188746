"""How many chunks of one tenant are at work at once, and what one does that finds no room.

A queue that is fair hands out a small tenant's chunk before a large one's next, but only when some
worker is free again. So no tenant may have all workers: its chunks wait here, each for the sweeper
to send it again, and cost an invocation that reads a little.
"""

import contextlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.domain.backfill import Backfill
from shared.domain.errors import ErrorCode, StoreThrottledError
from shared.domain.ids import TenantId
from shared.ports.backfills import BackfillStore, ChunkSlots

TURN_COMES_AFTER = timedelta(minutes=1)
"""As often as the sweeper looks."""


@dataclass
class Turn:
    """A place among the chunks of a tenant that are at work."""

    slots: ChunkSlots
    tenant_id: TenantId
    owner: str
    slot: int
    _is_over: bool = field(default=False, init=False)

    def end(self) -> None:
        """Leave it to another chunk; once is enough, and where it fails time does it."""
        if not self._is_over:
            with contextlib.suppress(StoreThrottledError):
                self.slots.give_back_slot(self.tenant_id, self.slot, owner=self.owner)
            self._is_over = True


def take_turn(
    backfill: Backfill, *, owner: str, most: int, now: datetime, seconds: int, slots: ChunkSlots
) -> Turn | None:
    """Take one of the `most` places of a tenant for `seconds`; None where there is no room."""
    tenant_id = backfill.tenant_id
    slot = slots.take_slot(tenant_id, owner=owner, most=most, now=now, seconds=seconds)
    return None if slot is None else Turn(slots, tenant_id, owner, slot)


def wait_for_turn(
    backfill: Backfill, number: int, *, now: datetime, backfills: BackfillStore
) -> bool:
    """Have a chunk wait for the sweeper, and say so; false where nothing is left to wait for.

    Then it is done, at work or waiting already: requests that come twice do not become more.
    """
    until = now + TURN_COMES_AFTER
    waits = backfills.put_off_chunk(backfill, number, now=now, to=until)
    if waits:
        backfills.set_waiting(backfill, until, ErrorCode.WAITING_FOR_TURN)
    return waits
