"""The slots of a tenant's chunks at work, in memory."""

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.domain.ids import TenantId


@dataclass
class InMemoryChunkSlots:
    """The port `ChunkSlots`."""

    held: dict[TenantId, dict[int, tuple[str, datetime]]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def take_slot(
        self, tenant_id: TenantId, *, owner: str, most: int, now: datetime, seconds: int
    ) -> int | None:
        with self.lock:
            slots = self.held.setdefault(tenant_id, {})
            for slot in [slot for slot, (_owner, until) in slots.items() if until <= now]:
                del slots[slot]
            if len(slots) >= most:
                return None
            slot = next(number for number in range(most) if number not in slots)
            slots[slot] = (owner, now + timedelta(seconds=seconds))
            return slot

    def give_back_slot(self, tenant_id: TenantId, slot: int, *, owner: str) -> None:
        with self.lock:
            slots = self.held.get(tenant_id, {})
            if slot in slots and slots[slot][0] == owner:
                del slots[slot]
