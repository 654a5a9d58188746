"""Whatever a server answers, what leaves the adapter is an error of the port or a result."""

import contextlib
import io
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.cursor import Cursor
from shared.domain.errors import (
    CursorExpiredError,
    ErrorCode,
    RetryLaterError,
    UnreadableMessageError,
)
from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import ProviderMessageId
from shared.domain.message import Flags
from shared.providers.imap import folders, structure
from shared.providers.imap.adapter import ImapSession
from shared.providers.imap.grammar import internal_date, status_text
from shared.providers.imap.login import Session
from shared.providers.imap.session import OpenFolders
from shared.providers.imap.wire import Wire
from tests.fakes.known import Known

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
INBOX = Folder(folders.folder_id(b"INBOX"), "INBOX", FolderRole.INBOX)
NAME = ProviderMessageId(f"{INBOX.id}.7.1")
POSITION = Cursor(
    "imap", 1, '{"name":"INBOX","uidvalidity":7,"last_uid":5,"modseq":3,"messages":2}'
)
WORDS = (
    b"LIST STATUS SEARCH ESEARCH FETCH VANISHED (EARLIER) OK NO BAD BYE EXISTS EXPUNGE INBOX Sent"
    b' "a b" "/" "" " \\ NIL ( ) (( )) () (( ) [UIDVALIDITY [ ] [ALERT] UID FLAGS MODSEQ (4) ALL'
    b" UIDNEXT UIDVALIDITY MESSAGES UNSEEN HIGHESTMODSEQ RFC822.SIZE INTERNALDATE BODYSTRUCTURE"
    b" BODY[] BODY[HEADER] BODY[1] BODY[2]<0> 0 1 7 5 2 70000 4294967295 99999999999999999999 -1"
    b" 1:* 1:x 1:4294967295 5:1,2 \\Seen \\Noselect \\Sent {3} {99999999999} {-1} ~{2} {3+}"
    b' "21-Nov-2026 10:00:00 +0000" "99-Xxx-0000 99:99:99 -9999" text plain (charset x)'
).split(b" ")
READY = {
    b"LIST": b'* LIST () "/" INBOX\r\n',
    b"STATUS": b"* STATUS INBOX (MESSAGES 2 UIDNEXT 6 UIDVALIDITY 7 HIGHESTMODSEQ 9)\r\n",
    b"EXAMINE": b"* OK [UIDVALIDITY 7] hi\r\n",
    b"SEARCH": b"* SEARCH 1 2\r\n",
    b"FETCH": b"* 1 FETCH (UID 1 FLAGS () RFC822.SIZE 70000)\r\n",
}
pieces = st.one_of(st.sampled_from(WORDS), st.binary(max_size=6), st.just(b"\r\n* 1 FETCH ("))
lines = st.lists(pieces, max_size=14).map(lambda words: b"* " + b" ".join(words) + b"\r\n")
answers = st.dictionaries(
    st.sampled_from(sorted(READY)), st.lists(lines, max_size=3).map(b"".join), min_size=1
)


class Answering:
    """A connection to a server that answers each command with what it was given for it."""

    def __init__(self, answers) -> None:
        self._answers = READY | answers
        self._said = io.BytesIO()
        self.bytes_in = self.bytes_out = 0

    def begin_exchange(self, seconds) -> None:
        """Time does not matter here."""

    def sendall(self, data) -> None:
        rest = self._said.read()
        for line in data.splitlines():
            tag, _, command = line.partition(b" ")
            word = command.removeprefix(b"UID ").split(b" ")[0]
            rest += self._answers.get(word, b"") + tag + b" OK done\r\n"
        self._said = io.BytesIO(rest)

    def readline(self, limit) -> bytes:
        return self._read(self._said.readline(limit))

    def read(self, size) -> bytes:
        return self._read(self._said.read(size), size)

    def _read(self, data, size=1) -> bytes:
        if len(data) < size:
            raise RetryLaterError(ErrorCode.CONNECTION_DROPPED)
        return data


def acts(session):
    held = {NAME: Flags()}
    yield lambda: session.folders()
    yield lambda: session.look({INBOX.id: POSITION}, lambda _one: True, now=NOW)
    yield lambda: session.baseline(INBOX, now=NOW)
    for cursor in (None, POSITION):
        yield lambda c=cursor: session.changes(
            INBOX, c, Known(lambda: held), since=NOW, limit=5, now=NOW
        )
    yield lambda: session.list_window(INBOX, since=NOW, upto=POSITION)
    yield lambda: list(session.fetch(INBOX, [NAME]))
    yield lambda: list(session.read_part(INBOX, NAME, "2", "base64"))


@settings(max_examples=300, deadline=None)
@given(answers, st.sampled_from(["", "CONDSTORE ESEARCH", "CONDSTORE QRESYNC ENABLE ESEARCH ID"]))
def test_nothing_but_the_ports_errors_leaves_the_adapter(given_answers, capabilities):
    for number in range(8):
        wire = Wire(Answering(given_answers))
        offered = frozenset(capabilities.encode().split())
        session = ImapSession(OpenFolders(Session(wire, offered)), 0)
        act = list(acts(session))[number]
        with contextlib.suppress(RetryLaterError, CursorExpiredError, UnreadableMessageError):
            act()


values = st.recursive(
    st.none() | st.sampled_from(WORDS) | st.binary(max_size=12),
    lambda inner: st.lists(inner, max_size=12),
    max_leaves=40,
)
parameter_names = st.sampled_from(
    [b"name", b"NAME*", b"name*0", b"name*1*", b"filename*" + b"9" * 5_000, b"charset", b"*"]
)
parameter_values = st.sampled_from(
    [b"utf-8'de'%C3%A4", b"x'y'%", b"\0'%ff", b"=?utf-8?b?w6Q?=", b"=?x?q?=ff?=", b"=?a?b?=?="]
)
parameters = st.lists(st.tuples(parameter_names, parameter_values | st.binary(max_size=20))).map(
    lambda pairs: [word for pair in pairs for word in pair]
)
leaf = st.tuples(
    *[values, values, parameters, values, values, values, values], st.just([b"x", None])
).map(list)


@given(values | leaf | st.lists(leaf, max_size=4))
def test_any_structure_has_a_plan_or_none(value):
    with contextlib.suppress(ValueError):
        made = structure.plan(value)
        for one in (*made.texts, *made.remote):
            (one.filename or "").encode()
            (one.content_id or "").encode()


@given(st.binary(max_size=60) | st.text("&-+/,ABCd2=", max_size=12).map(str.encode))
def test_any_folder_name_is_readable_and_can_be_stored(raw):
    name = folders.readable_name(raw)
    name.encode()
    folders.raw_name(Folder(folders.folder_id(raw), name, FolderRole.OTHER))


@given(st.binary(max_size=60))
def test_any_line_has_a_status_or_none(line):
    status_text(line)
    internal_date(line)
