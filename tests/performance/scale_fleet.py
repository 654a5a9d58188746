"""Who is in a simulated fleet, and what a poll leaves behind on a mailbox.

`Fleet` answers as the stores and `sync_mailbox` do, only faster: lists kept by slot, and a mailbox
of four fields. That it answers the same is a test: `tests/faults/test_scale.py` puts the fleet of
`scale_real.py`, which is the operation itself over the store that passes the contract suite,
through the same hours.
"""

import random
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from shared.domain.errors import MailroomError
from shared.domain.failure import RetryAt, decide
from shared.domain.ids import MailboxId, TenantId
from shared.domain.schedule import QUIET_AFTER, is_answered, rest_until, slot_of
from shared.ports.stores import DueMailbox

BEGIN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
BIG = TenantId("big")
CADENCES = {1: 0.05, 5: 0.65, 15: 0.2, 60: 0.1}
"""Cadence in minutes: its part of the fleet."""
QUIET = 0.6
"""The part of the fleet that had no news for days, and rests."""
SLACK = timedelta(seconds=90)
"""What a mailbox may be late without being overdue: a minute's tick, the queue and the run."""

Write = Callable[[], None]


@dataclass(slots=True)
class Box:
    """A mailbox, as far as the schedule knows it."""

    tenant_id: TenantId
    id: MailboxId
    every: int
    is_quiet: bool
    last_synced_at: datetime
    not_before: datetime | None = None
    failures: int = 0
    allowed: timedelta = SLACK
    """The age at which it is overdue."""

    @property
    def last_news_at(self) -> datetime:
        """When its last news came: a quiet one's long ago, the others' since the last poll."""
        return BEGIN - timedelta(days=30) if self.is_quiet else self.last_synced_at


@dataclass(slots=True)
class Fleet:
    """What the schedule asks of a `MailboxStore`, and polls."""

    slots: dict[str, list[Box]]
    boxes: dict[MailboxId, Box]

    @classmethod
    def of(cls, boxes: Sequence[Box]) -> "Fleet":
        slots: dict[str, list[Box]] = defaultdict(list)
        for box in sorted(boxes, key=lambda box: box.id):
            slots[slot_of(box.id, box.every)].append(box)
        return cls(dict(slots), {box.id: box for box in boxes})

    def due(
        self, slot: str, *, start: MailboxId | None = None, end: MailboxId | None = None
    ) -> Iterator[DueMailbox]:
        found = self.slots.get(slot, [])
        first = bisect_left(found, start, key=lambda box: box.id) if start else 0
        for box in found[first:]:
            if end is not None and box.id >= end:
                return
            yield DueMailbox(box.tenant_id, box.id, box.not_before)

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
        """Return what a poll begun now writes at its end, or None where it is dropped."""
        if box.not_before is not None and box.not_before > now:
            return None
        if is_answered(asked_at, box.last_synced_at):
            return None
        if error is not None:
            decision = decide(error, failures_before=box.failures, now=ends_at, rng=rng)
            assert isinstance(decision, RetryAt)
            return partial(_fail, box, box.failures + 1, decision.at)
        rest = None
        if box.is_quiet:
            rest = rest_until(box.id, box.every, now=ends_at, last_news_at=box.last_news_at)
        return partial(_succeed, box, ends_at, rest)


def _fail(box: Box, failures: int, retry_at: datetime) -> None:
    box.failures, box.not_before = failures, retry_at


def _succeed(box: Box, now: datetime, rest: datetime | None) -> None:
    box.failures, box.last_synced_at, box.not_before = 0, now, rest


def make_boxes(count: int, *, big: float = 0.9, tenants: int = 100, seed: int = 1) -> list[Box]:
    """Make a fleet: the part `big` of it one tenant's, the others' spread over `tenants` more."""
    rng = random.Random(seed)
    cadences, weights = list(CADENCES), list(CADENCES.values())
    boxes = []
    for number in range(count):
        tenant = BIG if number < big * count else TenantId(f"t{number % tenants:03}")
        is_quiet = rng.random() < QUIET
        name = MailboxId(f"01J{rng.getrandbits(115):023X}")
        boxes.append(Box(tenant, name, rng.choices(cadences, weights)[0], is_quiet, BEGIN))
    for box in boxes:
        rests_for = QUIET_AFTER[0][1] if box.is_quiet else 1
        box.allowed = timedelta(minutes=box.every * rests_for) + SLACK
        box.not_before = rest_until(box.id, box.every, now=BEGIN, last_news_at=box.last_news_at)
    return boxes
