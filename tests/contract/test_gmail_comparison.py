"""A comparison of a whole mailbox at Gmail comes to its end, whatever its size and whatever a
session lasts.

A page of five ids stands for one of five hundred: what happens in a mailbox of fifty thousand
happens in one of five hundred.
"""

import random
from datetime import timedelta
from itertools import chain, combinations, count

import pytest

from infra.simulators.kit.mailbox import Delivery
from shared.domain.cursor import Cursor
from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.folders import is_active
from shared.providers.gmail import comparing, labels, listing, position
from shared.providers.http import Requests
from tests.contract.gmail_world import KnownAll
from tests.contract.provider_worlds import NOW, raw_mail

LIST = r"^GET /gmail/v1/users/[^/]+/messages$"
PAGE = 5


@pytest.fixture
def large(gmail, monkeypatch):
    """A mailbox that takes many windows."""
    monkeypatch.setattr(listing, "PAGE_IDS", PAGE)
    gmail.simulator.limits.user_units = 10**9
    return gmail


@pytest.fixture
def requests_left(monkeypatch):
    """How many requests a session may send before its time is up."""
    left = [10**9]
    stream = Requests.stream

    def streamed(self, *args, **named):
        if left[0] <= 0:
            raise RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT, cause="deadline")
        left[0] -= 1
        return stream(self, *args, **named)

    monkeypatch.setattr(Requests, "stream", streamed)
    return left


def deliver(world, days, folders=("INBOX", "CATEGORY_UPDATES")):
    """Deliver a message as many days ago as each of `days` says."""
    mailbox = world.theirs.mailbox
    return mailbox.deliver_all(
        [
            Delivery(raw_mail(number), folders, NOW - timedelta(days=ago), number % 2 == 0)
            for number, ago in enumerate(days)
        ]
    )


def take_pages(world, cursor, *, limit=100, since=None, chosen=None):
    """Yield the cursor of each page once it is taken in, within one session."""
    with world.session() as session:
        session.look(
            {labels.ALL.id: cursor},
            lambda folder: is_active(folder, chosen),
            now=NOW,
        )
        while True:
            page = session.changes(
                labels.ALL, cursor, KnownAll(world), since=since, limit=limit, now=NOW
            )
            assert len(page.added) <= limit
            assert len(page.placed.keys() | page.flags.keys()) <= comparing.MOST_CHANGES
            for one in world.fetch_all(session, page.added):
                if since is None or one.received_at >= since:
                    world.keep(one)
            for name, folder_ids in page.placed.items():
                world.place(name, folder_ids)
            for name, flags in page.flags.items():
                world._flag(name, flags)
            cursor = Cursor.decode(page.next_cursor.encode())
            yield cursor
            if not page.more:
                return


def take_all(world, cursor=None, **more):
    *_, last = take_pages(world, cursor, **more)
    return last


def marks_there(world):
    return {one.id: (one.seen, "STARRED" in one.folders) for one in world.theirs.mailbox.messages()}


def marks_here(world):
    return {
        name: (copy.flags.seen, copy.flags.flagged)
        for name, copy in KnownAll(world).in_folder().items()
    }


def assert_as_there(world):
    assert world.alive() == world.truth()
    assert marks_here(world) == marks_there(world)


def change_some(world, names, rng, how_many):
    mail = world.theirs.mailbox
    for name in rng.sample(names, how_many):
        match rng.randrange(5):
            case 0:
                mail.delete(name)
            case 1:
                mail.trash(name)
            case 2:
                mail.move(name, rng.choice(["Deals", "", "INBOX"]))
            case 3:
                mail.set_flags(name, seen=rng.random() < 0.5, flagged=rng.random() < 0.5)
            case 4:
                mail.change_labels(name, add=["Deals"], remove=["INBOX"])


@pytest.mark.parametrize("seed", range(6))
def test_it_ends_as_the_mailbox_is_however_short_its_sessions_are(large, requests_left, seed):
    rng = random.Random(seed)
    large.theirs.create_folder("Deals")
    dense = [rng.random() * 40 for _ in range(200)]
    names = deliver(large, [*dense, *(rng.random() * 9_000 for _ in range(60)), *[3] * 120])
    take_all(large)
    assert_as_there(large)
    change_some(large, names, rng, 150)
    deliver(large, [rng.random() * 30 for _ in range(20)])
    large.theirs.mailbox.forget_history()
    cursor, fetched = None, len(large.fetched)
    for sessions in count(1):
        requests_left[0] = 130
        try:
            for at in take_pages(large, cursor, limit=rng.choice([3, 20]), chosen=None):
                cursor = at
        except RetryLaterError:
            assert sessions < 100, "no progress"
        else:
            break
    assert sessions > 4, "the sessions were not short"
    in_trash = {name for name, at in large.truth().items() if at == {"TRASH"}}
    truth = {name: at for name, at in large.truth().items() if name not in in_trash}
    assert large.alive() == truth
    assert marks_here(large) == {name: marks_there(large)[name] for name in truth}
    assert len(large.fetched) == fetched + 20, "what we hold is not fetched again"


def test_a_session_that_ends_begins_no_window_again_that_was_done(large, requests_left):
    deliver(large, [one / 10 for one in range(400)])
    take_all(large)
    large.theirs.mailbox.forget_history()
    reached, cursor = [], None
    for _ in range(100):
        requests_left[0] = 60
        try:
            for at in take_pages(large, cursor):
                cursor = at
                if (walk := position.read(cursor).walk) is not None:
                    reached.append(walk.begin)
        except RetryLaterError:
            continue
        break
    else:
        pytest.fail("it does not end")
    assert reached == sorted(reached)
    assert len(set(reached)) > 5


def test_what_is_held_and_no_longer_there_is_gone_in_every_window(large):
    names = deliver(large, [one / 3 for one in range(300)])
    take_all(large)
    for name in names[::7]:
        large.theirs.mailbox.delete(name)
    large.theirs.mailbox.forget_history()
    take_all(large)
    assert_as_there(large)
    assert len(large.alive()) == 300 - len(names[::7])


def test_a_window_with_many_changes_is_written_page_by_page_and_goes_on_in_another_session(
    large, monkeypatch
):
    monkeypatch.setattr(comparing, "MOST_CHANGES", 7)
    names = deliver(large, [one / 100 for one in range(40)])
    take_all(large)
    for name in names:
        large.theirs.mailbox.set_flags(name, flagged=True)
    for name in names[::3]:
        large.theirs.mailbox.move(name, "")
    large.theirs.mailbox.forget_history()
    cursor, pages = None, 0
    while True:
        cursor = next(take_pages(large, cursor))
        pages += 1
        if position.read(cursor).walk is None:
            break
    assert pages >= 40 // 7
    assert_as_there(large)


def test_mail_of_one_second_is_one_window_however_much_it_is(large):
    deliver(large, [3] * 230)
    take_all(large)
    assert_as_there(large)


def test_what_was_received_before_the_floor_is_neither_brought_in_nor_judged(large):
    since = NOW - timedelta(days=20)
    names = deliver(large, [one / 4 for one in range(160)])
    take_all(large)
    for name in names[::5]:
        large.theirs.mailbox.delete(name)
    large.theirs.mailbox.forget_history()
    take_all(large, since=since)
    old = {name for name, held in large.ours.items() if held.copy.received_at <= since}
    assert {*large.alive()} == {name for name in large.truth() if name not in old} | old


def test_what_arrives_amid_it_comes_once(large):
    deliver(large, [one / 5 for one in range(200)])
    for number, _ in enumerate(take_pages(large, None, limit=20)):
        if number in {2, 5, 9}:
            large.theirs.deliver(1_000 + number, received_at=NOW - timedelta(days=number))
    assert_as_there(large)
    assert len(large.fetched) == len(set(large.fetched)) == 203


def test_a_quota_that_is_spent_is_waited_for(large):
    deliver(large, [one / 5 for one in range(100)])
    large.simulator.faults.arm("rate_limit_429", times=3, after=2, route=LIST)
    began = large.simulator.clock.now()
    take_all(large)
    assert (large.simulator.clock.now() - began).total_seconds() >= 1 + 2 + 4
    assert_as_there(large)


def test_a_quota_by_the_minute_lets_a_comparison_end_in_one_session(large):
    deliver(large, [one / 5 for one in range(300)])
    take_all(large)
    large.theirs.mailbox.forget_history()
    large.simulator.limits.user_units = 400
    large.simulator.clock.advance(61)
    take_all(large)
    refused = [
        one for one in large.simulator.log.entries(route="messages.list") if one.status != 200
    ]
    assert refused, "the quota was never spent"
    assert_as_there(large)


def test_a_pause_that_is_too_long_to_sit_out_keeps_what_was_done(large):
    deliver(large, [one / 5 for one in range(200)])
    take_all(large)
    large.theirs.mailbox.forget_history()
    large.simulator.faults.arm("user_rate_limit_429", times=1, after=60, route=LIST, seconds=600)
    cursor = None
    with pytest.raises(RetryLaterError) as caught:
        for at in take_pages(large, None):
            cursor = at
    assert caught.value.code is ErrorCode.RATE_LIMITED
    assert caught.value.retry_after_seconds > 500
    assert position.read(cursor).walk.begin > 0
    take_all(large, cursor)
    assert_as_there(large)


def test_a_small_mailbox_is_one_window(gmail):
    deliver(gmail, [1, 30, 400, 4_000])
    with gmail.session() as session:
        session.look({}, lambda _one: True, now=NOW)
        before = session.units
        page = session.changes(labels.ALL, None, KnownAll(gmail), since=None, limit=9, now=NOW)
        assert session.units - before == 1 + 5
    assert len(page.added) == 4
    assert position.read(page.next_cursor).walk is None


def test_copies_are_read_once_a_session_and_none_is_kept(large):
    deliver(large, [one / 5 for one in range(200)])
    take_all(large)
    large.theirs.mailbox.forget_history()
    read = []

    class Known(KnownAll):
        def in_folder(self):
            read.append(True)
            return super().in_folder()

    cursor = None
    with large.session() as session:
        while cursor is None or position.read(cursor).walk is not None:
            page = session.changes(labels.ALL, cursor, Known(large), since=None, limit=9, now=NOW)
            cursor = page.next_cursor
    assert read == [True]


# ---- what is ours ----


def test_a_label_that_is_no_longer_chosen_has_its_mail_placed_nowhere_at_once(gmail):
    gmail.theirs.create_folder("Deals")
    for number, folder in enumerate(["INBOX", "Deals", "SENT", "Deals"]):
        gmail.theirs.deliver(number, folder=folder)
    both = gmail.theirs.mailbox.deliver(raw_mail(9), folders=["INBOX", "Deals"])
    deals = gmail.folders()["Deals"].id
    take_all(gmail, chosen={"INBOX", deals})
    assert len(gmail.alive()) == 4
    take_all(gmail, chosen={"INBOX"})
    assert set(gmail.alive()) == {gmail.theirs.id_of(0), both}
    take_all(gmail, chosen={"INBOX", deals})
    assert len(gmail.alive()) == 4


@pytest.mark.parametrize("seed", range(4))
def test_a_window_shows_what_is_in_a_chosen_folder_and_nothing_else(gmail, seed):
    """Whatever labels a message has: what is listed too much is fetched, and by audits for ever."""
    gmail.theirs.create_folder("Deals")
    kinds = ("INBOX", "SENT", "Deals", "CATEGORY_UPDATES", "TRASH", "SPAM", "DRAFT")
    for labelled in chain.from_iterable(combinations(kinds, size) for size in range(len(kinds))):
        deliver(gmail, [1], folders=(*labelled, "STARRED"))
    truth, rng = gmail.truth(), random.Random(seed)
    chooseable = sorted(set().union(*truth.values()))
    choices = [[one for one in chooseable if rng.random() < 0.5] for _ in range(10)]
    choices += [[one for one in chooseable if one != left_out] for left_out in chooseable]
    for chosen in choices:
        with gmail.session() as session:
            session.look({}, lambda folder, on=chosen: is_active(folder, on), now=NOW)
            upto = session.baseline(labels.ALL, now=NOW)
            window = session.list_window(labels.ALL, since=NOW - timedelta(days=9), upto=upto)
        assert set(window) == {name for name, at in truth.items() if at & set(chosen)}, chosen


def test_chats_are_not_mail_wherever_they_are_met(gmail):
    cursor = take_all(gmail)
    old = gmail.theirs.mailbox.deliver(raw_mail(1), folders=["CHAT"])
    gmail.theirs.deliver(2)
    take_all(gmail, cursor)
    take_all(gmail, None)
    with gmail.session() as session:
        window = session.list_window(
            labels.ALL, since=NOW - timedelta(days=9), upto=session.baseline(labels.ALL, now=NOW)
        )
        (one,) = session.fetch(labels.ALL, [old])
    assert list(window) == [gmail.theirs.id_of(2)]
    assert one.folder_ids == frozenset(), "in no folder, so nobody keeps it"
    assert set(gmail.alive()) == {gmail.theirs.id_of(2)}
    gmail.theirs.mailbox.change_labels(old, add=["INBOX", "STARRED"])
    take_all(gmail, cursor)
    take_all(gmail, None)
    assert gmail.fetched == [gmail.theirs.id_of(2)]
