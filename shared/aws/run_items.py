"""How an ended run is spelled in its item: sums readable, ledger packed."""

from collections.abc import Mapping
from typing import Any

from shared.aws.packing import pack, unpack
from shared.aws.stored_codes import stored_code
from shared.aws.tables import Item, RunItem, run_key
from shared.aws.tables_of_audits import SettledItem, settled_key
from shared.domain.ids import BackfillId, MailboxId, RunId, TenantId
from shared.domain.ledger import Counts, Fate
from shared.domain.run import Run, RunReason

LARGEST_LEDGER_BYTES = 300_000
"""An item holds 400 KB; a ledger past this keeps the ids that were not stored."""

_SUMS = (
    "listed",
    "stored",
    "already_stored",
    "unreadable",
    "gone",
    "failed",
    "flags_changed",
    "moved",
    "removed",
    "contacts_made",
    "contacts_put_off",
)


def run_item(run: Run) -> RunItem:
    """Return the item of a run."""
    key = run_key(run.tenant_id, run.mailbox_id, run.id)
    return RunItem(
        key.pk,
        key.sk,
        run_id=run.id,
        reason=run.reason,
        started_at=run.started_at,
        ended_at=run.ended_at,
        counts=counts_document(run.counts),
        code=run.code,
        backfill_id=run.backfill_id,
        ledger=_packed_ledger(run.ledger) if run.ledger else None,
    )


def items_of_run(run: Run | None) -> list[Item]:
    """Return all that is written of a run: a second item where it settled messages without a copy.

    An audit has to know those, and could not look for them in every run there ever was.
    """
    if run is None:
        return []
    items: list[Item] = [run_item(run)]
    if ids := run.settled_without_copy:
        key = settled_key(run.tenant_id, run.mailbox_id, run.id)
        items.append(SettledItem(key.pk, key.sk, ids=pack(ids)))
    return items


def run_of(tenant_id: TenantId, mailbox_id: MailboxId, item: RunItem) -> Run:
    """Return the run an item holds; its ledger where that was read."""
    return Run(
        tenant_id=tenant_id,
        mailbox_id=mailbox_id,
        id=RunId(item.run_id),
        reason=RunReason(item.reason),
        started_at=item.started_at,
        ended_at=item.ended_at,
        counts=counts_of(item.counts),
        code=stored_code(item.code) if item.code else None,
        backfill_id=BackfillId(item.backfill_id) if item.backfill_id else None,
        ledger={fate: tuple(ids) for fate, ids in unpack(item.ledger).items()}
        if item.ledger
        else {},
    )


def counts_document(counts: Counts) -> dict[str, Any]:
    """Return the sums that are not zero."""
    document: dict[str, Any] = {name: n for name in _SUMS if (n := getattr(counts, name))}
    skipped = {reason: n for reason, n in counts.skipped.items() if n}
    if skipped:
        document["skipped"] = skipped
    return document


def counts_of(document: Mapping[str, Any]) -> Counts:
    """Return the sums a document holds."""
    return Counts(
        **{name: document.get(name, 0) for name in _SUMS}, skipped=document.get("skipped", {})
    )


def _packed_ledger(ledger: Mapping[str, tuple[str, ...]]) -> bytes | None:
    packed = pack(dict(ledger))
    if len(packed) <= LARGEST_LEDGER_BYTES:
        return packed
    # What was stored says so itself, by its copy; what was not is known here alone.
    kept = {
        fate: ids for fate, ids in ledger.items() if fate not in {Fate.STORED, Fate.ALREADY_STORED}
    }
    packed = pack(kept)
    return packed if len(packed) <= LARGEST_LEDGER_BYTES else None
