"""How backfills and chunks are spelled in items, and read back."""

from shared.aws.packing import pack, unpack
from shared.aws.run_items import counts_document, counts_of
from shared.aws.stored_codes import stored_code
from shared.aws.tables import escape
from shared.aws.tables_of_backfills import (
    BackfillItem,
    ChunkItem,
    backfill_key,
    backfill_slot,
    chunk_key,
)
from shared.domain.backfill import OPEN, Backfill, BackfillKind, BackfillState, Chunk, ChunkState
from shared.domain.ids import BackfillId, FolderId, MailboxId, ProviderMessageId, TenantId
from shared.domain.loops import Worked


def backfill_item(backfill: Backfill) -> BackfillItem:
    """Return the item of a backfill; an open one stands in the sparse index."""
    key = backfill_key(backfill.tenant_id, backfill.mailbox_id, backfill.id)
    is_open = backfill.state in OPEN
    return BackfillItem(
        key.pk,
        key.sk,
        tenant_id=backfill.tenant_id,
        mailbox_id=backfill.mailbox_id,
        backfill_id=backfill.id,
        days=backfill.days,
        since=backfill.since,
        state=backfill.state,
        created_at=backfill.created_at,
        generation=backfill.generation,
        chunks=backfill.chunks,
        released=backfill.released,
        done=backfill.done,
        planned=backfill.planned,
        counts=counts_document(backfill.counts),
        started_at=backfill.started_at,
        ended_at=backfill.ended_at,
        waiting_until=backfill.waiting_until,
        paced_until=backfill.paced_until,
        code=backfill.code,
        progressed_at=backfill.progressed_at,
        seconds_a_message=backfill.seconds_a_message,
        # Of imports, which nearly all are, nothing is written.
        kind=None if backfill.kind is BackfillKind.IMPORT else backfill.kind,
        added_after=backfill.added_after,
        added_upto=backfill.added_upto,
        due_slot=backfill_slot(backfill.id) if is_open else None,
        due_key=escape(backfill.id) if is_open else None,
    )


def backfill_of(item: BackfillItem) -> Backfill:
    """Return the backfill an item holds."""
    return Backfill(
        tenant_id=TenantId(item.tenant_id),
        mailbox_id=MailboxId(item.mailbox_id),
        id=BackfillId(item.backfill_id),
        days=int(item.days),
        since=item.since,
        state=BackfillState(item.state),
        created_at=item.created_at,
        generation=int(item.generation),
        chunks=int(item.chunks),
        released=int(item.released),
        done=int(item.done),
        planned=int(item.planned),
        counts=counts_of(item.counts),
        started_at=item.started_at,
        ended_at=item.ended_at,
        waiting_until=item.waiting_until,
        paced_until=item.paced_until,
        code=stored_code(item.code) if item.code else None,
        progressed_at=item.progressed_at,
        seconds_a_message=item.seconds_a_message,
        kind=BackfillKind(item.kind) if item.kind else BackfillKind.IMPORT,
        added_after=item.added_after,
        added_upto=item.added_upto,
    )


def chunk_item(backfill: Backfill, chunk: Chunk) -> ChunkItem:
    """Return the item of a chunk."""
    key = chunk_key(backfill.tenant_id, backfill.mailbox_id, backfill.id, chunk.number)
    return ChunkItem(
        key.pk,
        key.sk,
        number=chunk.number,
        folder_id=chunk.folder_id,
        ids=pack(chunk.ids),
        state=chunk.state,
        attempts=chunk.attempts,
        lease_owner=chunk.lease_owner,
        lease_expires_at=chunk.lease_expires_at,
        not_before=chunk.not_before,
        position=chunk.position,
        suspect=chunk.suspect,
        strikes=dict(chunk.strikes) or None,
        not_handed_over=chunk.not_handed_over or None,
        work_hour=chunk.worked.hour or None,
        work_times=chunk.worked.times or None,
    )


def chunk_of(backfill_id: BackfillId, item: ChunkItem) -> Chunk:
    """Return the chunk an item holds."""
    return Chunk(
        backfill_id=backfill_id,
        number=int(item.number),
        folder_id=FolderId(item.folder_id),
        ids=tuple(ProviderMessageId(one) for one in unpack(item.ids)),
        state=ChunkState(item.state),
        attempts=int(item.attempts),
        lease_owner=item.lease_owner,
        lease_expires_at=item.lease_expires_at,
        not_before=item.not_before,
        position=item.position,
        suspect=item.suspect,
        strikes=dict(item.strikes or {}),
        not_handed_over=int(item.not_handed_over or 0),
        worked=Worked(int(item.work_hour or 0), int(item.work_times or 0)),
    )
