"""A message that is given up has its letter before anything else, and its raw bytes if they can be had."""

import contextlib
from datetime import timedelta

import pytest

from shared.domain.erasure import KeptOut, hash_of
from shared.domain.errors import (
    ErrorCode,
    RetryLaterError,
    StoreThrottledError,
    UnreadableMessageError,
)
from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import ProviderMessageId, RunId
from shared.domain.lease import Fence
from shared.domain.message import FetchedMessage, Flags
from shared.operations.note_dead_letters import RAW_LASTS, RAW_TRIES, DeadLetters
from tests.fakes.clock import FixedClock
from tests.fakes.letters import InMemoryDeadLetterStore
from tests.fakes.mail import INBOX, START, add_mailbox
from tests.fakes.stores import World
from tests.unit.operations.machine import Death

FOLDER = Folder(INBOX, "Inbox", FolderRole.INBOX)
NAME = ProviderMessageId("INBOX.1.7")
RAW = b"Subject: x\r\n\r\n" + b"y" * (3 << 20)
NOBODY = KeptOut()


class Asked:
    """A session that yields these pieces of a raw message; an error among them is raised."""

    def __init__(self, *pieces):
        self.pieces, self.times = pieces, 0

    def read_raw(self, folder, provider_message_id):
        self.times += 1
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            yield piece() if callable(piece) else piece


@pytest.fixture
def world():
    return World()


@pytest.fixture
def give_up(world):
    box = add_mailbox(world, "BOX")
    letters = InMemoryDeadLetterStore(world)

    def give_up(code, *, session=None, fetched=None, clock=None, seconds=100.0, kept_out=NOBODY):
        noting = DeadLetters(
            fence=Fence(box.tenant_id, box.id, box.generation),
            run_id=RunId("R1"),
            session=session or Asked(),
            letters=letters,
            now=(clock or FixedClock()).now,
            remaining_seconds=lambda: seconds,
            kept_out=lambda: kept_out,
        )
        with contextlib.suppress(Death):
            noting.give_up(FOLDER, NAME, code, fetched)
        (letter,) = letters.all_letters(box.tenant_id, box.id)
        return letter

    give_up.letters = letters
    return give_up


def fetched(raw=RAW):
    return FetchedMessage(NAME, START, len(RAW), Flags(), raw=raw)


def test_what_was_fetched_whole_is_kept_as_it_came(give_up):
    session = Asked(b"never asked")
    letter = give_up(ErrorCode.MESSAGE_MALFORMED, session=session, fetched=fetched())
    assert session.times == 0
    assert (letter.raw_size, letter.raw_missing) == (len(RAW), None)
    assert (letter.received_at, letter.size, letter.run_id) == (START, len(RAW), "R1")
    assert give_up.letters.read_raw(letter) == RAW


@pytest.mark.parametrize("known", [fetched(raw=None), None], ids=["in parts", "never fetched"])
def test_what_was_not_fetched_whole_is_asked_for_once(give_up, known):
    session = Asked(b"abc", b"def")
    letter = give_up(ErrorCode.KILLED_ITS_READER, session=session, fetched=known)
    assert give_up.letters.read_raw(letter) == b"abcdef"
    give_up(ErrorCode.KILLED_ITS_READER, session=session, fetched=known)
    assert session.times == 1


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (RetryLaterError(ErrorCode.CONNECTION_DROPPED), ErrorCode.CONNECTION_DROPPED),
        (UnreadableMessageError(ErrorCode.MESSAGE_GONE), ErrorCode.MESSAGE_GONE),
        (RuntimeError("a bug"), ErrorCode.INTERNAL),
    ],
)
def test_why_there_is_no_raw_message_is_noted_and_fails_no_run(give_up, raised, code):
    letter = give_up(ErrorCode.MESSAGE_TOO_LARGE, session=Asked(b"abc", raised))
    assert (letter.raw_size, letter.raw_missing) == (None, code)
    assert give_up.letters.world.raw_messages == {}


def test_it_is_asked_for_again_a_few_times_and_then_no_more(give_up):
    session = Asked(RetryLaterError(ErrorCode.CONNECTION_DROPPED))
    for _ in range(RAW_TRIES + 4):
        letter = give_up(ErrorCode.MESSAGE_TOO_LARGE, session=session)
    assert (session.times, letter.attempts) == (RAW_TRIES, RAW_TRIES + 4)
    assert letter.raw_missing is ErrorCode.CONNECTION_DROPPED


def test_one_whose_raw_message_kills_the_process_is_not_asked_for_again(give_up):
    session = Asked(b"abc", Death())
    letter = give_up(ErrorCode.MESSAGE_TOO_LARGE, session=session)
    assert letter.raw_missing is ErrorCode.KILLED_ITS_READER
    letter = give_up(ErrorCode.MESSAGE_TOO_LARGE, session=session)
    assert (session.times, letter.raw_missing) == (1, ErrorCode.KILLED_ITS_READER)


def test_what_the_provider_does_not_hand_over_is_not_asked_for(give_up):
    session = Asked(b"abc")
    letter = give_up(ErrorCode.NOT_HANDED_OVER, session=session)
    assert (session.times, letter.raw_missing) == (0, ErrorCode.NOT_HANDED_OVER)


def test_with_little_time_left_it_is_left_for_the_next_time(give_up):
    session = Asked(b"abc")
    letter = give_up(ErrorCode.MESSAGE_TOO_LARGE, session=session, seconds=20.0)
    assert (session.times, letter.raw_missing) == (0, ErrorCode.CONNECTION_TIMED_OUT)
    letter = give_up(ErrorCode.MESSAGE_TOO_LARGE, session=session)
    assert (session.times, letter.raw_size, letter.raw_missing) == (1, 3, None)


def test_one_that_comes_a_byte_a_minute_holds_up_nothing(give_up):
    clock = FixedClock()

    def slowly():
        clock.advance(seconds=RAW_LASTS.total_seconds() / 2 + 1)
        return b"a"

    session = Asked(*[slowly] * 1_000)
    began = clock.now()
    letter = give_up(ErrorCode.MESSAGE_TOO_LARGE, session=session, clock=clock)
    assert clock.now() - began < 2 * RAW_LASTS + timedelta(seconds=2)
    assert letter.raw_missing is ErrorCode.CONNECTION_TIMED_OUT


@pytest.mark.parametrize("known", [fetched(), None], ids=["fetched", "asked for"])
def test_a_busy_store_ends_the_run_and_the_next_one_keeps_it(give_up, monkeypatch, known):
    def busy(*_given, **_named):
        raise StoreThrottledError

    with monkeypatch.context() as patch:
        patch.setattr(give_up.letters, "keep_raw", busy)
        with pytest.raises(StoreThrottledError):
            give_up(ErrorCode.MESSAGE_TOO_LARGE, session=Asked(b"abc"), fetched=known)
    letter = give_up(ErrorCode.MESSAGE_TOO_LARGE, session=Asked(b"abc"), fetched=known)
    assert (letter.attempts, letter.raw_missing) == (2, None)
    assert give_up.letters.read_raw(letter) == (RAW if known else b"abc")


def test_one_past_every_size_is_not_kept(give_up, monkeypatch):
    monkeypatch.setattr("shared.operations.note_dead_letters.MOST_RAW_BYTES", 5)
    letter = give_up(ErrorCode.MESSAGE_TOO_LARGE, session=Asked(b"abc", b"def"))
    assert (letter.raw_size, letter.raw_missing) == (None, ErrorCode.MESSAGE_TOO_LARGE)


# ---- whose mail is kept out ----


def without(*addresses, until=None):
    return KeptOut(b"key", {hash_of(b"key", one): until for one in addresses})


EVES = (b"From: \xff Eve <EVE@Example.org>\r\n\r\n", b"z" * (2 << 20))
PLACES = ("first", "last", "cut")
OUT = without("eve@example.org")


def eves(place):
    """Two pieces of a message that names Eve in the first, in the second, or across both."""
    name, rest = EVES
    whole = {"first": name + rest, "last": rest + name.strip(), "cut": b"-" * len(rest) + name}
    cut = len(rest) + (name.index(b"E@") if place == "cut" else -1)
    return whole[place][:cut], whole[place][cut:]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("had", ["fetched whole", "asked for"])
def test_of_who_is_kept_out_nothing_unread_is_kept(give_up, had, place):
    pieces = eves(place)
    how = {"fetched": fetched(b"".join(pieces))} if had == "fetched whole" else {}
    session = Asked(*pieces)
    letter = give_up(ErrorCode.MESSAGE_MALFORMED, session=session, kept_out=OUT, **how)
    assert (letter.raw_size, letter.raw_missing) == (None, ErrorCode.KEPT_OUT)
    assert give_up.letters.world.raw_messages == {}


@pytest.mark.parametrize("place", PLACES)
def test_what_is_unread_of_others_is_kept_beside_a_list_of_whom_to_keep_out(give_up, place):
    pieces = eves(place)
    others = without("ve@example.org", "eve@example.or", "e@example.org", "eve@example.org.uk")
    letter = give_up(ErrorCode.MESSAGE_TOO_LARGE, session=Asked(*pieces), kept_out=others)
    assert give_up.letters.read_raw(letter) == b"".join(pieces)


@pytest.mark.parametrize(("late", "is_kept"), [(0, False), (1, True)])
def test_what_came_after_an_erasure_of_stored_mail_is_kept(give_up, late, is_kept):
    out = without("eve@example.org", until=START - timedelta(seconds=late))
    letter = give_up(ErrorCode.MESSAGE_MALFORMED, fetched=fetched(EVES[0]), kept_out=out)
    assert (letter.raw_size is not None) is is_kept


def test_of_who_is_kept_out_nothing_is_kept_that_nobody_can_date(give_up):
    out = without("eve@example.org", until=START)
    letter = give_up(ErrorCode.KILLED_ITS_READER, session=Asked(EVES[0]), kept_out=out)
    assert letter.raw_missing is ErrorCode.KEPT_OUT


def test_looking_for_who_is_kept_out_takes_no_longer_than_reading_may(give_up):
    clock = FixedClock()
    clock.now = lambda real=clock.now: (clock.advance(RAW_LASTS.total_seconds()), real())[1]
    letter = give_up(ErrorCode.MESSAGE_MALFORMED, fetched=fetched(), clock=clock, kept_out=OUT)
    assert letter.raw_missing is ErrorCode.CONNECTION_TIMED_OUT
