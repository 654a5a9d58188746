"""The contract of `AuditStore`, and what audits ask of the other stores: repairs beside imports."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.audit import Audit, Walk, Window
from shared.domain.backfill import BackfillKind, BackfillState
from shared.domain.errors import ConflictError, ErrorCode
from shared.domain.ids import BackfillId, MailboxId
from shared.domain.lease import Fence
from shared.domain.ledger import Counts
from shared.domain.run import RunReason
from shared.ports.stores import SyncOutcome
from tests.contract.stores.test_write_units import Meter
from tests.fakes.values import (
    BOX,
    NOW,
    OTHER_BOX,
    OTHER_TENANT,
    SENT,
    SLOT,
    TENANT,
    a_backfill,
    a_folder,
    a_new_copy,
    a_run,
    connected,
    later,
    lease_of,
    name,
    some_chunks,
)

FENCE = Fence(TENANT, BOX, 2)
HOUR = 3_600


def an_audit(**changes) -> Audit:
    return replace(
        Audit(
            tenant_id=TENANT,
            mailbox_id=BOX,
            asked_at=later(-60),
            checked_at=NOW,
            windows=(Window(later(-HOUR)), Window(later(-3 * HOUR), later(-HOUR))),
            listed=9,
            stored=5,
            ledgered=1,
            missing=2,
            extra=3,
            mended=2,
            under_way=1,
            folders_left_out=4,
            repair_id=BackfillId("01RE"),
            whole_mailbox_checked_at=later(-99 * HOUR),
            walk=Walk(later(-24 * HOUR), later(-3 * HOUR), is_whole=False, parts=4),
        ),
        **changes,
    )


def settle(stores, lease, run) -> None:
    outcome = SyncOutcome(cursors={}, now=NOW, run=run, due_slot=SLOT)
    stores.mailboxes.finish_run(lease.fence, outcome)


# ---- figures ----


def test_an_audit_reads_as_it_was_written_and_the_latest_stands(stores):
    connected(stores.mailboxes)
    assert stores.audits.get_audit(TENANT, BOX) is None
    for audit in (an_audit(), an_audit(asked_at=NOW, missing=0, repair_id=None, walk=Walk())):
        stores.audits.save_audit(FENCE, audit)
        assert stores.audits.get_audit(TENANT, BOX) == audit
    assert stores.audits.get_audit(OTHER_TENANT, BOX) is None
    assert stores.audits.get_audit(TENANT, OTHER_BOX) is None


@pytest.mark.parametrize("generation", [1, 3])
def test_nobody_of_another_generation_writes_an_audit(stores, generation):
    connected(stores.mailboxes)
    with pytest.raises(ConflictError) as caught:
        stores.audits.save_audit(Fence(TENANT, BOX, generation), an_audit())
    assert caught.value.code is ErrorCode.STALE_WRITE
    assert stores.audits.get_audit(TENANT, BOX) is None


def test_figures_say_how_far_the_repair_has_come(stores):
    connected(stores.mailboxes)
    repair = created(stores, a_repair("01RE"))
    stores.audits.save_audit(FENCE, an_audit())
    names = [BOX, OTHER_BOX]
    (found,) = stores.audits.completeness(TENANT, names).items()
    assert found[0] == BOX
    assert (found[1].audit, found[1].repair, found[1].repaired) == (an_audit(), repair, 0)
    assert stores.audits.completeness(OTHER_TENANT, names) == {}
    stores.audits.save_audit(FENCE, an_audit(repair_id=None))
    assert stores.audits.completeness(TENANT, names)[BOX].repair is None
    assert stores.audits.completeness(TENANT, []) == {}


def test_an_audit_that_finds_nothing_writes_four_units(aws):
    """All it writes: its figures, on condition that the mailbox lives. infra/decisions/0014."""
    connected(aws.mailboxes)
    assert Meter(aws).cost(lambda: aws.audits.save_audit(FENCE, an_audit())) == 4
    assert Meter(aws).cost(lambda: aws.audits.save_audit(FENCE, an_audit(missing=3))) == 4


# ---- what is held ----


def test_live_copies_are_found_by_when_they_were_received(stores):
    record = connected(stores.mailboxes)
    fence = lease_of(stores.mailboxes, record).fence
    seconds = {"1": -3 * HOUR, "2": -HOUR, "3": -1, "4": 0, "5": HOUR, "odd#%1": 60}
    stores.messages.save(
        fence, [a_new_copy(one, received_at=later(at)) for one, at in seconds.items()]
    )
    stores.messages.remove_copies(fence, a_folder().folder.id, [name("2")], now=NOW)

    def found(**window):
        return stores.audits.live_ids(TENANT, BOX, **window)

    assert found(since=later(-2 * HOUR), before=NOW) == {name("3"): later(-1)}
    assert set(found(since=NOW)) == {name("4"), name("5"), name("odd#%1")}
    assert set(found(since=later(-9 * HOUR), before=later(-HOUR))) == {name("1")}
    assert stores.audits.live_ids(TENANT, OTHER_BOX, since=later(-9 * HOUR)) == {}
    assert stores.audits.live_ids(OTHER_TENANT, BOX, since=later(-9 * HOUR)) == {}


# ---- what is settled ----


def test_what_runs_found_unreadable_or_left_out_is_settled(stores):
    lease = lease_of(stores.mailboxes, connected(stores.mailboxes))
    ledger = {
        "stored": (name("1"),),
        "unreadable:message_malformed": (name("2"), name("3")),
        "skipped:before_history": (name("4"),),
        "gone": (name("5"),),
        "skipped:internal": (name("6"),),
        "skipped:blocked": (name("7"),),
        "skipped:automated": (name("8"),),
    }
    settle(stores, lease, a_run("01A", ledger=ledger))
    lease = lease_of(stores.mailboxes, stores.mailboxes.get(TENANT, BOX), at=later(500))
    settle(stores, lease, a_run("01B", ledger={"unreadable": (name("9"),)}))
    assert stores.audits.settled(TENANT, BOX) == set(map(name, "236789"))
    assert stores.audits.settled(TENANT, OTHER_BOX) == frozenset()
    assert stores.audits.settled(OTHER_TENANT, BOX) == frozenset()


@pytest.mark.parametrize("kind", BackfillKind)
def test_what_a_repair_found_too_old_is_settled_and_what_an_import_found_so_is_not(stores, kind):
    connected(stores.mailboxes)
    is_repair = kind is BackfillKind.REPAIR
    backfill = a_repair("01B", chunks=1) if is_repair else a_backfill("01B")
    if is_repair:
        created(stores, backfill)
    else:
        stores.backfills.create_backfill(backfill)
        stores.backfills.put_chunks(backfill, some_chunks(backfill, 1))
        stores.backfills.start_backfill(replace(backfill, chunks=1, planned=4))
    chunk = stores.backfills.take_chunk(backfill, 0, owner="w", now=NOW, seconds=60)
    run = a_run(
        "01C",
        reason=RunReason.REPAIR if is_repair else RunReason.BACKFILL,
        backfill_id=backfill.id,
        counts=Counts(listed=4, skipped={"before_history": 3}, unreadable=1),
        ledger={
            "skipped:before_history": (name("1"),),
            "unreadable": (name("2"),),
            "skipped:folder_not_active": (name("3"),),
            "skipped:erased": (name("4"),),
        },
    )
    stores.backfills.finish_chunk(FENCE, backfill, chunk, run, now=NOW)
    too_old = {name("1")} if is_repair else set()
    assert stores.audits.settled(TENANT, BOX) == {name("2"), name("4")} | too_old


def test_a_run_that_settled_nothing_writes_no_item_for_it(aws):
    lease = lease_of(aws.mailboxes, connected(aws.mailboxes))
    before = len(aws.items())
    settle(aws, lease, a_run("01A", ledger={"stored": (name("1"),), "gone": (name("2"),)}))
    assert len(aws.items()) == before + 1


def test_a_run_with_as_many_folders_as_fit_still_says_what_it_settled(stores):
    lease = lease_of(stores.mailboxes, connected(stores.mailboxes))
    states = [a_folder(f"folder-{number:03}") for number in range(205)]
    outcome = SyncOutcome(
        cursors={state.folder.id: state for state in states},
        now=NOW,
        run=a_run("01A", ledger={"unreadable": (name("2"),)}),
        due_slot=SLOT,
    )
    stores.mailboxes.finish_run(lease.fence, outcome)
    assert len(stores.mailboxes.folders(TENANT, BOX)) == 205
    assert stores.audits.settled(TENANT, BOX) == {name("2")}


# ---- repairs ----


def a_repair(name: str, **changes):
    running = {"state": BackfillState.RUNNING, "chunks": 2, "planned": 4, "started_at": NOW}
    return a_backfill(name, kind=BackfillKind.REPAIR, days=0, **running | changes)


def created(stores, repair):
    stores.backfills.create_running(repair, some_chunks(repair, repair.chunks))
    return repair


def test_a_mailbox_has_one_open_import_and_any_number_of_repairs(stores):
    connected(stores.mailboxes)
    stores.backfills.create_backfill(a_backfill("01A"))
    repairs = [created(stores, a_repair(one)) for one in ("01B", "01C")]
    with pytest.raises(ConflictError) as caught:
        stores.backfills.create_backfill(a_backfill("01D"))
    assert caught.value.code is ErrorCode.WRONG_STATE
    assert stores.backfills.list_backfills(TENANT, BOX) == [*repairs[::-1], a_backfill("01A")]
    assert {one.id for one in stores.backfills.open_backfills()} == {"01A", "01B", "01C"}
    ended = stores.backfills.set_backfill_state(repairs[0], BackfillState.FAILED, now=NOW)
    assert stores.backfills.set_backfill_state(ended, BackfillState.RUNNING, now=later(1))
    with pytest.raises(ConflictError):
        stores.backfills.create_backfill(a_backfill("01D"))


def test_a_repair_runs_from_the_start_and_its_chunks_are_released_like_all(stores):
    connected(stores.mailboxes)
    repair = created(stores, a_repair("01B"))
    assert stores.backfills.get_backfill(TENANT, BOX, repair.id) == repair
    assert stores.backfills.open_chunks(repair) == []
    stands = stores.backfills.raise_released(repair, 1)
    assert stores.backfills.open_chunks(stands) == some_chunks(repair, 2)[:1]
    chunk = stores.backfills.take_chunk(stands, 0, owner="w", now=NOW, seconds=60)
    counts = Counts(listed=len(chunk.ids), stored=len(chunk.ids))
    run = a_run("01R", reason=RunReason.REPAIR, backfill_id=repair.id, counts=counts)
    after = stores.backfills.finish_chunk(FENCE, stands, chunk, run, now=NOW)
    assert (after.state, after.done, after.kind) == (BackfillState.RUNNING, 1, BackfillKind.REPAIR)


def test_a_repair_that_exists_stays_as_it_is(stores):
    connected(stores.mailboxes)
    repair = created(stores, a_repair("01B"))
    ended = stores.backfills.set_backfill_state(repair, BackfillState.CANCELLED, now=NOW)
    created(stores, a_repair("01B", chunks=3))
    assert stores.backfills.get_backfill(TENANT, BOX, repair.id) == ended
    assert stores.backfills.get_chunk(TENANT, BOX, repair.id, 2) is None


@pytest.mark.parametrize("kind", [BackfillKind.REPAIR, BackfillKind.REPLAY])
@pytest.mark.parametrize("generation", [1, 3])
def test_nobody_of_another_generation_begins_a_repair_or_a_replay(stores, generation, kind):
    connected(stores.mailboxes)
    with pytest.raises(ConflictError) as caught:
        created(stores, replace(a_repair("01B", generation=generation), kind=kind))
    assert caught.value.code is ErrorCode.STALE_WRITE
    assert stores.backfills.list_backfills(TENANT, BOX) == []


def test_the_copy_of_a_message_in_several_folders_is_one_id(stores):
    record = connected(stores.mailboxes)
    fence = lease_of(stores.mailboxes, record).fence
    new = a_new_copy("1")
    both = new.copy.folder_ids | {SENT}
    stores.messages.save(fence, [replace(new, copy=replace(new.copy, folder_ids=both))])
    window = {"since": NOW - timedelta(days=1)}
    assert stores.audits.live_ids(TENANT, BOX, **window) == {name("1"): NOW}
    assert stores.audits.live_ids(TENANT, MailboxId("none"), **window) == {}
