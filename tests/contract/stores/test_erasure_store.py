"""The contract of `ErasureStore`, and of the list of whose mail is kept out."""

from dataclasses import replace

import pytest

from shared.aws.table import Table
from shared.domain.erasure import MOST_KEPT_OUT, Erased, ErasureState, KeepsOut, hash_of
from shared.domain.errors import ConflictError, ErrorCode, RequestError
from shared.domain.ids import Address, ErasureId, MailboxId
from shared.domain.lease import Fence
from shared.ports.erasures import ErasePage
from tests.fakes.values import (
    ADA,
    BOB,
    BOX,
    NOW,
    OTHER_TENANT,
    SLOT,
    TENANT,
    a_mailbox,
    a_new_copy,
    a_person,
    an_erasure,
    connected,
    identity_of,
    later,
    stands,
)


def closed(stores, **changes):
    """A mailbox that is disconnected, as it stands."""
    record = connected(stores.mailboxes, **changes)
    box = record.mailbox
    stores.mailboxes.disconnect(box.tenant_id, box.id, identity_of(box))
    return stands(stores.mailboxes, box)


def begun(stores, *addresses, keeps_out=KeepsOut.STORED_MAIL, require=lambda: None, **changes):
    """A person's erasure, its hashes made with the tenant's own key."""
    key = stores.erasures.hash_key(TENANT)
    addresses = addresses or (ADA,)
    hashes = tuple(hash_of(key, one) for one in addresses)
    erasure = a_person(*addresses, address_hashes=hashes, keeps_out=keeps_out, **changes)
    stores.erasures.begin_person(erasure, keeps_out, require=require)
    return erasure


def refused(call) -> ErrorCode:
    with pytest.raises(ConflictError) as caught:
        call()
    return caught.value.code


def take(stores, erasure, owner="me", at=NOW, seconds=60):
    return stores.erasures.take_erasure(erasure, owner=owner, now=at, seconds=seconds)


# ---- beginning ----


def test_a_mailbox_is_gone_with_the_first_word_of_its_erasure(stores):
    record = closed(stores)
    stores.erasures.begin_mailbox(an_erasure(), record)
    assert stores.mailboxes.get(TENANT, BOX) is None
    assert stores.mailboxes.list_mailboxes(TENANT) == []
    assert list(stores.mailboxes.due(SLOT)) == []
    assert stores.erasures.get_erasure(TENANT, an_erasure().id) == an_erasure()
    assert stores.erasures.erasure_of(TENANT, BOX) == an_erasure()
    assert stores.erasures.erasure_of(OTHER_TENANT, BOX) is None
    assert stores.erasures.get_erasure(OTHER_TENANT, an_erasure().id) is None


def test_a_mailbox_that_was_reconnected_meanwhile_is_not_erased(stores):
    record = closed(stores)
    mailbox = replace(record.mailbox, generation=record.mailbox.generation)
    stores.mailboxes.reconnect(mailbox, identity_of(mailbox), SLOT)
    begin = stores.erasures.begin_mailbox
    assert refused(lambda: begin(an_erasure(), record)) is ErrorCode.STALE_WRITE
    assert stores.mailboxes.get(TENANT, BOX) is not None
    assert stores.erasures.erasure_of(TENANT, BOX) is None
    assert stores.erasures.list_erasures(TENANT, before=None, limit=9) == []


def test_a_connected_mailbox_is_not_erased(stores):
    record = connected(stores.mailboxes)
    begin = stores.erasures.begin_mailbox
    assert refused(lambda: begin(an_erasure(), record)) is ErrorCode.STALE_WRITE
    assert stores.mailboxes.get(TENANT, BOX) is not None


def test_a_worker_of_an_erased_mailbox_writes_nothing(stores):
    record = connected(stores.mailboxes)
    fence = Fence(TENANT, BOX, record.mailbox.generation)
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(record.mailbox))
    stores.erasures.begin_mailbox(an_erasure(), stands(stores.mailboxes, record.mailbox))
    before = stores.items()
    save = stores.messages.save
    assert refused(lambda: save(fence, [a_new_copy()])) is ErrorCode.STALE_WRITE
    assert stores.items() == before


def test_a_person_is_kept_out_with_the_first_word_of_their_erasure(stores):
    assert not stores.messages.kept_out(TENANT).covers([ADA], NOW)
    erasure = begun(stores)
    out = stores.messages.kept_out(TENANT)
    assert out.covers([BOB, ADA], NOW)
    assert not out.covers([ADA], later(1)), "new mail is stored as ever"
    assert not out.covers([BOB], NOW)
    assert not stores.messages.kept_out(OTHER_TENANT).covers([ADA], NOW)
    assert stores.erasures.get_erasure(TENANT, erasure.id) == erasure


def test_who_is_kept_out_for_ever_stays_so(stores):
    begun(stores, keeps_out=KeepsOut.ALL_MAIL)
    begun(stores, id=ErasureId("01LATER"), requested_at=later(60))
    assert stores.messages.kept_out(TENANT).covers([ADA], later(10**9))


def test_a_later_erasure_keeps_out_more_and_an_earlier_one_no_less(stores):
    begun(stores, requested_at=later(60))
    begun(stores, id=ErasureId("01AGAIN"), requested_at=NOW)
    assert stores.messages.kept_out(TENANT).covers([ADA], later(60))


def test_the_list_is_full_at_its_limit(stores):
    many = tuple(f"{number}@example.org" for number in range(MOST_KEPT_OUT))
    begun(stores, *many)
    with pytest.raises(RequestError) as caught:
        begun(stores, BOB, id=ErasureId("01MORE"))
    assert caught.value.code is ErrorCode.INVALID_REQUEST
    assert stores.erasures.get_erasure(TENANT, ErasureId("01MORE")) is None
    assert not stores.messages.kept_out(TENANT).covers([BOB], NOW)


def test_a_tenants_key_stays_and_is_its_own(stores):
    key = stores.erasures.hash_key(TENANT)
    assert len(key) >= 8
    begun(stores)
    assert stores.erasures.hash_key(TENANT) == key
    assert stores.erasures.hash_key(OTHER_TENANT) != key


def test_they_are_listed_newest_first_in_pages(stores):
    ids = [ErasureId(f"01E{number}") for number in range(5)]
    for one in ids:
        begun(stores, id=one)
    listed = stores.erasures.list_erasures
    assert [one.id for one in listed(TENANT, before=None, limit=3)] == ids[:1:-1]
    assert [one.id for one in listed(TENANT, before=ids[2], limit=3)] == [ids[1], ids[0]]
    assert listed(TENANT, before=ids[0], limit=3) == []
    assert listed(OTHER_TENANT, before=None, limit=3) == []


# ---- carrying on ----


def test_one_at_a_time_and_another_when_its_time_is_over(stores):
    erasure = begun(stores)
    assert take(stores, erasure) == erasure
    assert take(stores, erasure, at=later(1)) == erasure, "its own"
    other = lambda at: take(stores, erasure, "you", at)  # noqa: E731
    assert refused(lambda: other(later(59))) is ErrorCode.LEASE_HELD
    assert other(later(61)) == erasure
    page = ErasePage("1|x", Erased(messages=1), None)
    count = stores.erasures.count_erased
    assert refused(lambda: count(erasure, "me", page)) is ErrorCode.STALE_WRITE
    finish = stores.erasures.finish_erasure
    assert refused(lambda: finish(erasure, "me", now=NOW)) is ErrorCode.STALE_WRITE


def test_who_leaves_it_frees_it_and_nobody_elses(stores):
    erasure = begun(stores)
    take(stores, erasure)
    stores.erasures.leave_erasure(erasure, "you")
    assert refused(lambda: take(stores, erasure, "you")) is ErrorCode.LEASE_HELD
    stores.erasures.leave_erasure(erasure, "me")
    assert take(stores, erasure, "you") == erasure


def test_pages_add_up_in_the_receipt(stores):
    erasure = take(stores, begun(stores))
    for number in (1, 2):
        page = ErasePage(f"1|{number}", Erased(messages=number, bodies=1), None, f"4|{number}")
        erasure = stores.erasures.count_erased(erasure, "me", page)
    assert erasure.erased == Erased(messages=3, bodies=2)
    assert (erasure.counted_to, erasure.looked_to) == ("1|2", "4|2")
    assert stores.erasures.get_erasure(TENANT, erasure.id) == erasure


def test_a_receipt_names_no_address(stores):
    erasure = take(stores, begun(stores))
    page = ErasePage("1|01", Erased(contacts=1), None, "4|letters")
    erasure = stores.erasures.count_erased(erasure, "me", page)
    receipt = stores.erasures.finish_erasure(erasure, "me", now=later(9))
    assert receipt.state is ErasureState.DONE
    assert (receipt.done_at, receipt.addresses) == (later(9), ())
    assert (receipt.counted_to, receipt.looked_to) == ("", "")
    assert receipt.erased == Erased(contacts=1)
    assert stores.erasures.get_erasure(TENANT, erasure.id) == receipt
    assert ADA not in repr(stores.items())
    assert refused(lambda: take(stores, erasure)) is ErrorCode.WRONG_STATE


def test_nobody_takes_what_is_not_there(stores):
    assert refused(lambda: take(stores, an_erasure())) is ErrorCode.WRONG_STATE


def test_who_is_let_in_is_kept_out_no_longer(stores):
    erasure = begun(stores, ADA, BOB)
    begun(stores, "eve@example.org", id=ErasureId("01EVE"))
    take(stores, erasure)
    receipt = stores.erasures.finish_erasure(erasure, "me", now=NOW)
    for _ in range(2):
        assert stores.erasures.let_in(receipt) == replace(receipt, keeps_out=None)
    out = stores.messages.kept_out(TENANT)
    assert not out.covers([ADA, BOB], NOW)
    assert out.covers(["eve@example.org"], NOW)
    assert stores.erasures.get_erasure(TENANT, erasure.id) == replace(receipt, keeps_out=None)


def done(stores, erasure):
    take(stores, erasure)
    return stores.erasures.finish_erasure(erasure, "me", now=NOW)


ALL, STORED = KeepsOut.ALL_MAIL, KeepsOut.STORED_MAIL


@pytest.mark.parametrize("first_to_end", [True, False])
@pytest.mark.parametrize(("left", "stays"), [(ALL, later(10**9)), (STORED, later(60))])
def test_who_is_let_in_by_one_erasure_stays_out_by_another(stores, left, stays, first_to_end):
    """Two receipts for one address; the other may be deleting this moment."""
    gone = begun(stores, ADA, BOB, keeps_out=ALL if left is STORED else STORED)
    other = begun(stores, ADA, id=ErasureId("01OTHER"), requested_at=later(60), keeps_out=left)
    if first_to_end:
        done(stores, other)
    stores.erasures.let_in(done(stores, gone))
    out = stores.messages.kept_out(TENANT)
    assert out.covers([ADA], stays)
    assert out.covers([ADA], later(10**10)) is (left is ALL)
    assert not out.covers([BOB], NOW), "nobody else keeps them out"
    stores.erasures.let_in(other if first_to_end else done(stores, other))
    assert not stores.messages.kept_out(TENANT).covers([ADA], NOW)


def test_letting_in_one_of_many_reads_them_all(stores):
    """More receipts than one page of a query's answer, the one that counts among the oldest."""
    begun(stores, id=ErasureId("00FIRST"), keeps_out=ALL)
    for number in range(60):
        begun(stores, BOB, id=ErasureId(f"01E{number:02}"))
    gone = done(stores, begun(stores, id=ErasureId("02LAST")))
    stores.erasures.let_in(gone)
    assert stores.messages.kept_out(TENANT).covers([ADA], later(10**9))


def meet(monkeypatch, call):
    """Let `call` happen just before the next transaction, which has looked already."""
    real = Table.transact

    def met(self, items):
        monkeypatch.setattr(Table, "transact", real)
        call()
        return real(self, items)

    monkeypatch.setattr(Table, "transact", met)


def test_a_person_erased_while_another_is_let_in_is_kept_out(aws, monkeypatch):
    gone = done(aws, begun(aws))
    meet(monkeypatch, lambda: begun(aws, id=ErasureId("01MEETS"), keeps_out=ALL))
    aws.erasures.let_in(gone)
    assert aws.messages.kept_out(TENANT).covers([ADA], later(10**9))


# ---- whose mailbox is not to be ----


MINE = Address("sales@acme.example")


def kept_out_refusal(call) -> ErrorCode:
    with pytest.raises(RequestError) as caught:
        call()
    return caught.value.code


def test_a_mailbox_whose_mail_is_kept_out_for_ever_does_not_begin(stores):
    """Every message of it would be left at the provider, and the mailbox would look well."""
    erasure = begun(stores, MINE, keeps_out=ALL)
    code = kept_out_refusal(lambda: connected(stores.mailboxes))
    assert code is ErrorCode.ADDRESS_KEPT_OUT
    assert stores.mailboxes.list_mailboxes(TENANT) == []
    assert stores.mailboxes.find(TENANT, identity_of(a_mailbox())) is None
    connected(stores.mailboxes, tenant_id=OTHER_TENANT)
    stores.erasures.let_in(done(stores, erasure))
    connected(stores.mailboxes)


def test_a_mailbox_whose_new_mail_is_stored_begins(stores):
    begun(stores, MINE, keeps_out=STORED)
    begun(stores, "else@acme.example", id=ErasureId("01ELSE"), keeps_out=ALL)
    record = connected(stores.mailboxes)
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(record.mailbox))
    again = stands(stores.mailboxes, record.mailbox).mailbox
    stores.mailboxes.reconnect(again, identity_of(again), SLOT)


def test_a_mailbox_does_not_come_back_under_an_address_that_is_kept_out(stores):
    record = connected(stores.mailboxes, address="old@acme.example")
    begun(stores, MINE, keeps_out=ALL)
    again = replace(record.mailbox, address=MINE)
    code = kept_out_refusal(lambda: stores.mailboxes.reconnect(again, "imap:new", SLOT))
    assert code is ErrorCode.ADDRESS_KEPT_OUT
    assert stands(stores.mailboxes, record.mailbox) == record
    assert stores.mailboxes.find(TENANT, "imap:new") is None


class OwnError(Exception):
    """One of the addresses is a mailbox's."""


def nobodys(stores):
    """What an erasure requires, over the mailboxes there are."""

    def require():
        if any(one.mailbox.address == MINE for one in stores.mailboxes.list_mailboxes(TENANT)):
            raise OwnError

    return require


@pytest.mark.parametrize("is_first", [True, False])
def test_a_mailbox_that_begins_beside_the_erasure_of_its_address_is_refused(
    aws, monkeypatch, is_first
):
    if not is_first:
        begun(aws, BOB, id=ErasureId("01BEFORE"))
    erase = lambda: begun(aws, MINE, keeps_out=ALL, require=nobodys(aws))  # noqa: E731
    meet(monkeypatch, erase)
    assert kept_out_refusal(lambda: connected(aws.mailboxes)) is ErrorCode.ADDRESS_KEPT_OUT
    assert aws.mailboxes.list_mailboxes(TENANT) == []


@pytest.mark.parametrize("keeps_out", [ALL, STORED])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_an_erasure_that_begins_beside_a_mailbox_of_its_address_is_refused(
    aws, monkeypatch, before, keeps_out
):
    aws.erasures.hash_key(TENANT)
    for number in range(before):
        connected(aws.mailboxes, id=MailboxId(f"01B{number}"), address=f"{number}@acme.example")
    meet(monkeypatch, lambda: connected(aws.mailboxes))
    with pytest.raises(OwnError):
        begun(aws, MINE, keeps_out=keeps_out, require=nobodys(aws))
    assert not aws.messages.kept_out(TENANT).covers([MINE], NOW)
    assert aws.erasures.list_erasures(TENANT, before=None, limit=9) == []


def test_an_erasure_that_met_a_mailbox_of_somebody_else_begins(aws, monkeypatch):
    aws.erasures.hash_key(TENANT)
    meet(monkeypatch, lambda: connected(aws.mailboxes, address="else@acme.example"))
    begun(aws, MINE, keeps_out=ALL, require=nobodys(aws))
    assert aws.messages.kept_out(TENANT).covers([MINE], NOW)


def test_where_nobody_was_ever_erased_a_mailbox_writes_no_list(aws):
    connected(aws.mailboxes)
    assert not [one for one in aws.items() if one["pk"]["S"].endswith("#erasures")]
