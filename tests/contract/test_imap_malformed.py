"""Answers that break the grammar, command by command: an error of the port, or none, and soon."""

import contextlib
from dataclasses import dataclass

import pytest

from infra.simulators.scripted_imap import CAPABILITIES, ScriptedImap
from shared.domain.errors import (
    CursorExpiredError,
    ErrorCode,
    RetryLaterError,
    UnreadableMessageError,
)
from shared.domain.message import Flags
from shared.providers.imap.adapter import ImapProvider, Patience
from tests.contract.test_imap_hostile import INBOX, NOW, look, name, position
from tests.fakes.known import Known

CAPABLE = CAPABILITIES + " CONDSTORE QRESYNC ESEARCH"
MEGABYTE = 1 << 20
DEEP = 100_000

ANYWHERE = {
    "an absurd literal": b"* X {99999999999}\r\n",
    "a literal of forty digits": b"* X {" + b"9" * 40 + b"}\r\n",
    "a negative literal": b"* X {-1}\r\n",
    "a literal that never comes": b"* X {5000}\r\nabc\r\n",
    "zero bytes": b"* X \0\0\0 (\0)\r\n",
    "eight bits": b"* \xff\xfe\x80 (\xc3\x28)\r\n",
    "a long line": b"* X " + b"x" * MEGABYTE + b"\r\n",
    "brackets": b"* X " + b"[" * MEGABYTE + b"\r\n",
    "quotes": b"* X " + b'"' * MEGABYTE + b"\r\n",
    "backslashes": b'* X "' + b"\\" * MEGABYTE + b"\r\n",
    "nothing": b"*\r\n* \r\n",
    "no line end": b"* X\rY\r\n",
    "a line of no kind": b"hello\r\n",
    "an empty line": b"\r\n",
    "a continuation": b"+ go on\r\n",
    "another's tag": b"Z9 OK done\r\n",
    "a bare BYE": b"* BYE\r\n",
    "a status of no kind": b"* OK [UIDVALIDITY x] [[[\r\n* OK [\r\n* NO\r\n",
}
OF_COMMAND = {
    "LIST": {
        "no list": b"* LIST\r\n",
        "an open list": b'* LIST (\\Sent "/" INBOX\r\n',
        "a closed list": b'* LIST \\Sent) "/" INBOX\r\n',
        "an open quote": b'* LIST () "/" "INBOX\r\n',
        "a list for a name": b'* LIST () "/" (INBOX)\r\n',
        "half a character": b'* LIST () "/" "&2AA-"\r\n* LIST () "/" "&"\r\n',
        "a deep list": b"* LIST " + b"(" * DEEP + b")" * DEEP + b' "/" INBOX\r\n',
    },
    "STATUS": {
        "no items": b"* STATUS INBOX\r\n",
        "an open list": b"* STATUS INBOX (MESSAGES 1\r\n",
        "words for numbers": b"* STATUS INBOX (MESSAGES x UIDNEXT y UIDVALIDITY z)\r\n",
        "numbers below zero": b"* STATUS INBOX (MESSAGES -1 UIDNEXT -2 UIDVALIDITY -7)\r\n",
        "vast numbers": b"* STATUS INBOX (UIDVALIDITY " + b"9" * 5_000 + b" UIDNEXT 1)\r\n",
        "an odd count": b"* STATUS INBOX (UIDVALIDITY)\r\n",
        "lists for numbers": b"* STATUS INBOX (UIDVALIDITY (7) UIDNEXT NIL MESSAGES ())\r\n",
        "a deep list": b"* STATUS INBOX " + b"(" * DEEP + b")" * DEEP + b"\r\n",
    },
    "SELECT": {
        "no numbering": b"* 1 EXISTS\r\n",
        "words for it": b"* OK [UIDVALIDITY seven] hi\r\n",
        "zero": b"* OK [UIDVALIDITY 0] hi\r\n",
        "vast": b"* OK [UIDVALIDITY " + b"7" * 5_000 + b"] hi\r\n",
        "open": b"* OK [UIDVALIDITY 7\r\n",
    },
    "SEARCH": {
        "words": b"* SEARCH one two\r\n",
        "vast numbers": b"* SEARCH " + b"9" * 5_000 + b"\r\n",
        "all there may be": b"* ESEARCH UID ALL 1:4294967295\r\n",
        "all many times": b"* ESEARCH UID ALL " + b"1:4294967295," * 50_000 + b"1\r\n",
        "half a set": b"* ESEARCH UID ALL 1:\r\n",
        "no set": b'* ESEARCH (TAG "x") UID ALL\r\n',
        "a list for a set": b"* ESEARCH UID ALL (1)\r\n",
        "an open list": b'* ESEARCH (TAG "x" UID ALL 1\r\n',
    },
    "FETCH": {
        "an open list": b"* 1 FETCH (UID 1 FLAGS (\r\n",
        "a word for flags": b"* 1 FETCH (UID 1 FLAGS x)\r\n",
        "flags of lists": b"* 1 FETCH (UID 1 FLAGS ((\\Seen) NIL) MODSEQ (x))\r\n",
        "a vast modseq": b"* 1 FETCH (UID 1 FLAGS () MODSEQ (" + b"9" * 5_000 + b"))\r\n",
        "a vast number": b"* " + b"9" * 5_000 + b" FETCH (UID 1 FLAGS ())\r\n",
        "a vast uid": b"* 1 FETCH (UID 9999999999999999999 FLAGS () INTERNALDATE NIL)\r\n",
        "a size below zero": b"* 1 FETCH (UID 1 RFC822.SIZE -1 BODY[] {-1}\r\n)\r\n",
        "a body of a list": b"* 1 FETCH (UID 1 RFC822.SIZE 5 BODY[] (a b))\r\n",
        "a bad date": b'* 1 FETCH (UID 1 INTERNALDATE "99-Xxx-0000 99:99:99 -9999")\r\n',
        "a literal within quotes": b'* 1 FETCH (UID 1 BODY[] "{5}")\r\n',
        "an absurd body": b"* 1 FETCH (UID 1 RFC822.SIZE 5 BODY[] {99999999999}\r\n",
        "a structure of words": b"* 1 FETCH (UID 1 RFC822.SIZE 99999 BODYSTRUCTURE x)\r\n",
        "a structure of nothing": b"* 1 FETCH (UID 1 RFC822.SIZE 99999 BODYSTRUCTURE (() ()))\r\n",
        "an odd structure": b"* 1 FETCH (UID 1 RFC822.SIZE 99999 BODYSTRUCTURE (NIL NIL NIL))\r\n",
        "a deep structure": b"* 1 FETCH (UID 1 RFC822.SIZE 99999 BODYSTRUCTURE "
        + b"(" * DEEP
        + b")" * DEEP
        + b")\r\n",
        "vanished no number": b"* VANISHED (EARLIER) 1:x\r\n",
        "vanished nothing": b"* VANISHED (EARLIER)\r\n* VANISHED\r\n",
        "vanished all": b"* VANISHED (EARLIER) " + b"1:4294967295," * 50_000 + b"1\r\n",
        "vanished stars": b"* VANISHED (EARLIER) *\r\n",
    },
}
CASES = [
    pytest.param(command, text, id=f"{command}: {what}")
    for command, own in OF_COMMAND.items()
    for what, text in {**ANYWHERE, **own}.items()
]


def folders(session):
    session.folders()


def baseline(session):
    session.baseline(INBOX, now=NOW)


def first_changes(session):
    session.changes(INBOX, None, Known(), since=NOW, limit=5, now=NOW)


def later_changes(session):
    held = {name(1): Flags(seen=True), name(9): Flags()}
    session.changes(INBOX, position(modseq=3), Known(lambda: held), since=None, limit=5, now=NOW)


def window(session):
    session.list_window(INBOX, since=NOW, upto=position())


def fetch(session):
    list(session.fetch(INBOX, [name(1)]))


def part(session):
    list(session.read_part(INBOX, name(1), "2", "base64"))


ACTS = {
    "LIST": [folders, look],
    "STATUS": [look, baseline, later_changes],
    "SELECT": [first_changes, fetch, part],
    "SEARCH": [first_changes, later_changes, window],
    "FETCH": [baseline, first_changes, later_changes, window, fetch, part],
}
STATUSES = {
    "SEARCH": b"* STATUS INBOX (MESSAGES 1 UIDVALIDITY 7 HIGHESTMODSEQ 9)\r\n",
    "FETCH": b"* STATUS INBOX (MESSAGES 1 UIDVALIDITY 7 HIGHESTMODSEQ 9)\r\n",
}


@pytest.fixture(scope="module")
def steady(network) -> ImapProvider:
    """Waits long for a login on a busy machine, and not for bytes that never come."""
    return ImapProvider(network, patience=Patience(login=15.0, stall=0.3, session=60.0))


@pytest.mark.parametrize(("command", "text"), CASES)
def test_an_answer_of_no_grammar_is_an_error_of_the_port_or_none(
    certificates, steady, grant_for, command, text
):
    answers = {"STATUS": STATUSES.get(command, b""), command: text}
    given = {key: value for key, value in answers.items() if value}
    with ScriptedImap(certificates=certificates, capabilities=CAPABLE, answers=given) as server:
        for act in ACTS[command]:
            with (
                contextlib.suppress(RetryLaterError, CursorExpiredError, UnreadableMessageError),
                steady.open(grant_for(server)) as session,
            ):
                act(session)


@dataclass(frozen=True)
class Goodbye:
    said: bytes
    means: ErrorCode


GOODBYES = [
    Goodbye(b"* BYE", ErrorCode.CONNECTION_DROPPED),
    Goodbye(b"* BYE Logging out", ErrorCode.CONNECTION_DROPPED),
    Goodbye(b"* BYE Disconnected for inactivity.", ErrorCode.CONNECTION_DROPPED),
    Goodbye(b"* bye Too many connections", ErrorCode.TOO_MANY_CONNECTIONS),
    Goodbye(b"* BYE [UNAVAILABLE] later", ErrorCode.PROVIDER_UNAVAILABLE),
    Goodbye(b"* BYE Server shutting down for maintenance", ErrorCode.PROVIDER_UNAVAILABLE),
    Goodbye(b"* BYE Account exceeded command or bandwidth limits.", ErrorCode.RATE_LIMITED),
    # After the login no goodbye is about the password, whatever it says.
    Goodbye(b"* BYE [AUTHENTICATIONFAILED] Invalid credentials", ErrorCode.CONNECTION_DROPPED),
    Goodbye(b"* BYE Session expired, login failed", ErrorCode.CONNECTION_DROPPED),
]


@pytest.mark.parametrize("goodbye", GOODBYES, ids=lambda one: one.said.decode())
@pytest.mark.parametrize("command", ["LIST", "STATUS", "SELECT", "SEARCH", "FETCH"])
def test_a_goodbye_in_the_middle_means_what_it_says_and_never_a_password(
    certificates, steady, grant_for, command, goodbye
):
    class Leaving(ScriptedImap):
        def _answer(self, wire, tag, name, rest):
            if name == ("EXAMINE" if command == "SELECT" else command):
                wire.send(goodbye.said + b"\r\n")
                return False
            return super()._answer(wire, tag, name, rest)

    act = {"LIST": folders, "STATUS": baseline}.get(command, first_changes)
    with (
        Leaving(certificates=certificates) as server,
        pytest.raises(RetryLaterError) as caught,
        steady.open(grant_for(server)) as session,
    ):
        act(session)
    assert caught.value.code is goodbye.means


class Muttering(ScriptedImap):
    """Says something of its own before it answers one command, or instead of its greeting."""

    place = ""
    text = b""

    def _converse(self, wire):
        if self.place == "GREETING":
            wire.start_tls(self._context)
            wire.send(self.text)
            wire.hold()
        super()._converse(wire)

    def _answer(self, wire, tag, name, rest):
        if name == self.place or (name == "AUTHENTICATE" and self.place == "LOGIN"):
            wire.send(self.text)
        return super()._answer(wire, tag, name, rest)


@pytest.mark.parametrize("place", ["GREETING", "CAPABILITY", "LOGIN"])
@pytest.mark.parametrize("what", sorted(ANYWHERE))
def test_a_login_amid_nonsense_has_a_verdict(certificates, network, login_to, place, what):
    hasty = ImapProvider(network, patience=Patience(login=1.0, stall=1.0, session=60.0))
    server = Muttering(certificates=certificates)
    server.place, server.text = place, ANYWHERE[what]
    with server:
        verdict = hasty.test_imap(login_to(server))
    assert verdict.code is not ErrorCode.LOGIN_REJECTED
