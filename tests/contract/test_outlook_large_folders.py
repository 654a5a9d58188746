"""Folders that are larger than a session has time for: their position, and comparing them."""

import random
from datetime import timedelta

import pytest

from shared.domain.errors import CursorExpiredError, RetryLaterError
from shared.providers.http import Requests
from shared.providers.outlook import baseline, comparing, delta, window
from tests.contract.moving_world import KnownHere
from tests.contract.provider_worlds import NOW

DELTA = r"/messages/delta$"
LONG_AGO = NOW - timedelta(days=400)


@pytest.fixture
def large(outlook, monkeypatch):
    """Forty old messages in pages of two, so that twenty requests stand for twenty thousand."""
    for module in (baseline, delta):
        monkeypatch.setattr(module, "LARGEST_PAGE", 2)
    for number in range(1, 41):
        outlook.theirs.deliver(number, received_at=LONG_AGO + timedelta(minutes=number))
    return outlook


@pytest.fixture
def slow(monkeypatch):
    """Each request takes five seconds of its session."""
    left = Requests.seconds_left.fget
    monkeypatch.setattr(Requests, "seconds_left", property(lambda one: left(one) - 5 * one.sent))


def position_of(world, name="INBOX", *, seconds=240):
    folder = world.folder(name)
    with world.provider.open(world.grant, seconds=seconds) as session:
        cursor = session.baseline(folder, now=world.now)
        return cursor, session.is_settled(cursor), session.requests


def is_settled(world, cursor):
    with world.session() as session:
        return session.is_settled(cursor)


# ---- a position ----


def test_a_position_of_a_small_folder_is_settled_at_once(outlook):
    outlook.theirs.deliver(1)
    _cursor, settled, asked = position_of(outlook)
    assert (settled, asked) == (True, 1)


def test_a_walk_to_a_position_ends_after_a_minute_and_goes_on_page_by_page(large, slow):
    cursor, settled, asked = position_of(large)
    assert (settled, asked) == (False, 12)
    large.theirs.deliver(100, 101)
    pages = 0
    while not is_settled(large, cursor):
        told = large.follow(cursor, pages=1)
        assert told.added == []
        cursor = told.cursor
        pages += 1
    assert pages == 20 - 12 + 1
    assert sorted(large.follow(cursor).added) == [100, 101]
    assert not large.has_changed(large.follow(cursor).cursor)


def test_walks_of_all_folders_take_half_of_a_session_together(large, slow):
    large.theirs.create_folder("Deals")
    large.theirs.deliver(200, folder="Deals", received_at=LONG_AGO)
    inbox, deals = large.folder(), large.folder("Deals")
    with large.provider.open(large.grant, seconds=100) as session:
        first = session.baseline(inbox, now=NOW)
        second = session.baseline(deals, now=NOW)
        assert session.requests == 10
        assert not session.is_settled(first)
        assert not session.is_settled(second)
    settled = large.follow(second, "Deals")
    assert settled.added == []
    large.theirs.deliver(201, folder="Deals")
    assert large.follow(settled.cursor, "Deals").added == [201]


def test_a_walk_to_a_position_names_what_just_arrived_and_no_history(outlook, monkeypatch):
    monkeypatch.setattr(baseline, "FOLDER_SECONDS", 0.0)
    outlook.theirs.deliver(1, received_at=NOW - timedelta(minutes=11))
    outlook.theirs.deliver(2, received_at=NOW - timedelta(minutes=9))
    outlook.theirs.deliver(3, received_at=LONG_AGO)
    cursor, settled, asked = position_of(outlook)
    assert (settled, asked) == (False, 0)
    told = outlook.follow(cursor, since=NOW - timedelta(days=30))
    assert (told.added, told.too_old) == ([2], 0)
    assert is_settled(outlook, told.cursor)


def test_news_in_a_walk_to_a_position_come_as_many_at_a_time_as_are_asked_for(outlook, monkeypatch):
    monkeypatch.setattr(baseline, "FOLDER_SECONDS", 0.0)
    outlook.theirs.deliver(*range(9))
    cursor, _settled, _asked = position_of(outlook)
    told = outlook.follow(cursor, limit=2)
    assert sorted(told.added) == list(range(9))
    assert is_settled(outlook, told.cursor)


def test_what_became_of_held_messages_is_told_by_a_walk_to_a_position(large, slow):
    large.theirs.create_folder("Deals")
    large.follow(None)
    deals = large.follow(None, "Deals").cursor
    for number in (1, 2):
        large.theirs.move(number, "Deals")
        large.follow(deals, "Deals")
    # They are back, and still held in the other folder; the oldest are walked over last.
    for number in (1, 2):
        large.theirs.move(number, "INBOX")
    large.theirs.flag(3)
    cursor, settled, _asked = position_of(large)
    assert not settled
    told = large.follow(cursor)
    assert sorted(told.added) == [1, 2]
    assert told.changed[3].seen
    assert large.numbers() == set(range(1, 41))
    assert len(large.fetched) == 40


def test_a_walk_to_a_position_that_died_repeats_a_page_and_loses_nothing(large, slow):
    cursor, _settled, _asked = position_of(large)
    large.theirs.deliver(100)
    for _ in range(3):
        lost = large.follow(cursor, pages=2)
        cursor = large.follow(cursor, pages=1).cursor
    assert not is_settled(large, lost.cursor)
    assert large.follow(cursor).added == [100]


def test_an_unsettled_position_has_changed_and_is_not_asked_for(large, slow):
    cursor, _settled, _asked = position_of(large)
    large.simulator.log.clear()
    assert large.has_changed(cursor)
    assert large.simulator.log.entries(route="messages.delta") == []


def test_a_walk_to_a_position_whose_link_expires_is_compared_like_any_other(large, slow):
    cursor, _settled, _asked = position_of(large)
    large.theirs.deliver(100)
    large.simulator.faults.arm("delta_gone", route=DELTA)
    with pytest.raises(CursorExpiredError):
        large.follow(cursor)
    told = large.follow(None, since=NOW - timedelta(days=30))
    assert told.added == [100]
    assert is_settled(large, told.cursor)


# ---- comparing ----


def test_a_walk_over_a_folder_that_is_new_is_no_position_before_its_end(outlook):
    outlook.theirs.deliver(*range(6))
    amid = outlook.follow(None, limit=2, pages=1).cursor
    assert not is_settled(outlook, amid)
    assert is_settled(outlook, outlook.follow(amid, limit=2).cursor)


def test_a_round_of_changes_is_a_position_at_any_of_its_pages(outlook):
    cursor = outlook.position()
    outlook.theirs.deliver(*range(6))
    assert is_settled(outlook, outlook.follow(cursor, limit=2, pages=1).cursor)


class Counted(KnownHere):
    """Counts how often all copies are read."""

    def __init__(self, world, folder) -> None:
        super().__init__(world, folder)
        self.read = 0

    def in_folder(self):
        self.read += 1
        return super().in_folder()


def test_a_folder_is_compared_in_as_many_sessions_as_it_takes(large, monkeypatch):
    monkeypatch.setattr(window, "LARGEST_PAGE", 5)
    large.follow(None)
    lost = {1, 2, 7, 20, 21, 40}
    large.theirs.delete(*lost)
    cursor, removed, most = None, [], 0
    for _ in range(100):
        folder = large.folder()
        with large.session() as session:
            told = large.take_in(session, folder, cursor, limit=10, pages=1)
            most = max(most, session.requests)
        cursor = told.cursor
        removed += told.removed
        if is_settled(large, cursor):
            break
    assert set(removed) == lost
    assert len(removed) == len(lost)
    assert most <= 3
    assert large.numbers() == large.theirs.numbers()
    assert not large.has_changed(large.follow(cursor).cursor)


def test_comparing_reads_what_we_hold_once_a_session(large, monkeypatch):
    monkeypatch.setattr(window, "LARGEST_PAGE", 5)
    large.follow(None)
    large.theirs.delete(3)
    folder = large.folder()
    known = Counted(large, folder)
    cursor, more, pages = None, True, 0
    with large.session() as session:
        while more:
            page = session.changes(folder, cursor, known, since=None, limit=50, now=NOW)
            cursor, more, pages = page.next_cursor, page.more, pages + 1
    assert pages > 5
    assert known.read == 1


def test_a_folder_that_was_emptied_is_asked_about_a_few_at_a_time(large, monkeypatch):
    monkeypatch.setattr(comparing, "MOST_ASKED", 7)
    large.follow(None)
    large.theirs.delete(*range(1, 41))
    folder, cursor, removed = large.folder(), None, []
    for _ in range(40):
        with large.session() as session:
            told = large.take_in(session, folder, cursor, pages=1)
            assert session.parts <= 7 + 2
        removed += told.removed
        cursor = told.cursor
        if is_settled(large, cursor):
            break
    assert sorted(removed) == list(range(1, 41))


def test_a_comparison_that_fails_amid_goes_on_from_where_it_was(large, monkeypatch):
    monkeypatch.setattr(window, "LARGEST_PAGE", 5)
    large.follow(None)
    large.theirs.delete(2, 38)
    cursor = large.follow(None, pages=3).cursor
    large.simulator.faults.arm("unavailable", route=r"/messages$", times=None)
    with pytest.raises(RetryLaterError):
        large.follow(cursor, pages=1)
    large.simulator.faults.clear()
    large.follow(cursor)
    assert large.numbers() == large.theirs.numbers()


@pytest.mark.parametrize("seed", range(8))
def test_whatever_went_unnoticed_is_found_whatever_the_dates_are(outlook, monkeypatch, seed):
    rng = random.Random(seed)
    monkeypatch.setattr(window, "LARGEST_PAGE", rng.choice([1, 3, 8]))
    monkeypatch.setattr(comparing, "MOST_ASKED", rng.choice([1, 4, 200]))
    outlook.theirs.create_folder("Deals")
    seconds = rng.choice([1, 5, 100_000])
    for number in range(40):
        outlook.theirs.deliver(
            number,
            folder=rng.choice(["INBOX", "INBOX", "Deals"]),
            received_at=NOW - timedelta(seconds=rng.randrange(seconds)),
        )
    outlook.follow(None)
    outlook.follow(None, "Deals")
    numbers = iter(range(100, 1000))

    def meddle(times):
        for _ in range(times):
            place = rng.choice(["INBOX", "INBOX", "Deals"])
            theirs = sorted(outlook.theirs.numbers(place))
            match rng.choice(["deliver", "move", "delete", "delete"]):
                case "deliver":
                    outlook.theirs.deliver(next(numbers), folder=place)
                case "move" if theirs:
                    outlook.theirs.move(rng.choice(theirs), rng.choice(["INBOX", "Deals"]))
                case "delete" if theirs:
                    outlook.theirs.delete(rng.choice(theirs))

    meddle(25)
    cursors = dict.fromkeys(["INBOX", "Deals"])
    for _ in range(60):
        for name in cursors:
            cursors[name] = outlook.follow(
                cursors[name], name, limit=rng.choice([3, 50]), pages=rng.choice([1, 4])
            ).cursor
        if rng.random() < 0.3:
            meddle(1)
    for _ in range(2):
        for name in cursors:
            cursors[name] = outlook.follow(cursors[name], name).cursor
    for name in cursors:
        assert outlook.numbers(name) == outlook.theirs.numbers(name), f"{name}, seed {seed}"
    assert len(outlook.fetched) == len(set(outlook.fetched))
