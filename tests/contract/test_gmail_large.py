"""How many large messages of Gmail's a process holds at once, and for how long."""

import sys
from contextlib import ExitStack

import pytest

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.message import FetchedMessage
from shared.providers import room
from shared.providers.gmail import batch, labels
from shared.providers.gmail.api import LARGE_BYTES
from shared.providers.http import Streamed
from tests.contract.provider_worlds import raw_mail

GET = r"^GET /gmail/v1/users/[^/]+/messages/[0-9a-f]+$"


def a_room(seconds):
    return room.Room(lambda: seconds, large_bytes=LARGE_BYTES)


@pytest.fixture
def others():
    """As many sessions as may be at large messages at once."""
    with ExitStack() as stack:
        yield [stack.enter_context(a_room(1.0)) for _ in range(room.LARGE_AT_ONCE)]


def deliver(gmail, *, large=1, small=3):
    raws = [raw_mail(number) + b"x" * 7_000_000 for number in range(large)]
    raws += [raw_mail(large + number) for number in range(small)]
    return [gmail.theirs.mailbox.deliver(raw) for raw in raws]


def busy(others):
    for one in others:
        one.grow(LARGE_BYTES + 1)


@pytest.mark.parametrize("alone", [True, False])
def test_a_large_message_waits_until_another_one_is_done_with(gmail, others, alone):
    large, *small = deliver(gmail)
    busy(others)
    if alone:
        gmail.simulator.faults.arm("backend_error", times=1, route=rf"/messages/{large}$")
    with (
        pytest.raises(RetryLaterError) as caught,
        gmail.provider.open(gmail.grant, seconds=2.0) as session,
    ):
        came = [one.provider_message_id for one in session.fetch(labels.ALL, small)]
        list(session.fetch(labels.ALL, [large]))
    assert caught.value.code is ErrorCode.CONNECTION_TIMED_OUT
    assert came == small, "small ones wait for nobody"
    others[0].leave()
    with gmail.session() as session:
        (one,) = session.fetch(labels.ALL, [large])
    assert len(one.raw) > 7_000_000


def test_a_session_has_one_turn_and_gives_it_back_after_each_message(gmail, others):
    names = deliver(gmail, large=3, small=1)
    busy(others[1:])
    with gmail.session() as session:
        for one in session.fetch(labels.ALL, names):
            assert isinstance(one, FetchedMessage)
            if len(one.raw) > 1_000_000:
                with pytest.raises(RetryLaterError):
                    a_room(0.0).grow(LARGE_BYTES + 1)
    busy(others[:1])


@pytest.mark.parametrize("alone", [True, False])
def test_whoever_stops_amid_a_large_message_leaves_its_turn_to_others(gmail, others, alone):
    names = deliver(gmail, large=1, small=0)
    busy(others[1:])
    if alone:
        gmail.simulator.faults.arm("backend_error", times=1, route=GET)
    with pytest.raises(KeyError), gmail.session() as session:
        under_way = session.fetch(labels.ALL, names)
        next(under_way)
        raise KeyError
    busy(others[:1])


def test_a_part_that_was_handed_over_is_held_by_nobody_else():
    head = b"--edge\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\n\r\n"
    answer = (head + bytes(90_000) + b"\r\n") * 3
    streamed = Streamed(200, {"content-type": "multipart/mixed; boundary=edge"}, iter([answer]))
    read = batch.parts(streamed, ["a"], limit=1_000_000, room=a_room(1.0))
    body = next(read).body
    assert isinstance(body, memoryview)
    held = body.obj
    body.release()
    assert sys.getrefcount(held) == 2, "one is ours, one is the question's"


def test_the_text_of_a_refusal_is_taken_to_its_limit_and_no_further(gmail):
    gmail.theirs.deliver(1)
    gmail.simulator.faults.arm(
        "status", times=None, route="^POST /batch", status=503, body="x" * 20_000_000
    )
    gmail.simulator.faults.arm("status", times=None, route=GET, status=503, body="x" * 20_000_000)
    with gmail.session() as session, pytest.raises(RetryLaterError) as caught:
        list(session.fetch(labels.ALL, [gmail.theirs.id_of(1)]))
    assert caught.value.code is ErrorCode.PROVIDER_UNAVAILABLE
    assert session.bytes_received < 200_000_000
