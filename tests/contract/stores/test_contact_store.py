"""The contract of `ContactStore`."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from shared.aws.address_contacts import AddressContacts
from shared.domain.contact import MAX_ADDRESSES, MAX_MERGED
from shared.domain.errors import AddressFullError, ConflictError, ContactMergedError, ErrorCode
from shared.domain.ids import Address, ContactId, UserId
from shared.domain.policy import KEEPING, Folding, TenantPolicy
from shared.domain.visibility import Viewer
from shared.operations.contacts import NewContact, put_contact
from tests.fakes import faults
from tests.fakes.clock import FixedClock
from tests.fakes.values import ADA, BOB, OTHER_TENANT, TENANT, a_contact, later, merged_into

EVE = Address("eve@example.org")


def refused(stores, contact, expected_version) -> ErrorCode:
    with pytest.raises(ConflictError) as caught:
        stores.contacts.put_contact(contact, expected_version=expected_version)
    return caught.value.code


def test_what_is_put_is_read_back_with_its_version(stores):
    put = stores.contacts.put_contact(a_contact("c#1/ü", ADA, BOB), expected_version=None)
    assert put == a_contact("c#1/ü", ADA, BOB, version=1)
    assert stores.contacts.get_contact(TENANT, put.id) == put
    assert stores.contacts.get_contact(OTHER_TENANT, put.id) is None
    again = stores.contacts.put_contact(replace(put, name="New"), expected_version=None)
    assert again == replace(put, name="New", version=2)


def test_a_version_expected_is_the_one_replaced(stores):
    contact = a_contact()
    assert refused(stores, contact, 1) is ErrorCode.VERSION_CONFLICT
    first = stores.contacts.put_contact(contact, expected_version=0)
    assert refused(stores, replace(contact, name="Else"), 0) is ErrorCode.VERSION_CONFLICT
    second = stores.contacts.put_contact(replace(first, name="B"), expected_version=1)
    assert second.version == 2
    assert refused(stores, replace(first, name="C"), 1) is ErrorCode.VERSION_CONFLICT
    assert stores.contacts.get_contact(TENANT, contact.id) == second


def test_a_put_whose_answer_was_lost_may_be_repeated(stores):
    first = stores.contacts.put_contact(a_contact(), expected_version=0)
    assert stores.contacts.put_contact(a_contact(), expected_version=0) == first


def test_contacts_are_listed_in_order_of_id_page_by_page(stores):
    ids = ["10", "2", "B", "a", "b c", "ä"]
    for contact_id in reversed(ids):
        stores.contacts.put_contact(a_contact(contact_id), expected_version=None)
    stores.contacts.put_contact(a_contact("z", tenant_id=OTHER_TENANT), expected_version=None)
    read, after = [], None
    while page := stores.contacts.list_contacts(TENANT, after=after, limit=4):
        read += page
        after = page[-1].id
    assert [contact.id for contact in read] == ids


def test_an_address_finds_all_its_contacts(stores):
    stores.contacts.put_contact(a_contact("c2", ADA), expected_version=None)
    stores.contacts.put_contact(a_contact("c1", ADA, BOB), expected_version=None)
    found = stores.contacts.contacts_by_address(TENANT, [ADA, BOB, ADA, "no@example.org"])
    assert found == {ADA: ["c1", "c2"], BOB: ["c1"]}
    assert stores.contacts.contacts_by_address(OTHER_TENANT, [ADA]) == {}
    assert stores.contacts.contacts_by_address(TENANT, []) == {}


def test_an_address_taken_away_no_longer_finds_the_contact(stores):
    stores.contacts.put_contact(a_contact("c1", ADA, BOB), expected_version=None)
    changed = a_contact("c1", BOB, "eve@example.org", updated_at=later(1))
    stores.contacts.put_contact(changed, expected_version=None)
    found = stores.contacts.contacts_by_address(TENANT, [ADA, BOB, "eve@example.org"])
    assert found == {BOB: ["c1"], "eve@example.org": ["c1"]}


def test_a_deleted_contact_is_gone_with_its_addresses(stores):
    stores.contacts.put_contact(a_contact(), expected_version=None)
    assert stores.contacts.delete_contact(TENANT, ContactId("c1"))
    assert not stores.contacts.delete_contact(TENANT, ContactId("c1"))
    assert stores.contacts.get_contact(TENANT, ContactId("c1")) is None
    assert stores.contacts.contacts_by_address(TENANT, [ADA]) == {}
    assert stores.contacts.put_contact(a_contact(), expected_version=0).version == 1


# ---- merging ----


def put(stores, *names_and_addresses):
    return stores.contacts.put_contact(a_contact(*names_and_addresses), expected_version=None)


def leads_to(stores, contact_id, tenant_id=TENANT):
    with pytest.raises(ContactMergedError) as caught:
        stores.contacts.get_contact(tenant_id, ContactId(contact_id))
    return caught.value.merged_into


def test_a_merged_contact_is_found_by_all_addresses_and_its_other_id_leads_to_it(stores):
    merged = merged_into(stores, put(stores, "c1", ADA), put(stores, "c2", ADA, BOB))
    assert merged == a_contact("c1", ADA, BOB, version=2, merged=("c2",))
    assert stores.contacts.get_contact(TENANT, merged.id) == merged
    assert stores.contacts.contacts_by_address(TENANT, [ADA, BOB]) == {ADA: ["c1"], BOB: ["c1"]}
    assert stores.contacts.list_contacts(TENANT, after=None, limit=9) == [merged]
    assert leads_to(stores, "c2") == "c1"
    assert stores.contacts.get_contact(OTHER_TENANT, ContactId("c2")) is None


@pytest.mark.parametrize("expected_version", [None, 0, 1, 2])
def test_an_id_that_was_merged_is_neither_written_nor_deleted_by_one_who_knows_not(
    stores, expected_version
):
    merged = merged_into(stores, put(stores, "c1", ADA), put(stores, "c2", BOB))
    with pytest.raises(ContactMergedError):
        stores.contacts.put_contact(a_contact("c2", BOB), expected_version=expected_version)
    with pytest.raises(ContactMergedError):
        stores.contacts.delete_contact(TENANT, ContactId("c2"))
    assert stores.contacts.get_contact(TENANT, merged.id) == merged


def test_replacing_a_contact_keeps_what_was_merged_into_it(stores):
    merged_into(stores, put(stores, "c1", ADA), put(stores, "c2", BOB))
    changed = a_contact("c1", ADA, name="New")
    after = stores.contacts.put_contact(changed, expected_version=2)
    assert after == replace(changed, version=3, merged=("c2",))
    assert stores.contacts.put_contact(changed, expected_version=2) == after, "its answer was lost"
    assert leads_to(stores, "c2") == "c1"


def test_an_id_leads_to_where_its_contact_is_now_however_often_that_was_merged(stores):
    second = merged_into(stores, put(stores, "c2", BOB), put(stores, "c3", EVE))
    first = merged_into(stores, put(stores, "c1", ADA), second)
    assert first.merged == ("c3", "c2")
    assert {leads_to(stores, "c2"), leads_to(stores, "c3")} == {"c1"}


def test_with_a_contact_go_the_ids_that_were_merged_into_it(stores):
    merged_into(stores, put(stores, "c1", ADA), put(stores, "c2", BOB))
    assert stores.contacts.delete_contact(TENANT, ContactId("c1"))
    assert stores.contacts.get_contact(TENANT, ContactId("c2")) is None
    assert put(stores, "c2", BOB).version == 1


@pytest.mark.parametrize("changed", ["c1", "c2"])
def test_nothing_is_merged_that_changed_since_it_was_read(stores, changed):
    into, other = put(stores, "c1", ADA), put(stores, "c2", BOB)
    late = put(stores, changed, EVE)
    merged = replace(into, addresses=(ADA, BOB), version=2, merged=("c2",))
    assert not stores.contacts.merge_contacts(into, other, merged)
    assert stores.contacts.get_contact(TENANT, late.id) == late
    assert BOB not in (stores.contacts.get_contact(TENANT, into.id)).addresses


def test_the_largest_contacts_are_merged_in_one_transaction(stores):
    addresses = [f"a{number}@x.example" for number in range(MAX_ADDRESSES)]
    first, second = addresses[: MAX_ADDRESSES // 2], addresses[MAX_ADDRESSES // 2 :]
    other = put(stores, "other", *second)
    for number in range(MAX_MERGED - 1):
        small = a_contact(f"m{number}", addresses=())
        small = stores.contacts.put_contact(small, expected_version=None)
        other = merged_into(stores, other, small)
    merged = merged_into(stores, put(stores, "into", *first), other)
    assert (len(merged.addresses), len(merged.merged)) == (MAX_ADDRESSES, MAX_MERGED)
    assert leads_to(stores, "m0") == "into"
    assert stores.contacts.delete_contact(TENANT, merged.id)
    assert stores.contacts.get_contact(TENANT, ContactId("m0")) is None


# ---- the contacts of one address ----


def sets_of(aws):
    return {
        item["pk"]["S"].rpartition("#")[2]: {one.partition(" ")[0] for one in item["c"]["SS"]}
        for item in aws.items()
        if item["sk"]["S"] == "contacts"
    }


def test_an_address_that_no_contact_has_any_more_leaves_no_item(aws):
    put(aws, "c1", ADA, BOB)
    put(aws, "c2", ADA)
    put(aws, "c1", EVE)
    assert sets_of(aws) == {ADA: {"c2"}, EVE: {"c1"}}
    assert aws.contacts.delete_contact(TENANT, ContactId("c2"))
    assert sets_of(aws) == {EVE: {"c1"}}


def test_merging_moves_each_address_once_whoever_had_it(aws):
    put(aws, "third", ADA, BOB)
    merged = merged_into(aws, put(aws, "c1", ADA), put(aws, "c2", ADA, BOB, EVE))
    assert sets_of(aws) == {ADA: {"c1", "third"}, BOB: {"c1", "third"}, EVE: {"c1"}}
    assert aws.contacts.get_contact(TENANT, merged.id) == merged


def test_an_address_has_so_many_contacts_and_another_is_told_which_address(stores, monkeypatch):
    for module in ("shared.aws.address_contacts", "shared.aws.contact_store", "tests.fakes.stores"):
        monkeypatch.setattr(f"{module}.MOST_CONTACTS_OF_AN_ADDRESS", 2)
    put(stores, "c1", ADA)
    put(stores, "c2", ADA)
    with pytest.raises(AddressFullError) as caught:
        put(stores, "c3", BOB, ADA)
    assert caught.value.code is ErrorCode.INVALID_REQUEST
    assert caught.value.address == ADA
    assert stores.contacts.get_contact(TENANT, ContactId("c3")) is None
    assert stores.contacts.contacts_by_address(TENANT, [BOB]) == {}
    new = NewContact("c3", "Ada", [BOB, BOB, "ADA@example.org"], {})
    viewer = Viewer(TENANT, UserId("u1"))
    with pytest.raises(AddressFullError) as caught:
        put_contact(viewer, new, contacts=stores.contacts, clock=FixedClock())
    ((field, reason),) = caught.value.fields
    assert field == "addresses.2"
    assert reason.startswith("2 contacts have this address already")
    assert put(stores, "c2", ADA, BOB).version == 2, "one that has it keeps it"
    put(stores, "c1", EVE)
    assert put(stores, "c3", ADA).version == 1


def test_contacts_that_share_an_address_are_put_and_deleted_at_once(aws):
    ids = [f"c{number:02}" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: put(aws, one, ADA), ids))
    assert sets_of(aws) == {ADA: set(ids)}
    with ThreadPoolExecutor(8) as pool:
        gone = pool.map(lambda one: aws.contacts.delete_contact(TENANT, ContactId(one)), ids)
        assert all(gone)
    assert sets_of(aws) == {}


def test_a_transaction_that_meets_anothers_at_an_address_is_tried_again(aws):
    def conflict(operation):
        return faults.refused(
            operation, "TransactionCanceledException", "None", "TransactionConflict"
        )

    with faults.failing(aws, conflict, at=0, only=frozenset({"TransactWriteItems"})) as seen:
        assert put(aws, "c1", ADA).version == 1
    assert len(seen) == 2
    assert sets_of(aws) == {ADA: {"c1"}}


def test_an_address_that_changes_hands_meanwhile_is_read_again(aws, monkeypatch):
    put(aws, "c1", ADA)
    read = AddressContacts.sets
    others = iter([lambda: put(aws, "c2", ADA), lambda: None])

    def behind(self, tenant_id, addresses):
        found = read(self, tenant_id, addresses)
        monkeypatch.setattr(AddressContacts, "sets", read)
        next(others)()
        return found

    monkeypatch.setattr(AddressContacts, "sets", behind)
    assert aws.contacts.delete_contact(TENANT, ContactId("c1"))
    assert sets_of(aws) == {ADA: {"c2"}}


# ---- other spellings of an address ----

NEWS, SHOP = Address("ada+news@example.org"), Address("ada+shop@example.org")
TAGS = TenantPolicy(plus_tags=Folding.FOLD)
DOTS = TenantPolicy(dots=Folding.FOLD)
GMAIL = [Address(one) for one in ("a.da@gmail.com", "ada@googlemail.com", "ada+x@gmail.com")]


def known(stores, address, policy):
    return stores.contacts.contacts_by_address(TENANT, [address], policy=policy).get(address, [])


def test_who_has_an_address_is_decided_by_the_policy_and_each_time_anew(stores):
    put(stores, "c1", ADA)
    put(stores, "c2", NEWS)
    put(stores, "c3", SHOP, NEWS)
    for policy in (KEEPING, DOTS):
        assert known(stores, ADA, policy) == ["c1"]
        assert known(stores, NEWS, policy) == ["c2", "c3"]
        assert known(stores, "ada+else@example.org", policy) == []
    for address in (ADA, NEWS, "ada+else@example.org"):
        assert known(stores, address, TAGS) == ["c1", "c2", "c3"]
    assert known(stores, "bob@example.org", TAGS) == []


def test_a_gmail_address_has_its_dots_and_both_domains_as_the_policy_says(stores):
    for number, address in enumerate(GMAIL):
        put(stores, f"c{number}", address)
    ada = Address("ada@gmail.com")
    assert known(stores, ada, KEEPING) == []
    assert known(stores, ada, DOTS) == ["c0", "c1"]
    assert known(stores, ada, TAGS) == ["c2"]
    assert known(stores, ada, TenantPolicy(plus_tags=Folding.FOLD, dots=Folding.FOLD)) == [
        "c0", "c1", "c2"
    ]  # fmt: skip


def test_a_contact_is_known_by_those_spellings_it_has_and_by_no_other(stores):
    put(stores, "c1", ADA, NEWS)
    put(stores, "c2", NEWS)
    changed = put(stores, "c1", SHOP, NEWS)
    assert [known(stores, one, KEEPING) for one in (ADA, NEWS, SHOP)] == [
        [], ["c1", "c2"], ["c1"]
    ]  # fmt: skip
    put(stores, "c2", BOB)
    merged_into(stores, changed, put(stores, "c3", ADA, NEWS))
    assert [known(stores, one, KEEPING) for one in (ADA, NEWS, SHOP)] == [["c1"]] * 3
    assert stores.contacts.delete_contact(TENANT, ContactId("c1"))
    assert known(stores, ADA, TAGS) == []
    if stores.table is not None:
        assert not [raw for raw in stores.items() if raw["pk"]["S"].endswith(f"#address#{ADA}")]
