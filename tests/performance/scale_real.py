"""The simulated fleet without a model in it: the operation `sync_mailbox` over the in-memory store.

The store passes the same contract suite as DynamoDB's. A thousand times as slow as the fleet it
checks, because it looks through every mailbox for those of a slot.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from shared.domain.errors import MailroomError
from shared.domain.ids import MailboxId
from shared.domain.mailbox import MailboxStatus, RunState
from shared.domain.quotas import Quotas
from shared.domain.run import RunReason
from shared.domain.schedule import slot_of
from shared.operations.sync_mailbox import sync_mailbox
from shared.ports.provider import Look
from shared.ports.queues import SyncRequest
from shared.ports.stores import DueMailbox
from tests.fakes.clock import FixedClock
from tests.fakes.stores import InMemoryMailboxStore
from tests.fakes.values import a_mailbox
from tests.performance.scale_fleet import BEGIN, Box, Fleet, Write


class RealFleet(Fleet):
    """The port `MailboxStore` and polls that are runs; `boxes` show what the store holds."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        super().__init__({}, {box.id: box for box in boxes})
        self.store = InMemoryMailboxStore(quotas=Quotas(mailboxes=1_000_000))
        for box in boxes:
            mailbox = a_mailbox(
                tenant_id=box.tenant_id,
                id=box.id,
                address=f"{box.id}@acme.example",
                sync_minutes=box.every,
                status=MailboxStatus.ACTIVE,
            )
            state = RunState(
                due_slot=slot_of(box.id, box.every),
                not_before=box.not_before,
                failures=box.failures,
                last_synced_at=box.last_synced_at,
                last_news_at=box.last_news_at,
            )
            self.store.create(mailbox, state, box.id)

    def due(
        self, slot: str, *, start: MailboxId | None = None, end: MailboxId | None = None
    ) -> Iterator[DueMailbox]:
        return self.store.due(slot, start=start, end=end)

    def poll(
        self,
        box: Box,
        *,
        asked_at: datetime,
        now: datetime,
        ends_at: datetime,
        error: MailroomError | None,
        rng: random.Random,
    ) -> Write | None:
        """Run `sync_mailbox` from `now` to `ends_at`, and keep its write until then."""
        place = (box.tenant_id, box.id)
        states = self.store.world.run_states
        # Its news are another run's, which is not simulated.
        states[place] = replace(states[place], last_news_at=box.last_news_at)
        store, clock = _WritesLater(self.store), FixedClock(now)
        report = sync_mailbox(
            SyncRequest(*place, RunReason.SCHEDULE),
            mailboxes=store,
            messages=None,
            attachments=None,
            letters=None,
            contacts=None,
            policies=None,
            sends=None,
            backfills=None,
            grants=_Grants(),
            queues=None,
            provider_of=lambda _: _Server(clock, ends_at, error),
            parser=None,
            clock=clock,
            rng=rng,
            remaining_seconds=lambda: 110.0,
            asked_at=asked_at,
        )
        if report.kind == "dropped":
            return None
        return partial(self._end, box, store.writes)

    def _end(self, box: Box, writes: list[Write]) -> None:
        (write,) = writes
        write()
        state = self.store.world.run_states[box.tenant_id, box.id]
        box.last_synced_at = state.last_synced_at or BEGIN
        box.not_before, box.failures = state.not_before, state.failures


@dataclass(slots=True)
class _WritesLater:
    """A store whose writes wait until the simulated time has come."""

    store: InMemoryMailboxStore
    writes: list[Write] = field(default_factory=list)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        effect = getattr(self.store, name)
        if name in {"get", "folders"}:
            return effect
        return lambda *args, **given: self.writes.append(partial(effect, *args, **given))


class _Grants:
    def of(self, _: object) -> None:
        return None


@dataclass(slots=True)
class _Server:
    """A provider and its session: answers at `ends_at`, that nothing is new or with an error."""

    clock: FixedClock
    ends_at: datetime
    error: MailroomError | None

    @contextmanager
    def open(self, _: object, *, seconds: float) -> "Iterator[_Server]":
        yield self

    def look(self, *_: object, **__: object) -> Look:
        self.clock.at = self.ends_at
        if self.error is not None:
            raise self.error
        return Look(folders=(), followed=frozenset(), changed=frozenset())
