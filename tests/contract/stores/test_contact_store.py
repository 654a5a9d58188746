"""The contract of `ContactStore`."""

from dataclasses import replace

import pytest

from shared.domain.errors import ConflictError, ErrorCode
from shared.domain.ids import ContactId
from tests.fakes.values import ADA, BOB, OTHER_TENANT, TENANT, a_contact, later


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
