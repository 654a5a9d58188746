"""The contract of `ThreadStore`."""

from functools import partial
from itertools import permutations

import pytest

from shared.aws.tables import thread_key
from shared.domain.ids import TenantId, ThreadId
from shared.domain.threads import ThreadLevel, ThreadRecord
from tests.contract.stores.test_joined_threads import A, B, C, arrive, fence_of
from tests.contract.stores.test_thread_races import before_call
from tests.fakes.conversations import arriving, found
from tests.fakes.values import BOX, OTHER_BOX, OTHER_TENANT, TENANT

ROOT, MEMBER, ALONE = ThreadId("troot"), ThreadId("tmember"), ThreadId("talone")
LEVELS = {BOX: ThreadLevel.PRIVATE, OTHER_BOX: ThreadLevel.FULL}
RECORDS = (
    ThreadRecord(ROOT, ROOT, frozenset({MEMBER})),
    ThreadRecord(MEMBER, ROOT, levels=LEVELS),
)


def keep(stores, record):
    """Set a thread's record up directly."""
    if stores.table is None:
        stores.threads.world.threads[TENANT, record.thread_id] = record
        return
    key = thread_key(TENANT, record.thread_id)
    item = {"pk": {"S": key.pk}, "sk": {"S": key.sk}}
    if record.root != record.thread_id:
        item["j"] = {"S": record.root}
    if record.members:
        item["k"] = {"SS": sorted(record.members)}
    if record.levels:
        item["l"] = {"M": {box: {"S": level} for box, level in record.levels.items()}}
    if record.least:
        item["s"] = {"M": {box: {"S": level} for box, level in record.least.items()}}
    stores.table.client.put_item(TableName=stores.table.name, Item=item)


def test_a_record_is_read_back_whole(stores):
    for record in RECORDS:
        keep(stores, record)
    assert stores.threads.get_threads(TENANT, [ROOT, MEMBER]) == dict(
        zip((ROOT, MEMBER), RECORDS, strict=True)
    )


def test_a_thread_nothing_is_recorded_of_is_its_own_root(stores):
    assert stores.threads.get_threads(TENANT, [ALONE]) == {ALONE: ThreadRecord(ALONE, ALONE)}


def test_no_tenant_reads_anothers_record(stores):
    keep(stores, RECORDS[1])
    theirs = stores.threads.get_threads(OTHER_TENANT, [MEMBER])
    assert theirs == {MEMBER: ThreadRecord(MEMBER, MEMBER)}


def test_asked_for_nothing_nothing_is_read(stores):
    assert stores.threads.get_threads(TENANT, []) == {}


def test_a_level_is_set_and_taken_back_and_no_other_is_changed(stores):
    for record in RECORDS:
        keep(stores, record)
    for _ in range(2):
        stores.threads.set_level(TENANT, ROOT, BOX, ThreadLevel.SUBJECT)
        stores.threads.set_level(TENANT, MEMBER, BOX, ThreadLevel.METADATA)
        stores.threads.set_level(TENANT, ALONE, BOX, ThreadLevel.FULL)
        least = {BOX: ThreadLevel.METADATA, OTHER_BOX: ThreadLevel.FULL}
        full = {BOX: ThreadLevel.FULL}
        assert stores.threads.get_threads(TENANT, [ROOT, MEMBER, ALONE]) == {
            ROOT: ThreadRecord(ROOT, ROOT, frozenset({MEMBER}), {BOX: ThreadLevel.SUBJECT}, least),
            MEMBER: ThreadRecord(
                MEMBER, ROOT, levels={**LEVELS, BOX: ThreadLevel.METADATA}, least=least
            ),
            ALONE: ThreadRecord(ALONE, ALONE, levels=full, least=full),
        }
    assert stores.threads.get_threads(OTHER_TENANT, [ROOT])[ROOT].levels == {}
    for _ in range(2):
        stores.threads.set_level(TENANT, MEMBER, BOX, None)
        stores.threads.set_level(TENANT, ALONE, BOX, None)
        stores.threads.set_level(TENANT, ThreadId("tnever"), BOX, None)
        known = stores.threads.get_threads(TENANT, [MEMBER, ALONE, ThreadId("tnever")])
        least = {BOX: ThreadLevel.SUBJECT, OTHER_BOX: ThreadLevel.FULL}
        full = {OTHER_BOX: ThreadLevel.FULL}
        assert known[MEMBER] == ThreadRecord(MEMBER, ROOT, levels=full, least=least)
        for one in (ALONE, ThreadId("tnever")):
            assert known[one] == ThreadRecord(one, one)


@pytest.mark.parametrize("order", list(permutations([A, B, C])))
def test_whatever_is_joined_knows_the_least_open_level_of_them_all(stores, order):
    fences, new = {}, []
    said = dict(zip(order, (ThreadLevel.FULL, ThreadLevel.PRIVATE, None), strict=True))
    for mail in order:
        new += arrive(stores, [mail], fences=fences)
        if said[mail]:
            stores.threads.set_level(TENANT, new[-1].message.thread_id, BOX, said[mail])
    assert len(found(stores, new)) == 1
    records = stores.threads.get_threads(TENANT, {one.message.thread_id for one in new})
    assert len(records) > 1
    for record in records.values():
        assert record.least == {BOX: ThreadLevel.PRIVATE}
        # What was said is of what it was said of, and goes to no other.
        assert record.levels.get(BOX) in {None, *said.values()}
    assert sum(len(record.levels) for record in records.values()) <= 2


def test_a_level_that_is_set_while_threads_are_joined_holds_for_all(aws):
    """And what is joined or erased while it is set makes it begin again."""
    for number in range(1, 40):
        tenant = TenantId(f"acme-{number}")
        fence = fence_of(aws, tenant_id=tenant)
        new = [arriving(mail, tenant_id=tenant) for mail in (A, C)]
        aws.messages.save(fence, new)
        under = new[0].message.thread_id
        joins = arriving(B, tenant_id=tenant)
        close = partial(aws.threads.set_level, tenant, under, BOX, ThreadLevel.PRIVATE)
        with before_call(aws, number, close) as calls:
            aws.messages.save(fence, [joins])
        if calls[0] < number:
            break
        ids = {one.message.thread_id for one in [*new, joins]}
        for record in aws.threads.get_threads(tenant, ids).values():
            assert record.least == {BOX: ThreadLevel.PRIVATE}, number
    assert number > 5
    for number in range(1, 10):
        tenant = TenantId(f"other-{number}")
        fence = fence_of(aws, tenant_id=tenant)
        new = [arriving(mail, tenant_id=tenant) for mail in (A, C)]
        aws.messages.save(fence, new)
        under = new[0].message.thread_id
        joins = arriving(B, tenant_id=tenant)
        with before_call(aws, number, partial(aws.messages.save, fence, [joins])) as calls:
            aws.threads.set_level(tenant, under, BOX, ThreadLevel.PRIVATE)
        if calls[0] < number:
            break
        ids = {one.message.thread_id for one in [*new, joins]}
        for record in aws.threads.get_threads(tenant, ids).values():
            assert record.least == {BOX: ThreadLevel.PRIVATE}, number
