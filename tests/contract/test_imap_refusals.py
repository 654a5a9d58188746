"""What a refused FETCH means: a server in trouble loses nothing, one bad message holds up none."""

import contextlib
import re

import pytest

from infra.simulators.scripted_imap import ScriptedImap
from shared.domain.errors import ErrorCode, RetryLaterError, UnreadableMessageError
from shared.domain.message import FetchedMessage, MissingMessage
from tests.contract.test_imap_hostile import INBOX, name

ALL = (1, 2, 3)
LARGE = 100_000
STRUCTURE = (
    b'(("text" "plain" NIL NIL NIL "7bit" 90000 1)'
    b'("application" "pdf" NIL NIL NIL "base64" 9000) "mixed")'
)
ABOUT_NOW = [
    b"NO [UNAVAILABLE] later",
    b"NO [INUSE] locked",
    b"NO [LIMIT] too many",
    b"NO [THROTTLED] slowly",
    b"NO [OVERQUOTA] full",
    b"NO Server busy, try again",
    b"NO System error",
    b"NO Too many requests",
    b"NO [ALERT] Temporary problem",
]
OF_ANYTHING = [
    b"NO [SERVERBUG] Internal error occurred.",
    b"NO some messages are broken",
    b"NO [CANNOT] read it",
    b"NO",
]


class Troubled(ScriptedImap):
    """A folder of messages numbered from 1; it refuses what it is told to, in its words."""

    uids = ALL
    size = 2
    refusal = b"NO"
    broken: frozenset[int] = frozenset()
    """Messages whose bodies are refused."""
    downs: frozenset[int] = frozenset()
    """Which of the FETCH commands are refused whole, counted from 1."""
    fetches = 0

    def _answer(self, wire, tag, name, rest):
        if name != "FETCH":
            return super()._answer(wire, tag, name, rest)
        self.fetches += 1
        numbers, _, items = rest.partition(b" ")
        asked = [int(one) for one in _spelled_out(numbers, self.uids)]
        refused = self.fetches in self.downs
        for uid in asked:
            if uid not in self.uids or refused:
                continue
            if b"BODY." in items and uid in self.broken:
                refused = True
                continue
            wire.send(self._message(uid, items))
        wire.send(tag + b" " + (self.refusal if refused else b"OK done") + b"\r\n")
        return True

    def _message(self, uid, items):
        told = b"UID %d" % uid
        if b"RFC822.SIZE" in items:
            told += b" FLAGS () RFC822.SIZE %d" % self.size
        if b"BODYSTRUCTURE" in items:
            told += b" BODYSTRUCTURE " + STRUCTURE
        for section in re.findall(rb"BODY\.PEEK(\[[^\]]*\])", items):
            told += b" BODY%b {2}\r\nhi" % section
        return b"* %d FETCH (%b)\r\n" % (uid, told)


class HeaderOnly(Troubled):
    """Sends of a large message its header, refuses its text."""

    def _message(self, uid, items):
        return super()._message(uid, items.replace(b"BODY.PEEK[1]", b""))

    def _answer(self, wire, tag, name, rest):
        if name == "FETCH" and b"BODY.PEEK[1]" in rest:
            self.fetches += 1
            for uid in _spelled_out(rest.partition(b" ")[0], self.uids):
                wire.send(self._message(int(uid), rest))
            wire.send(tag + b" " + self.refusal + b"\r\n")
            return True
        return super()._answer(wire, tag, name, rest)


def _spelled_out(numbers, uids):
    for one in numbers.split(b","):
        first, _, last = one.replace(b"*", b"%d" % max(uids)).partition(b":")
        yield from range(int(first), int(last or first) + 1)


@pytest.fixture
def troubled(certificates):
    """Give a server in trouble, as described."""

    def make(kind=Troubled, **how):
        server = kind(certificates=certificates)
        for key, value in how.items():
            setattr(server, key, value)
        return server

    return make


@pytest.fixture
def fetched(provider, grant_for):
    """Fetch from a server and give the reason each message is missing for, or None."""

    def fetch(server, uids=ALL):
        with server, provider.open(grant_for(server)) as session:
            got = list(session.fetch(INBOX, [name(uid) for uid in uids]))
        return {
            one.provider_message_id: one.reason if isinstance(one, MissingMessage) else None
            for one in got
        }

    return fetch


def named(**reasons):
    return {name(int(key.removeprefix("m"))): reason for key, reason in reasons.items()}


@pytest.mark.parametrize("refusal", ABOUT_NOW + OF_ANYTHING)
@pytest.mark.parametrize("uids", [(2,), ALL])
@pytest.mark.parametrize("up_for", [0, 1])
def test_a_server_that_refuses_every_message_loses_none(troubled, fetched, refusal, uids, up_for):
    downs = frozenset(range(1 + up_for, 50))
    with pytest.raises(RetryLaterError):
        fetched(troubled(refusal=refusal, downs=downs), uids)


@pytest.mark.parametrize("refusal", OF_ANYTHING)
def test_only_the_folder_waits_where_none_of_its_messages_is_read(troubled, fetched, refusal):
    with pytest.raises(RetryLaterError) as caught:
        fetched(troubled(refusal=refusal, uids=(1,), broken={1}), (1,))
    assert caught.value.code is ErrorCode.FOLDER_UNAVAILABLE


@pytest.mark.parametrize("refusal", ABOUT_NOW)
def test_what_is_refused_for_now_is_not_called_unreadable(troubled, fetched, refusal):
    with pytest.raises(RetryLaterError):
        fetched(troubled(refusal=refusal, broken={2}))


@pytest.mark.parametrize("refusal", OF_ANYTHING)
@pytest.mark.parametrize("bad", [1, 3])
def test_a_lone_refusal_among_successes_is_an_unreadable_message(troubled, fetched, refusal, bad):
    got = fetched(troubled(refusal=refusal, broken={bad}))
    assert got == {name(uid): "unreadable" if uid == bad else None for uid in ALL}


@pytest.mark.parametrize("refusal", OF_ANYTHING)
@pytest.mark.parametrize("bad", [1, 3])
def test_an_unreadable_message_is_told_also_where_it_alone_is_asked_for(
    troubled, fetched, refusal, bad
):
    assert fetched(troubled(refusal=refusal, broken={bad}), [bad]) == {name(bad): "unreadable"}


@pytest.mark.parametrize("lasts", range(1, 8))
@pytest.mark.parametrize("begins", range(1, 4))
@pytest.mark.parametrize("size", [2, LARGE])
def test_no_moment_at_which_trouble_begins_or_ends_loses_a_message(
    troubled, fetched, begins, lasts, size
):
    downs = frozenset(range(begins, begins + lasts))
    try:
        got = fetched(troubled(refusal=b"NO cannot", downs=downs, size=size))
    except RetryLaterError:
        return
    assert got == named(m1=None, m2=None, m3=None)


def test_what_the_server_says_was_expunged_is_gone(troubled, fetched):
    server = troubled(refusal=b"NO [EXPUNGEISSUED] no longer there", broken={2})
    assert fetched(server) == named(m1=None, m2="gone", m3=None)


def test_a_text_refused_for_a_moment_is_asked_for_again(troubled, provider, grant_for):
    server = troubled(HeaderOnly, refusal=b"NO cannot", size=LARGE)
    with server, provider.open(grant_for(server)) as session:
        (one,) = session.fetch(INBOX, [name(1)])
        asked = [line for line in server.commands if b"BODY.PEEK[1]" in line]
    assert isinstance(one, FetchedMessage)
    assert one.parts == ()
    assert len(asked) == 2


# ---- parts ----


def read(session):
    return b"".join(session.read_part(INBOX, name(2), "2", "7bit"))


@pytest.mark.parametrize("refusal", [*ABOUT_NOW, *OF_ANYTHING, b"BAD what"])
def test_a_server_that_refuses_every_part_has_lost_none(troubled, provider, grant_for, refusal):
    server = troubled(refusal=refusal, downs=frozenset(range(1, 50)))
    with (
        server,
        provider.open(grant_for(server)) as session,
        pytest.raises(RetryLaterError),
    ):
        read(session)


@pytest.mark.parametrize("refusal", [*OF_ANYTHING, b"BAD no such section"])
def test_a_lone_part_that_is_refused_is_malformed(troubled, provider, grant_for, refusal):
    server = troubled(refusal=refusal, broken={2})
    with (
        server,
        provider.open(grant_for(server)) as session,
        pytest.raises(UnreadableMessageError) as caught,
    ):
        read(session)
    assert caught.value.code is ErrorCode.MESSAGE_MALFORMED


def test_a_part_of_an_expunged_message_is_gone(troubled, provider, grant_for):
    server = troubled(refusal=b"NO [EXPUNGEISSUED] no longer there", broken={2})
    with (
        server,
        provider.open(grant_for(server)) as session,
        pytest.raises(UnreadableMessageError) as caught,
    ):
        read(session)
    assert caught.value.code is ErrorCode.MESSAGE_GONE


@pytest.mark.parametrize("lasts", range(1, 5))
def test_a_part_refused_for_a_moment_is_read_or_waits(troubled, provider, grant_for, lasts):
    server = troubled(refusal=b"NO cannot", downs=frozenset(range(1, 1 + lasts)))
    with (
        server,
        provider.open(grant_for(server)) as session,
        contextlib.suppress(RetryLaterError),
    ):
        assert read(session) == b"hi"
