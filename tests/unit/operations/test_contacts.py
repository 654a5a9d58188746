"""Contacts in, one or many, each checked by itself; two made one."""

import pytest

from shared.domain.errors import (
    ConflictError,
    ContactMergedError,
    ErrorCode,
    RequestError,
    RetryLaterError,
)
from shared.domain.ids import ContactId, TenantId, UserId
from shared.domain.visibility import Viewer
from shared.operations.contacts import (
    NewContact,
    delete_contact,
    get_contact,
    list_contacts,
    merge_contacts,
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


# ---- merging ----


def merge(store, into, other, **rest):
    return merge_contacts(
        ANN, ContactId(into), ContactId(other), contacts=store, clock=FixedClock(), **rest
    )


def test_a_merge_keeps_the_name_and_all_that_both_knew(store):
    put(store, new("a", ("a@x.example", "both@x.example"), attributes={"k": "a"}))
    put(store, NewContact("b", "Bo", ("both@x.example", "b@x.example"), {"k": "b", "l": "b"}))
    merged = merge(store, "a", "b")
    assert merged.addresses == ("a@x.example", "both@x.example", "b@x.example")
    assert (merged.name, merged.attributes) == ("Cleo", {"k": "a", "l": "b"})
    assert (merged.version, merged.merged) == (2, ("b",))
    assert get_contact(ANN, ContactId("a"), contacts=store) == merged
    assert merge(store, "a", "b", expected_version=1, expected_other_version=1) == merged


@pytest.mark.parametrize(
    ("versions", "is_refused"),
    [((1, 1), False), ((None, 1), False), ((2, 1), True), ((1, 2), True), ((0, None), True)],
)
def test_versions_that_are_given_have_to_be_the_ones_that_stand(store, versions, is_refused):
    put(store, new("a", ("a@x.example",)))
    put(store, new("b", ("b@x.example",)))
    before = dict(store.world.contacts)
    into, other = versions
    if not is_refused:
        assert merge(store, "a", "b", expected_version=into, expected_other_version=other)
        return
    with pytest.raises(ConflictError) as caught:
        merge(store, "a", "b", expected_version=into, expected_other_version=other)
    assert caught.value.code is ErrorCode.VERSION_CONFLICT
    assert store.world.contacts == before


@pytest.mark.parametrize(("into", "other"), [("a", "none"), ("none", "a"), ("a", "#"), ("#", "a")])
def test_only_what_is_there_is_merged(store, into, other):
    put(store, new("a"))
    with pytest.raises(RequestError) as caught:
        merge(store, into, other)
    assert caught.value.code is ErrorCode.CONTACT_NOT_FOUND


def refusal_of_merging(store, into, other):
    with pytest.raises(RequestError) as caught:
        merge(store, into, other)
    ((field, message),) = caught.value.fields
    assert (caught.value.code, field) == (ErrorCode.INVALID_REQUEST, "from")
    return message


def test_two_that_are_too_much_for_one_are_not_merged(store):
    for name in "ab":
        put(store, new(name, [f"{name}{number}@x.example" for number in range(11)]))
    assert "22 addresses" in refusal_of_merging(store, "a", "b")
    for name in "cd":
        attributes = {f"{name}{number}": "x" for number in range(26)}
        put(store, new(name, (), attributes=attributes))
    assert "52 attributes" in refusal_of_merging(store, "c", "d")
    for number in range(41):
        put(store, new(f"m{number}", ()))
    for number in range(40):
        merge(store, "c", f"m{number}")
    assert "41 merged" in refusal_of_merging(store, "c", "m40")
    assert "itself" in refusal_of_merging(store, "a", "a")


def test_who_asks_for_a_merged_one_is_told_which_it_is_now(store):
    for name in "abc":
        put(store, new(name))
    merge(store, "b", "c")
    merge(store, "a", "b")
    for old in "bc":
        for ask in (get_contact, delete_contact):
            with pytest.raises(ContactMergedError) as caught:
                ask(ANN, ContactId(old), contacts=store)
            assert caught.value.merged_into == "a"
    results = put_contacts(ANN, [new("b"), new("d")], contacts=store, clock=FixedClock())
    assert results[0].error.merged_into == "a"
    assert results[1].contact.id == "d"


def test_what_is_a_part_of_a_third_is_not_merged_again(store):
    for name in "abc":
        put(store, new(name))
    merge(store, "a", "b")
    with pytest.raises(ContactMergedError) as caught:
        merge(store, "c", "b")
    assert (caught.value.merged_into, caught.value.fields[0][0]) == ("a", "from")


def test_of_two_merges_in_opposite_directions_one_is_told_of_the_other(store, monkeypatch):
    put(store, new("a", ("a@x.example",)))
    put(store, new("b", ("b@x.example",)))
    real = store.merge_contacts

    def late(*contacts):
        monkeypatch.setattr(store, "merge_contacts", real)
        merge(store, "b", "a")
        return real(*contacts)

    monkeypatch.setattr(store, "merge_contacts", late)
    with pytest.raises(ContactMergedError) as caught:
        merge(store, "a", "b")
    assert caught.value.merged_into == "b"
    (left,) = store.world.contacts.values()
    assert left.addresses == ("b@x.example", "a@x.example")


def test_a_merge_takes_in_what_changed_while_it_was_made(store, monkeypatch):
    put(store, new("a", ("a@x.example",)))
    put(store, new("b", ("b@x.example",)))
    real = store.merge_contacts

    def late(*contacts):
        monkeypatch.setattr(store, "merge_contacts", real)
        put(store, new("b", ("new@x.example",)))
        return real(*contacts)

    monkeypatch.setattr(store, "merge_contacts", late)
    assert merge(store, "a", "b").addresses == ("a@x.example", "new@x.example")


def test_a_merge_of_what_never_rests_is_a_conflict(store, monkeypatch):
    for name in "ab":
        put(store, new(name))
    monkeypatch.setattr(store, "merge_contacts", lambda *_: False)
    with pytest.raises(ConflictError):
        merge(store, "a", "b")
