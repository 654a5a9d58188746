"""Queues as SQS is: at least once, in any order, hidden while somebody works, five times at most."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.ports.queues import AuditRequest, ChunkRequest, PlanRequest, SyncRequest
from tests.fakes.clock import FixedClock

HIDDEN_FOR = {
    SyncRequest: timedelta(seconds=750),
    PlanRequest: timedelta(seconds=1_800),
    ChunkRequest: timedelta(seconds=1_800),
}
MOST_DELIVERIES = 5

Request = SyncRequest | PlanRequest | ChunkRequest


@dataclass
class Letter:
    """A message in a queue."""

    request: Request
    sent_at: datetime
    visible_at: datetime
    deliveries: int = 0


@dataclass
class UnorderedQueues:
    """The port `WorkQueues`."""

    clock: FixedClock
    letters: list[Letter] = field(default_factory=list)

    def send_syncs(self, requests: Sequence[SyncRequest], *, delay_seconds: int = 0) -> None:
        self._send(requests, delay_seconds)

    def send_plan(self, request: PlanRequest) -> None:
        self._send([request], 0)

    def send_chunks(self, requests: Sequence[ChunkRequest], *, delay_seconds: int = 0) -> None:
        self._send(requests, delay_seconds)

    def send_audits(self, requests: Sequence[AuditRequest]) -> None:
        """Lose them: an audit would mend what the model is to find, before it looks."""

    def _send(self, requests: Sequence[Request], delay_seconds: int) -> None:
        if not 0 <= delay_seconds <= 900:
            raise ValueError(delay_seconds)
        now = self.clock.now()
        visible_at = now + timedelta(seconds=delay_seconds)
        self.letters += [Letter(request, now, visible_at) for request in requests]

    def visible(self) -> list[Letter]:
        return [letter for letter in self.letters if letter.visible_at <= self.clock.now()]

    def hand_out(self, letter: Letter) -> bool:
        """Hide a letter while it is worked on; False for one that came too often: it is dead."""
        letter.deliveries += 1
        letter.visible_at = self.clock.now() + HIDDEN_FOR[type(letter.request)]
        return letter.deliveries <= MOST_DELIVERIES

    def done_with(self, letter: Letter) -> None:
        self.letters = [one for one in self.letters if one is not letter]

    def double(self, letter: Letter) -> None:
        """Deliver it twice, as standard queues may."""
        copy = Letter(letter.request, letter.sent_at, self.clock.now(), letter.deliveries)
        self.letters.append(copy)
