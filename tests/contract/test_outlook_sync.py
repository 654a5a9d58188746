"""What is particular to Outlook: ids that survive a move, folders that tell one half each."""

import random
from datetime import UTC, datetime, timedelta
from threading import BoundedSemaphore

import pytest

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.folders import FolderRole, is_active
from shared.domain.message import FetchedMessage
from shared.providers.outlook.session import MOST_EMPTY
from tests.contract.moving_world import KnownHere
from tests.contract.provider_worlds import NOW, number_of, raw_mail

QUIET = datetime(2026, 11, 21, 10, 7, tzinfo=UTC)
JUST_BEFORE = QUIET - timedelta(minutes=5)
"""A look then and one at `QUIET`: no quarter of an hour begins between them."""


# ---- moves ----


@pytest.fixture
def moved(outlook):
    """A message that was taken in and then moved from the inbox to Deals."""
    outlook.theirs.create_folder("Deals")
    outlook.theirs.deliver(1, 2)
    here, there = outlook.follow(None).cursor, outlook.follow(None, "Deals").cursor
    outlook.theirs.move(1, "Deals")
    return outlook, here, there


@pytest.mark.parametrize("first", ["here", "there"])
def test_a_move_seen_in_either_order_leaves_one_copy_that_is_not_fetched_again(moved, first):
    world, here, there = moved
    steps = [lambda: world.follow(here), lambda: world.follow(there, "Deals")]
    for step in steps if first == "here" else steps[::-1]:
        step()
    assert (world.numbers(), world.numbers("Deals")) == ({2}, {1})
    assert len(world.fetched) == 2


def test_a_message_that_was_moved_on_is_not_put_where_a_page_read_ahead_says(moved):
    world, here, there = moved
    inbox, deals = world.folder(), world.folder("Deals")
    world.theirs.create_folder("Later")
    later = world.follow(None, "Later").cursor
    with world.session() as session:
        session.look(
            {inbox.id: here, deals.id: there}, lambda one: one.id in (inbox.id, deals.id), now=QUIET
        )
        world.theirs.move(1, "Later")
        after = world.take_in(session, world.folder("Later"), later)
        told = world.take_in(session, deals, there)
        world.take_in(session, inbox, here)
    assert world.numbers("Later") == {1}
    world.follow(told.cursor, "Deals")
    world.follow(after.cursor, "Later")
    assert (world.numbers(), world.numbers("Deals"), world.numbers("Later")) == ({2}, set(), {1})
    assert len(world.fetched) == 2


def test_a_move_there_and_back_changes_nothing(moved):
    world, here, there = moved
    world.theirs.move(1, "INBOX")
    told, beside = world.follow(here), world.follow(there, "Deals")
    assert (told.removed, beside.added, world.numbers()) == ([], [], {1, 2})
    assert len(world.fetched) == 2


def test_what_is_removed_and_was_never_held_is_nothing(outlook):
    cursor = outlook.position()
    outlook.theirs.deliver(1)
    outlook.theirs.delete(1)
    outlook.theirs.deliver(2)
    outlook.theirs.move(2, "Archive")
    told = outlook.follow(cursor)
    assert (told.added, told.changed, told.removed) == ([], {}, [])


@pytest.mark.parametrize("fault", ["delta_repeats", "delta_reordered", "delta_removed_reason"])
def test_entries_told_twice_or_in_another_order_end_the_same(moved, fault):
    world, here, there = moved
    world.theirs.deliver(*range(10, 20))
    world.theirs.flag(12)
    world.theirs.delete(13)
    world.simulator.faults.arm(fault, times=None)
    world.follow(here, limit=3)
    world.follow(there, "Deals", limit=3)
    assert world.numbers() == world.theirs.numbers()
    assert world.numbers("Deals") == {1}
    assert len(world.fetched) == len(set(world.fetched))


def test_empty_pages_amid_a_walk_are_passed_over(outlook):
    outlook.theirs.deliver(*range(6))
    outlook.simulator.faults.arm("delta_empty_page", after=1)
    assert sorted(outlook.follow(None, limit=2).added) == list(range(6))


def test_pages_that_are_empty_for_ever_end_a_session_soon(outlook):
    outlook.simulator.faults.arm("delta_empty_page", times=None)
    folder = outlook.folder()
    with outlook.session() as session:
        asked = session.requests
        with pytest.raises(RetryLaterError) as caught:
            outlook.take_in(session, folder, None)
        assert caught.value.code is ErrorCode.FOLDER_UNAVAILABLE
        assert session.requests - asked == MOST_EMPTY


def test_a_walk_to_a_position_stops_amid_pages_that_are_empty_and_goes_on_from_there(outlook):
    outlook.theirs.deliver(1)
    outlook.simulator.faults.arm("delta_empty_page", times=MOST_EMPTY + 10)
    folder = outlook.folder()
    with outlook.session() as session:
        cursor = session.baseline(folder, now=QUIET)
        assert not session.is_settled(cursor)
    outlook.simulator.log.clear()
    assert outlook.follow(cursor).added == [1]
    assert len([one for one in outlook.simulator.log.entries() if "delta" in one.path]) < 20


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_while_folders_are_followed_ends_as_the_mailbox_is(outlook, seed):
    rng = random.Random(seed)
    names = ["INBOX", "Archive", "Deals", "Junk Email"]
    followed = names[:3]
    outlook.theirs.create_folder("Deals")
    outlook.theirs.deliver(*range(12))
    cursors = dict.fromkeys(followed)
    numbers = iter(range(100, 1000))

    def meddle():
        theirs = [n for name in names for n in outlook.theirs.numbers(name)]
        match rng.choice(["deliver", "deliver", "move", "move", "flag", "delete"]):
            case "deliver":
                outlook.theirs.deliver(next(numbers), folder=rng.choice(names))
            case "move":
                outlook.theirs.move(rng.choice(theirs), rng.choice(names))
            case "flag":
                outlook.theirs.flag(rng.choice(theirs))
            case "delete" if len(theirs) > 3:
                outlook.theirs.delete(rng.choice(theirs))

    for _ in range(12):
        order = rng.sample(followed, k=3)
        folders = {name: outlook.folder(name) for name in order}
        with outlook.session() as session:
            known = {folders[name].id: cursors[name] for name in order}
            session.look(known, lambda one, ids=frozenset(known): one.id in ids, now=QUIET)
            for name in order:
                meddle()
                told = outlook.take_in(
                    session,
                    folders[name],
                    cursors[name],
                    limit=rng.choice([2, 5, 50]),
                    pages=rng.choice([1, 2, 9]),
                )
                cursors[name] = told.cursor
        if rng.random() < 0.1:
            cursors[rng.choice(followed)] = None
    for _ in range(3):
        for name in followed:
            cursors[name] = outlook.follow(cursors[name], name).cursor
    for name in followed:
        assert outlook.numbers(name) == outlook.theirs.numbers(name), f"{name}, seed {seed}"
    held = {one.id: one for one in outlook.theirs.mailbox.messages()}
    for name, (_number, flags) in outlook.copies.items():
        assert flags.seen is held[name].seen
    assert len(outlook.fetched) == len(set(outlook.fetched)), f"seed {seed}"


# ---- folders ----


def test_folders_of_folders_are_named_by_their_path_and_known_ones_by_what_they_are_for(outlook):
    outlook.theirs.create_folder("Customers")
    outlook.theirs.mailbox.create_folder("2026", "Customers")
    folders = outlook.folders()
    assert folders["Customers/2026"].role is FolderRole.OTHER
    roles = {one.role for one in folders.values()}
    assert roles == {
        FolderRole.INBOX,
        FolderRole.SENT,
        FolderRole.DRAFTS,
        FolderRole.TRASH,
        FolderRole.SPAM,
        FolderRole.ARCHIVE,
        FolderRole.OTHER,
    }
    assert not {"Outbox", "Search Folders", "Conversation History"} & set(folders)
    assert not any(is_active(one, None) for one in folders.values() if one.role is FolderRole.SPAM)


def test_folders_in_another_language_are_known_by_what_they_are_for(outlook):
    outlook.simulator.add_user(
        "ada@contoso.example", folder_names={"inbox": "Posteingang", "junkemail": "Werbung"}
    )
    roles = {one.role: one.name for one in outlook.folders().values()}
    assert FolderRole.INBOX in roles
    assert FolderRole.SPAM in roles


def test_a_renamed_folder_keeps_its_id_its_cursor_and_its_copies(outlook):
    outlook.theirs.create_folder("Deals")
    outlook.theirs.deliver(1, folder="Deals")
    cursor = outlook.follow(None, "Deals").cursor
    before = outlook.folder("Deals")
    outlook.theirs.mailbox.rename_folder("Deals", "Won deals")
    assert outlook.folder("Won deals").id == before.id
    outlook.theirs.mailbox.deliver(raw_mail(2), folders=("Won deals",), received_at=NOW)
    assert outlook.follow(cursor, "Won deals").added == [2]
    assert len(outlook.fetched) == 2


def test_a_folder_moved_under_another_keeps_its_id(outlook):
    outlook.theirs.create_folder("Deals")
    outlook.theirs.create_folder("Customers")
    before = outlook.folder("Deals")
    mailbox = outlook.theirs.mailbox
    with mailbox._world.store.transaction():
        folders = mailbox._folders
        folders.move(folders.named("Deals"), folders.named("Customers"))
    assert outlook.folder("Customers/Deals").id == before.id


def test_a_folder_deleted_amid_a_walk_is_its_own_trouble(outlook):
    outlook.theirs.create_folder("Deals")
    outlook.theirs.deliver(*range(6), folder="Deals")
    outlook.theirs.deliver(9)
    folder = outlook.folder("Deals")
    first = outlook.follow(None, "Deals", limit=2, pages=1)
    outlook.theirs.delete_folder("Deals")
    with outlook.session() as session:
        with pytest.raises(RetryLaterError) as caught:
            outlook.take_in(session, folder, first.cursor)
        assert caught.value.code is ErrorCode.FOLDER_UNAVAILABLE
        assert outlook.take_in(session, outlook.folder(), None).added == [9]
        seen = session.look(
            {folder.id: first.cursor}, lambda _one: True, folders=[folder], now=QUIET
        )
    assert folder.id not in {one.id for one in seen.folders}


# ---- looking ----


def test_an_idle_poll_is_one_part_for_each_folder_in_one_request(outlook):
    outlook.theirs.deliver(1)
    folders = [one for one in outlook.folders().values() if is_active(one, None)]
    cursors = {
        one.id: outlook.position("INBOX" if one.role is FolderRole.INBOX else one.name)
        for one in folders
    }
    outlook.simulator.log.clear()
    with outlook.session() as session:
        seen = session.look(
            cursors,
            lambda one: is_active(one, None),
            folders=folders,
            last_look_at=JUST_BEFORE,
            now=QUIET,
        )
        assert (session.requests, session.parts) == (1, len(folders))
    assert (seen.changed, seen.unavailable, seen.folders) == (frozenset(), frozenset(), (*folders,))
    assert seen.followed == set(cursors)
    entries = outlook.simulator.log.entries()
    assert [one.route for one in entries if not one.batch] == ["batch"]
    assert {one.route for one in entries if one.batch} == {"messages.delta"}


@pytest.mark.parametrize(
    ("every", "listings"), [(5, 4), (7, 4), (15, 4), (16, 4), (30, 2), (60, 1), (240, 1)]
)
def test_folders_are_listed_in_each_quarter_of_an_hour_once_however_often_a_mailbox_is_polled(
    outlook, every, listings
):
    folders = list(outlook.folders().values())
    cursors = {outlook.folder().id: outlook.position()}
    outlook.simulator.log.clear()
    steps = max(60 // every, 1)
    for step in range(steps):
        last = QUIET + timedelta(minutes=every * step)
        with outlook.session() as session:
            session.look(
                cursors,
                lambda one: one.role is FolderRole.INBOX,
                folders=folders,
                last_look_at=last,
                now=last + timedelta(minutes=every),
            )
    listed = outlook.simulator.log.entries(route="folders.list")
    assert len(listed) == min(listings, steps)


def test_folders_are_listed_when_something_changed_or_nobody_knows_when_that_was_done(outlook):
    folders = list(outlook.folders().values())
    cursors = {outlook.folder().id: outlook.position()}
    outlook.theirs.create_folder("Deals")

    def listed(last):
        with outlook.session() as session:
            seen = session.look(
                cursors,
                lambda one: one.role is FolderRole.INBOX,
                folders=folders,
                last_look_at=last,
                now=QUIET,
            )
        return "Deals" in {one.name for one in seen.folders}

    assert not listed(JUST_BEFORE)
    assert listed(None)
    outlook.theirs.deliver(1)
    assert listed(JUST_BEFORE)


def test_what_a_look_brought_is_not_asked_for_again(outlook):
    cursor = outlook.position()
    folder = outlook.folder()
    outlook.theirs.deliver(1)
    with outlook.session() as session:
        session.look({folder.id: cursor}, lambda one: one.id == folder.id, now=QUIET)
        asked = session.requests
        page = session.changes(
            folder, cursor, KnownHere(outlook, folder), since=None, limit=9, now=QUIET
        )
        assert session.requests == asked
        assert len(list(session.fetch(folder, page.added))) == 1
        assert session.requests == asked + 1


def test_a_link_of_a_quiet_folder_is_renewed_before_it_is_forgotten(outlook):
    outlook.now = NOW
    cursor = outlook.position()
    assert not outlook.has_changed(cursor)
    outlook.now = NOW + timedelta(days=3)
    assert outlook.has_changed(cursor)
    assert not outlook.has_changed(outlook.follow(cursor).cursor)


# ---- windows and fetching ----


def test_a_window_of_more_than_a_page_is_whole_whatever_is_deleted_meanwhile(outlook, monkeypatch):
    from shared.providers.outlook import window

    monkeypatch.setattr(window, "LARGEST_PAGE", 4)
    for number in range(12):
        outlook.theirs.deliver(number, received_at=NOW - timedelta(minutes=number // 2))
    position = outlook.position()
    folder = outlook.folder()
    with outlook.session() as session:
        get, asked = session._session.graph.get, []

        def after_a_deletion(url, **more):
            asked.append(url)
            if len(asked) == 2:
                outlook.theirs.delete(0, 1)
            return get(url, **more)

        monkeypatch.setattr(session._session.graph, "get", after_a_deletion)
        names = session.list_window(folder, since=NOW - timedelta(days=1), upto=position)
    held = {one.id for one in outlook.theirs.mailbox.messages()}
    assert held <= set(names)
    assert len(names) == 12


def test_a_window_of_messages_of_one_second_is_whole(outlook, monkeypatch):
    from shared.providers.outlook import window

    monkeypatch.setattr(window, "LARGEST_PAGE", 4)
    outlook.theirs.deliver(*range(11))
    position = outlook.position()
    assert sorted(outlook.window(since=NOW, upto=position)) == list(range(11))


def test_a_chunk_is_known_by_one_list_and_not_message_by_message(outlook):
    for number in range(60):
        outlook.theirs.deliver(number, received_at=NOW - timedelta(hours=number))
    position, folder = outlook.position(), outlook.folder()
    with outlook.session() as session:
        names = session.list_window(folder, since=NOW - timedelta(days=30), upto=position)
    gone = names[30]
    outlook.theirs.delete(30)
    outlook.theirs.move(31, "Archive")
    with outlook.session() as session:
        got = list(session.fetch(folder, names))
        # Two ends, a list, two that it left out, and sixty contents in their batches.
        assert session.parts <= 2 + 1 + 2 + 60
    assert len(got) == 60
    (missing,) = [one for one in got if not isinstance(one, FetchedMessage)]
    assert missing.provider_message_id == gone
    archive = outlook.folder("Archive").id
    (elsewhere,) = [
        one for one in got if isinstance(one, FetchedMessage) and one.folder_ids == {archive}
    ]
    assert number_of(elsewhere) == 31


def _with_file(number: int, size: int, *, inline: bool = False) -> bytes:
    content = "QUJDREVGR0hJSktM" * 4
    lines = "\r\n".join([content] * (size // 48))
    kind = "inline" if inline else "attachment"
    return (
        f"From: Ann <ann@customer.example>\r\nTo: alice@mail.example\r\nSubject: {number}\r\n"
        f"Message-ID: <{number}@customer.example>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n'
        f"see the file\r\n--b\r\nContent-Type: image/png; name=a.png\r\n"
        f"Content-Disposition: {kind}; filename=a.png\r\nContent-ID: <a>\r\n"
        f"Content-Transfer-Encoding: base64\r\n\r\n{lines}\r\n--b--\r\n"
    ).encode()


def test_a_message_with_a_file_is_streamed_alone_and_comes_whole(outlook):
    mailbox = outlook.theirs.mailbox
    mailbox.deliver(_with_file(1, 300_000))
    outlook.theirs.deliver(2)
    outlook.follow(None)
    assert outlook.numbers() == {1, 2}
    alone = [one for one in outlook.simulator.log.entries(route="messages.mime") if not one.batch]
    assert len(alone) == 1


@pytest.mark.parametrize("inline", [True, False])
def test_a_message_too_large_to_be_held_comes_in_parts_and_its_file_in_slices(
    outlook, monkeypatch, inline
):
    from shared.mime.parse import MimeParser
    from shared.providers.outlook import fetching

    monkeypatch.setattr(fetching, "WHOLE_BYTES", 100_000)
    monkeypatch.setattr(fetching, "BATCH_BYTES", 100_000)
    outlook.theirs.mailbox.deliver(_with_file(1, 400_000, inline=inline))
    folder = outlook.folder()
    (name,) = [one.id for one in outlook.theirs.mailbox.messages()]
    with outlook.session() as session:
        (one,) = session.fetch(folder, [name])
        assert one.raw is None
        parsed = MimeParser().parse(one)
        (file,) = parsed.attachments
        slices = list(session.read_part(folder, name, file.section, file.encoding))
    assert parsed.subject == "1"
    assert parsed.internet_message_id == "1@customer.example" or parsed.internet_message_id
    assert "see the file" in parsed.text
    assert file.filename == "a.png"
    assert len(slices) > 1
    assert b"".join(slices).startswith(b"ABCDEFGHIJKL")


def test_large_messages_of_several_sessions_are_held_a_few_at_a_time(outlook, monkeypatch):
    from shared.providers import room
    from shared.providers.outlook import graph

    monkeypatch.setattr(graph, "LARGE_BYTES", 50_000)
    monkeypatch.setattr(room, "_turns", BoundedSemaphore(1))
    names = [outlook.theirs.mailbox.deliver(_with_file(one, 100_000)) for one in (1, 2)]
    outlook.theirs.deliver(3)
    small = outlook.theirs._places[3][1]
    folder = outlook.folder()
    with outlook.session() as first:
        fetched = first.fetch(folder, names)
        assert number_of(next(fetched)) == 1
        with outlook.provider.open(outlook.grant, seconds=1.0) as second:
            assert len(list(second.fetch(folder, [small]))) == 1
            with pytest.raises(RetryLaterError) as caught:
                list(second.fetch(folder, names))
        assert caught.value.code is ErrorCode.CONNECTION_TIMED_OUT
        # Nobody waits for himself.
        assert number_of(next(fetched)) == 2
    with outlook.session() as third:
        assert len(list(third.fetch(folder, names))) == 2
