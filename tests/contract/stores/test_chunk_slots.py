"""The contract of `ChunkSlots`: so many of a tenant, and no worker that dies keeps one."""

from concurrent.futures import ThreadPoolExecutor

from tests.fakes.faults import asked_twice
from tests.fakes.values import OTHER_TENANT, TENANT, later


def take(stores, owner="w", *, tenant=TENANT, most=2, at=0):
    return stores.slots.take_slot(tenant, owner=owner, most=most, now=later(at), seconds=60)


def test_no_more_are_held_than_there_are(stores):
    assert {take(stores, "a"), take(stores, "b")} == {0, 1}
    assert take(stores, "c") is None


def test_what_is_given_back_is_free_again(stores):
    slot = take(stores, "a")
    take(stores, "b")
    stores.slots.give_back_slot(TENANT, slot, owner="a")
    assert take(stores, "c") == slot
    assert take(stores, "d") is None


def test_who_died_keeps_none(stores):
    take(stores, "a")
    take(stores, "b", at=30)
    assert take(stores, "c", at=59) is None
    assert take(stores, "c", at=60) is not None
    assert take(stores, "d", at=60) is None


def test_who_comes_late_takes_none_from_another(stores):
    slot = take(stores, "a", most=1)
    assert take(stores, "b", most=1, at=60) == slot
    stores.slots.give_back_slot(TENANT, slot, owner="a")
    assert take(stores, "c", most=1, at=60) is None


def test_whose_answer_was_lost_holds_no_second_one(aws):
    with asked_twice(aws, "PutItem"):
        slot = take(aws, "a")
    assert take(aws, "b") not in {slot, None}
    aws.slots.give_back_slot(TENANT, slot, owner="a")
    assert take(aws, "c") == slot


def test_those_of_one_tenant_are_no_others(stores):
    assert take(stores, "a", most=1) == 0
    assert take(stores, "b", most=1, tenant=OTHER_TENANT) == 0
    stores.slots.give_back_slot(OTHER_TENANT, 0, owner="a")
    assert take(stores, "c", most=1, tenant=OTHER_TENANT) is None


def test_fewer_than_there_were_count_what_is_held(stores):
    slots = {take(stores, owner, most=4): owner for owner in "abcd"}
    assert set(slots) == {0, 1, 2, 3}
    stores.slots.give_back_slot(TENANT, 0, owner=slots[0])
    assert take(stores, "e", most=2) is None
    stores.slots.give_back_slot(TENANT, 2, owner=slots[2])
    stores.slots.give_back_slot(TENANT, 3, owner=slots[3])
    assert take(stores, "e", most=2) == 0


def test_many_at_once_get_no_more_than_there_are(stores):
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda owner: take(stores, str(owner), most=5), range(16)))
    # Whoever loses a race for one tries the others: none is left free.
    assert sorted(slot for slot in taken if slot is not None) == [0, 1, 2, 3, 4]
