"""The contract of `ThreadStore`."""

from shared.aws.tables import thread_key
from shared.domain.ids import ThreadId
from shared.domain.threads import ThreadLevel, ThreadRecord
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
    found = stores.threads.get_threads(OTHER_TENANT, [MEMBER])
    assert found == {MEMBER: ThreadRecord(MEMBER, MEMBER)}


def test_asked_for_nothing_nothing_is_read(stores):
    assert stores.threads.get_threads(TENANT, []) == {}


def test_a_level_is_set_and_taken_back_and_nothing_else_is_changed(stores):
    for record in RECORDS:
        keep(stores, record)
    for _ in range(2):
        stores.threads.set_level(TENANT, ROOT, BOX, ThreadLevel.SUBJECT)
        stores.threads.set_level(TENANT, MEMBER, BOX, ThreadLevel.METADATA)
        stores.threads.set_level(TENANT, ALONE, BOX, ThreadLevel.FULL)
        assert stores.threads.get_threads(TENANT, [ROOT, MEMBER, ALONE]) == {
            ROOT: ThreadRecord(ROOT, ROOT, frozenset({MEMBER}), {BOX: ThreadLevel.SUBJECT}),
            MEMBER: ThreadRecord(MEMBER, ROOT, levels={**LEVELS, BOX: ThreadLevel.METADATA}),
            ALONE: ThreadRecord(ALONE, ALONE, levels={BOX: ThreadLevel.FULL}),
        }
    assert stores.threads.get_threads(OTHER_TENANT, [ROOT])[ROOT].levels == {}
    for _ in range(2):
        stores.threads.set_level(TENANT, MEMBER, BOX, None)
        stores.threads.set_level(TENANT, ALONE, BOX, None)
        stores.threads.set_level(TENANT, ThreadId("tnever"), BOX, None)
        found = stores.threads.get_threads(TENANT, [MEMBER, ALONE, ThreadId("tnever")])
        assert found[MEMBER] == ThreadRecord(MEMBER, ROOT, levels={OTHER_BOX: ThreadLevel.FULL})
        assert not found[ALONE].levels
        assert not found[ThreadId("tnever")].levels
