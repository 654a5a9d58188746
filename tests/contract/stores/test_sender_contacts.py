"""Contacts made of senders: what of `ContactStore` makes them, once, whoever else is at it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from shared.domain.errors import AddressFullError
from shared.domain.ids import Address, ContactId
from shared.domain.new_contacts import id_of_sender
from shared.domain.policy import Folding, TenantPolicy
from tests.fakes.values import BOB, NOW, OTHER_TENANT, TENANT, a_contact, merged_into

KEEP = TenantPolicy()
FOLD = TenantPolicy(plus_tags=Folding.FOLD, dots=Folding.FOLD)
DAN, TAGGED = Address("dan@example.org"), Address("dan+crm@example.org")
OTHER_TAG, EVE = Address("dan+other@example.org"), Address("eve@example.org")
DAY = NOW.date()


def of_sender(address=DAN, policy=KEEP, **changes):
    contact_id = id_of_sender(TENANT, policy.address(address))
    return a_contact(contact_id, address, made_from_mail=True, version=1, **changes)


def put(stores, *names_and_addresses):
    return stores.contacts.put_contact(a_contact(*names_and_addresses), expected_version=None)


def make(stores, address=DAN, policy=KEEP):
    return stores.contacts.create_for_sender(of_sender(address, policy), policy)


def unknown(stores, *addresses, policy=KEEP, tenant_id=TENANT):
    ids = {id_of_sender(tenant_id, policy.address(one)): one for one in addresses}
    found = stores.contacts.unknown_senders(tenant_id, ids, policy)
    return {ids[name] for name in found}


def test_a_contact_of_a_sender_is_read_back_and_found_by_the_address(stores):
    assert unknown(stores, DAN, EVE) == {DAN, EVE}
    assert make(stores)
    made = of_sender()
    assert stores.contacts.get_contact(TENANT, made.id) == made
    assert stores.contacts.contacts_by_address(TENANT, [DAN]) == {DAN: [made.id]}
    assert stores.contacts.list_contacts(TENANT, after=None, limit=9) == [made]
    assert unknown(stores, DAN, EVE) == {EVE}
    assert unknown(stores, DAN, tenant_id=OTHER_TENANT) == {DAN}
    assert unknown(stores) == set()


def test_it_is_made_once_and_what_stands_stays(stores):
    assert make(stores)
    stores.contacts.put_contact(replace(of_sender(), name="Dan"), expected_version=1)
    assert not make(stores)
    stands = stores.contacts.get_contact(TENANT, of_sender().id)
    assert (stands.name, stands.version, stands.made_from_mail) == ("Dan", 2, True)


def test_none_is_made_of_an_address_that_has_a_contact(stores):
    put(stores, "c1", DAN)
    assert not make(stores)
    assert stores.contacts.contacts_by_address(TENANT, [DAN]) == {DAN: ["c1"]}
    assert stores.contacts.get_contact(TENANT, of_sender().id) is None


@pytest.mark.parametrize("contact_id", ["c1", id_of_sender(TENANT, DAN)])
def test_none_is_made_again_of_a_contact_that_was_deleted(stores, contact_id):
    put(stores, contact_id, DAN, BOB)
    assert stores.contacts.delete_contact(TENANT, ContactId(contact_id))
    assert unknown(stores, DAN, BOB, EVE) == {EVE}
    assert not make(stores)
    assert not make(stores, BOB)
    assert stores.contacts.list_contacts(TENANT, after=None, limit=9) == []
    assert make(stores, EVE)
    assert put(stores, "c2", DAN).version == 1


def test_none_is_made_of_one_that_was_merged_or_lost_the_address(stores):
    make(stores)
    assert unknown(stores, DAN) == set()
    merged = merged_into(
        stores, put(stores, "c1", BOB), stores.contacts.get_contact(TENANT, of_sender().id)
    )
    assert not merged.made_from_mail
    assert not make(stores)
    put(stores, "c1", BOB)
    assert unknown(stores, DAN) == set()
    assert not make(stores)
    stores.contacts.delete_contact(TENANT, ContactId("c1"))
    assert not make(stores)


def test_an_address_that_was_taken_off_a_contact_of_the_crm_is_a_strangers_again(stores):
    put(stores, "c1", DAN, BOB)
    put(stores, "c1", BOB)
    assert unknown(stores, DAN) == {DAN}
    assert make(stores)


def test_tags_are_one_sender_where_the_tenant_folds_them_and_two_where_it_does_not(stores):
    assert make(stores, TAGGED, FOLD)
    assert unknown(stores, DAN, OTHER_TAG, policy=FOLD) == set()
    assert not make(stores, DAN, FOLD)
    assert not make(stores, OTHER_TAG, FOLD)
    assert unknown(stores, OTHER_TAG) == {OTHER_TAG}
    assert make(stores, OTHER_TAG, KEEP)


def test_a_contact_is_not_made_of_a_tag_of_an_address_that_has_one_where_they_are_folded(stores):
    put(stores, "c1", DAN)
    assert unknown(stores, TAGGED, policy=FOLD) == set()
    assert not make(stores, TAGGED, FOLD)
    assert unknown(stores, TAGGED) == {TAGGED}


def test_a_day_has_room_for_so_many(stores):
    def reserve(number, day=DAY, tenant_id=TENANT):
        return stores.contacts.reserve_made(tenant_id, number, day=day, most=5)

    assert [reserve(3), reserve(3), reserve(2), reserve(1)] == [True, False, True, False]
    assert reserve(5, tenant_id=OTHER_TENANT)
    assert reserve(5, day=DAY + timedelta(days=1))


def test_at_one_moment_many_workers_and_a_person_give_an_address_one_contact_that_mail_made(stores):
    """And none, where the person came first."""
    made = []
    for number in range(6):
        address = Address(f"p{number}@example.org")
        begin = threading.Barrier(4)

        def at_once(act, begin=begin):
            begin.wait(10)
            return act()

        acts = [partial(make, stores, address)] * 3
        acts.append(partial(put, stores, f"c{number}", address))
        with ThreadPoolExecutor(4) as pool:
            *workers, person = pool.map(at_once, acts)
        assert person.version == 1
        made.append(sum(workers))
        contacts = stores.contacts.contacts_by_address(TENANT, [address])[address]
        assert len(contacts) == 1 + made[-1]
    assert set(made) <= {0, 1}


def test_another_spelling_with_a_contact_is_the_same_sender_only_where_the_policy_folds(stores):
    put(stores, "c1", OTHER_TAG)
    for address in (DAN, TAGGED):
        assert unknown(stores, address) == {address}
        assert unknown(stores, address, policy=FOLD) == set()
        assert not make(stores, address, FOLD)
        assert make(stores, address)


# ---- the bound of one address, whatever its tags ----


def tagged(tag, local="eve"):
    return Address(f"{local}+{tag}@example.org")


def made_until_full(stores, addresses):
    """Return how many senders became contacts before mail was refused."""
    for number, address in enumerate(addresses):
        try:
            assert make(stores, address)
        except AddressFullError:
            return number
    raise AssertionError("mail was never refused")


def test_mail_leaves_room_at_an_address_for_what_a_person_puts(stores, monkeypatch):
    for module in ("shared.aws.address_contacts", "shared.aws.contact_store", "tests.fakes.stores"):
        monkeypatch.setattr(f"{module}.MOST_CONTACTS_OF_AN_ADDRESS", 6)
    monkeypatch.setattr("shared.domain.new_contacts.MOST_MAIL_ADDS_TO", 3)
    put(stores, "c1", tagged("crm"))
    assert made_until_full(stores, map(tagged, range(9))) == 2
    assert unknown(stores, tagged(2)) == {tagged(2)}
    assert not make(stores, tagged(1)), "one that has a contact is not refused"
    assert make(stores, DAN), "nor is another address"
    for number in range(2, 5):
        assert put(stores, f"c{number}", EVE).version == 1
    with pytest.raises(AddressFullError):
        put(stores, "c5", EVE)
    with pytest.raises(AddressFullError):
        put(stores, "c4", *map(tagged, range(20, 23)))
    assert put(stores, "c4", tagged(20)).version == 2, "as many spellings as it had"
    assert stores.contacts.contacts_by_address(TENANT, [EVE]) == {EVE: ["c2", "c3"]}


def test_hundreds_of_tags_of_a_stranger_keep_nobody_out_and_the_item_small(aws):
    assert made_until_full(aws, map(tagged, range(600))) == 250
    long = "\u00fc" * 250
    assert made_until_full(aws, (tagged(f"{long}{number}") for number in range(600))) == 0
    ours = [Address(f"{long}+{number}@example.org") for number in range(600)]
    assert 20 < made_until_full(aws, ours) < 100
    names = [item["c"]["SS"] for item in aws.items() if item["sk"]["S"] == "contacts"]
    assert len(names) == 2
    assert all(len("".join(one).encode()) <= 32 * 1024 for one in names)
    assert put(aws, "eve", EVE).version == 1
    assert put(aws, "ours", Address(f"{long}@example.org")).version == 1
