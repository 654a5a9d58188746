"""The contract of `ChangeStore`, and what a pending change does to what sync writes."""

from dataclasses import replace

import pytest

from shared.domain.change import SHARDS_OF_CHANGES, Wanted
from shared.domain.errors import ConflictError, ErrorCode
from shared.domain.ids import FolderId
from shared.domain.message import Flags, copy_ref
from shared.domain.pending import acknowledged, given_up
from shared.ports.changing import Settled
from shared.ports.queues import ChangesRequest
from tests.contract.stores.test_mail_eraser import erase_box, erased_all
from tests.fakes.values import (
    ADA,
    BOX,
    INBOX,
    NOW,
    OTHER_BOX,
    SENT,
    TENANT,
    a_new_copy,
    a_person,
    connected,
    identity_of,
    later,
    lease_of,
    name,
    stands,
)

ARCHIVE = FolderId("f4rchive")
ONE, TWO, THREE = name("1"), name("2"), name("3")
SEEN, MOVED = Wanted(seen=True), Wanted(move_to=ARCHIVE)


@pytest.fixture
def box(stores):
    """A connected mailbox with three unread messages."""
    record = connected(stores.mailboxes)
    fence = lease_of(stores.mailboxes, record).fence
    stores.fence = fence
    unread = Flags(version=5)
    stores.messages.save(fence, [a_new_copy(text, flags=unread) for text in "123"])
    return record.mailbox


def copy_of(stores, one=ONE):
    return stores.messages.copies_by_id(TENANT, BOX, [one])[one]


def wish(stores, box, wanted, *names, at=NOW):
    return stores.changes.wish(box, dict.fromkeys(names or (ONE,), wanted), now=at)


def take(stores, at=NOW, seconds=60):
    return stores.changes.take(TENANT, BOX, now=at, seconds=seconds)


def waiting(stores, turn, **asked):
    copies, _ = stores.changes.waiting(turn, **{"after": None, "limit": 99, **asked})
    return copies


def acknowledge(stores, turn, *copies):
    done = [Settled(one, acknowledged(one, None, is_active=True, now=NOW)) for one in copies]
    return stores.changes.settle(turn, done)


def due(stores, at):
    found = [stores.changes.due(shard, now=at, limit=9) for shard in range(SHARDS_OF_CHANGES)]
    return [one for some in found for one in some]


# ---- wishing ----


def test_a_wish_shows_at_once_and_keeps_what_the_provider_had(stores, box):
    after = wish(stores, box, Wanted(seen=True, move_to=ARCHIVE))[ONE]
    assert after == copy_of(stores)
    assert (after.flags.seen, after.folder_ids, after.removed_at) == (True, {ARCHIVE}, None)
    theirs = after.as_provider_has_it
    assert (theirs.flags, theirs.folder_ids) == (Flags(version=5), {INBOX})
    assert {one.folder_id for one in stores.by_mailbox(TENANT, BOX)} == {INBOX, ARCHIVE}
    assert copy_of(stores, TWO).pending is None


def test_later_wishes_join_the_earlier_and_the_last_one_wins(stores, box):
    wish(stores, box, Wanted(seen=True, flagged=True))
    wish(stores, box, Wanted(seen=False, move_to=SENT), at=later(9))
    pending = copy_of(stores).pending
    assert pending.wanted == Wanted(seen=False, flagged=True, move_to=SENT)
    # A day is theirs from the last of them on.
    assert pending.asked_at == later(9)
    turn = take(stores)
    assert [one.provider_message_id for one in waiting(stores, turn)] == [ONE]


def test_what_is_so_already_is_no_wish(stores, box):
    wish(stores, box, Wanted(seen=False, move_to=INBOX))
    assert copy_of(stores).pending is None
    assert due(stores, later(3600)) == []
    with pytest.raises(ConflictError) as caught:
        take(stores)
    assert caught.value.code is ErrorCode.LEASE_HELD


def test_many_are_wished_for_at_once(stores, box):
    texts = [f"m{number}" for number in range(60)]
    stores.messages.save(stores.fence, [a_new_copy(text) for text in texts])
    after = wish(stores, box, Wanted(flagged=True), *map(name, texts))
    assert len(after) == 60
    turn, seen, last = take(stores), [], None
    while True:
        some, last = stores.changes.waiting(turn, after=last, limit=25)
        seen += [one.provider_message_id for one in some]
        if last is None:
            break
    assert sorted(seen) == sorted(map(name, texts))
    assert len(acknowledge(stores, turn, *waiting(stores, turn))) == 60
    assert stores.changes.finish(replace(turn)) is None


def test_only_live_copies_of_an_active_mailbox_are_wished_for(stores, box):
    stores.messages.remove_copies(stores.fence, INBOX, [TWO], now=NOW)
    assert set(wish(stores, box, SEEN, ONE, TWO, name("none"))) == {ONE}
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(box))
    with pytest.raises(ConflictError) as caught:
        wish(stores, box, SEEN, THREE)
    assert caught.value.code is ErrorCode.WRONG_STATE
    assert copy_of(stores, THREE).pending is None


# ---- turns ----


def test_one_worker_at_a_time_has_them_and_one_that_died_is_replaced(stores, box):
    wish(stores, box, SEEN)
    first = take(stores, seconds=60)
    with pytest.raises(ConflictError):
        take(stores, at=later(59))
    second = take(stores, at=later(61))
    (copy,) = waiting(stores, second)
    for late in (
        lambda: acknowledge(stores, first, copy),
        lambda: stores.changes.rest(first, until=later(99), failures=1),
        lambda: stores.changes.finish(first),
    ):
        with pytest.raises(ConflictError) as caught:
            late()
        assert caught.value.code is ErrorCode.STALE_WRITE
    assert copy_of(stores).pending is not None
    assert acknowledge(stores, second, copy) == {ONE}
    assert stores.changes.finish(second) is None


def test_one_that_slept_while_all_was_done_has_no_part_in_what_is_wished_for_then(stores, box):
    wish(stores, box, SEEN)
    frozen = take(stores, seconds=60)
    (read,) = waiting(stores, frozen)
    second = take(stores, at=later(61))
    acknowledge(stores, second, *waiting(stores, second))
    assert stores.changes.finish(second) is None
    wish(stores, box, Wanted(seen=False), at=later(70))
    third = take(stores, at=later(71))
    for late in (lambda: acknowledge(stores, frozen, read), lambda: stores.changes.finish(frozen)):
        with pytest.raises(ConflictError) as caught:
            late()
        assert caught.value.code is ErrorCode.STALE_WRITE
    # Nor is what was read of the wish before taken for this one.
    assert acknowledge(stores, third, read) == frozenset()
    assert copy_of(stores).pending.wanted == Wanted(seen=False)


def test_what_is_pending_is_due_until_it_is_done(stores, box):
    wish(stores, box, SEEN)
    asked = [ChangesRequest(TENANT, BOX)]
    # Whoever was asked at once has a minute; so long the queue entry is not taken for lost.
    assert (due(stores, later(59)), due(stores, later(61))) == ([], asked)
    turn = take(stores, at=later(70), seconds=100)
    assert (due(stores, later(169)), due(stores, later(171))) == ([], asked)
    stores.changes.rest(turn, until=later(900), failures=2)
    with pytest.raises(ConflictError):
        take(stores, at=later(899))
    wish(stores, box, SEEN, TWO, at=later(800))
    assert (due(stores, later(899)), due(stores, later(901))) == ([], asked)
    turn = take(stores, at=later(901))
    assert turn.failures == 2
    acknowledge(stores, turn, *waiting(stores, turn))
    assert stores.changes.finish(turn) is None
    assert due(stores, later(9_999)) == []


def test_a_wish_that_comes_while_a_worker_ends_is_not_left_behind(stores, box):
    wish(stores, box, SEEN)
    turn = take(stores)
    acknowledge(stores, turn, *waiting(stores, turn))
    wish(stores, box, SEEN, TWO)
    again = stores.changes.finish(turn)
    assert again is not None
    (copy,) = waiting(stores, again)
    assert copy.provider_message_id == TWO
    acknowledge(stores, again, copy)
    # Made and settled, but this worker has not looked since it was made.
    wish(stores, box, SEEN, THREE)
    assert stores.changes.finish(again) is not None


def test_a_turn_knows_since_when_the_mailbox_is_connected(stores, box):
    wish(stores, box, SEEN)
    stores.mailboxes.reconnect(stands(stores.mailboxes, box).mailbox, identity_of(box), "slot")
    turn = take(stores)
    assert turn.first_generation <= box.generation
    stores.changes.rest(turn, until=NOW, failures=0)
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(box))
    assert take(stores).first_generation > box.generation


def test_a_wish_of_before_a_disconnect_is_not_revived_by_one_after_it(stores, box):
    wish(stores, box, Wanted(flagged=True, move_to=ARCHIVE))
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(box))
    gone = stands(stores.mailboxes, box).mailbox
    stores.mailboxes.reconnect(gone, identity_of(box), "slot")
    again = stands(stores.mailboxes, box).mailbox
    after = wish(stores, again, SEEN)[ONE]
    assert after.pending.wanted == SEEN
    assert (after.folder_ids, after.flags.flagged, after.flags.seen) == ({INBOX}, False, True)
    assert copy_of(stores) == after


# ---- settling ----


def test_what_is_acknowledged_stays_as_wanted(stores, box):
    wish(stores, box, Wanted(seen=True, move_to=SENT))
    turn = take(stores)
    acknowledge(stores, turn, *waiting(stores, turn))
    copy = copy_of(stores)
    assert (copy.pending, copy.flags.seen, copy.folder_ids) == (None, True, {SENT})
    assert waiting(stores, turn) == []
    # From then on the provider's word counts.
    stores.messages.set_flags(stores.fence, {ONE: Flags(version=6)})
    assert not copy_of(stores).flags.seen


def test_what_is_wished_for_or_said_meanwhile_is_not_acknowledged(stores, box):
    wish(stores, box, SEEN, ONE, TWO, THREE)
    turn = take(stores)
    copies = waiting(stores, turn)
    wish(stores, box, Wanted(seen=False), ONE)
    stores.messages.set_flags(stores.fence, {TWO: Flags(answered=True, version=9)})
    assert acknowledge(stores, turn, *copies) == {THREE}
    assert [one.provider_message_id for one in waiting(stores, turn)] == [ONE, TWO]
    assert stores.changes.finish(turn) is not None


def test_what_is_given_up_is_as_the_provider_has_it(stores, box):
    wish(stores, box, Wanted(seen=True, move_to=SENT))
    stores.messages.set_flags(stores.fence, {ONE: Flags(flagged=True, version=7)})
    turn = take(stores)
    (copy,) = waiting(stores, turn)
    stores.changes.settle(turn, [Settled(copy, given_up(copy, now=NOW))])
    copy = copy_of(stores)
    assert (copy.pending, copy.flags, copy.folder_ids) == (
        None,
        Flags(flagged=True, version=7),
        {INBOX},
    )
    assert stores.changes.finish(turn) is None


def renamed(copy, new, folder_id=SENT):
    after = acknowledged(copy, frozenset({folder_id}), is_active=True, now=NOW)
    return Settled(
        copy,
        given_up(copy, now=NOW, is_there=False),
        replace(after, provider_message_id=new, flags=replace(after.flags, version=0)),
    )


def test_a_copy_goes_on_under_its_new_id(stores, box):
    wish(stores, box, Wanted(seen=True, move_to=SENT))
    turn = take(stores)
    (copy,) = waiting(stores, turn)
    new = name("77", SENT)
    assert stores.changes.settle(turn, [renamed(copy, new)]) == {ONE}
    old, moved = copy_of(stores), copy_of(stores, new)
    assert old.removed_at is not None
    assert (moved.message_id, moved.removed_at, moved.pending) == (copy.message_id, None, None)
    assert (moved.flags.seen, moved.folder_ids) == (True, {SENT})
    (message,) = stores.get_messages(TENANT, [copy.message_id]).values()
    assert {copy_ref(BOX, ONE), copy_ref(BOX, new)} <= message.copies
    # Sync, which lists it in its new folder, recognises it.
    assert (
        stores.messages.save(stores.fence, [a_new_copy("77", folder_id=SENT, mail="mail-1")])
        == set()
    )


def test_where_sync_was_first_the_old_copy_ends_and_one_is_left(stores, box):
    wish(stores, box, Wanted(move_to=SENT))
    turn = take(stores)
    (copy,) = waiting(stores, turn)
    stores.messages.save(stores.fence, [a_new_copy("77", folder_id=SENT, mail="mail-1")])
    assert stores.changes.settle(turn, [renamed(copy, name("77", SENT))]) == {ONE}
    assert copy_of(stores).removed_at is not None
    assert copy_of(stores, name("77", SENT)).removed_at is None
    assert copy_of(stores, name("77", SENT)).flags.seen


def test_two_copies_of_one_message_are_moved_at_once(stores, box):
    beside = a_new_copy("1", folder_id=SENT, flags=Flags(version=5))
    stores.messages.save(stores.fence, [beside])
    other = name("1", SENT)
    wish(stores, box, MOVED, ONE, other, TWO)
    turn = take(stores)
    copies = waiting(stores, turn)
    assert len({one.message_id for one in copies}) == 2
    new = {one.provider_message_id: name(f"9{at}", ARCHIVE) for at, one in enumerate(copies)}
    moved = [renamed(one, new[one.provider_message_id], ARCHIVE) for one in copies]
    assert stores.changes.settle(turn, moved) == {ONE, TWO, other}
    stored = stores.messages.copies_by_id(TENANT, BOX, list(new.values()))
    assert {one.folder_ids for one in stored.values()} == {frozenset({ARCHIVE})}
    (message,) = stores.get_messages(TENANT, [copy_of(stores).message_id]).values()
    assert {copy_ref(BOX, new[one]) for one in (ONE, other)} <= message.copies
    assert stores.changes.finish(turn) is None


def test_one_is_moved_to_where_one_that_is_settled_beside_it_is(stores, box):
    wish(stores, box, Wanted(move_to=SENT))
    stores.messages.save(stores.fence, [a_new_copy("77", folder_id=SENT, mail="mail-1")])
    there = name("77", SENT)
    wish(stores, box, Wanted(seen=False), there)
    turn = take(stores)
    old, new = sorted(waiting(stores, turn), key=lambda one: one.provider_message_id != ONE)
    done = Settled(new, acknowledged(new, None, is_active=True, now=NOW))
    assert stores.changes.settle(turn, [renamed(old, there), done]) == {ONE, there}
    assert not copy_of(stores, there).flags.seen
    assert stores.changes.finish(turn) is None


@pytest.mark.parametrize("is_active", [True, False])
def test_what_is_wished_for_while_a_copy_is_moved_goes_on_under_its_new_id(stores, box, is_active):
    wish(stores, box, Wanted(seen=True, move_to=SENT))
    turn = take(stores)
    (read,) = waiting(stores, turn)
    wish(stores, box, Wanted(seen=False, move_to=INBOX), at=later(1))
    stores.messages.set_flags(stores.fence, {ONE: Flags(answered=True, version=9)})
    stores.messages.remove_copies(stores.fence, INBOX, [ONE], now=NOW)
    new, moved = name("77", SENT), renamed(read, name("77", SENT))
    if not is_active:
        moved = replace(moved, renamed=replace(moved.renamed, removed_at=NOW))
    assert stores.changes.settle(turn, [moved]) == frozenset()
    assert copy_of(stores).removed_at is not None
    (copy,) = waiting(stores, turn)
    assert copy == copy_of(stores, new)
    assert (copy.folder_ids, copy.flags.seen, copy.removed_at) == ({INBOX}, False, None)
    theirs = copy.as_provider_has_it
    assert (theirs.folder_ids, theirs.flags) == ({SENT}, Flags(seen=True, answered=True))
    (message,) = stores.get_messages(TENANT, [copy.message_id]).values()
    assert copy_ref(BOX, new) in message.copies
    again = stores.changes.finish(turn)
    assert acknowledge(stores, again, copy) == {new}
    assert stores.changes.finish(again) is None


def test_it_goes_on_there_too_where_sync_was_first(stores, box):
    wish(stores, box, Wanted(move_to=SENT))
    turn = take(stores)
    (read,) = waiting(stores, turn)
    wish(stores, box, Wanted(flagged=True), at=later(1))
    new = name("77", SENT)
    stores.messages.save(stores.fence, [a_new_copy("77", folder_id=SENT, mail="mail-1")])
    assert stores.changes.settle(turn, [renamed(read, new)]) == frozenset()
    assert copy_of(stores).removed_at is not None
    (copy,) = waiting(stores, turn)
    assert (copy.provider_message_id, copy.flags.flagged) == (new, True)


def test_what_was_moved_where_nothing_is_synced_ends(stores, box):
    wish(stores, box, Wanted(move_to=SENT))
    turn = take(stores)
    (copy,) = waiting(stores, turn)
    moved = renamed(copy, name("77", SENT))
    moved = replace(moved, renamed=replace(moved.renamed, removed_at=NOW))
    assert stores.changes.settle(turn, [moved]) == {ONE}
    assert copy_of(stores).removed_at is not None
    assert stores.messages.copies_by_id(TENANT, BOX, [name("77", SENT)]) == {}
    assert stores.changes.finish(turn) is None


def test_a_pointer_to_what_is_gone_or_no_longer_pending_goes(stores, box):
    wish(stores, box, SEEN, ONE, TWO)
    # Gone from its last folder, with nothing but flags wanted of it.
    stores.messages.remove_copies(stores.fence, INBOX, [ONE], now=NOW)
    assert copy_of(stores).removed_at is not None
    turn = take(stores)
    (copy,) = waiting(stores, turn)
    assert copy.provider_message_id == TWO
    acknowledge(stores, turn, copy)
    assert stores.changes.finish(turn) is None
    assert not [raw for raw in stores.items() if raw["sk"]["S"].startswith("wish#")]


def test_another_mailbox_is_not_touched(stores, box):
    connected(stores.mailboxes, id=OTHER_BOX, address="other@acme.example")
    wish(stores, box, SEEN)
    with pytest.raises(ConflictError):
        stores.changes.take(TENANT, OTHER_BOX, now=NOW, seconds=9)


def test_what_is_pending_goes_with_its_mailbox(stores, box):
    wish(stores, box, Wanted(seen=True, move_to=SENT), ONE, TWO)
    turn = take(stores)
    copies = waiting(stores, turn)
    erase_box(stores, stands(stores.mailboxes, box))
    # Whoever was at it writes nothing any more, and nobody comes to look.
    with pytest.raises(ConflictError):
        stores.changes.settle(
            turn, [renamed(one, name(f"9{one.provider_message_id}", SENT)) for one in copies]
        )
    with pytest.raises(ConflictError):
        take(stores, at=later(3_600))
    assert due(stores, later(9_999)) == []
    assert not [raw for raw in stores.items() if BOX in raw["pk"]["S"]]


def test_what_is_pending_of_an_erased_person_goes_with_their_mail(stores, box):
    wish(stores, box, Wanted(move_to=SENT))
    turn = take(stores)
    (copy,) = waiting(stores, turn)
    person = a_person(ADA)
    erased_all(stores, person)
    assert stores.changes.settle(turn, [renamed(copy, name("77", SENT))]) == frozenset()
    assert stores.messages.copies_by_id(TENANT, BOX, [ONE, name("77", SENT)]) == {}
    assert waiting(stores, turn) == []
    assert stores.changes.finish(turn) is None


# ---- beside sync ----


def test_what_sync_reads_of_what_is_pending_is_kept_beside_it(stores, box):
    wish(stores, box, SEEN)
    said = Flags(flagged=True, answered=True, version=8)
    assert stores.messages.set_flags(stores.fence, {ONE: said}) == 1
    copy = copy_of(stores)
    # What is wanted stays, all else is as the provider says.
    assert copy.flags == replace(said, seen=True)
    assert copy.pending.flags == said
    # The same again is no news, and older ones are none either.
    assert stores.messages.set_flags(stores.fence, {ONE: said}) == 0
    assert stores.messages.set_flags(stores.fence, {ONE: Flags(version=6)}) == 0
    assert copy_of(stores) == copy


def test_leaving_the_old_folder_is_kept_beside_a_move(stores, box):
    wish(stores, box, MOVED)
    assert stores.messages.remove_copies(stores.fence, INBOX, [ONE], now=NOW) == 1
    copy = copy_of(stores)
    assert (copy.removed_at, copy.folder_ids) == (None, {ARCHIVE})
    assert copy.as_provider_has_it.removed_at is not None
    # Back where it was, or where it is wanted: either is kept, and nothing shows.
    stores.messages.place_copies(stores.fence, {ONE: frozenset({SENT})}, now=NOW)
    assert copy_of(stores).folder_ids == {ARCHIVE}
    assert copy_of(stores).as_provider_has_it.folder_ids == {SENT}


def test_a_message_only_marked_is_moved_as_the_provider_says(stores, box):
    wish(stores, box, SEEN)
    stores.messages.place_copies(stores.fence, {ONE: frozenset({SENT})}, now=NOW)
    copy = copy_of(stores)
    assert (copy.folder_ids, copy.flags.seen) == ({SENT}, True)
    assert copy.as_provider_has_it.folder_ids == {SENT}


def before_writing(monkeypatch, where, method, first):
    """Have `first` happen between what a store reads and what it writes, once."""
    write, meanwhile = getattr(where, method), [first]

    def written(self, *arguments, **more):
        while meanwhile:
            meanwhile.pop()()
        return write(self, *arguments, **more)

    monkeypatch.setattr(where, method, written)


@pytest.fixture
def in_aws(aws):
    record = connected(aws.mailboxes)
    aws.fence = lease_of(aws.mailboxes, record).fence
    aws.messages.save(aws.fence, [a_new_copy("1", flags=Flags(version=5))])
    return aws, record.mailbox


SAID = Flags(flagged=True, version=5)


@pytest.mark.parametrize(
    ("say", "flags", "folder_id"),
    [
        (lambda one: one.messages.set_flags(one.fence, {ONE: SAID}), SAID, INBOX),
        (
            lambda one: one.messages.set_flags(one.fence, {ONE: replace(SAID, version=6)}),
            replace(SAID, version=6),
            INBOX,
        ),
        (
            lambda one: one.messages.place_copies(one.fence, {ONE: frozenset({SENT})}, now=NOW),
            Flags(version=5),
            SENT,
        ),
    ],
)
@pytest.mark.parametrize("wanted", [SEEN, MOVED])
def test_a_wish_keeps_what_the_provider_says_right_before_it_is_written(
    in_aws, monkeypatch, wanted, say, flags, folder_id
):
    from shared.aws.table import Table

    stores, box = in_aws
    before_writing(monkeypatch, Table, "transact", lambda: say(stores))
    wish(stores, box, wanted)
    turn = take(stores)
    (copy,) = waiting(stores, turn)
    stores.changes.settle(turn, [Settled(copy, given_up(copy, now=NOW))])
    assert (copy_of(stores).flags, copy_of(stores).folder_ids) == (flags, {folder_id})


def test_sync_does_not_put_an_old_wish_back_over_a_newer_one(in_aws, monkeypatch):
    from shared.aws.copies import CopyItems

    def newer():
        turn = take(stores)
        acknowledge(stores, turn, *waiting(stores, turn))
        assert stores.changes.finish(turn) is None
        wish(stores, box, Wanted(seen=False), at=later(5))

    stores, box = in_aws
    wish(stores, box, SEEN)
    before_writing(monkeypatch, CopyItems, "_write", newer)
    stores.messages.set_flags(stores.fence, {ONE: Flags(seen=True, version=7)})
    assert copy_of(stores).pending.wanted == Wanted(seen=False)


def test_a_wish_between_reading_and_writing_is_not_written_over(in_aws, monkeypatch):
    from shared.aws.copies import CopyItems

    stores, box = in_aws
    before_writing(monkeypatch, CopyItems, "_write", lambda: wish(stores, box, SEEN))
    assert stores.messages.set_flags(stores.fence, {ONE: Flags(flagged=True, version=6)}) == 1
    copy = copy_of(stores)
    assert (copy.flags.seen, copy.flags.flagged) == (True, True)
    assert copy.pending.flags == Flags(flagged=True, version=6)
