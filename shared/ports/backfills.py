"""What operations need to have kept of backfills and their chunks; rules as in `stores`."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from shared.domain.backfill import Backfill, BackfillState, Chunk
from shared.domain.errors import ErrorCode
from shared.domain.ids import BackfillId, MailboxId, ProviderMessageId, TenantId
from shared.domain.lease import Fence
from shared.domain.run import Run


class BackfillStore(Protocol):
    """Backfills and their chunks."""

    def create_backfill(self, backfill: Backfill) -> None:
        """Add a backfill in state planning.

        Raises `ConflictError(WRONG_STATE)` while the mailbox has another open one.
        """
        ...

    def create_running(self, backfill: Backfill, chunks: Sequence[Chunk]) -> None:
        """Add a replay or repair that runs at once, with its chunks, 98 at most: all or nothing.

        A mailbox may have any number of them, beside an open import. Where there is one of its id,
        nothing changes. Fenced by its generation.
        """
        ...

    def get_backfill(
        self, tenant_id: TenantId, mailbox_id: MailboxId, backfill_id: BackfillId
    ) -> Backfill | None:
        """Return one, consistently read."""
        ...

    def list_backfills(self, tenant_id: TenantId, mailbox_id: MailboxId) -> list[Backfill]:
        """Return all of a mailbox, newest first; a replay stands at the time of its letters."""
        ...

    def open_backfills(self) -> Iterator[Backfill]:
        """Yield every backfill that is not over, of all tenants.

        From a sparse index, never a scan.
        """
        ...

    def take_plan(self, backfill: Backfill, *, now: datetime, seconds: int) -> None:
        """Lease the planning, so that two planners never mix their chunks.

        Raises `ConflictError(LEASE_HELD)` while another's time is not over, or `WRONG_STATE` when
        the backfill is past planning.
        """
        ...

    def put_chunks(self, backfill: Backfill, chunks: Sequence[Chunk]) -> None:
        """Write the chunks of a backfill that is still planning.

        Those of an earlier attempt are replaced.
        """
        ...

    def start_backfill(self, backfill: Backfill) -> Backfill:
        """Turn planning into running (or done when `chunks` is 0) with the plan's sums.

        `counts` are those of what was held already.

        A backfill that is past planning is returned as it stands.
        """
        ...

    def set_backfill_state(
        self,
        backfill: Backfill,
        state: BackfillState,
        *,
        now: datetime,
        code: ErrorCode | None = None,
    ) -> Backfill:
        """Change state where the stored state is still `backfill.state`.

        Raises `ConflictError(WRONG_STATE)`.
        """
        ...

    def set_waiting(
        self, backfill: Backfill, until: datetime | None, code: ErrorCode | None = None
    ) -> None:
        """Say until when we wait, and why; it ends a lease of the planning.

        Without `until` nobody knows when, without a `code` either we no longer wait. A paused one
        waits for nobody but whoever resumes it: there only the lease ends.

        Lost races do not matter.
        """
        ...

    def raise_released(self, backfill: Backfill, released: int) -> Backfill:
        """Set `released` where it is still `backfill.released`.

        Return what stands now, whoever won.
        """
        ...

    def get_chunk(
        self, tenant_id: TenantId, mailbox_id: MailboxId, backfill_id: BackfillId, number: int
    ) -> Chunk | None:
        """Return one, consistently read."""
        ...

    def open_chunks(self, backfill: Backfill) -> list[Chunk]:
        """Return released chunks that are not done; costs no more the more are done."""
        ...

    def take_chunk(
        self,
        backfill: Backfill,
        number: int,
        *,
        owner: str,
        now: datetime,
        seconds: int,
        position: str | None = None,
    ) -> Chunk:
        """Lease a chunk, count the attempt, and keep the `position` of the first one.

        A lease past its time is taken over; then `previous_run_died`. Raises
        `ConflictError(LEASE_HELD)`, also before the time it was put back for, or `WRONG_STATE`
        when the chunk is done.
        """
        ...

    def mark_chunk_suspect(
        self, backfill: Backfill, chunk: Chunk, provider_message_id: ProviderMessageId | None
    ) -> int:
        """As `MailboxStore.mark_suspect`, for a leased chunk."""
        ...

    def give_back_chunk(
        self, backfill: Backfill, chunk: Chunk, *, not_before: datetime | None
    ) -> None:
        """Drop the lease without finishing, to be taken again after `not_before`.

        Of the chunk as it is given, `not_handed_over` is kept.
        """
        ...

    def put_off_chunk(
        self, backfill: Backfill, number: int, *, now: datetime, to: datetime
    ) -> bool:
        """Have an open chunk that nobody holds and that waits for nothing wait until `to`.

        It is no attempt. Return whether it waits now because of this call.
        """
        ...

    def finish_chunk(
        self,
        fence: Fence,
        backfill: Backfill,
        chunk: Chunk,
        run: Run,
        *,
        now: datetime,
        paced_until: datetime | None = None,
    ) -> Backfill:
        """In one transaction.

        Chunk done, run recorded, and the backfill as `Backfill.with_chunk` says. Exactly once per
        chunk: raises `ConflictError(WRONG_STATE)` for a chunk that is done. Fenced.
        """
        ...


class ChunkSlots(Protocol):
    """How many chunks of one tenant, of all its mailboxes, are at work at once."""

    def take_slot(
        self, tenant_id: TenantId, *, owner: str, most: int, now: datetime, seconds: int
    ) -> int | None:
        """Lease one of a tenant's `most` slots; None where as many are held.

        It is free again when it is given back, or `seconds` after `now`.
        """
        ...

    def give_back_slot(self, tenant_id: TenantId, slot: int, *, owner: str) -> None:
        """Free a slot, unless it is somebody else's by now."""
        ...
