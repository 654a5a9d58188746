"""Messages that Graph fails on for ever: named, while all others are read; an outage names none."""

import re
from datetime import timedelta

import pytest

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.message import FetchedMessage, MissingMessage
from tests.contract.moving_world import KnownHere
from tests.contract.provider_worlds import NOW, number_of
from tests.contract.test_outlook_sync import _with_file

BATCH = r"/\$batch$"
CONTENT = r"/\$value$"


@pytest.fixture
def forty(outlook):
    """Forty messages of one folder, by number, and their ids newest first."""
    for number in range(1, 41):
        outlook.theirs.deliver(number, received_at=NOW - timedelta(minutes=number))
    return outlook, [outlook.theirs._places[number][1] for number in range(1, 41)]


def poison(world, name, fault="server_error", *, what="", **more):
    """Let everything that is asked of a message fail, or what `what` matches of it."""
    route = re.escape(name) + what
    world.simulator.faults.arm(fault, route=route, times=None, **more)


def fetched(world, names):
    folder = world.folder()
    with world.session() as session:
        got = list(session.fetch(folder, names))
    came = sorted(number_of(one) for one in got if isinstance(one, FetchedMessage))
    missing = {
        one.provider_message_id: one.reason for one in got if isinstance(one, MissingMessage)
    }
    assert len(got) == len(names)
    return came, missing


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("server_error", ""),
        ("unavailable", ""),
        ("gateway_timeout", ""),
        ("html", ""),
        ("unavailable", r"/\$value"),
        ("gateway_timeout", r"/\$value"),
        ("html", r"/\$value"),
    ],
)
def test_one_that_fails_for_ever_is_named_and_the_others_come(forty, fault, what):
    world, names = forty
    poison(world, names[7], fault, what=what)
    came, missing = fetched(world, names)
    assert missing == {names[7]: "failing"}
    assert came == [number for number in range(1, 41) if number != 8]


@pytest.mark.parametrize("fault", ["cut_body", "cut_before_work", "empty_body"])
def test_one_with_a_file_that_is_cut_off_or_garbled_is_named_too(outlook, fault):
    outlook.theirs.deliver(1, 2)
    name = outlook.theirs.mailbox.deliver(_with_file(3, 1000))
    names = [*[outlook.theirs._places[number][1] for number in (1, 2)], name]
    poison(outlook, name, fault, what=r"/\$value")
    assert fetched(outlook, names) == ([1, 2], {name: "failing"})


def test_one_that_never_comes_with_the_others_is_read_alone(forty, monkeypatch):
    from shared.providers.outlook.graph import Graph, Reply

    world, names = forty
    settled = Graph._settled

    def without_it(graph, parts, limit):
        replies = settled(graph, parts, limit)
        return [
            Reply(0) if f"{names[3]}/$value" in part.url else reply
            for part, reply in zip(parts, replies, strict=True)
        ]

    monkeypatch.setattr(Graph, "_settled", without_it)
    came, missing = fetched(world, names)
    assert (len(came), missing) == (40, {})


@pytest.mark.parametrize("many", [1, 2, 6, 12])
def test_those_that_are_left_are_named_where_another_message_can_be_read(forty, many):
    world, names = forty
    for name in names[:many]:
        poison(world, name)
    came, missing = fetched(world, names[:many])
    assert (came, set(missing.values()), len(missing)) == ([], {"failing"}, many)


@pytest.mark.parametrize("after", [0, 1])
def test_an_outage_names_none_and_what_came_before_it_has_been_yielded(forty, after):
    world, names = forty
    folder, got = world.folder(), []
    # Three batches tell what the messages are, and bring twenty of them.
    world.simulator.faults.arm("unavailable", route=CONTENT, times=None, after=20 * after)
    with pytest.raises(RetryLaterError) as caught, world.session() as session:
        got.extend(session.fetch(folder, names))
    assert caught.value.code is ErrorCode.PROVIDER_UNAVAILABLE
    assert all(isinstance(one, FetchedMessage) for one in got)
    assert len(got) == 20 * after


def test_a_mailbox_whose_only_message_fails_is_tried_again_later(outlook):
    outlook.theirs.deliver(1)
    (name,) = [one.id for one in outlook.theirs.mailbox.messages()]
    poison(outlook, name)
    with pytest.raises(RetryLaterError):
        fetched(outlook, [name])


def test_a_refusal_that_speaks_of_the_mailbox_names_no_message(forty):
    world, names = forty
    world.simulator.faults.arm(
        "throttled", route=re.escape(names[3]) + CONTENT, retry_after=3600, times=None
    )
    folder, got = world.folder(), []
    with pytest.raises(RetryLaterError) as caught, world.session() as session:
        got.extend(session.fetch(folder, names))
    assert caught.value.code is ErrorCode.RATE_LIMITED
    assert len(got) == 19


def test_one_that_may_not_be_read_is_named_and_does_not_park_its_mailbox(forty):
    world, names = forty
    poison(world, names[5], "forbidden", what=r"/\$value")
    came, missing = fetched(world, names)
    assert missing == {names[5]: "failing"}
    assert len(came) == 39


def test_one_that_is_deleted_between_its_text_and_its_files_is_gone(outlook):
    outlook.theirs.deliver(1)
    name = outlook.theirs.mailbox.deliver(_with_file(3, 1000))
    poison(outlook, name, what=r"/\$value")
    poison(outlook, name, "resource_not_found", what="/attachments")
    names = [outlook.theirs._places[1][1], name]
    assert fetched(outlook, names) == ([1], {name: "gone"})


def test_a_list_of_dates_that_fails_is_done_without(forty):
    world, names = forty
    world.simulator.faults.arm("server_error", route=r"/messages$", times=None)
    came, missing = fetched(world, names)
    assert (len(came), missing) == (40, {})


def test_where_a_message_does_not_say_where_it_is_its_folder_is_believed(outlook):
    outlook.theirs.create_folder("Deals")
    outlook.theirs.deliver(1, 2)
    here, there = outlook.follow(None).cursor, outlook.follow(None, "Deals").cursor
    outlook.theirs.move(1, "Deals")
    poison(outlook, outlook.theirs._places[1][1])
    outlook.follow(there, "Deals")
    outlook.follow(here)
    assert (outlook.numbers(), outlook.numbers("Deals")) == ({2}, {1})


def test_one_that_does_not_say_that_it_is_gone_is_kept_by_a_comparison(outlook):
    outlook.theirs.deliver(1, 2, 3)
    outlook.follow(None)
    name = outlook.theirs._places[1][1]
    outlook.theirs.delete(1, 2)
    poison(outlook, name)
    told = outlook.follow(None)
    assert told.removed == [2]
    assert outlook.numbers() == {1, 3}


def test_in_an_outage_of_messages_no_folder_is_believed(outlook):
    outlook.theirs.create_folder("Deals")
    outlook.theirs.deliver(1, 2)
    there = outlook.follow(None), outlook.follow(None, "Deals").cursor
    outlook.theirs.move(1, "Deals")
    deals = outlook.folder("Deals")
    outlook.simulator.faults.arm("unavailable", route=r"/me/messages", times=None)
    with pytest.raises(RetryLaterError), outlook.session() as session:
        session.changes(deals, there[1], KnownHere(outlook, deals), since=None, limit=9, now=NOW)
