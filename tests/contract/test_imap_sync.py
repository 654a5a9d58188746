"""What changed since a cursor, against a real Dovecot with QRESYNC, with CONDSTORE, and with neither.

Dovecot does what a client asks for; a client that asks for less sees an older server.
"""

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.cursor import Cursor
from shared.domain.errors import CursorExpiredError, ErrorCode, RetryLaterError
from shared.domain.folders import FolderRole
from shared.domain.ids import ProviderMessageId
from shared.domain.message import Flags, MissingMessage
from shared.providers.imap import listing, login
from tests.contract.imap_world import NOW, World, mail

HIDDEN = {
    "qresync": frozenset(),
    "condstore": frozenset({b"QRESYNC"}),
    "plain": frozenset({b"QRESYNC", b"CONDSTORE", b"ESEARCH", b"SPECIAL-USE", b"ID"}),
}


@pytest.fixture(params=sorted(HIDDEN))
def world(request, mail_user, monkeypatch) -> World:
    hidden = HIDDEN[request.param]
    monkeypatch.setattr(login.Session, "can", lambda self, name: name in self.capabilities - hidden)
    return World(mail_user, request.param)


def uid(name) -> int:
    return int(name.rsplit(".", 1)[1])


def test_an_idle_look_is_one_round_trip_and_says_nothing_changed(world):
    for number in range(5):
        world.stored.deliver(mail(number))
    with world.session() as session:
        folders = session.folders()
        cursors = {one.id: session.baseline(one, now=world.now) for one in folders}
    seen, round_trips = world.look(cursors)
    assert seen.changed == frozenset()
    assert round_trips == 1
    assert {one.role for one in seen.folders} == {
        FolderRole.INBOX,
        FolderRole.SENT,
        FolderRole.DRAFTS,
        FolderRole.TRASH,
        FolderRole.SPAM,
        FolderRole.ARCHIVE,
    }


def test_login_and_idle_look_take_two_round_trips(world):
    cursor = world.baseline()
    with world.session() as session:
        session.look({world.folder().id: cursor}, lambda _one: True, now=world.now)
        assert session.round_trips == 2
        assert session.bytes_received < 3_000


@pytest.mark.parametrize("what", ["new", "flag", "delete", "move"])
def test_a_look_sees_each_kind_of_change(world, what):
    first, second = world.stored.deliver(mail(1)), world.stored.deliver(mail(2))
    inbox = world.folder()
    cursors = {inbox.id: world.baseline()}
    match what:
        case "new":
            world.stored.deliver(mail(3))
        case "flag":
            world.stored.set_flags([second], ["\\Seen"])
        case "delete":
            world.stored.expunge([first])
        case "move":
            world.stored.move([first], "Archive")
    seen, _ = world.look(cursors)
    assert inbox.id in seen.changed


def test_new_mail_is_added_once_oldest_first(world):
    world.stored.deliver(mail(0))
    cursor = world.baseline()
    delivered = [world.stored.deliver(mail(number)) for number in (1, 2, 3)]
    added, _flags, removed, cursor = world.sync(cursor)
    assert [uid(name) for name in added] == delivered
    assert removed == []
    assert world.sync(cursor)[0] == []


def test_flags_follow(world):
    first, second = world.stored.deliver(mail(1)), world.stored.deliver(mail(2))
    *_, cursor = world.sync(None)
    world.stored.set_flags([second], ["\\Seen", "\\Flagged", "\\Answered", "\\Draft"])
    added, flags, removed, cursor = world.sync(cursor)
    assert (added, removed) == ([], [])
    assert {uid(name) for name in flags} == {second}
    (changed,) = flags.values()
    assert (changed.seen, changed.flagged, changed.answered, changed.draft) == (True,) * 4
    assert (changed.version > 0) == (world.kind != "plain")
    assert first in world.uids()
    assert world.sync(cursor)[1] == {}


def test_a_deletion_and_a_delivery_between_two_polls_are_both_found(world):
    uids = [world.stored.deliver(mail(number)) for number in range(4)]
    *_, cursor = world.sync(None)
    world.stored.expunge([uids[1]])
    new = world.stored.deliver(mail("new"))
    added, _flags, removed, cursor = world.sync(cursor)
    assert [uid(name) for name in added] == [new]
    assert [uid(name) for name in removed] == [uids[1]]
    assert world.uids() == world.stored.uids()
    assert world.sync(cursor)[2] == []


def test_a_deletion_is_told_without_asking_what_we_hold_only_by_qresync(world):
    uids = [world.stored.deliver(mail(number)) for number in range(4)]
    *_, cursor = world.sync(None)
    world.stored.expunge([uids[1]])
    world.asked_for_known = 0
    world.sync(cursor)
    assert (world.asked_for_known == 0) == (world.kind == "qresync")


def test_what_only_arrived_is_told_without_asking_what_we_hold_by_condstore_too(world):
    world.stored.deliver(mail(0))
    *_, cursor = world.sync(None)
    world.stored.deliver(mail(1))
    world.asked_for_known = 0
    world.sync(cursor)
    assert (world.asked_for_known == 0) == (world.kind != "plain")


def test_a_move_is_a_removal_here_and_an_arrival_there(world):
    moved = world.stored.deliver(mail(1))
    *_, inbox_cursor = world.sync(None)
    archive_cursor = world.baseline("Archive")
    world.stored.move([moved], "Archive")
    _, _, removed, _ = world.sync(inbox_cursor)
    added, *_ = world.sync(archive_cursor, "Archive")
    assert [uid(name) for name in removed] == [moved]
    assert len(added) == 1
    assert added[0].split(".")[0] == world.folder("Archive").id


@pytest.mark.parametrize("limit", [1, 3, 4, 50])
def test_more_than_a_page_is_listed_whole_and_only_once(world, limit):
    uids = [world.stored.deliver(mail(number)) for number in range(10)]
    added, _, removed, cursor = world.sync(None, limit=limit)
    assert [uid(name) for name in added] == uids
    assert removed == []
    seen, _ = world.look({world.folder().id: cursor})
    assert seen.changed == frozenset()


def test_what_changes_while_paging_is_found_at_the_end(world):
    uids = [world.stored.deliver(mail(number)) for number in range(6)]
    folder = world.folder()
    cursor = None
    with world.session() as session:
        page = session.changes(folder, cursor, world.known, since=None, limit=2, now=world.now)
        assert page.more
        assert page.flags == {}
        for one in session.fetch(folder, page.added):
            world.held[one.provider_message_id] = one.flags
    world.stored.expunge([uids[0], uids[4]])
    world.stored.set_flags([uids[1]], ["\\Seen"])
    late = world.stored.deliver(mail("late"))
    world.sync(page.next_cursor, limit=2)
    assert world.uids() == world.stored.uids()
    assert late in world.uids()
    assert {uid(name): flags.seen for name, flags in world.held.items()}[uids[1]]


def test_catching_up_after_a_long_absence_finds_deletions_among_the_old(world):
    uids = [world.stored.deliver(mail(number)) for number in range(6)]
    *_, cursor = world.sync(None)
    world.stored.expunge([uids[2]])
    world.stored.append_many("INBOX", [(mail(f"x{n}"), (), None) for n in range(7)])
    world.stored.set_flags([uids[5]], ["\\Flagged"])
    added, flags, removed, _ = world.sync(cursor, limit=3)
    assert len(added) == 7
    assert [uid(name) for name in removed] == [uids[2]]
    assert uids[5] in {uid(name) for name in flags}
    assert world.uids() == world.stored.uids()


def test_a_look_says_that_a_listing_in_pages_is_not_done(world):
    for number in range(3):
        world.stored.deliver(mail(number))
    folder = world.folder()
    with world.session() as session:
        page = session.changes(folder, None, dict, since=None, limit=2, now=world.now)
    assert page.more
    assert folder.id in world.look({folder.id: page.next_cursor})[0].changed


def test_a_recreated_folder_expires_the_cursor_and_is_then_compared(world):
    world.stored.create_folder("Deals")
    world.stored.deliver(mail(1), "Deals")
    *_, cursor = world.sync(None, "Deals")
    before = set(world.held)
    world.stored.delete_folder("Deals")
    world.stored.deliver(mail(1), "Deals")
    folder = world.folder("Deals")
    assert folder.id in world.look({folder.id: cursor})[0].changed
    with pytest.raises(CursorExpiredError) as caught:
        world.sync(cursor, "Deals")
    assert caught.value.code is ErrorCode.UIDVALIDITY_CHANGED
    added, _, removed, _ = world.sync(None, "Deals")
    assert len(added) == 1
    assert set(removed) == before


def test_a_renamed_folder_is_another_folder(world):
    world.stored.create_folder("Before")
    old = world.folder("Before")
    world.stored.rename_folder("Before", "After")
    new = world.folder("After")
    assert old.id != new.id
    with world.session() as session, pytest.raises(RetryLaterError) as caught:
        session.baseline(old, now=world.now)
    assert caught.value.code is ErrorCode.FOLDER_UNAVAILABLE
    with world.session() as session:
        name = ProviderMessageId("x.1.2")
        assert list(session.fetch(old, [name])) == [MissingMessage(name, "gone")]


NAMES = [
    "Größe & Maß",
    "日本語/フォルダー",
    'with "quotes"',
    "back\\slash",
    "two  spaces ",
    "100%*stars",
    "per.cent",
    "(parens) {5}",
    "A&-B",
    "emoji 😀",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_folder_name_round_trips(world, name):
    world.stored.create_folder(name)
    delivered = world.stored.deliver(mail(1), name)
    cursor = world.baseline(name)
    second = world.stored.deliver(mail(2), name)
    folder = world.folder(name)
    assert folder.id in world.look({folder.id: cursor})[0].changed
    added, *_ = world.sync(cursor, name)
    assert [uid(one) for one in added] == [second]
    *_, cursor = world.sync(None, name)
    assert world.uids() == [delivered, second]
    assert world.look({folder.id: cursor})[0].changed == frozenset()


def test_the_window_is_exact_to_the_second_in_any_time_zone(world):
    floor = datetime(2026, 10, 20, 0, 0, 0, tzinfo=UTC)
    offsets = [-86_400, -3_600, -1, 0, 1, 3_600, 86_400]
    for offset in offsets:
        received = floor + timedelta(seconds=offset)
        world.stored.deliver(mail(offset), internal_date=received)
    folder = world.folder()
    with world.session() as session:
        names = session.list_window(folder, since=floor, upto=world.baseline())
        got = [
            int((one.received_at - floor).total_seconds()) for one in session.fetch(folder, names)
        ]
    assert sorted(got) == [0, 1, 3_600, 86_400]
    added, *_ = world.sync(None, since=floor)
    assert set(added) == set(names)


def test_the_window_is_newest_first_and_ends_at_the_position(world):
    days = [5, 1, 9, 3]
    for day in days:
        world.stored.deliver(mail(day), internal_date=NOW - timedelta(days=day))
    position = world.baseline()
    world.stored.deliver(mail("later"))
    folder = world.folder()
    with world.session() as session:
        names = session.list_window(folder, since=NOW - timedelta(days=6), upto=position)
        by_name = {one.provider_message_id: one for one in session.fetch(folder, names)}
    dates = [by_name[name].received_at for name in names]
    assert dates == sorted(dates, reverse=True)
    assert len(dates) == 3


def test_mail_older_than_the_floor_that_is_moved_in_stays_out(world):
    old = NOW - timedelta(days=100)
    cursor = world.baseline()
    world.stored.deliver(mail("old"), internal_date=old)
    new = world.stored.deliver(mail("new"))
    added, _, _, cursor = world.sync(cursor, since=NOW - timedelta(days=30))
    assert [uid(name) for name in added] == [new]
    assert world.look({world.folder().id: cursor})[0].changed == frozenset()


def test_windows_of_uids_lose_nothing(world, monkeypatch):
    monkeypatch.setattr(listing, "FIRST_WINDOW", 3)
    uids = [world.stored.deliver(mail(number)) for number in range(11)]
    world.stored.expunge(uids[4:7])
    left = [one for one in uids if one not in uids[4:7]]
    added, *_, cursor = world.sync(None, limit=4)
    assert [uid(name) for name in added] == left
    world.stored.expunge([left[0]])
    assert [uid(name) for name in world.sync(cursor)[2]] == [left[0]]


def test_known_copies_are_not_listed_again_without_a_cursor(world):
    uids = [world.stored.deliver(mail(number)) for number in range(3)]
    world.sync(None)
    world.stored.expunge([uids[0]])
    world.stored.set_flags([uids[1]], ["\\Seen"])
    new = world.stored.deliver(mail("new"))
    added, flags, removed, _ = world.sync(None)
    assert [uid(name) for name in added] == [new]
    assert [uid(name) for name in flags] == [uids[1]]
    assert [uid(name) for name in removed] == [uids[0]]


def test_a_cursor_of_another_adapter_or_version_expires(world):
    for cursor in (Cursor("gmail", 1, "{}"), Cursor("imap", 9, "{}"), Cursor("imap", 1, "x")):
        assert world.folder().id in world.look({world.folder().id: cursor})[0].changed
        with pytest.raises(CursorExpiredError) as caught:
            world.sync(cursor)
        assert caught.value.code is ErrorCode.CURSOR_EXPIRED


def test_a_folder_is_compared_whole_at_intervals(world):
    first = world.stored.deliver(mail(1))
    *_, cursor = world.sync(None)
    inbox = world.folder()
    assert world.look({inbox.id: cursor})[0].changed == frozenset()
    world.now = NOW + (timedelta(minutes=16) if world.kind == "plain" else timedelta(hours=25))
    assert world.look({inbox.id: cursor})[0].changed == {inbox.id}
    (name,) = world.held
    world.held[name] = Flags(seen=True)
    _, flags, _, cursor = world.sync(cursor)
    assert [uid(one) for one in flags] == [first]
    assert world.look({inbox.id: cursor})[0].changed == frozenset()


def test_a_reset_of_the_change_numbers_is_answered_by_a_whole_comparison(world):
    uids = [world.stored.deliver(mail(number)) for number in range(3)]
    *_, cursor = world.sync(None)
    world.stored.expunge([uids[1]])
    lying = Cursor(
        cursor.provider, cursor.version, cursor.position.replace('"modseq":', '"modseq":9999')
    )
    _, _, removed, _ = world.sync(lying)
    assert [uid(name) for name in removed] == [uids[1]]


def test_reading_changes_nothing_at_the_server(world):
    first = world.stored.deliver(mail(1, body="x" * 100_000))
    second = world.stored.deliver(mail(2))
    before = world.stored.flags()
    world.sync(None)
    assert world.stored.flags() == before == {first: frozenset(), second: frozenset()}
