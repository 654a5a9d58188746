"""Contacts in, one or many, each checked by itself."""

import pytest

from shared.domain.errors import ConflictError, ErrorCode, RequestError, RetryLaterError
from shared.domain.ids import ContactId, TenantId, UserId
from shared.domain.visibility import Viewer
from shared.operations.contacts import (
    NewContact,
    delete_contact,
    get_contact,
    list_contacts,
    put_contact,
    put_contacts,
)
from tests.fakes.clock import FixedClock
from tests.fakes.stores import InMemoryContactStore

ANN = Viewer(TenantId("acme"), UserId("ann"))


@pytest.fixture
def store():
    return InMemoryContactStore()


def new(name="c1", addresses=("Cleo@Client.example",), **changes):
    return NewContact(
        **{"id": name, "name": " Cleo ", "addresses": addresses, "attributes": {}, **changes}
    )


def put(store, contact, **rest):
    return put_contact(ANN, contact, contacts=store, clock=FixedClock(), **rest)


def test_addresses_are_kept_in_canonical_form_once(store):
    kept = put(
        store, new(addresses=("Cleo@Client.example", " cleo@client.example ", "c@bücher.example"))
    )
    assert kept.addresses == ("cleo@client.example", "c@xn--bcher-kva.example")
    assert (kept.name, kept.version) == ("Cleo", 1)
    assert get_contact(ANN, ContactId("c1"), contacts=store) == kept


def test_a_change_for_another_version_is_refused(store):
    put(store, new(), expected_version=0)
    with pytest.raises(ConflictError):
        put(store, new(name="c1", attributes={"a": "b"}), expected_version=0)
    assert put(store, new(attributes={"a": "b"}), expected_version=1).version == 2


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (new(name=""), "id"),
        (new(name="a#b"), "id"),
        (new(name="."), "id"),
        (new(name=".."), "id"),
        (new(name="x" * 129), "id"),
        (new(name="c1") and NewContact("c1", " ", (), {}), "name"),
        (NewContact("c1", "x" * 201, (), {}), "name"),
        (new(addresses=("a@b.example", "nobody")), "addresses.1"),
        (new(addresses=tuple(f"a{n}@b.example" for n in range(21))), "addresses"),
        (new(attributes={str(n): "x" for n in range(51)}), "attributes"),
        (new(attributes={"": "x"}), "attributes"),
        (new(attributes={"x": "y" * 1_001}), "attributes"),
    ],
)
def test_each_fault_is_named(store, bad, field):
    with pytest.raises(RequestError) as caught:
        put(store, bad)
    assert [name for name, _ in caught.value.fields] == [field]


def test_one_refused_contact_of_a_batch_stops_no_other(store, monkeypatch):
    real = store.put_contact

    def busy(contact, *, expected_version):
        if contact.id == "busy":
            raise RetryLaterError(ErrorCode.STORE_THROTTLED)
        return real(contact, expected_version=expected_version)

    monkeypatch.setattr(store, "put_contact", busy)
    many = [new("a"), new("a"), new("#"), new("busy"), new("b")]
    results = put_contacts(ANN, many, contacts=store, clock=FixedClock())
    assert [result.error and result.error.code for result in results] == [
        None,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.STORE_THROTTLED,
        None,
    ]
    assert [result.id for result in results] == ["a", "a", "#", "busy", "b"]


@pytest.mark.parametrize("size", [0, 101])
def test_a_batch_has_a_size(store, size):
    with pytest.raises(RequestError):
        put_contacts(ANN, [new()] * size, contacts=store, clock=FixedClock())


def test_pages_end(store):
    for name in "abc":
        put(store, new(name))
    page, going_on = list_contacts(ANN, after=None, limit=2, contacts=store)
    assert ([contact.id for contact in page], going_on) == (["a", "b"], "b")
    page, going_on = list_contacts(ANN, after=going_on, limit=2, contacts=store)
    assert ([contact.id for contact in page], going_on) == (["c"], None)


@pytest.mark.parametrize("name", ["c2", "", "a#b", "x" * 129])
def test_what_is_not_there_is_unknown(store, name):
    for ask in (get_contact, delete_contact):
        with pytest.raises(RequestError) as caught:
            ask(ANN, ContactId(name), contacts=store)
        assert caught.value.code is ErrorCode.CONTACT_NOT_FOUND


def test_deleting_leaves_nothing(store):
    put(store, new())
    delete_contact(ANN, ContactId("c1"), contacts=store)
    assert not store.world.contacts
