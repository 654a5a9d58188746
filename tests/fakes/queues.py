"""Queues that keep what they were given, for a test to look at or to hand on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.errors import MailroomError
from shared.domain.schedule import SlotRange
from shared.ports.queues import (
    AuditRequest,
    ChangesRequest,
    ChunkRequest,
    EraseRequest,
    PlanRequest,
    SendRequest,
    SyncRequest,
)


@dataclass
class RecordingWorkQueues:
    """The port `WorkQueues`; `delays` runs beside `chunks`. Set `failure` to have every call raise it."""

    syncs: list[SyncRequest] = field(default_factory=list)
    plans: list[PlanRequest] = field(default_factory=list)
    audits: list[AuditRequest] = field(default_factory=list)
    chunks: list[ChunkRequest] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)
    sync_delays: list[int] = field(default_factory=list)
    erasures: list[tuple[EraseRequest, int]] = field(default_factory=list)
    """Each with its delay."""
    sends: list[tuple[SendRequest, int]] = field(default_factory=list)
    """Each with its delay, as `changes`."""
    changes: list[tuple[ChangesRequest, int]] = field(default_factory=list)
    failure: MailroomError | None = None

    def send_syncs(self, requests: Sequence[SyncRequest], *, delay_seconds: int = 0) -> None:
        self._fail()
        if not 0 <= delay_seconds <= 900:
            raise ValueError(delay_seconds)
        self.syncs.extend(requests)
        self.sync_delays.extend([delay_seconds] * len(requests))

    def send_plan(self, request: PlanRequest) -> None:
        self._fail()
        self.plans.append(request)

    def send_audits(self, requests: Sequence[AuditRequest]) -> None:
        self._fail()
        self.audits.extend(requests)

    def send_chunks(self, requests: Sequence[ChunkRequest], *, delay_seconds: int = 0) -> None:
        self._fail()
        if not 0 <= delay_seconds <= 900:
            raise ValueError(delay_seconds)
        self.chunks.extend(requests)
        self.delays.extend([delay_seconds] * len(requests))

    def send_erasure(self, request: EraseRequest, *, delay_seconds: int = 0) -> None:
        self._fail()
        if not 0 <= delay_seconds <= 900:
            raise ValueError(delay_seconds)
        self.erasures.append((request, delay_seconds))

    def send_sends(self, requests: Sequence[SendRequest], *, delay_seconds: int = 0) -> None:
        self._fail()
        if not 0 <= delay_seconds <= 900:
            raise ValueError(delay_seconds)
        self.sends.extend((request, delay_seconds) for request in requests)

    def send_changes(self, requests: Sequence[ChangesRequest], *, delay_seconds: int = 0) -> None:
        self._fail()
        if not 0 <= delay_seconds <= 900:
            raise ValueError(delay_seconds)
        self.changes.extend((request, delay_seconds) for request in requests)

    def take_sends(self) -> list[SendRequest]:
        """Hand out what waits, however long it is to wait still, and forget it."""
        taken, self.sends = self.sends, []
        return [request for request, _ in taken]

    def take_changes(self) -> list[ChangesRequest]:
        taken, self.changes = self.changes, []
        return [request for request, _ in taken]

    def take_erasures(self) -> list[tuple[EraseRequest, int]]:
        taken, self.erasures = self.erasures, []
        return taken

    def take_syncs(self) -> list[SyncRequest]:
        """Hand out what waits and forget it, as a consumer would."""
        taken, self.syncs, self.sync_delays = self.syncs, [], []
        return taken

    def take_plans(self) -> list[PlanRequest]:
        taken, self.plans = self.plans, []
        return taken

    def take_audits(self) -> list[AuditRequest]:
        taken, self.audits = self.audits, []
        return taken

    def take_chunks(self) -> list[ChunkRequest]:
        taken, self.chunks, self.delays = self.chunks, [], []
        return taken

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


@dataclass
class RecordingTickRelay:
    """The port `TickRelay`. Set `failure` to have every call raise it."""

    handed_on: list[tuple[datetime, list[SlotRange]]] = field(default_factory=list)
    failure: MailroomError | None = None

    def hand_on(self, at: datetime, ranges: Sequence[SlotRange]) -> None:
        if self.failure is not None:
            raise self.failure
        self.handed_on.append((at, list(ranges)))
