"""How work is handed to another function, or another invocation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.ids import BackfillId, ErasureId, MailboxId, RunId, SendId, TenantId
from shared.domain.run import RunReason
from shared.domain.schedule import SlotRange


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """Ask for one sync run. `run_id` is set when a person waits for it."""

    tenant_id: TenantId
    mailbox_id: MailboxId
    reason: RunReason
    run_id: RunId | None = None
    watch_ends: bool = False
    """The provider says that its watch has ended, will, or did not tell: it is renewed now."""


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """Ask for a backfill to be planned."""

    tenant_id: TenantId
    mailbox_id: MailboxId
    backfill_id: BackfillId


@dataclass(frozen=True, slots=True)
class AuditRequest:
    """Ask for a mailbox to be compared with its provider. `asked_at`: the tick that asks."""

    tenant_id: TenantId
    mailbox_id: MailboxId
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class ChunkRequest:
    """Ask for one chunk to be run."""

    tenant_id: TenantId
    mailbox_id: MailboxId
    backfill_id: BackfillId
    chunk: int


@dataclass(frozen=True, slots=True)
class EraseRequest:
    """Ask for an erasure to go on."""

    tenant_id: TenantId
    erasure_id: ErasureId


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Ask for a mail on its way out to be brought one try, or one look, further."""

    tenant_id: TenantId
    mailbox_id: MailboxId
    send_id: SendId


@dataclass(frozen=True, slots=True)
class ChangesRequest:
    """Ask for a mailbox's waiting changes to be made at its provider."""

    tenant_id: TenantId
    mailbox_id: MailboxId


WorkRequest = SyncRequest | PlanRequest | AuditRequest | ChunkRequest | SendRequest | ChangesRequest
"""What a dead letter may be."""


class WorkQueues(Protocol):
    """The work queues. At least once, any order.

    Raises `RetryLaterError` when anything was not accepted.
    """

    def send_syncs(self, requests: Sequence[SyncRequest], *, delay_seconds: int = 0) -> None:
        """Queue sync runs, to be handed out after `delay_seconds` (at most 900).

        In batches; entries refused singly are sent again.
        """
        ...

    def send_plan(self, request: PlanRequest) -> None:
        """Queue the planning of a backfill."""
        ...

    def send_audits(self, requests: Sequence[AuditRequest]) -> None:
        """Queue audits, beside plans: they do the same with a mailbox, and are as little urgent."""
        ...

    def send_chunks(self, requests: Sequence[ChunkRequest], *, delay_seconds: int = 0) -> None:
        """Queue chunks, to be handed out after `delay_seconds` (at most 900)."""
        ...

    def send_erasure(self, request: EraseRequest, *, delay_seconds: int = 0) -> None:
        """Queue the next step of an erasure, handed out after `delay_seconds` (at most 900)."""
        ...

    def send_sends(self, requests: Sequence[SendRequest], *, delay_seconds: int = 0) -> None:
        """Queue mails to be sent, handed out after `delay_seconds` (at most 900)."""
        ...

    def send_changes(self, requests: Sequence[ChangesRequest], *, delay_seconds: int = 0) -> None:
        """Queue mailboxes with waiting changes, beside mails to be sent.

        Handed out after `delay_seconds` (at most 900).
        """
        ...


class TickRelay(Protocol):
    """Other invocations of the scheduler, that take over a part of a tick."""

    def hand_on(self, at: datetime, ranges: Sequence[SlotRange]) -> None:
        """Have one of them do `ranges` for the tick of `at`.

        At least once. Raises `RetryLaterError` when that was not accepted.
        """
        ...
