"""A fleet of mailboxes in simulated time: which parts are the real ones, and how the rest behaves.

Real: `schedule_sync` with its slots, pieces and hand-overs, `rest_until`, `is_answered`, `decide`
with its backoff. Modelled, second by second:

- the queue: standard, one message a mailbox, a group a tenant, served as AWS says of fair queues:
  a tenant with more than a tenth of what is in flight, and 30 messages at least, waits until those
  of all others are handed out. `fair=False` is one line for all.
  https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html
- the workers: so many invocations at once, batches of 50 after five seconds at most, 32 runs of a
  batch at a time. An invocation lasts as long as the slowest of its runs, as the handler's does.
- a run: how long it takes, and whether it succeeds. What it leaves behind: `scale_fleet.py`.

One second is one step: what ends within a second is applied in its order at the second's end.
"""

import heapq
import math
import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.domain.errors import ErrorCode, MailroomError, RetryLaterError
from shared.domain.ids import MailboxId
from shared.domain.schedule import SlotRange
from shared.operations.schedule_sync import MOST_MAILBOXES, schedule_sync
from shared.ports.queues import AuditRequest, SyncRequest
from tests.performance.scale_fleet import BEGIN, BIG, Box, Fleet, Write
from tests.performance.scale_seen import Seen

BATCH, WINDOW_SECONDS, AT_ONCE = 50, 5, 32
RETENTION_SECONDS = 21_600
LAMBDA_TRIES_AGAIN_AFTER = 60
PROCESSOR_SECONDS = 0.03
"""Of a poll, on the share of a processor that 1,024 MB buy; measured: under 8 ms of a whole one."""
LATEST_BEGIN_SECONDS = 75.0
"""Into an invocation: a run that would begin later is put back by the handler, and not here."""
NOISY_PART, NOISY_MESSAGES = 0.1, 30
_WAITS = 4_096


# ---- queue ----


@dataclass(slots=True)
class Queue:
    """The sync queue. `refuses` says for each call of the scheduler whether it fails half way."""

    fair: bool = True
    refuses: Callable[[], bool] = lambda: False
    now: datetime = BEGIN
    groups: dict[str, deque[tuple[datetime, MailboxId]]] = field(default_factory=dict)
    in_flight: Counter[str] = field(default_factory=Counter)
    waiting: int = 0
    sent: int = 0
    expired: int = 0

    def send_syncs(self, requests: Sequence[SyncRequest], *, delay_seconds: int = 0) -> None:
        refused = self.refuses()
        accepted = requests[: len(requests) // 2] if refused else requests
        for request in accepted:
            group = request.tenant_id if self.fair else "all"
            self.groups.setdefault(group, deque()).append((self.now, request.mailbox_id))
        self.waiting += len(accepted)
        self.sent += len(accepted)
        if refused:
            raise RetryLaterError(ErrorCode.STORE_THROTTLED)

    def send_audits(self, requests: Sequence[AuditRequest]) -> None:
        """Audits have another queue, and workers of their own: `infra/decisions/0014`."""

    def oldest_seconds(self) -> float:
        oldest = min((line[0][0] for line in self.groups.values() if line), default=self.now)
        return (self.now - oldest).total_seconds()

    def receive(self) -> list[tuple[str, datetime, MailboxId]]:
        """Hand out a batch: the oldest of who is not noisy, else of whom least is in flight."""
        total = self.in_flight.total()
        turns = [self._turn(name, total) for name, line in self.groups.items() if line]
        heapq.heapify(turns)
        batch = []
        while turns and len(batch) < BATCH:
            _, _, sent_at, name = turns[0]
            line = self.groups[name]
            _, mailbox_id = line.popleft()
            self.waiting -= 1
            if (self.now - sent_at).total_seconds() > RETENTION_SECONDS:
                self.expired += 1
            else:
                batch.append((name, sent_at, mailbox_id))
                self.in_flight[name] += 1
                total += 1
            if line:
                heapq.heapreplace(turns, self._turn(name, total))
            else:
                heapq.heappop(turns)
        return batch

    def _turn(self, name: str, total: int) -> tuple[bool, int, datetime, str]:
        flying = self.in_flight[name]
        is_noisy = flying >= NOISY_MESSAGES and flying > NOISY_PART * total
        return is_noisy, flying if is_noisy else 0, self.groups[name][0][0], name


# ---- the whole ----


@dataclass(slots=True)
class Faults:
    """What goes wrong when, in seconds since the beginning."""

    provider_down: tuple[int, int] = (0, 0)
    provider_seconds: float = 10.0
    """How long a poll tries a provider that is down."""
    no_ticks: tuple[int, int] = (0, 0)
    no_workers: tuple[int, int] = (0, 0)
    hanging: frozenset[MailboxId] = frozenset()
    hang_seconds: float = 110.0
    """Nearly all of an invocation's time."""


def within(second: float, span: tuple[int, int]) -> bool:
    return span[0] <= second < span[1]


@dataclass
class Simulation:
    """A fleet, its queue and its workers; `run` lets time pass."""

    fleet: Fleet
    workers: int
    faults: Faults = field(default_factory=Faults)
    queue: Queue = field(default_factory=Queue)
    seed: int = 1
    measured_from: int = 0
    """The second before which ages are not noted."""
    most: int = MOST_MAILBOXES
    slowness: float = 1.0
    """How much longer than usual every poll lasts."""
    second: int = 0
    seen: Seen = field(default_factory=Seen)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        # Some round trips to a server far away, and its own time: 0.8 s, one of twenty over 2 s.
        self.waits = [self.rng.lognormvariate(math.log(0.8), 0.6) for _ in range(_WAITS)]
        self.ends: list[int] = []
        self.outcomes: dict[int, list[tuple[str, Box | None, Write, bool]]] = defaultdict(list)
        self.events: dict[int, list[tuple[datetime, list[SlotRange] | None, int]]] = defaultdict(
            list
        )

    @property
    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.second)

    def run(self, minutes: int) -> Seen:
        for _ in range(minutes * 60):
            self._step()
        return self.seen

    def ask_now(self, boxes: Sequence[Box]) -> None:
        """Queue these at once, all in one second, beside what is due."""
        self.queue.now = self.now
        for box in boxes:
            group = box.tenant_id if self.queue.fair else "all"
            self.queue.groups.setdefault(group, deque()).append((self.now, box.id))
        self.queue.waiting += len(boxes)

    def _step(self) -> None:
        now, second = self.now, self.second
        self.queue.now = now
        if second % 60 == 0 and not within(second, self.faults.no_ticks):
            self._tick(now, None, 0)
        for at, ranges, tried in self.events.pop(second, []):
            self._tick(at, ranges, tried)
        for group, box, write, has_failed in self.outcomes.pop(second, []):
            self.queue.in_flight[group] -= 1
            if box is not None:
                self._finish(box, write, now, has_failed=has_failed)
        while self.ends and self.ends[0] <= second:
            heapq.heappop(self.ends)
        if not within(second, self.faults.no_workers):
            self._work(now)
        minute = second // 60
        if second % 60 == 0:
            self.seen.overdue[minute] = self.overdue()
        self.seen.at_once[minute] = max(self.seen.at_once[minute], len(self.ends))
        if self.queue.waiting and second % 5 == 0:
            oldest = int(self.queue.oldest_seconds())
            self.seen.oldest[minute] = max(self.seen.oldest[minute], oldest)
        self.second += 1

    def overdue(self) -> Counter[int]:
        """Return how many are overdue now, by cadence; those that hang do not count."""
        now, hanging = self.now, self.faults.hanging
        return Counter(
            box.every
            for box in self.fleet.boxes.values()
            if now - box.last_synced_at > box.allowed and box.id not in hanging
        )

    # the schedule

    def _tick(self, at: datetime, ranges: list[SlotRange] | None, tried: int) -> None:
        try:
            schedule_sync(
                at=at,
                mailboxes=self.fleet,
                queues=self.queue,
                relay=self,
                remaining_seconds=lambda: 40.0,
                ranges=ranges,
                most=self.most,
            )
        except RetryLaterError:
            if tried:
                self.seen.lost_ticks += 1
            else:
                again = self.second + LAMBDA_TRIES_AGAIN_AFTER
                self.events[again].append((at, ranges, tried + 1))

    def hand_on(self, at: datetime, ranges: Sequence[SlotRange]) -> None:
        """As `TickRelay`: another invocation begins a second later."""
        self.seen.hand_overs += 1
        self.events[self.second + 1].append((at, list(ranges), 0))

    # the workers

    def _work(self, now: datetime) -> None:
        queue = self.queue
        while len(self.ends) < self.workers and (
            queue.waiting >= BATCH or (queue.waiting and queue.oldest_seconds() >= WINDOW_SECONDS)
        ):
            batch = queue.receive()
            if batch:
                self._begin(batch, now)

    def _begin(self, batch: list[tuple[str, datetime, MailboxId]], now: datetime) -> None:
        threads = [0.0] * AT_ONCE
        processor = ended = 0.0
        for group, sent_at, mailbox_id in batch:
            box = self.fleet.boxes[mailbox_id]
            self.seen.waits[box.tenant_id == BIG].add((now - sent_at).total_seconds())
            begins = threads[0]
            if begins > LATEST_BEGIN_SECONDS:
                raise ValueError("the handler would put this run back, and the model does not")
            seconds, error = self._answer(box, self.second + begins)
            ends = max(begins + seconds, processor + PROCESSOR_SECONDS)
            at = self.second + max(1, math.ceil(ends))
            write = self.fleet.poll(
                box,
                asked_at=sent_at,
                now=now,
                ends_at=BEGIN + timedelta(seconds=at),
                error=error,
                rng=self.rng,
            )
            if write is None:
                self.seen.dropped += 1
                self.outcomes[self.second + 1].append((group, None, _nothing, False))
                continue
            self.seen.polls[self.second // 60] += 1
            processor += PROCESSOR_SECONDS
            heapq.heapreplace(threads, ends)
            ended = max(ended, ends)
            self.outcomes[at].append((group, box, write, error is not None))
        lasts = max(1, math.ceil(ended))
        self.seen.invocations += 1
        self.seen.busy_seconds += lasts
        heapq.heappush(self.ends, self.second + lasts)

    def _answer(self, box: Box, begins: float) -> tuple[float, MailroomError | None]:
        """Return how long a poll takes and what becomes of it."""
        if box.id in self.faults.hanging:
            return self.faults.hang_seconds, RetryLaterError(ErrorCode.CONNECTION_FAILED)
        if within(begins, self.faults.provider_down):
            seconds = self.faults.provider_seconds
            return seconds, RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
        return self.slowness * self.waits[self.rng.getrandbits(12)], None

    def _finish(self, box: Box, write: Write, now: datetime, *, has_failed: bool) -> None:
        if has_failed:
            self.seen.failed += 1
        elif self.second >= self.measured_from:
            key = (box.tenant_id == BIG, box.every, box.is_quiet)
            self.seen.ages[key].add((now - box.last_synced_at).total_seconds())
        write()


def _nothing() -> None:
    """What a dropped poll writes."""
