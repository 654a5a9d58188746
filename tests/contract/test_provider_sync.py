"""What every provider must do, the fake of the operations' tests included.

Dovecot does what a client asks for; to a client that asks for less it is an older server. pymap is
a server nobody made for us and that has none of the extensions.
"""

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.cursor import Cursor
from shared.domain.errors import (
    CursorExpiredError,
    ErrorCode,
    ReconnectRequiredError,
    RetryLaterError,
    UnreadableMessageError,
)
from shared.domain.folders import FolderRole
from shared.domain.message import FetchedMessage, MissingMessage
from shared.ports.provider import Tally
from tests.contract.provider_worlds import (
    NOW,
    number_of,
    raw_mail,
)
from tests.fakes.known import Known

# ---- logging in ----


def test_a_wrong_password_or_dead_grant_is_told_as_such(world):
    grant = world.wrong_grant
    with pytest.raises(ReconnectRequiredError) as caught, world.session(grant) as session:
        session.look({}, lambda _one: False, now=NOW)
    assert caught.value.code is world.wrong_code
    with world.session():
        pass


def test_a_session_without_time_is_never_begun(world):
    with pytest.raises(RetryLaterError) as caught, world.provider.open(world.grant, seconds=0):
        pass
    assert caught.value.code is ErrorCode.CONNECTION_TIMED_OUT


# ---- folders ----


def test_folders_keep_their_ids_and_the_inbox_is_one(world):
    before = world.folders()
    world.theirs.create_folder("Deals")
    after = world.folders()
    assert set(after) - set(before) == {"Deals"}
    assert all(after[name] == one for name, one in before.items())
    assert [name for name, one in after.items() if one.role is FolderRole.INBOX] == ["INBOX"]
    assert after["Deals"].role is FolderRole.OTHER
    assert after["Deals"].selectable


def test_a_folder_that_is_gone_is_its_own_trouble(world_by_folder):
    world_by_folder.theirs.create_folder("Deals")
    world_by_folder.theirs.deliver(1, folder="Deals")
    cursor = world_by_folder.follow(None, "Deals").cursor
    (name,) = world_by_folder.copies
    gone = world_by_folder.folder("Deals")
    world_by_folder.theirs.delete_folder("Deals")
    assert "Deals" not in world_by_folder.folders()
    assert gone.id not in world_by_folder.look({gone.id: cursor}).changed
    with world_by_folder.session() as session:
        for ask in (
            lambda: session.baseline(gone, now=NOW),
            lambda: session.changes(gone, cursor, Known(), since=None, limit=9, now=NOW),
            lambda: session.list_window(gone, since=NOW, upto=cursor),
        ):
            with pytest.raises(RetryLaterError) as caught:
                ask()
            assert caught.value.code is ErrorCode.FOLDER_UNAVAILABLE
        assert list(session.fetch(gone, [name])) == [MissingMessage(name, "gone")]


# ---- looking ----


def test_a_folder_without_a_cursor_has_changed_and_one_at_its_position_has_not(world):
    world.theirs.deliver(1, 2)
    assert world.has_changed(None)
    assert not world.has_changed(world.position())
    cursor = world.follow(None).cursor
    seen = world.look({world.folder().id: cursor})
    assert seen.changed == seen.unavailable == frozenset()


@pytest.mark.parametrize("what", ["new", "flags", "deleted", "moved"])
def test_a_look_sees_each_kind_of_change_until_it_is_taken_in(world, what):
    world.theirs.deliver(1, 2)
    cursor = world.follow(None).cursor
    match what:
        case "new":
            world.theirs.deliver(3)
        case "flags":
            world.theirs.flag(2)
        case "deleted":
            world.theirs.delete(1)
        case "moved":
            world.theirs.create_folder("Deals")
            world.theirs.move(1, "Deals")
    assert world.has_changed(cursor)
    assert not world.has_changed(world.follow(cursor).cursor)


def test_only_folders_asked_about_are_told(world_by_folder):
    world_by_folder.theirs.deliver(1)
    assert world_by_folder.look({}).changed == frozenset()


# ---- changes ----


def test_what_was_there_before_a_position_is_not_news(world):
    world.theirs.deliver(1)
    cursor = world.position()
    world.theirs.deliver(2, 3, 4)
    told = world.follow(cursor)
    assert (told.added, told.changed, told.removed) == ([2, 3, 4], {}, [])
    again = world.follow(told.cursor)
    assert (again.added, again.changed, again.removed) == ([], {}, [])


def test_flags_follow(world):
    world.theirs.deliver(1, 2)
    cursor = world.follow(None).cursor
    world.theirs.flag(2)
    told = world.follow(cursor)
    assert (told.added, told.removed) == ([], [])
    assert set(told.changed) == {2}
    now = told.changed[2]
    answered = world.theirs.marks_answered
    assert (now.seen, now.flagged, now.answered, now.draft) == (True, True, answered, False)
    assert world.follow(told.cursor).changed == {}


def test_a_deletion_and_a_delivery_between_two_polls_are_both_told(world):
    world.theirs.deliver(1, 2, 3)
    cursor = world.follow(None).cursor
    world.theirs.delete(2)
    world.theirs.deliver(4)
    told = world.follow(cursor)
    assert (told.added, told.removed) == ([4], [2])
    assert world.follow(told.cursor).removed == []


def test_what_came_and_went_between_two_polls_leaves_no_trace(world):
    world.theirs.deliver(1)
    cursor = world.follow(None).cursor
    world.theirs.deliver(2)
    world.theirs.delete(2)
    told = world.follow(cursor)
    assert (told.added, told.removed) == ([], [])
    assert world.numbers() == {1}


def test_a_move_is_a_removal_here_and_an_arrival_there(world):
    world.theirs.create_folder("Deals")
    world.theirs.deliver(1, 2)
    here, there = world.follow(None).cursor, world.position("Deals")
    world.theirs.move(1, "Deals")
    assert world.follow(here).removed == [1]
    assert world.follow(there, "Deals").added == [1]
    assert (world.numbers(), world.numbers("Deals")) == ({2}, {1})


@pytest.mark.parametrize("limit", [1, 3, 4, 50])
def test_more_than_a_page_is_told_whole_and_once(world, limit):
    world.theirs.deliver(*range(10))
    told = world.follow(None, limit=limit)
    assert (sorted(told.added), told.removed) == (list(range(10)), [])
    assert told.added == sorted(told.added) or not world.oldest_first
    assert not world.has_changed(told.cursor)


def test_a_listing_that_is_not_at_its_end_says_so(world):
    world.theirs.deliver(1, 2, 3)
    told = world.follow(None, limit=2, pages=1)
    assert len(told.added) == 2
    assert told.added == [1, 2] or not world.oldest_first
    assert world.has_changed(told.cursor)
    assert sorted([*told.added, *world.follow(told.cursor, limit=2).added]) == [1, 2, 3]


@pytest.mark.parametrize("begun", ["new", "followed"])
def test_what_changes_between_two_pages_is_told_at_the_end(world, begun):
    cursor = world.follow(None).cursor if begun == "followed" else None
    world.theirs.deliver(*range(6))
    first = world.follow(cursor, limit=2, pages=1)
    assert len(first.added) == 2
    assert first.added == [0, 1] or not world.oldest_first
    world.theirs.delete(0, 4)
    world.theirs.flag(1)
    world.theirs.deliver(9)
    world.follow(first.cursor, limit=2)
    assert world.numbers() == world.theirs.numbers() == {1, 2, 3, 5, 9}
    assert {number: flags.seen for number, flags in world.copies.values()}[1]


def test_after_a_long_absence_in_pages_changes_among_the_old_are_told(world):
    world.theirs.deliver(*range(6))
    cursor = world.follow(None).cursor
    world.theirs.delete(2)
    world.theirs.deliver(*range(10, 17))
    world.theirs.flag(5)
    told = world.follow(cursor, limit=3)
    assert (told.added, told.removed) == (list(range(10, 17)), [2])
    assert 5 in told.changed
    assert world.numbers() == world.theirs.numbers()


def test_without_a_cursor_what_we_hold_is_compared_and_not_told_again(world):
    world.theirs.deliver(1, 2, 3)
    world.follow(None)
    world.theirs.delete(1)
    world.theirs.flag(2)
    world.theirs.deliver(4)
    told = world.follow(None)
    assert (told.added, set(told.changed), told.removed) == ([4], {2}, [1])


def test_a_renumbered_folder_expires_its_cursor_and_is_then_compared(numbered_world):
    numbered_world.theirs.create_folder("Deals")
    numbered_world.theirs.deliver(1, 2, folder="Deals")
    cursor = numbered_world.follow(None, "Deals").cursor
    old = numbered_world.folder("Deals")
    stale = next(iter(numbered_world.copies))
    numbered_world.theirs.delete_folder("Deals")
    numbered_world.theirs.create_folder("Deals")
    numbered_world.theirs.deliver(1, folder="Deals")
    assert numbered_world.folder("Deals") == old
    assert numbered_world.has_changed(cursor, "Deals")
    with pytest.raises(CursorExpiredError) as caught:
        numbered_world.follow(cursor, "Deals")
    assert caught.value.code is ErrorCode.UIDVALIDITY_CHANGED
    with pytest.raises(CursorExpiredError):
        numbered_world.window(since=NOW - timedelta(days=1), upto=cursor, name="Deals")
    with numbered_world.session() as session:
        assert list(session.fetch(old, [stale])) == [MissingMessage(stale, "gone")]
    told = numbered_world.follow(None, "Deals")
    assert (told.added, sorted(told.removed)) == ([1], [1, 2])
    assert numbered_world.numbers("Deals") == {1}
    assert not numbered_world.has_changed(told.cursor, "Deals")


@pytest.mark.parametrize(
    "cursor", [Cursor("other", 1, "{}"), Cursor("imap", 99, "{}"), Cursor("imap", 1, "x")]
)
def test_a_cursor_of_another_provider_or_version_expires(world, cursor):
    assert world.has_changed(cursor)
    with pytest.raises(CursorExpiredError) as caught:
        world.follow(cursor)
    assert caught.value.code is ErrorCode.CURSOR_EXPIRED
    with pytest.raises(CursorExpiredError):
        world.window(since=NOW, upto=cursor)


# ---- the floor and the window ----


def test_the_floor_and_the_window_are_the_same_to_the_second(world):
    floor = datetime(2026, 10, 20, tzinfo=UTC)
    offsets = {1: -86_400, 2: -3_600, 3: -1, 4: 0, 5: 1, 6: 3_600, 7: 86_400}
    for number, seconds in offsets.items():
        world.theirs.deliver(number, received_at=floor + timedelta(seconds=seconds))
    position = world.position()
    assert sorted(world.window(since=floor, upto=position)) == [4, 5, 6, 7]
    whole = world.follow(None, since=floor)
    assert (whole.added, whole.too_old) == ([4, 5, 6, 7], 0)


def test_an_old_message_that_is_new_to_a_folder_is_named_not_passed_over(world):
    floor = datetime(2026, 10, 20, tzinfo=UTC)
    world.theirs.deliver(1, received_at=floor)
    cursor = world.follow(None, since=floor).cursor
    world.theirs.deliver(2, received_at=floor - timedelta(seconds=1))
    world.theirs.deliver(3, received_at=floor + timedelta(days=1))
    told = world.follow(cursor, since=floor)
    assert (told.added, told.too_old) == ([3], 1)
    assert world.follow(told.cursor, since=floor).too_old == 0


def test_the_window_is_newest_first_and_ends_at_the_position(world):
    for days in (5, 1, 9, 3):
        world.theirs.deliver(days, received_at=NOW - timedelta(days=days))
    position = world.position()
    world.theirs.deliver(100)
    window = world.window(since=NOW - timedelta(days=6), upto=position)
    assert [one for one in window if one != 100 or world.compares_positions] == [1, 3, 5]


def test_the_tally_is_what_the_window_lists(world):
    received = {1: 1, 2: 5, 3: 9, 4: 20, 5: 40, 6: 80, 7: 200, 8: 400}
    for number, days in received.items():
        world.theirs.deliver(number, received_at=NOW - timedelta(days=days, hours=1))
    position = world.position()
    # Not in their order, and one of them twice.
    windows = [timedelta(days=days) for days in (30, 7, 365, 90, 7)]
    tallies = world.tallies([NOW - window for window in windows])
    listed = [len(world.window(since=NOW - window, upto=position)) for window in windows]
    assert [(one.messages, one.more) for one in tallies] == [(count, False) for count in listed]
    assert listed == [4, 2, 7, 6, 2]


def test_the_tally_of_the_day_an_instant_is_in_is_not_short(world):
    floor = datetime(2026, 10, 20, 12, tzinfo=UTC)
    for number, hours in {1: -48, 2: -1, 3: 0, 4: 1, 5: 48}.items():
        world.theirs.deliver(number, received_at=floor + timedelta(hours=hours))
    (tally,) = world.tallies([floor])
    assert 3 <= tally.messages <= 4


def test_an_empty_folder_has_a_tally_of_nothing(world):
    assert world.tallies([NOW - timedelta(days=7)]) == [Tally(0)]


def test_a_folder_that_is_gone_is_left_out_of_the_tallies(world_by_folder):
    world_by_folder.theirs.create_folder("Deals")
    folders = [world_by_folder.folder("Deals"), world_by_folder.folder("INBOX")]
    world_by_folder.theirs.deliver(1)
    world_by_folder.theirs.delete_folder("Deals")
    with world_by_folder.session() as session:
        tallies = session.tallies(folders, [NOW - timedelta(days=7)])
    assert tallies == {folders[1].id: [Tally(1)]}


def test_windows_that_follow_one_another_leave_nothing_out(world):
    border = datetime(2026, 10, 20, 12, tzinfo=UTC)
    hours = {1: -60, 2: -13, 3: -1, 4: 1, 5: 13, 6: 60}
    for number, offset in hours.items():
        world.theirs.deliver(number, received_at=border + timedelta(hours=offset))
    at = world.position()
    newer = world.window(since=border, upto=at)
    older = world.window(since=border - timedelta(days=2), before=border, upto=at)
    assert (newer, older) == ([6, 5, 4], [3, 2])
    assert world.window(since=border - timedelta(hours=1), before=border, upto=at) == [3]
    assert world.window(since=NOW, before=NOW + timedelta(days=1), upto=at) == []


def test_the_window_leaves_nothing_to_sync_and_sync_nothing_to_the_window(world):
    world.theirs.deliver(1, 2, 3)
    position = world.position()
    world.theirs.delete(2)
    world.theirs.deliver(4, 5)
    ours = world.window(since=NOW - timedelta(days=1), upto=position)
    told = world.follow(position)
    assert set(ours) | set(told.added) == {1, 3, 4, 5}
    assert not set(ours) & set(told.added) or not world.compares_positions


def test_an_empty_folder_has_a_position_and_no_window(world):
    position = world.position()
    assert world.window(since=NOW - timedelta(days=1), upto=position) == []
    world.theirs.deliver(1)
    assert world.follow(position).added == [1]


def test_old_mail_that_is_moved_in_stays_out(world):
    cursor = world.position()
    world.theirs.deliver(1, received_at=NOW - timedelta(days=100))
    world.theirs.deliver(2)
    told = world.follow(cursor, since=NOW - timedelta(days=30))
    assert told.added == [2]
    assert not world.has_changed(told.cursor)


# ---- fetching ----


def test_a_message_comes_as_it_is_with_its_date_and_flags(world):
    received = datetime(2026, 3, 5, 6, 7, 8, tzinfo=UTC)
    world.theirs.deliver(1, received_at=received, seen=True)
    world.follow(None)
    (name,) = world.copies
    with world.session() as session:
        (one,) = session.fetch(world.folder(), [name])
    assert isinstance(one, FetchedMessage)
    assert one.raw == raw_mail(1) or not world.theirs.keeps_bytes
    assert (number_of(one), one.size) == (1, len(one.raw))
    assert one.received_at == received
    seen = one.flags
    assert (seen.seen, seen.flagged, seen.answered, seen.draft) == (True, False, False, False)


def test_each_message_asked_for_comes_once_or_is_missing(world):
    world.theirs.deliver(1, 2, 3, 4)
    world.follow(None)
    by_number = {number: name for name, (number, _flags) in world.copies.items()}
    world.theirs.delete(2)
    asked = [by_number[3], by_number[1], by_number[3], by_number[2]]
    with world.session() as session:
        got = list(session.fetch(world.folder(), asked))
    assert MissingMessage(by_number[2], "gone") in got
    assert sorted(number_of(one) for one in got if isinstance(one, FetchedMessage)) == [1, 3]
    assert len(got) == 3


def test_a_reading_that_is_left_early_disturbs_nothing(world):
    world.theirs.deliver(1, 2, 3)
    world.follow(None)
    folder, names = world.folder(), list(world.copies)
    with world.session() as session:
        next(iter(session.fetch(folder, names)))
        assert len(list(session.fetch(folder, names))) == 3
        followed = world.followed()
        page = session.changes(followed, None, Known(), since=None, limit=9, now=NOW)
    assert len(page.added) == 3


def test_a_raw_message_is_had_whole_in_the_middle_of_a_reading(world):
    world.theirs.deliver(1, 2, 3)
    world.follow(None)
    folder = world.folder()
    by_number = {number: name for name, (number, _flags) in world.copies.items()}
    with world.session() as session:
        raws = {
            number_of(one): b"".join(session.read_raw(folder, one.provider_message_id))
            for one in session.fetch(folder, list(by_number.values()))
        }
    assert set(raws) == {1, 2, 3}
    for number, raw in raws.items():
        assert raw == raw_mail(number) or not world.theirs.keeps_bytes
        assert f"Subject: {number}\r\n".encode() in raw


def test_of_a_message_that_is_gone_no_raw_bytes_are_made_up(world):
    world.theirs.deliver(1, 2)
    world.follow(None)
    by_number = {number: name for name, (number, _flags) in world.copies.items()}
    world.theirs.delete(1)
    folder = world.folder()
    with world.session() as session:
        with pytest.raises(UnreadableMessageError) as caught:
            list(session.read_raw(folder, by_number[1]))
        assert list(session.read_raw(folder, by_number[2]))
    assert caught.value.code is ErrorCode.MESSAGE_GONE


def test_reading_leaves_no_mark(world):
    world.theirs.deliver(1)
    world.follow(None)
    folder = world.folder()
    with world.session() as session:
        assert list(session.read_raw(folder, *world.copies))
    told = world.follow(None)
    assert told.changed == {}
    assert [flags.seen for _number, flags in world.copies.values()] == [False]
