"""How it is counted, without a counter, how many chunks of a tenant are at work.

A tenant has as many numbered slots as it may have chunks at work, an item each, and a worker leases
a free one. A worker that dies gives nothing back: its lease ends by itself, as no counter would.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.aws.table import Table
from shared.aws.tables_of_slots import SlotItem, slot_key, slots_pk
from shared.domain.ids import TenantId


@dataclass(frozen=True, slots=True)
class DynamoChunkSlots:
    """The port `ChunkSlots`."""

    table: Table
    rng: random.Random = field(default_factory=random.SystemRandom)

    def take_slot(
        self, tenant_id: TenantId, *, owner: str, most: int, now: datetime, seconds: int
    ) -> int | None:
        """Read all slots, then write into one that is free, another one where somebody was first.

        Those beyond `most` are of a time when it was larger, and count while they are held.
        """
        held = set(self._held(tenant_id, now))
        free = [number for number in range(most) if number not in held]
        # Workers that come at once begin with different ones.
        for number in self.rng.sample(free, len(free)) if len(held) < most else ():
            key = slot_key(tenant_id, number)
            until = now + timedelta(seconds=seconds)
            # Ours where botocore asks again because the answer to the first request was lost.
            is_free = (
                SlotItem.lease_expires_at.does_not_exist()
                | (SlotItem.lease_expires_at <= now)
                | (SlotItem.lease_owner == owner)
            )
            item = SlotItem(key.pk, key.sk, lease_owner=owner, lease_expires_at=until)
            if self.table.put(item, is_free):
                return number
        return None

    def give_back_slot(self, tenant_id: TenantId, slot: int, *, owner: str) -> None:
        """Empty the item where it is still the owner's."""
        self.table.update(
            slot_key(tenant_id, slot),
            [SlotItem.lease_owner.remove(), SlotItem.lease_expires_at.remove()],
            SlotItem.lease_owner == owner,
        )

    def _held(self, tenant_id: TenantId, now: datetime) -> Iterator[int]:
        for raw in self.table.query(slots_pk(tenant_id)):
            item = SlotItem.from_raw_data(raw)
            if item.lease_owner and item.lease_expires_at > now:
                yield int(item.sk)
