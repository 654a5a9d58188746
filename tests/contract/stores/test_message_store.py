"""The contract of `MessageStore`."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.aws.message_contents import MessageContents
from shared.aws.message_items import (
    LARGEST_CONTENT_BYTES,
    LARGEST_INLINE_BYTES,
    MOST_COPIES,
    MOST_COPY_BYTES,
    MOST_UNNAMED_BYTES,
)
from shared.domain.errors import ConflictError, ErrorCode
from shared.domain.ids import Address, FolderId, MessageId, ThreadId
from shared.domain.lease import Fence
from shared.domain.message import Body, Flags, News, StoredAttachment, copy_ref
from shared.ports.stores import TimelineEntry
from tests.fakes.values import (
    ADA,
    BOB,
    BOX,
    INBOX,
    NOW,
    OTHER_BOX,
    OTHER_TENANT,
    SENT,
    TENANT,
    a_new_copy,
    connected,
    later,
    lease_of,
    name,
)

LABEL = FolderId("Label_1")
LARGE = "".join(chr(33 + n * n % 89) + chr(65 + n * 7 % 57) for n in range(30_000))


@pytest.fixture
def fence(stores) -> Fence:
    return lease_of(stores.mailboxes, connected(stores.mailboxes)).fence


def passed(stores, fence) -> Fence:
    """The same fence, after another worker took over."""
    record = stores.mailboxes.get(fence.tenant_id, fence.mailbox_id)
    lease_of(stores.mailboxes, record, "another", later(1000))
    return fence


def held(stores, folder_id=INBOX):
    return stores.messages.live_copies(TENANT, BOX, ids_begin_with=f"{folder_id}.")


def state_of(stores, *new):
    """All that can be read about some copies and their messages."""
    messages = stores.get_messages(TENANT, [one.message.id for one in new])
    return (
        messages,
        stores.copies_of(TENANT, list(messages.values())),
        [held(stores, folder) for folder in (INBOX, SENT)],
        stores.by_mailbox(TENANT, BOX, before=None, limit=99),
        stores.by_address(TENANT, ADA, before=None, limit=99),
    )


# ---- storing ----


def test_a_stored_message_is_read_back_whole(stores, fence):
    new = a_new_copy(
        attachments=(
            StoredAttachment("a.pdf", "application/pdf", 9, digest="0" * 64),
            StoredAttachment("b.png", "image/png", 7, True, "cid", missing="message_too_large"),
        ),
        defects=("charset",),
        truncated=True,
        internet_message_id="",
        body=Body("Grüße \U0001f600", "<p>Grüße</p>"),
    )
    assert stores.messages.save(fence, [new]) == {new.copy.provider_message_id}
    message = new.message
    assert stores.get_messages(TENANT, [message.id]) == {message.id: message}
    assert stores.messages.get_body(TENANT, message.id) == new.body
    assert stores.copies_of(TENANT, [message]) == {message.id: [new.copy]}
    assert held(stores) == {new.copy.provider_message_id: new.copy}


def test_whom_a_copy_names_as_blind_recipients_is_its_own_and_stays_with_it(stores, fence):
    first, second = a_new_copy("1"), a_new_copy("2", folder_id=SENT, mail="mail-1")
    second = replace(second, copy=replace(second.copy, blind=frozenset({ADA, BOB})))
    stores.messages.save(fence, [first, second])
    name = second.copy.provider_message_id
    stores.messages.set_flags(fence, {name: Flags(version=9)})
    stores.messages.place_copies(fence, {name: frozenset({LABEL})}, now=NOW)
    (message,) = stores.get_messages(TENANT, [first.message.id]).values()
    blind = {one.provider_message_id: one.blind for one in copies(stores, message)}
    assert blind == {first.copy.provider_message_id: frozenset(), name: {ADA, BOB}}
    stores.messages.remove_copies(fence, LABEL, [name], now=NOW)
    assert {one.blind for one in copies(stores, message)} == {frozenset(), frozenset({ADA, BOB})}


def copies(stores, message):
    return stores.copies_of(TENANT, [message])[message.id]


def test_a_message_without_the_optional_is_read_back_whole(stores, fence):
    new = a_new_copy(
        internet_message_id=None, in_reply_to=None, references=(), headers={}, participants=()
    )
    stores.messages.save(fence, [new])
    found = stores.get_messages(TENANT, [new.message.id])
    assert found == {new.message.id: new.message}


def test_a_large_body_is_read_back_whole(stores, fence):
    new = a_new_copy(body=Body(LARGE, f"<b>{LARGE}</b>"))
    stores.messages.save(fence, [new])
    assert stores.messages.get_body(TENANT, new.message.id) == new.body


@pytest.mark.parametrize("sizes", [(1, 1), (1, 0), (0, 1)], ids=["large", "shrunk", "grown"])
def test_what_comes_later_under_the_same_id_replaces_no_body(stores, fence, sizes):
    bodies = [
        Body(f"{name} {LARGE}" if size else name, None)
        for name, size in zip(("first", "second"), sizes, strict=True)
    ]
    for number, body in enumerate(bodies):
        new = a_new_copy(str(number), mail="x", body=body)
        stores.messages.save(fence, [new])
        assert stores.messages.get_body(TENANT, new.message.id) == bodies[0]


def test_saving_nothing_is_nothing(stores, fence):
    assert stores.messages.save(fence, []) == frozenset()


def test_saving_again_changes_nothing(stores, fence):
    new = [a_new_copy(str(n), addresses=(ADA, BOB)) for n in range(5)]
    assert len(stores.messages.save(fence, new)) == 5
    before = state_of(stores, *new)
    assert stores.messages.save(fence, new) == frozenset()
    assert stores.messages.save(fence, [*new, a_new_copy("6")]) == {name("6")}
    stores.messages.remove_copies(fence, INBOX, [name("6")], now=NOW)
    after = state_of(stores, *new)
    assert after[:4] == before[:4]


def test_more_copies_than_a_transaction_holds_are_all_stored(stores, fence):
    new = [a_new_copy(str(n), mail="one", addresses=()) for n in range(120)]
    assert len(stores.messages.save(fence, new)) == 120
    assert len(held(stores)) == 120
    assert stores.messages.save(fence, new) == frozenset()


def test_the_same_mail_in_two_places_is_one_message_with_two_copies(stores, fence):
    connected(stores.mailboxes, id=OTHER_BOX, address="second@acme.example")
    first = a_new_copy("1", mail="x")
    second = a_new_copy("2", mail="x", mailbox_id=OTHER_BOX, received_at=later(30))
    stores.messages.save(fence, [first])
    stores.messages.save(Fence(TENANT, OTHER_BOX, 2), [second])
    message_id = first.message.id
    assert message_id == second.message.id
    message = stores.get_messages(TENANT, [message_id])[message_id]
    refs = {copy_ref(BOX, name("1")), copy_ref(OTHER_BOX, name("2"))}
    assert message == replace(first.message, copies=frozenset(refs))
    assert stores.copies_of(TENANT, [message])[message_id] == [first.copy, second.copy]
    entries = stores.by_address(TENANT, ADA, before=None, limit=9)
    assert entries == [TimelineEntry(NOW, message_id)]
    listed = stores.by_mailbox(TENANT, OTHER_BOX, before=None, limit=9)
    assert listed == [TimelineEntry(later(30), message_id, INBOX)]


def test_a_passed_fence_shows_no_message_anywhere(stores, fence):
    new = a_new_copy()
    passed(stores, fence)
    with pytest.raises(ConflictError) as caught:
        stores.messages.save(fence, [new])
    assert caught.value.code is ErrorCode.STALE_WRITE
    assert held(stores) == {}
    assert stores.by_mailbox(TENANT, BOX, before=None, limit=9) == []
    assert stores.copies_of(TENANT, [new.message]) == {new.message.id: []}


def test_a_fence_of_the_generation_alone_lets_a_chunk_run_beside_sync(stores, fence):
    passed(stores, fence)
    chunk = replace(fence, fence=None)
    assert stores.messages.save(chunk, [a_new_copy()]) == {name("1")}
    with pytest.raises(ConflictError):
        stores.messages.save(replace(chunk, generation=9), [a_new_copy("2")])


def test_a_copy_that_has_newer_flags_keeps_them(stores, fence):
    new = a_new_copy(flags=Flags(seen=True, version=5))
    stores.messages.save(fence, [new])

    def flags_after(flags):
        saved = stores.messages.save(fence, [replace(new, copy=replace(new.copy, flags=flags))])
        assert saved == frozenset()
        return held(stores)[name("1")].flags

    assert flags_after(Flags(version=4)) == new.copy.flags
    assert flags_after(Flags(flagged=True, version=6)) == Flags(flagged=True, version=6)


def test_a_removed_copy_that_is_saved_lives_again(stores, fence):
    new = a_new_copy(flags=Flags(seen=True, version=5))
    stores.messages.save(fence, [new])
    stores.messages.remove_copies(fence, INBOX, [name("1")], now=later(9))
    older = replace(new, copy=replace(new.copy, flags=Flags(version=4)))
    assert stores.messages.save(fence, [older]) == {name("1")}
    assert held(stores) == {name("1"): new.copy}
    listed = stores.by_mailbox(TENANT, BOX, before=None, limit=9)
    assert listed == [TimelineEntry(NOW, new.message.id, INBOX)]


# ---- copies ----


def test_what_is_stored_is_what_has_a_live_copy(stores, fence):
    stores.messages.save(fence, [a_new_copy(str(n)) for n in range(3)])
    stores.messages.remove_copies(fence, INBOX, [name("2")], now=NOW)
    asked = [name(str(n)) for n in range(130)]
    found = stores.messages.copies_by_id(TENANT, BOX, asked)
    assert {one: copy.removed_at for one, copy in found.items()} == {
        name("0"): None,
        name("1"): None,
        name("2"): NOW,
    }
    assert stores.messages.copies_by_id(TENANT, OTHER_BOX, asked) == {}
    assert stores.messages.copies_by_id(TENANT, BOX, []) == {}


def test_copies_are_those_of_the_folder(stores, fence):
    alike = type(INBOX)(INBOX + "2")
    new = [a_new_copy("1"), a_new_copy("2", folder_id=SENT), a_new_copy("3", folder_id=alike)]
    stores.messages.save(fence, new)
    for one in new:
        found = held(stores, min(one.copy.folder_ids))
        assert found == {one.copy.provider_message_id: one.copy}


def test_flags_are_written_where_they_differ_and_are_not_older(stores, fence):
    versions = {"same": 5, "older": 5, "newer": 5, "removed": 5, "none": 0}
    stores.messages.save(
        fence, [a_new_copy(text, flags=Flags(version=v)) for text, v in versions.items()]
    )
    stores.messages.remove_copies(fence, INBOX, [name("removed")], now=NOW)
    wanted = {
        name("same"): Flags(version=5),
        name("older"): Flags(seen=True, version=4),
        name("newer"): Flags(True, True, True, True, version=6),
        name("removed"): Flags(seen=True, version=6),
        name("none"): Flags(seen=True),
        name("unknown"): Flags(seen=True, version=6),
    }
    assert stores.messages.set_flags(fence, wanted) == 2
    assert stores.messages.set_flags(fence, wanted) == 0
    copies = held(stores)
    assert {pmid: copy.flags for pmid, copy in copies.items()} == {
        name("same"): Flags(version=5),
        name("older"): Flags(version=5),
        name("newer"): wanted[name("newer")],
        name("none"): Flags(seen=True),
    }


def test_removed_copies_leave_the_mailbox_and_the_message_stays(stores, fence):
    new = a_new_copy()
    stores.messages.save(fence, [new, a_new_copy("2")])
    gone = [name("1"), name("unknown")]
    assert stores.messages.remove_copies(fence, INBOX, gone, now=later(9)) == 1
    assert stores.messages.remove_copies(fence, INBOX, gone, now=later(10)) == 0
    assert set(held(stores)) == {name("2")}
    assert len(stores.by_mailbox(TENANT, BOX, before=None, limit=9)) == 1
    assert stores.messages.get_body(TENANT, new.message.id) == new.body
    assert stores.copies_of(TENANT, [new.message])[new.message.id] == [
        replace(new.copy, removed_at=later(9))
    ]


def test_a_copy_that_comes_removed_is_no_live_one_and_takes_no_live_one_away(stores, fence):
    new = a_new_copy()
    removed = replace(new, copy=replace(new.copy, removed_at=later(9)))
    for _ in range(2):
        stores.messages.save(fence, [removed])
        assert held(stores) == {}
        assert stores.by_mailbox(TENANT, BOX, before=None, limit=9) == []
        assert stores.messages.copies_by_id(TENANT, BOX, [name("1")]) == {name("1"): removed.copy}
    assert stores.messages.get_body(TENANT, new.message.id) == new.body
    assert stores.messages.save(fence, [new]) == {name("1")}
    assert stores.messages.save(fence, [removed]) == frozenset()
    assert held(stores) == {name("1"): new.copy}
    assert len(stores.by_mailbox(TENANT, BOX, before=None, limit=9)) == 1


def a_moving_copy(text="moving", folder_ids=(INBOX,), **given):
    """A copy of a provider whose ids say nothing of folders."""
    new = a_new_copy(text, **given)
    copy = replace(new.copy, folder_ids=frozenset(folder_ids))
    return replace(new, copy=copy)


def test_a_copy_in_several_folders_is_one_copy_and_one_line_of_the_mailbox(stores, fence):
    new = a_moving_copy(folder_ids=(INBOX, SENT, LABEL))
    stores.messages.save(fence, [new])
    assert stores.messages.live_ids(TENANT, BOX) == {new.copy.provider_message_id}
    assert stores.messages.live_copies(TENANT, BOX) == {new.copy.provider_message_id: new.copy}
    listed = stores.by_mailbox(TENANT, BOX, before=None, limit=9)
    assert [entry.message_id for entry in listed] == [new.message.id]


def test_a_move_is_no_removal_in_whichever_order_its_two_halves_are_told(stores, fence):
    for text, entered_first in (("1", True), ("2", False)):
        new = a_moving_copy(text)
        stores.messages.save(fence, [new])
        enter = {name(text): frozenset({SENT})}
        if entered_first:
            assert stores.messages.place_copies(fence, enter, now=later(1)) == 1
            assert stores.messages.remove_copies(fence, INBOX, [name(text)], now=later(2)) == 0
        else:
            assert stores.messages.remove_copies(fence, INBOX, [name(text)], now=later(1)) == 1
            assert stores.messages.place_copies(fence, enter, now=later(2)) == 1
        stands = stores.messages.copies_by_id(TENANT, BOX, [name(text)])[name(text)]
        assert stands == replace(new.copy, folder_ids=frozenset({SENT}))
        assert stores.messages.place_copies(fence, enter, now=later(3)) == 0
    assert len(stores.by_mailbox(TENANT, BOX, before=None, limit=9)) == 2


def test_a_copy_without_folders_is_removed_and_remembers_the_last(stores, fence):
    new = a_moving_copy(folder_ids=(INBOX, LABEL))
    stores.messages.save(fence, [new])
    one = new.copy.provider_message_id
    assert stores.messages.remove_copies(fence, LABEL, [one], now=later(1)) == 1
    assert stores.messages.live_copies(TENANT, BOX)[one].folder_ids == {INBOX}
    nowhere = {one: frozenset[FolderId](), name("unknown"): frozenset({INBOX})}
    assert stores.messages.place_copies(fence, nowhere, now=later(2)) == 1
    assert stores.messages.place_copies(fence, nowhere, now=later(3)) == 0
    stands = stores.messages.copies_by_id(TENANT, BOX, [one])[one]
    assert (stands.removed_at, stands.folder_ids) == (later(2), {INBOX})
    assert stores.by_mailbox(TENANT, BOX, before=None, limit=9) == []
    assert name("unknown") not in stores.messages.copies_by_id(TENANT, BOX, [name("unknown")])


def test_a_passed_fence_changes_no_copy(stores, fence):
    stores.messages.save(fence, [a_new_copy()])
    before = held(stores)
    passed(stores, fence)
    flags = {name("1"): Flags(flagged=True, version=9)}
    for write in (
        lambda: stores.messages.set_flags(fence, flags),
        lambda: stores.messages.remove_copies(fence, INBOX, [name("1")], now=NOW),
        lambda: stores.messages.place_copies(fence, {name("1"): frozenset({SENT})}, now=NOW),
    ):
        with pytest.raises(ConflictError) as caught:
            write()
        assert caught.value.code is ErrorCode.STALE_WRITE
    assert held(stores) == before


# ---- reading ----


def test_messages_that_do_not_exist_are_left_out(stores, fence):
    new = a_new_copy()
    stores.messages.save(fence, [new])
    strange = [MessageId("nonsense"), MessageId("#"), MessageId(""), MessageId("m" + "a" * 48)]
    assert set(stores.get_messages(TENANT, [*strange, new.message.id])) == {new.message.id}
    assert stores.get_messages(TENANT, []) == {}
    assert all(stores.messages.get_body(TENANT, one) is None for one in strange)


def test_a_thread_is_read_oldest_first(stores, fence):
    new = [
        a_new_copy("1", mail="root", received_at=later(0)),
        a_new_copy("2", mail="late", root="root", received_at=later(20)),
        a_new_copy("3", mail="early", root="root", received_at=later(10)),
        a_new_copy("4", mail="else"),
    ]
    stores.messages.save(fence, new)
    thread_id = new[0].message.thread_id
    found = stores.messages.thread(TENANT, thread_id)
    assert found == [
        TimelineEntry(new[n].message.received_at, new[n].message.id) for n in (0, 2, 1)
    ]
    assert stores.messages.thread(TENANT, ThreadId("t" + "a" * 24)) == []
    assert stores.messages.thread(OTHER_TENANT, thread_id) == []


def test_a_thread_is_as_long_as_it_is(stores, fence):
    new = [
        a_new_copy(str(n), root="root", received_at=later(n), body=Body(LARGE[n : n + 4_000], None))
        for n in range(620)
    ]
    for start in range(0, len(new), 90):
        stores.messages.save(fence, new[start : start + 90])
    found = stores.messages.thread(TENANT, new[0].message.thread_id)
    assert [entry.message_id for entry in found] == [one.message.id for one in new]


def test_an_address_is_read_newest_first_page_by_page(stores, fence):
    new = [a_new_copy(str(n), received_at=later(n // 2), addresses=(ADA, BOB)) for n in range(9)]
    stores.messages.save(fence, new)
    entries = sorted(
        (TimelineEntry(one.message.received_at, one.message.id) for one in new),
        key=lambda entry: (entry.at, entry.message_id),
        reverse=True,
    )
    read, before = [], None
    while page := stores.by_address(TENANT, ADA, before=before, limit=2):
        read += page
        before = page[-1]
    assert read == entries
    assert stores.by_address(TENANT, BOB, before=None, limit=99) == entries
    assert stores.by_address(OTHER_TENANT, ADA, before=None, limit=99) == []


def test_indexes_are_read_from_since_on_and_before_until(stores, fence):
    stores.messages.save(fence, [a_new_copy(str(n), received_at=later(n)) for n in range(5)])
    for read in (
        lambda **bounds: stores.by_address(TENANT, ADA, limit=9, **bounds),
        lambda **bounds: stores.by_mailbox(TENANT, BOX, limit=9, **bounds),
    ):
        all_of_it = read(before=None)
        assert read(before=None, since=later(1), until=later(3)) == all_of_it[2:4]
        assert read(before=all_of_it[2], since=later(1), until=later(4)) == all_of_it[3:4]
        assert read(before=all_of_it[0], until=later(2)) == all_of_it[3:]
        assert read(before=None, since=later(3), until=later(1)) == []
        just_after = later(1) + timedelta(microseconds=1)
        assert read(before=None, since=just_after, until=later(2)) == []


def test_a_mailbox_is_read_newest_first_page_by_page_with_folders(stores, fence):
    new = [
        a_new_copy("1", mail="x", folder_id=folder, received_at=later(5))
        for folder in (INBOX, SENT)
    ]
    new += [a_new_copy(str(n), received_at=later(n)) for n in range(2, 6)]
    stores.messages.save(fence, new)
    entries = sorted(
        (
            TimelineEntry(one.copy.received_at, one.copy.message_id, min(one.copy.folder_ids))
            for one in new
        ),
        key=lambda entry: (entry.at, entry.message_id, entry.folder_id),
        reverse=True,
    )
    read, before = [], None
    while page := stores.by_mailbox(TENANT, BOX, before=before, limit=1):
        read += page
        before = page[-1]
    assert read == entries


def test_an_index_goes_on_after_a_place_of_another_index(stores, fence):
    new = a_new_copy()
    stores.messages.save(fence, [new])
    in_folder = TimelineEntry(NOW, new.message.id, INBOX)
    plain = TimelineEntry(NOW, new.message.id)
    assert stores.by_address(TENANT, ADA, before=in_folder, limit=9) == [plain]
    assert stores.by_address(TENANT, ADA, before=plain, limit=9) == []
    assert stores.by_mailbox(TENANT, BOX, before=plain, limit=9) == []


# ---- other spellings of an address ----

TAGGED, DOTTED = Address("ada+news@example.org"), Address("a.da@gmail.com")


def test_the_mail_of_an_addresss_other_spellings_is_found_beside_its_own(stores, fence):
    own = a_new_copy("1", addresses=(ADA,))
    tagged = [a_new_copy(one, addresses=(TAGGED,), received_at=later(int(one))) for one in "23"]
    both = a_new_copy("4", addresses=(ADA, TAGGED, DOTTED), received_at=later(4))
    stores.messages.save(fence, [own, *tagged, both])

    def read(addresses, also_of):
        pages = stores.messages.by_address(TENANT, addresses, before=None, limit=9, also_of=also_of)
        return [[entry.message_id for entry in page.entries] for page in pages]

    ids = {one.message.id: one.copy.provider_message_id for one in (own, *tagged, both)}
    found = read([ADA, TAGGED], [ADA, TAGGED, Address("ada@gmail.com")])
    named = [[str(ids[one]) for one in page] for page in found]
    assert named == [
        [str(name(one)) for one in numbers] for numbers in ("41", "432", "432", "", "4")
    ]


def test_other_spellings_are_read_page_by_page_and_within_bounds_too(stores, fence):
    new = [a_new_copy(str(n), addresses=(TAGGED,), received_at=later(n)) for n in range(5)]
    stores.messages.save(fence, new)

    def read(**bounds):
        bounds = {"before": None, "limit": 9, **bounds}
        (page,) = stores.messages.by_address(TENANT, [], also_of=[ADA], **bounds)
        return [entry.message_id for entry in page.entries], page

    newest = [one.message.id for one in reversed(new)]
    first, page = read(limit=2)
    assert (first, page.more) == (newest[:2], True)
    rest, page = read(before=page.entries[-1])
    assert (rest, page.more) == (newest[2:], False)
    assert read(since=later(1), until=later(3))[0] == newest[2:4]


def test_a_messages_item_has_room_whatever_copies_of_it_name_and_are_called(aws, monkeypatch):
    """A stranger sends one mail again and again, each time to others; Outlook's ids are long."""
    monkeypatch.setattr("shared.aws.message_items.MOST_UNNAMED_BYTES", 6_000)
    monkeypatch.setattr("shared.aws.message_contents.MOST_COPY_BYTES", 4_000)
    record = connected(aws.mailboxes)
    fence = Fence(TENANT, BOX, record.mailbox.generation)
    long_id = "A" * 170
    new = [
        a_new_copy(
            f"{long_id}{number:03}",
            mail="same",
            addresses=tuple(Address(f"p{number}-{one}@{'x' * 60}.example") for one in range(40)),
        )
        for number in range(30)
    ]
    for one in new:
        assert aws.messages.save(fence, [one]) == {one.copy.provider_message_id}
    items = [one for one in aws.items() if one["sk"]["S"].startswith("message#")]
    names = [sum(map(len, one.get("a", {}).get("SS", ()))) for one in items]
    refs = [sum(map(len, one["c"]["SS"])) for one in items]
    assert max(names) <= 6_000
    assert max(refs) <= 4_000
    assert sum(len(one["c"]["SS"]) for one in items) == 30
    # What an item says and what leads to it are the same, so that an erasure finds all of it.
    said = {name for one in items for name in one.get("a", {}).get("SS", ())}
    indexed = {
        one["pk"]["S"].rpartition("#")[2] for one in aws.items() if "#address#" in one["pk"]["S"]
    }
    assert said == indexed
    assert len(aws.messages.live_ids(TENANT, BOX)) == 30


def test_names_that_two_workers_bring_at_once_fit_together(aws, monkeypatch):
    monkeypatch.setattr("shared.aws.message_items.MOST_UNNAMED_BYTES", 100)
    record = connected(aws.mailboxes)
    fence = Fence(TENANT, BOX, record.mailbox.generation)
    other = connected(aws.mailboxes, id=OTHER_BOX, address="else@acme.example")
    others = Fence(TENANT, OTHER_BOX, other.mailbox.generation)
    first, second, third = (
        a_new_copy(
            text, mail="same", mailbox_id=box, addresses=(Address(f"{text * 40}@example.org"),)
        )
        for text, box in (("1", BOX), ("2", OTHER_BOX), ("3", OTHER_BOX))
    )
    aws.messages.save(fence, [a_new_copy("0", mail="same")])
    name_ = MessageContents._name

    def overtaken(self, key, stands, unnamed):
        monkeypatch.setattr(MessageContents, "_name", name_)
        aws.messages.save(others, [second])
        aws.messages.save(others, [third])
        return name_(self, key, stands, unnamed)

    monkeypatch.setattr(MessageContents, "_name", overtaken)
    aws.messages.save(fence, [first])
    (item,) = [one for one in aws.items() if one["sk"]["S"].startswith("message#")]
    assert sum(map(len, item["a"]["SS"])) <= 100
    assert len(item["c"]["SS"]) == 4
    assert aws.by_address(TENANT, Address(f"{'1' * 40}@example.org")) == []


def test_names_and_copies_never_grow_an_item_past_what_the_table_takes(aws):
    """400 KB: a run would end at such a message, and so would an erasure."""
    largest = LARGEST_CONTENT_BYTES + LARGEST_INLINE_BYTES + MOST_COPY_BYTES + MOST_UNNAMED_BYTES
    assert largest < 390_000
    record = connected(aws.mailboxes)
    fence = Fence(TENANT, BOX, record.mailbox.generation)
    aws.messages.save(fence, [a_new_copy("0", mail="same")])
    (item,) = [one for one in aws.items() if one["sk"]["S"].startswith("message#")]
    refs = [f"{OTHER_BOX}/{number:0213}" for number in range(MOST_COPIES - 20)]
    assert {len(one) for one in refs} == {MOST_COPY_BYTES // MOST_COPIES}
    aws.table.client.update_item(
        TableName=aws.table.name,
        Key={name: item[name] for name in ("pk", "sk")},
        UpdateExpression="ADD c :c",
        ExpressionAttributeValues={":c": {"SS": refs}},
    )
    for number in range(1, 13):
        crowd = tuple(
            Address(f"{number}-{one}@{'.'.join(['x' * 60] * 4)}.example") for one in range(100)
        )
        aws.messages.save(fence, [a_new_copy(f"{number}", mail="same", addresses=crowd)])
    (item,) = [one for one in aws.items() if one["sk"]["S"].startswith("message#")]
    assert MOST_UNNAMED_BYTES - 300 < sum(map(len, item["a"]["SS"])) <= MOST_UNNAMED_BYTES
    assert len(item["c"]["SS"]) == MOST_COPIES - 20 + 13


# ---- what is to be told ----


def news_of(stores, *names):
    found = stores.messages.copies_by_id(TENANT, BOX, [name(one) for one in names])
    return [found[name(one)].news for one in names]


def told(new, news=News.NEW, **changes):
    return replace(new, copy=replace(new.copy, news=news, **changes))


def test_a_message_is_news_to_a_mailbox_once_and_again_to_another(stores, fence):
    first = told(a_new_copy("1"))
    moved = told(a_new_copy("1"), provider_message_id=name("2"))
    stores.messages.save(fence, [first])
    stores.messages.save(fence, [first])
    stores.messages.save(fence, [moved])
    assert news_of(stores, "1", "2") == [News.NEW, News.AGAIN]
    other = connected(stores.mailboxes, id=OTHER_BOX, address="other@ours.example")
    theirs = told(a_new_copy("1"), mailbox_id=OTHER_BOX)
    stores.messages.save(lease_of(stores.mailboxes, other).fence, [theirs])
    (copy,) = stores.messages.live_copies(TENANT, OTHER_BOX).values()
    assert copy.news is News.NEW


def test_what_history_brings_is_no_news_and_makes_none_of_what_follows(stores, fence):
    stores.messages.save(fence, [a_new_copy("1")])
    stores.messages.save(fence, [told(a_new_copy("1"), provider_message_id=name("2"))])
    assert news_of(stores, "1", "2") == [None, News.AGAIN]


def test_a_copy_goes_aloud_or_in_silence_and_what_comes_back_is_heard_when_it_goes(stores, fence):
    stores.messages.save(fence, [told(a_new_copy("1")), a_new_copy("2")])
    names = [name("1"), name("2")]
    stores.messages.remove_copies(fence, INBOX, names, now=later(1), silently=True)
    assert news_of(stores, "1", "2") == [News.SILENT, News.SILENT]
    stores.messages.place_copies(fence, dict.fromkeys(names, frozenset({INBOX})), now=later(2))
    assert news_of(stores, "1", "2") == [None, None]
    stores.messages.remove_copies(fence, INBOX, names, now=later(3))
    assert news_of(stores, "1", "2") == [None, None]
    assert held(stores) == {}
