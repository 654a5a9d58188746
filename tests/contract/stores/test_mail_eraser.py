"""The contract of `MailEraser`: what goes, what stays, what is counted, and when nothing is left."""

from contextlib import suppress
from dataclasses import replace
from itertools import count

import pytest

from shared.aws.copies import CopyItems
from shared.aws.message_contents import MessageContents
from shared.aws.message_erasure import MessageErasure
from shared.aws.table import Table, raw_key
from shared.domain.addresses import WrittenAddresses
from shared.domain.erasure import SETTLE_SECONDS, Erased, KeepsOut
from shared.domain.errors import ContactMergedError, StoreThrottledError
from shared.domain.ids import Address, ErasureId, FolderId, MailboxId, RunId, UserId
from shared.domain.lease import Fence
from shared.domain.message import Body, Participant, ParticipantRole, StoredAttachment, copy_ref
from shared.ports.stores import SyncOutcome
from tests.fakes.values import (
    ADA,
    BOB,
    BOX,
    NOW,
    OTHER_BOX,
    OTHER_TENANT,
    SLOT,
    TENANT,
    a_backfill,
    a_contact,
    a_folder,
    a_letter,
    a_new_copy,
    a_person,
    a_run,
    an_erasure,
    connected,
    identity_of,
    later,
    lease_of,
    merged_into,
    name,
    some_chunks,
    stands,
)

LARGE = "".join(chr(33 + n * n % 89) + chr(65 + n * 7 % 57) for n in range(30_000))
EVE = Address("eve@example.org")


@pytest.fixture
def box(stores):
    """A mailbox with everything one can have."""
    record = connected(stores.mailboxes)
    stores.mailboxes.set_primary(TENANT, UserId("u1"), BOX)
    stores.mailboxes.set_primary(TENANT, UserId("u2"), BOX)
    lease = lease_of(stores.mailboxes, record)
    outcome = SyncOutcome({FolderId("f1"): a_folder("f1")}, later(5), a_run("01R"), due_slot=SLOT)
    stores.mailboxes.finish_run(lease.fence, outcome)
    backfill = a_backfill(generation=record.mailbox.generation)
    stores.backfills.create_backfill(backfill)
    stores.backfills.put_chunks(backfill, some_chunks(backfill, 3))
    return record


def other_box(stores, **changes):
    changes = {"address": "else@acme.example"} | changes
    return connected(stores.mailboxes, id=OTHER_BOX, **changes)


def save(stores, record, *new):
    box = record.mailbox
    stores.messages.save(Fence(box.tenant_id, box.id, box.generation), new)
    return [one.message.id for one in new]


def with_attachment(stores, new):
    """The same copy, its message with an attachment that is stored."""
    holder = copy_ref(new.copy.mailbox_id, new.copy.provider_message_id)
    digest, size = stores.attachments.put(TENANT, iter([b"abc"]), holder=holder, limit=9)
    kept = (StoredAttachment("a.txt", "text/plain", size, digest=digest),)
    return replace(new, message=replace(new.message, attachments=kept))


def erased_all(stores, erasure) -> Erased:
    """Look and delete until nothing is left; return what was counted."""
    sums, pages = Erased(), count()
    while (page := stores.eraser.next_page(erasure)) is not None:
        assert next(pages) < 99, "no end"
        sums += page.erased
        erasure = replace(erasure, counted_to=page.position, looked_to=page.looked_to)
        stores.eraser.erase(erasure, page, now=NOW)
    return sums


def erase_box(stores, record, **changes) -> Erased:
    erasure = an_erasure(**changes)
    box = record.mailbox
    stores.mailboxes.disconnect(box.tenant_id, box.id, identity_of(box))
    stores.erasures.begin_mailbox(erasure, stands(stores.mailboxes, box))
    return erased_all(stores, erasure)


def seen(stores, *ids, tenant=TENANT):
    return set(stores.get_messages(tenant, ids))


def found(stores, address=ADA, tenant=TENANT):
    return {entry.message_id for entry in stores.by_address(tenant, address, before=None, limit=99)}


# ---- a mailbox ----


def test_everything_of_a_mailbox_goes_and_is_counted(stores, box):
    new = [with_attachment(stores, a_new_copy(f"{number}")) for number in range(7)]
    ids = save(stores, box, *new)
    sums = erase_box(stores, box)
    assert seen(stores, *ids) == found(stores) == set()
    assert stores.messages.live_ids(TENANT, BOX) == frozenset()
    assert stores.by_mailbox(TENANT, BOX, before=None, limit=9) == []
    assert all(stores.messages.get_body(TENANT, one) is None for one in ids)
    assert stores.runs.get_run(TENANT, BOX, RunId("01R")) is None
    assert stores.backfills.list_backfills(TENANT, BOX) == []
    assert list(stores.backfills.open_backfills()) == []
    assert stores.mailboxes.folders(TENANT, BOX) == []
    assert stores.mailboxes.primary_of(TENANT, BOX) == []
    assert (sums.messages, sums.copies, sums.attachments, sums.runs) == (7, 7, 7, 1)
    assert sums.other >= 4, "a folder, a backfill, its chunks"


def test_of_a_mailbox_in_many_pages_everything_goes_and_is_counted_once(stores, box):
    new = [a_new_copy(f"{number:03}", received_at=later(number)) for number in range(130)]
    ids = save(stores, box, *new)
    sums = erase_box(stores, box)
    assert seen(stores, *ids[:80]) == found(stores) == set()
    assert (sums.messages, sums.copies) == (130, 130)


def test_what_another_mailbox_holds_stays_whole(stores, box):
    theirs = other_box(stores)
    both = with_attachment(stores, a_new_copy("1", mail="both"))
    (in_both,) = save(stores, box, both)
    same = with_attachment(
        stores, a_new_copy("9", mailbox_id=OTHER_BOX, mail="both", addresses=(ADA, BOB))
    )
    save(stores, theirs, same)
    (alone,) = save(stores, box, a_new_copy("2"))
    sums = erase_box(stores, box)
    assert seen(stores, in_both, alone) == {in_both}
    assert found(stores) == found(stores, BOB) == {in_both}
    assert stores.messages.get_body(TENANT, in_both) == Body("Hello both", None)
    left = stores.get_messages(TENANT, [in_both])[in_both]
    assert left.copies == {copy_ref(OTHER_BOX, name("9"))}
    assert set(stores.messages.live_ids(TENANT, OTHER_BOX)) == {name("9")}
    part = left.attachments[0]
    url = stores.attachments.link(
        TENANT,
        part.digest,
        holder=min(left.copies),
        filename="a",
        content_type="text/plain",
        seconds=9,
    )
    assert url
    if stores.clients is not None:
        assert [key.split("/")[2] for key in objects_of(stores)] == [OTHER_BOX]
    assert (sums.messages, sums.kept_for_others, sums.copies) == (1, 1, 2)
    assert sums.attachments == 1


def test_of_what_another_mailbox_holds_the_entries_go_that_this_ones_copies_had(aws):
    record, theirs = connected(aws.mailboxes), other_box(aws)
    copies = [a_new_copy(text, mail="both", addresses=(ADA, BOB)) for text in ("1", "2")]
    save(aws, record, *copies)
    save(aws, theirs, a_new_copy("9", mailbox_id=OTHER_BOX, mail="both", addresses=(ADA, BOB)))
    assert len(entries_in(aws)) == 6
    erase_box(aws, record)
    assert [one["c"]["S"] for one in entries_in(aws)] == [copy_ref(OTHER_BOX, name("9"))] * 2
    erase_box(aws, theirs, id="01LAST", mailbox_id=OTHER_BOX)
    assert entries_in(aws) == []


def entries_in(aws):
    return [one for one in aws.items() if one["sk"]["S"].startswith("at#")]


def test_a_message_whose_entries_fill_several_pages_is_counted_once(aws, monkeypatch):
    monkeypatch.setattr("shared.aws.mail_eraser.ITEMS_IN_PAGE", 2)
    record = connected(aws.mailboxes)
    save(aws, record, *(a_new_copy(str(number), mail="one") for number in range(5)))
    page = aws.eraser.next_page(a_person())
    assert page.erased.messages == 1
    again = aws.eraser.next_page(a_person(counted_to=page.position))
    assert again.erased == Erased()
    save(aws, record, a_new_copy("6", mail="one"))
    aws.eraser.erase(a_person(), page, now=NOW)
    left = aws.eraser.next_page(a_person(counted_to=page.position))
    assert left.erased == Erased(), "a copy came meanwhile: it is looked at again, not counted"
    erased_all(aws, a_person(counted_to=page.position))
    assert entries_in(aws) == []


def test_the_last_to_go_takes_the_message_with_it(stores, box):
    theirs = other_box(stores)
    (shared,) = save(stores, box, a_new_copy("1", mail="both"))
    save(stores, theirs, a_new_copy("9", mailbox_id=OTHER_BOX, mail="both"))
    erase_box(stores, box)
    sums = erase_box(stores, theirs, id="01LAST", mailbox_id=OTHER_BOX)
    assert seen(stores, shared) == found(stores) == set()
    assert (sums.messages, sums.kept_for_others) == (1, 0)


def test_removed_copies_go_too(stores, box):
    (removed,) = save(stores, box, a_new_copy("1"))
    fence = Fence(TENANT, BOX, box.mailbox.generation)
    stores.messages.remove_copies(fence, name("1").split(".")[0], [name("1")], now=NOW)
    erase_box(stores, box)
    assert seen(stores, removed) == found(stores) == set()


def test_a_copy_that_comes_while_the_message_goes_keeps_it(stores, box):
    theirs = other_box(stores)
    (shared,) = save(stores, box, a_new_copy("1", mail="both"))
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(box.mailbox))
    erasure = an_erasure()
    stores.erasures.begin_mailbox(erasure, stands(stores.mailboxes, box.mailbox))
    page = stores.eraser.next_page(erasure)
    assert page is not None
    save(stores, theirs, a_new_copy("9", mailbox_id=OTHER_BOX, mail="both"))
    stores.eraser.erase(erasure, page, now=NOW)
    erased_all(stores, replace(erasure, counted_to=page.position))
    assert seen(stores, shared) == found(stores) == {shared}
    left = stores.get_messages(TENANT, [shared])[shared]
    assert left.copies == {copy_ref(OTHER_BOX, name("9"))}


def test_other_tenants_keep_the_same_mail(stores, box):
    record = connected(stores.mailboxes, tenant_id=OTHER_TENANT)
    (theirs,) = save(stores, record, a_new_copy("1", tenant_id=OTHER_TENANT))
    save(stores, box, a_new_copy("1"))
    erase_box(stores, box)
    assert seen(stores, theirs, tenant=OTHER_TENANT) == {theirs}
    assert found(stores, tenant=OTHER_TENANT) == {theirs}


def test_a_blind_copy_that_only_a_later_copy_names_goes_too(stores, box):
    theirs = other_box(stores)
    (first,) = save(stores, box, a_new_copy("1", mail="both"))
    sent = with_eve(a_new_copy("9", mailbox_id=OTHER_BOX, mail="both"))
    save(stores, theirs, sent)
    assert found(stores, EVE) == {first}
    erase_box(stores, box)
    assert found(stores, EVE) == {first}
    erase_box(stores, theirs, id="01LAST", mailbox_id=OTHER_BOX)
    assert found(stores, EVE) == found(stores) == set()
    assert EVE not in repr(stores.items())


def shared_by_two(stores, *, erased_first):
    """A mail whose one copy names EVE as blind, and in whose other mailbox it is the owner's."""
    records = [connected(stores.mailboxes), other_box(stores)]
    sent = with_eve(a_new_copy("1", mail="both"), role=ParticipantRole.BCC)
    got = a_new_copy("9", mailbox_id=OTHER_BOX, mail="both", addresses=(ADA,))
    sent = replace(sent, copy=replace(sent.copy, blind=frozenset({EVE})))
    for record, new in zip(records, (sent, got), strict=True):
        save(stores, record, new)
    mailbox = records[0 if erased_first == "sent" else 1]
    erase_box(stores, mailbox, mailbox_id=mailbox.mailbox.id)
    return sent.message.id, got.message.id


def test_who_only_a_copy_that_went_before_named_is_found_still(stores):
    """Otherwise the erasure of EVE would end with nothing found, and the message name her."""
    message_id, same = shared_by_two(stores, erased_first="sent")
    assert message_id == same
    assert found(stores, EVE) == {message_id}
    assert erased_all(stores, a_person(EVE, keeps_out=KeepsOut.ALL_MAIL)).messages == 1
    assert seen(stores, message_id) == found(stores) == found(stores, EVE) == set()
    assert EVE not in repr(stores.items())


def test_who_a_later_copy_named_is_found_when_that_went_before(stores, box):
    """As above, with the content of the copy that stays: EVE is one of the item's own names."""
    theirs = other_box(stores)
    (message_id,) = save(stores, box, a_new_copy("1", mail="both"))
    save(stores, theirs, with_eve(a_new_copy("9", mailbox_id=OTHER_BOX, mail="both")))
    erase_box(stores, theirs, mailbox_id=OTHER_BOX)
    assert found(stores, EVE) == {message_id}
    erase_box(stores, box, id="01LAST")
    assert found(stores, EVE) == seen(stores, message_id) == set()
    assert EVE not in repr(stores.items())


def test_of_a_spelling_both_forms_are_found_when_a_copy_went_before(aws):
    tagged = Address("eve+news@example.org")
    record, theirs = connected(aws.mailboxes), other_box(aws)
    new = replace(with_eve(a_new_copy("1", mail="both")), index_addresses=(ADA, tagged))
    save(aws, record, new)
    save(aws, theirs, a_new_copy("9", mailbox_id=OTHER_BOX, mail="both"))
    erase_box(aws, record)
    (page,) = aws.messages.by_address(TENANT, [], before=None, limit=9, also_of=[EVE])
    assert [one.message_id for one in page.entries] == [new.message.id]
    erase_box(aws, theirs, id="01LAST", mailbox_id=OTHER_BOX)
    assert [one for one in aws.items() if one["sk"]["S"].startswith(("at#", "also#"))] == []


@pytest.mark.parametrize("dies_at", ["_keep_found", "delete_items", "_claim"])
def test_wherever_an_eraser_dies_others_names_are_found(aws, monkeypatch, dies_at):
    record, theirs = connected(aws.mailboxes), other_box(aws)
    (message_id,) = save(aws, record, with_eve(a_new_copy("1", mail="both")))
    save(aws, theirs, a_new_copy("9", mailbox_id=OTHER_BOX, mail="both"))
    with monkeypatch.context() as patched:
        whole = getattr(MessageErasure, dies_at)

        def dies(*args):
            whole(*args)
            raise DiedError

        patched.setattr(MessageErasure, dies_at, dies)
        with pytest.raises(DiedError):
            erase_box(aws, record)
    erased_all(aws, an_erasure())
    assert found(aws, EVE) == found(aws) == {message_id}
    erased_all(aws, a_person(ADA))
    assert EVE not in repr(aws.items())


@pytest.mark.parametrize("third", [f"01JNA0000000000000000000B{number}" for number in (0, 3)])
@pytest.mark.parametrize("is_first", [True, False])
def test_of_two_mailboxes_that_go_at_once_neither_counts_on_the_other(
    aws, monkeypatch, is_first, third
):
    records = [connected(aws.mailboxes), other_box(aws)]
    stays = connected(aws.mailboxes, id=MailboxId(third), address="third@acme.example")
    for record, text in zip(records, "12", strict=True):
        new = with_eve(a_new_copy(text, mailbox_id=record.mailbox.id, mail="all"))
        (message_id,) = save(aws, record, new)
    save(aws, stays, a_new_copy("3", mailbox_id=MailboxId(third), mail="all"))
    first, second = records if is_first else reversed(records)
    keep = MessageErasure._keep_found

    def meanwhile(self, partly, now):
        changed = keep(self, partly, now)
        monkeypatch.setattr(MessageErasure, "_keep_found", keep)
        if partly:
            erase_box(aws, second, id="01SECOND", mailbox_id=second.mailbox.id)
        return changed

    monkeypatch.setattr(MessageErasure, "_keep_found", meanwhile)
    erase_box(aws, first, mailbox_id=first.mailbox.id)
    assert found(aws, EVE) == found(aws) == seen(aws, message_id) == {message_id}
    erased_all(aws, a_person(EVE))
    assert EVE not in repr(aws.items())


def test_an_entry_is_kept_for_no_message_that_goes_meanwhile(aws, monkeypatch):
    """A person's erasure has claimed it: an entry put now would be there when all else is gone."""
    record, theirs = connected(aws.mailboxes), other_box(aws)
    save(aws, record, with_eve(a_new_copy("1", mail="both")))
    save(aws, theirs, a_new_copy("9", mailbox_id=OTHER_BOX, mail="both"))
    page = aws.eraser.next_page(a_person(ADA))

    def meanwhile():
        with pytest.raises(StoreThrottledError):
            erase_box(aws, record)

    meeting(monkeypatch, meanwhile)
    aws.eraser.erase(a_person(ADA), page, now=NOW)
    erased_all(aws, a_person(ADA))
    erased_all(aws, an_erasure())
    assert EVE not in repr(aws.items())


def test_an_empty_mailbox_has_nothing_left_at_once(stores):
    record = connected(stores.mailboxes)
    assert erase_box(stores, record) == Erased()


# ---- a person ----


def with_eve(new, role=ParticipantRole.CC):
    eve = Participant(role, EVE, "Eve")
    message = replace(new.message, participants=(*new.message.participants, eve))
    return replace(new, message=message, index_addresses=(*new.index_addresses, EVE))


def test_a_persons_mail_goes_from_every_mailbox(stores, box):
    theirs = other_box(stores)
    mine = [with_attachment(stores, with_eve(a_new_copy(f"{number}"))) for number in range(5)]
    ids = save(stores, box, *mine)
    save(stores, theirs, with_eve(a_new_copy("9", mailbox_id=OTHER_BOX, mail="mail-1")))
    (stays,) = save(stores, box, a_new_copy("7"))
    sums = erased_all(stores, a_person(EVE))
    assert seen(stores, *ids, stays) == found(stores) == {stays}
    assert found(stores, EVE) == set()
    assert set(stores.messages.live_ids(TENANT, BOX)) == {name("7")}
    assert not stores.messages.live_ids(TENANT, OTHER_BOX)
    assert stores.mailboxes.get(TENANT, BOX) is not None
    assert (sums.messages, sums.copies, sums.attachments) == (5, 6, 5)
    assert stores.eraser.next_page(a_person(EVE)) is None


def test_audits_miss_nothing_of_a_person(stores, box):
    """Its provider still lists each message, also where this mailbox's copy does not name them."""
    theirs = other_box(stores)
    save(stores, box, *(with_eve(a_new_copy(f"{number}")) for number in range(5)), a_new_copy("7"))
    save(stores, theirs, a_new_copy("9", mailbox_id=OTHER_BOX, mail="mail-1"))
    stores.messages.remove_copies(
        Fence(TENANT, BOX, box.mailbox.generation), FolderId("INBOX"), [name("2")], now=NOW
    )
    by_runs = stores.audits.settled(TENANT, BOX)
    erased_all(stores, a_person(EVE))
    told = stores.audits.settled(TENANT, BOX) - by_runs
    assert told == {name(f"{number}") for number in range(5)}
    assert stores.audits.settled(TENANT, OTHER_BOX) == {name("9")}
    assert stores.audits.settled(OTHER_TENANT, BOX) == frozenset()


def test_what_audits_are_told_is_told_before_the_copy_goes(aws, monkeypatch):
    record = connected(aws.mailboxes)
    save(aws, record, with_eve(a_new_copy("1")))
    erasure = a_person(EVE)
    page = aws.eraser.next_page(erasure)
    with monkeypatch.context() as patched:
        patched.setattr("shared.aws.message_erasure.MessageErasure.erase", dying)
        with pytest.raises(DiedError):
            aws.eraser.erase(erasure, page, now=NOW)
    assert aws.messages.live_ids(TENANT, BOX) == aws.audits.settled(TENANT, BOX) == {name("1")}


def test_of_a_mailbox_that_is_gone_nothing_is_told_to_audits(aws):
    """It is being erased itself, and who writes below it now might be late for that."""
    record, theirs = connected(aws.mailboxes), other_box(aws)
    save(aws, record, with_eve(a_new_copy("1", mail="both")))
    save(aws, theirs, a_new_copy("9", mailbox_id=OTHER_BOX, mail="both"))
    page = aws.eraser.next_page(a_person(EVE))
    aws.mailboxes.disconnect(TENANT, BOX, identity_of(record.mailbox))
    aws.erasures.begin_mailbox(an_erasure(), stands(aws.mailboxes, record.mailbox))
    aws.eraser.erase(a_person(EVE), page, now=NOW)
    assert aws.audits.settled(TENANT, BOX) == frozenset()
    assert aws.audits.settled(TENANT, OTHER_BOX) == {name("9")}


def test_copies_that_one_item_does_not_hold_are_told_to_audits_in_several(aws, monkeypatch):
    monkeypatch.setattr("shared.aws.settled_copies._IN_ITEM", 3)
    record = connected(aws.mailboxes)
    save(aws, record, *(with_eve(a_new_copy(f"{number}", mail="one")) for number in range(7)))
    erased_all(aws, a_person(EVE))
    assert aws.audits.settled(TENANT, BOX) == {name(f"{number}") for number in range(7)}
    parts = [item for item in aws.items() if item["sk"]["S"].startswith("settled#")]
    assert len(parts) == 3


@pytest.mark.parametrize("keeps_out", list(KeepsOut))
def test_what_comes_after_the_request_stays_where_it_is_let_in(stores, box, keeps_out):
    """It is stored while the erasure runs."""
    (before,) = save(stores, box, with_eve(a_new_copy("1")))
    (after,) = save(stores, box, with_eve(a_new_copy("2", received_at=later(1))))
    unread = give_up(stores, box, "3", b"To: <eve@example.org>", received_at=NOW)
    late = give_up(stores, box, "4", b"To: <eve@example.org>", received_at=later(1))
    undated = give_up(stores, box, "5", b"To: <eve@example.org>", received_at=None)
    sums = erased_all(stores, a_person(EVE, keeps_out=keeps_out))
    assert seen(stores, before) == set()
    assert stores.letters.read_raw(unread) is stores.letters.read_raw(undated) is None
    is_let_in = keeps_out is KeepsOut.STORED_MAIL
    assert found(stores, EVE) == seen(stores, after) == ({after} if is_let_in else set())
    assert (stores.letters.read_raw(late) is not None) is is_let_in
    assert (sums.messages, sums.raw_messages) == ((1, 2) if is_let_in else (2, 3))


def test_a_persons_addresses_are_one_person(stores, box):
    (first,) = save(stores, box, with_eve(a_new_copy("1")))
    (second,) = save(stores, box, a_new_copy("2", addresses=(ADA, BOB)))
    (third,) = save(stores, box, a_new_copy("3", participants=(), addresses=()))
    sums = erased_all(stores, a_person(EVE, ADA))
    assert seen(stores, first, second, third) == {third}
    assert sums.messages == 2


def test_a_persons_contact_goes_and_another_keeps_its_other_addresses(stores, box):
    put = stores.contacts.put_contact
    put(a_contact("alone", EVE), expected_version=None)
    put(a_contact("both", EVE, BOB), expected_version=None)
    put(a_contact("other", BOB), expected_version=None)
    sums = erased_all(stores, a_person(EVE))
    get = stores.contacts.get_contact
    assert get(TENANT, "alone") is None
    assert get(TENANT, "both").addresses == (BOB,)
    assert get(TENANT, "other").addresses == (BOB,)
    assert sums.contacts == 2


def test_ids_that_were_merged_go_with_their_contact_and_where_they_are_the_address(stores, box):
    put = stores.contacts.put_contact
    kept = put(a_contact("kept", BOB), expected_version=None)
    kept = merged_into(stores, kept, put(a_contact(EVE, EVE), expected_version=None))
    merged_into(stores, kept, put(a_contact("older", BOB), expected_version=None))
    alone = put(a_contact("alone", EVE), expected_version=None)
    merged_into(stores, alone, put(a_contact("gone", EVE), expected_version=None))
    sums = erased_all(stores, a_person(EVE))
    stands = stores.contacts.get_contact(TENANT, "kept")
    assert (stands.addresses, stands.merged, sums.contacts) == ((BOB,), ("older",), 2)
    assert [stores.contacts.get_contact(TENANT, one) for one in (EVE, "gone")] == [None, None]
    with pytest.raises(ContactMergedError):
        stores.contacts.get_contact(TENANT, "older")


def test_large_bodies_go_and_are_counted(aws):
    record = connected(aws.mailboxes)
    save(aws, record, with_eve(a_new_copy("1", body=Body(LARGE, None))), a_new_copy("2"))
    assert erased_all(aws, a_person(EVE)).bodies == 1
    assert objects_of(aws) == []


def test_attachments_go_of_which_the_message_could_not_keep_the_names(aws):
    """Headers of a stranger's making leave no room for them."""
    record = connected(aws.mailboxes)
    new = with_attachment(aws, with_eve(a_new_copy("1")))
    save(aws, record, replace(new, message=replace(new.message, attachments=(), truncated=True)))
    assert erased_all(aws, a_person(EVE)).attachments == 1
    assert objects_of(aws) == []


def give_up(stores, record, text, raw, **changes):
    """A message that could not be read, kept as it came."""
    box = record.mailbox
    letter = a_letter(text, mailbox_id=box.id, generation=box.generation, **changes)
    fence = Fence(TENANT, box.id, box.generation)
    stores.letters.note(fence, letter)
    size = stores.letters.keep_raw(TENANT, box.id, letter.id, iter([raw]), limit=9_000_000)
    stores.letters.note_raw(fence, letter.id, size=size, missing=None)
    return stores.letters.get_letter(TENANT, box.id, letter.id)


def test_dead_letters_go_with_their_mailbox(stores, box):
    letter = give_up(stores, box, "1", b"From: somebody")
    theirs = give_up(stores, other_box(stores), "2", b"From: somebody")
    sums = erase_box(stores, box)
    assert (sums.dead_letters, sums.raw_messages) == (1, 1)
    assert stores.letters.get_letter(TENANT, BOX, letter.id) is None
    assert stores.letters.read_raw(letter) is None
    assert stores.letters.read_raw(theirs) == b"From: somebody"


def test_a_dead_letter_goes_with_its_raw_message_wherever_its_eraser_dies(aws, monkeypatch):
    """It is found by the raw message alone, which is therefore the last to go."""
    letter = give_up(aws, connected(aws.mailboxes), "1", b"To: eve@example.org")
    page = aws.eraser.next_page(a_person(EVE))

    def dying_with_items(_self, keys):
        if list(keys):
            raise DiedError

    with monkeypatch.context() as patched:
        patched.setattr(MessageErasure, "delete_items", dying_with_items)
        with pytest.raises(DiedError):
            aws.eraser.erase(a_person(EVE), page, now=NOW)
    erased_all(aws, a_person(EVE))
    assert aws.letters.get_letter(TENANT, BOX, letter.id) is None
    assert aws.letters.read_raw(letter) is None


STRANGERS = (
    b"From: steve@example.org, eve@example.org.uk, eve@example.org-unit.com, 1eve@example.org"
)


def test_of_what_nobody_could_read_a_persons_goes(stores, box):
    raw = b"x" * ((1 << 20) - 8) + b" EVE@example.org and the rest"
    hers = give_up(stores, box, "1", raw)
    also = give_up(stores, other_box(stores), "2", b"\xff\nTo: <eve@example.org>")
    ends = give_up(stores, box, "4", b"mailto:eve@example.org")
    stays = give_up(stores, box, "3", STRANGERS)
    sums = erased_all(stores, a_person(EVE))
    assert (sums.dead_letters, sums.raw_messages) == (3, 3)
    assert stores.letters.read_raw(ends) is None
    for one in (hers, also):
        assert stores.letters.get_letter(TENANT, one.mailbox_id, one.id) is None
        assert stores.letters.read_raw(one) is None
    assert stores.letters.get_letter(TENANT, BOX, stays.id) == stays
    assert stores.letters.read_raw(stays) == STRANGERS


@pytest.mark.parametrize("stranger", [b"steve@example.org", b"eve@example.organic"])
@pytest.mark.parametrize("before_the_border", range(20))
def test_a_strangers_stays_wherever_it_is_cut_in_reading(stores, box, stranger, before_the_border):
    raw = b" " * ((1 << 20) - before_the_border) + stranger + b" and the rest"
    letter = give_up(stores, box, "1", raw)
    assert erased_all(stores, a_person(EVE)).raw_messages == 0
    assert stores.letters.read_raw(letter) == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"write to _eve@example.org_",
        b"to eve@example.org_ or",
        b"eve@example.org_x",
        b"eve@example.org__",
        b"eve@example.org...and",
        b"eve@example.org.-",
        b"eve@example.org-",
        b"eve@example.org.uk",
        b"eve@example.organic_",
    ],
)
def test_what_is_erased_of_a_person_is_what_is_kept_out(stores, box, raw):
    """Or it would be stored again, found, and erased, for ever; or not found where it is stored."""
    letter = give_up(stores, box, "1", raw)
    erased_all(stores, a_person(EVE))
    reader = WrittenAddresses()
    is_kept_out = EVE in reader.feed(raw) | reader.end()
    assert (stores.letters.read_raw(letter) is None) is is_kept_out


# ---- counted once, whatever happens between ----


@pytest.mark.parametrize("whose", ["mailbox", "person"])
def test_a_page_that_is_repeated_is_counted_once(stores, box, whose):
    save(stores, box, *(with_eve(a_new_copy(f"{number}")) for number in range(7)))
    erasure = a_person(EVE)
    if whose == "mailbox":
        erasure = an_erasure()
        stores.mailboxes.disconnect(TENANT, BOX, identity_of(box.mailbox))
        stores.erasures.begin_mailbox(erasure, stands(stores.mailboxes, box.mailbox))
    sums = Erased()
    while (page := stores.eraser.next_page(erasure)) is not None:
        sums += page.erased
        erasure = replace(erasure, counted_to=page.position, looked_to=page.looked_to)
        again = stores.eraser.next_page(erasure)
        assert again is not None
        assert again.erased == Erased(), "counted, and not yet deleted: its worker died"
        for _ in range(2):
            stores.eraser.erase(erasure, again, now=NOW)
    assert (sums.messages, sums.copies) == (7, 7)


# ---- what a worker that died has left half written ----


class DiedError(Exception):
    """Here a worker's time is over."""


def dying(*_args, **_kwargs):
    raise DiedError


def objects_of(aws):
    contents = aws.clients.s3.list_objects_v2(Bucket=aws.eraser.bucket).get("Contents", [])
    return [one["Key"] for one in contents]


@pytest.mark.parametrize("whose", ["mailbox", "person"])
@pytest.mark.parametrize(
    "dies_at",
    [
        "shared.aws.table.Table.update_raw",  # the body is an object, and no item names it
        "shared.aws.message_contents.MessageContents._write_index",
        "shared.aws.copies.CopyItems.add",
    ],
)
def test_what_a_worker_left_half_written_is_found(aws, monkeypatch, dies_at, whose):
    record = connected(aws.mailboxes)
    aws = written_at(aws, SETTLE_SECONDS - 1)
    with monkeypatch.context() as patched:
        patched.setattr(dies_at, dying)
        with pytest.raises(DiedError):
            save(aws, record, with_eve(a_new_copy("1", body=Body(LARGE, None))))
    assert objects_of(aws)
    if whose == "mailbox":
        erase_box(aws, record)
    else:
        erased_all(aws, a_person(EVE))
    assert objects_of(aws) == []
    assert EVE not in repr(aws.items())


def test_what_a_living_worker_is_writing_is_left_alone(aws, monkeypatch):
    """It is at work since everybody is over who does not know whom to keep out."""
    record = connected(aws.mailboxes)
    alive = written_at(aws, SETTLE_SECONDS)
    update = Table.update_raw

    def meanwhile(self, asked):
        with monkeypatch.context() as patched:
            patched.setattr(Table, "update_raw", update)
            assert erased_all(aws, a_person(EVE)) == Erased()
        return update(self, asked)

    with monkeypatch.context() as patched:
        patched.setattr(Table, "update_raw", meanwhile)
        (stored,) = save(alive, record, a_new_copy("1", body=Body(LARGE, None)))
    assert aws.messages.get_body(TENANT, stored) == Body(LARGE, None)


def test_what_is_on_its_way_of_another_message_is_left_alone(aws, monkeypatch):
    record = connected(aws.mailboxes)
    with monkeypatch.context() as patched:
        patched.setattr("shared.aws.copies.CopyItems.add", dying)
        with pytest.raises(DiedError):
            save(aws, record, a_new_copy("1", body=Body(LARGE, None)))
    erased_all(aws, a_person(EVE))
    assert len(objects_of(aws)) == 1
    (stored,) = save(aws, record, a_new_copy("1", body=Body(LARGE, None)))
    assert aws.messages.get_body(TENANT, stored) == Body(LARGE, None)


@pytest.mark.parametrize("dies", [False, True])
def test_who_is_about_to_show_a_message_that_is_erased_meanwhile_shows_none(aws, monkeypatch, dies):
    """Its content was written before the message was claimed, and is emptied before its copy."""
    theirs = other_box(aws)
    save(aws, connected(aws.mailboxes), with_eve(a_new_copy("1", mail="both")))
    late = a_new_copy("9", mailbox_id=OTHER_BOX, mail="both")
    add = CopyItems.add

    def meanwhile(self, *args, **kwargs):
        page = aws.eraser.next_page(a_person(EVE))
        with monkeypatch.context() as patched:
            if dies:
                patched.setattr("shared.aws.stored_objects.StoredObjects.delete", dying)
            with suppress(DiedError):
                aws.eraser.erase(a_person(EVE), page, now=NOW)
        return add(self, *args, **kwargs)

    early = written_at(aws, 0)
    with monkeypatch.context() as patched:
        patched.setattr(CopyItems, "add", meanwhile)
        with pytest.raises(StoreThrottledError):
            save(early, theirs, late)
    erased_all(aws, a_person(EVE))
    assert not aws.messages.live_ids(TENANT, OTHER_BOX), "else nothing would store it again"
    (stored,) = save(written_at(aws, SETTLE_SECONDS + 1), theirs, late)
    assert aws.messages.get_body(TENANT, stored) == Body("Hello both", None)
    assert aws.messages.live_ids(TENANT, OTHER_BOX) == {name("9")}


@pytest.mark.parametrize("first_ends", [False, True])
def test_a_worker_shows_nothing_by_the_note_of_another(aws, monkeypatch, first_ends):
    """Three of one mailbox write the same: one may be done, and the last notes after the claim."""
    theirs = other_box(aws)
    save(aws, connected(aws.mailboxes), with_eve(a_new_copy("1", mail="both")))
    late = a_new_copy("9", mailbox_id=OTHER_BOX, mail="both")
    early, add = written_at(aws, 0), CopyItems.add

    def meanwhile(self, *args, **kwargs):
        monkeypatch.setattr(CopyItems, "add", add)
        if first_ends:
            save(early, theirs, late)
        page = aws.eraser.next_page(a_person(EVE))
        aws.eraser.erase(a_person(EVE), page, now=NOW)
        with pytest.raises(StoreThrottledError):
            save(early, theirs, late)
        return add(self, *args, **kwargs)

    monkeypatch.setattr(CopyItems, "add", meanwhile)
    with pytest.raises(StoreThrottledError):
        save(early, theirs, late)
    erased_all(aws, a_person(EVE))
    assert not aws.messages.live_ids(TENANT, OTHER_BOX), "else nothing would store it again"


def test_an_eraser_that_died_keeps_a_message_from_nobody_for_long(aws, monkeypatch):
    theirs = other_box(aws)
    save(aws, connected(aws.mailboxes), with_eve(a_new_copy("1", mail="both")))
    page = aws.eraser.next_page(a_person(EVE))
    with monkeypatch.context() as patched:
        patched.setattr("shared.aws.stored_objects.StoredObjects.delete", dying)
        with pytest.raises(DiedError):
            aws.eraser.erase(a_person(EVE), page, now=NOW)
    late = a_new_copy("9", mailbox_id=OTHER_BOX, mail="both")
    with pytest.raises(StoreThrottledError):
        save(written_at(aws, SETTLE_SECONDS), theirs, late)
    save(written_at(aws, SETTLE_SECONDS + 1), theirs, late)
    assert aws.messages.live_ids(TENANT, OTHER_BOX) == {name("9")}
    # Whoever carries the erasure on finds the message as it stands by then.
    assert erased_all(aws, a_person(EVE)).messages == 1
    assert found(aws) == found(aws, EVE) == set()
    assert not aws.messages.live_ids(TENANT, OTHER_BOX)


def meeting(monkeypatch, meanwhile):
    """Have this happen once the next eraser has claimed its messages, before anything goes."""
    tell = MessageErasure._tell_writers

    def claimed(self, going, until):
        monkeypatch.setattr(MessageErasure, "_tell_writers", tell)
        meanwhile()
        tell(self, going, until)

    monkeypatch.setattr(MessageErasure, "_tell_writers", claimed)


@pytest.mark.parametrize("dies_at", ["_tell_writers", "delete_items", "_empty"])
@pytest.mark.parametrize("seconds", [-1, 0, 1])
@pytest.mark.parametrize("whose", ["mailbox", "person"])
def test_of_two_erasures_that_meet_one_may_die(aws, monkeypatch, whose, seconds, dies_at):
    """Each deletes what the other finds the message by, and the other's claim is the last."""
    record = connected(aws.mailboxes)
    save(aws, record, with_eve(a_new_copy("1", body=Body(LARGE, None))))
    other = a_person(ADA, id=ErasureId("01OTHER"))
    if whose == "mailbox":
        other = an_erasure()
        aws.mailboxes.disconnect(TENANT, BOX, identity_of(record.mailbox))
        aws.erasures.begin_mailbox(other, stands(aws.mailboxes, record.mailbox))
    page, others = aws.eraser.next_page(a_person(EVE)), aws.eraser.next_page(other)

    def meanwhile():
        with monkeypatch.context() as patched:
            patched.setattr(MessageErasure, dies_at, dying)
            with pytest.raises(DiedError):
                aws.eraser.erase(other, others, now=later(seconds))

    meeting(monkeypatch, meanwhile)
    aws.eraser.erase(a_person(EVE), page, now=NOW)
    erased_all(aws, a_person(EVE))
    erased_all(aws, other)
    assert objects_of(aws) == []
    assert EVE not in repr(aws.items())
    assert not any("d" in item for item in aws.items() if item["sk"]["S"].startswith("message#"))
    kept = [item for item in aws.items() if "z" in item]
    assert all(int(item["expires_at"]["N"]) * 1_000_000 > int(item["z"]["N"]) for item in kept)


def test_who_is_too_late_to_empty_a_message_leaves_what_it_is_found_by(aws, monkeypatch):
    """Another erasure emptied it, and the mail has come again since."""
    record = connected(aws.mailboxes)
    new = with_eve(a_new_copy("1"))
    save(aws, record, new)
    page = aws.eraser.next_page(a_person(EVE))

    def meanwhile():
        erased_all(aws, a_person(ADA))
        save(written_at(aws, SETTLE_SECONDS + 1), record, new)

    meeting(monkeypatch, meanwhile)
    aws.eraser.erase(a_person(EVE), page, now=NOW)
    assert found(aws, EVE) == seen(aws, new.message.id) == {new.message.id}
    assert erased_all(aws, a_person(EVE)).messages == 1
    assert found(aws, EVE) == seen(aws, new.message.id) == set()


def test_what_an_eraser_left_half_erased_is_found_by_all_its_addresses_again(aws, monkeypatch):
    """It died when the index entries were gone, and another mailbox's copy names fewer."""
    record, theirs = connected(aws.mailboxes), other_box(aws)
    (both,) = save(aws, record, with_eve(a_new_copy("1", mail="both")))
    with monkeypatch.context() as patched:
        patched.setattr(MessageErasure, "_empty", dying)
        with pytest.raises(DiedError):
            erase_box(aws, record)
    late = a_new_copy("9", mailbox_id=OTHER_BOX, mail="both")
    save(written_at(aws, SETTLE_SECONDS + 1), theirs, late)
    erased_all(aws, an_erasure())
    assert found(aws) == found(aws, EVE) == {both}
    erased_all(aws, a_person(EVE))
    assert seen(aws, both) == found(aws) == set()


def test_a_page_has_no_more_copies_than_can_be_looked_through_in_time(aws, monkeypatch):
    """Of each the objects are listed; a mail to all of a tenant's mailboxes has thousands."""
    monkeypatch.setattr("shared.aws.message_erasure.COPIES_IN_PAGE", 4)
    record, theirs = connected(aws.mailboxes), other_box(aws)
    for number in range(1, 6):
        mine = with_eve(a_new_copy(f"{number}", received_at=later(-number)))
        same = replace(mine, copy=a_new_copy(f"{number}", mailbox_id=OTHER_BOX).copy)
        save(aws, record, with_attachment(aws, mine))
        save(aws, theirs, with_attachment(aws, same))
    page = aws.eraser.next_page(a_person(EVE))
    assert (page.erased.messages, page.erased.copies, page.erased.attachments) == (2, 4, 4)
    monkeypatch.setattr("shared.aws.message_erasure.COPIES_IN_PAGE", 1)
    assert aws.eraser.next_page(a_person(EVE)).erased.messages == 1
    sums = erased_all(aws, a_person(EVE))
    assert (sums.messages, sums.copies, sums.attachments) == (5, 10, 10)
    assert objects_of(aws) == []


# ---- more copies than one message has room for ----


@pytest.fixture
def room_for_two(monkeypatch):
    monkeypatch.setattr("shared.aws.message_contents.MOST_COPIES", 2)


def copies_of_one_mail(aws, record, *names):
    """Each saved by itself: moto takes no object from several threads at once."""
    box = record.mailbox.id
    for one in names:
        new = with_eve(a_new_copy(one, mailbox_id=box, mail="all", body=Body(LARGE, None)))
        save(aws, record, with_attachment(aws, new))


@pytest.mark.usefixtures("room_for_two")
def test_copies_past_the_room_of_a_message_hold_one_that_follows(aws):
    record = connected(aws.mailboxes)
    new = [with_eve(a_new_copy(n, mail="all")) for n in "12345"]
    fence = Fence(TENANT, BOX, record.mailbox.generation)
    assert aws.messages.save(fence, new) == {name(n) for n in "12345"}
    copies = aws.messages.copies_by_id(TENANT, BOX, [name(n) for n in "12345"]).values()
    held = {one.message_id for one in copies}
    assert found(aws, EVE) == held == seen(aws, *held)
    assert new[0].message.id in held
    assert len(held) == 3
    stored = aws.get_messages(TENANT, list(held))
    assert sorted(len(one.copies) for one in stored.values()) == [1, 2, 2]
    assert {one.thread_id for one in stored.values()} == {new[0].message.thread_id}
    assert all(aws.messages.get_body(TENANT, one) == new[0].body for one in held)
    before = aws.items()
    assert aws.messages.save(fence, new) == frozenset()
    assert aws.items() == before


@pytest.mark.usefixtures("room_for_two")
def test_one_that_follows_is_not_written_where_no_note_says_so(aws, monkeypatch):
    record = connected(aws.mailboxes)
    copies_of_one_mail(aws, record, "1", "2")
    before, note_further = aws.items(), MessageContents._note_further

    def taken_away(self, note, ids):
        aws.table.write_many([{"DeleteRequest": {"Key": raw_key(note)}}])
        note_further(self, note, ids)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(MessageContents, "_note_further", taken_away)
        with pytest.raises(StoreThrottledError, match="another worker of this mailbox"):
            copies_of_one_mail(aws, record, "3")
    assert aws.items() == before
    copies_of_one_mail(aws, record, "3")
    assert name("3") in aws.messages.live_ids(TENANT, BOX)


@pytest.mark.usefixtures("room_for_two")
def test_of_a_person_all_copies_go_however_many(aws):
    copies_of_one_mail(aws, connected(aws.mailboxes), "1", "2", "3")
    copies_of_one_mail(aws, other_box(aws), "4", "5")
    sums = erased_all(aws, a_person(EVE))
    assert (sums.messages, sums.copies, sums.attachments, sums.bodies) == (3, 5, 5, 3)
    assert objects_of(aws) == []
    assert not aws.messages.live_ids(TENANT, BOX) | aws.messages.live_ids(TENANT, OTHER_BOX)


@pytest.mark.usefixtures("room_for_two")
def test_a_mailbox_takes_nothing_from_one_whose_copy_found_no_room(aws):
    record, theirs = connected(aws.mailboxes), other_box(aws)
    copies_of_one_mail(aws, record, "1", "2")
    copies_of_one_mail(aws, theirs, "3")
    erase_box(aws, record)
    (left,) = aws.messages.copies_by_id(TENANT, OTHER_BOX, [name("3")]).values()
    assert aws.messages.get_body(TENANT, left.message_id) == Body(LARGE, None)
    erase_box(aws, theirs, id="01LAST", mailbox_id=OTHER_BOX)
    assert objects_of(aws) == []


@pytest.mark.usefixtures("room_for_two")
@pytest.mark.parametrize(
    "dies_at",
    [
        "shared.aws.message_contents.MessageContents._write_index",
        "shared.aws.copies.CopyItems.add",
    ],
)
def test_what_is_half_written_of_further_copies_is_found(aws, monkeypatch, dies_at):
    record = connected(aws.mailboxes)
    aws = written_at(aws, 0)
    with monkeypatch.context() as patched:
        patched.setattr(dies_at, dying)
        with pytest.raises(DiedError):
            copies_of_one_mail(aws, record, "1", "2", "3")
    erased_all(aws, a_person(EVE))
    assert objects_of(aws) == []
    assert EVE not in repr(aws.items())


def test_an_upload_that_never_ended_goes_with_its_mailbox(aws):
    record = connected(aws.mailboxes)
    bucket, s3 = aws.eraser.bucket, aws.clients.s3
    key = f"attachments/.uploads/{TENANT}/{BOX}/digest/random"
    begun = s3.create_multipart_upload(Bucket=bucket, Key=key)
    s3.upload_part(
        Bucket=bucket, Key=key, PartNumber=1, UploadId=begun["UploadId"], Body=b"a secret"
    )
    s3.create_multipart_upload(Bucket=bucket, Key=key.replace(BOX, OTHER_BOX))
    erase_box(aws, record)
    left = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [one["Key"] for one in left] == [key.replace(BOX, OTHER_BOX)]


def test_an_erased_message_is_written_again_only_when_its_late_workers_are_over(aws):
    record = connected(aws.mailboxes)
    save(aws, record, with_eve(a_new_copy("1")))
    erased_all(aws, a_person(EVE))
    for seconds in (0, SETTLE_SECONDS):
        early = written_at(aws, seconds)
        with pytest.raises(StoreThrottledError):
            save(early, record, with_eve(a_new_copy("1")))
    assert found(aws) == set()
    then = written_at(aws, SETTLE_SECONDS + 1)
    (back,) = save(then, record, with_eve(a_new_copy("1")))
    assert found(aws) == found(aws, EVE) == {back}
    assert aws.messages.get_body(TENANT, back) == Body("Hello mail-1", None)


TAGGED = Address("ada+news@example.org")


@pytest.mark.parametrize("whose", ["box", ADA, TAGGED])
def test_with_a_message_goes_what_it_is_found_by_under_other_spellings(stores, box, whose):
    own = a_new_copy("1")
    tagged = a_new_copy("2", addresses=(TAGGED,))
    people = (Participant(ParticipantRole.FROM, TAGGED),)
    tagged = replace(tagged, message=replace(tagged.message, participants=people))
    ids = save(stores, box, own, tagged)
    if whose == "box":
        erase_box(stores, box)
    else:
        erased_all(stores, a_person(whose))
    left = {"box": set(), ADA: {ids[1]}, TAGGED: {ids[0]}}[whose]
    (page,) = stores.messages.by_address(TENANT, [], before=None, limit=9, also_of=[ADA])
    assert {entry.message_id for entry in page.entries} == left & {ids[1]}
    assert seen(stores, *ids) == left
    if stores.table is not None and whose == TAGGED:
        assert not [raw for raw in stores.items() if TAGGED in str(raw)]


def written_at(aws, seconds):
    """The stores as a worker has them who writes so long after the request."""
    return replace(aws, messages=replace(aws.messages, seconds_now=at(seconds)))


def at(seconds):
    return lambda: later(seconds).timestamp()


# ---- contacts that change meanwhile ----


def test_a_contact_that_is_given_the_address_again_is_found_by_it(aws, monkeypatch):
    put, by_address = aws.contacts.put_contact, aws.contacts.contacts_by_address
    put(a_contact("both", EVE, BOB), expected_version=None)
    page = aws.eraser.next_page(a_person(EVE))
    real = MessageErasure.delete_items

    def meanwhile(self, keys):
        put(a_contact("both", EVE, BOB), expected_version=None)
        real(self, keys)

    with monkeypatch.context() as patched:
        patched.setattr(MessageErasure, "delete_items", meanwhile)
        aws.eraser.erase(a_person(EVE), page, now=NOW)
    assert by_address(TENANT, [EVE]) == {EVE: ["both"]}
    assert erased_all(aws, a_person(EVE)).contacts == 1
    assert by_address(TENANT, [EVE, BOB]) == {BOB: ["both"]}
    assert aws.contacts.get_contact(TENANT, "both").addresses == (BOB,)


def test_a_contact_that_changes_while_it_is_relieved_keeps_the_change(aws, monkeypatch):
    put = aws.contacts.put_contact
    put(a_contact("both", EVE, BOB), expected_version=None)
    page = aws.eraser.next_page(a_person(EVE))
    real = Table.transact

    def meanwhile(self, items):
        monkeypatch.setattr(Table, "transact", real)
        put(replace(a_contact("both", EVE, BOB), name="Renamed"), expected_version=None)
        return real(self, items)

    monkeypatch.setattr(Table, "transact", meanwhile)
    aws.eraser.erase(a_person(EVE), page, now=NOW)
    stands = aws.contacts.get_contact(TENANT, "both")
    assert (stands.name, stands.addresses) == ("Renamed", (BOB,))
    assert aws.contacts.contacts_by_address(TENANT, [EVE]) == {}


def test_a_contact_that_is_merged_while_it_is_relieved_is_found_in_the_other(aws):
    put = aws.contacts.put_contact
    other = put(a_contact("other", EVE), expected_version=None)
    page = aws.eraser.next_page(a_person(EVE))
    merged_into(aws, put(a_contact("into", BOB), expected_version=None), other)
    aws.eraser.erase(a_person(EVE), page, now=NOW)
    erased_all(aws, a_person(EVE))
    assert aws.contacts.get_contact(TENANT, "into").addresses == (BOB,)
    assert aws.contacts.contacts_by_address(TENANT, [EVE, BOB]) == {BOB: ["into"]}


@pytest.mark.parametrize("addresses", [(), (BOB,)])
def test_an_address_that_names_a_contact_which_has_it_not_goes(aws, addresses):
    if addresses:
        aws.contacts.put_contact(a_contact("c", *addresses), expected_version=None)
    before = aws.contacts.get_contact(TENANT, "c")
    item = {
        "pk": {"S": f"{TENANT}#address#{EVE}"},
        "sk": {"S": "contacts"},
        "c": {"SS": [f"c {EVE}"]},
    }
    aws.table.client.put_item(TableName=aws.table.name, Item=item)
    assert erased_all(aws, a_person(EVE)).contacts == 1
    assert aws.contacts.get_contact(TENANT, "c") == before
    found = aws.contacts.contacts_by_address(TENANT, [EVE, BOB])
    assert found == {one: ["c"] for one in addresses}
