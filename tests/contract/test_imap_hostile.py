"""What a lying, broken or hostile server can do to a session after the login: nothing lasting."""

import re
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest

from infra.simulators.faults import FAULTS
from infra.simulators.scripted_imap import CAPABILITIES, ScriptedImap
from shared.domain.cursor import Cursor
from shared.domain.errors import (
    CursorExpiredError,
    ErrorCode,
    MailroomError,
    RetryLaterError,
    UnreadableMessageError,
)
from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import ProviderMessageId
from shared.domain.message import FetchedMessage, Flags, MissingMessage
from shared.providers.imap.adapter import ImapProvider, Patience
from shared.providers.imap.folders import folder_id
from shared.providers.imap.wire import LARGEST_LITERAL, LONGEST_LINE
from tests.fakes.known import Known, nothing

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
INBOX = Folder(folder_id(b"INBOX"), "INBOX", FolderRole.INBOX)
WITH_CONDSTORE = CAPABILITIES + " CONDSTORE"
WITH_QRESYNC = CAPABILITIES + " CONDSTORE QRESYNC"
MEGABYTE = 1 << 20
EXAMINED = b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7] UIDs valid\r\n"


class Refusing(ScriptedImap):
    """Answers some commands with a tagged line of its own."""

    refuses: Mapping[str, bytes] = MappingProxyType({})

    def _answer(self, wire, tag, name, rest):
        if name in self.refuses:
            line = self.refuses[name]
            is_untagged = line.startswith(b"*")
            wire.send((line if is_untagged else tag + b" " + line) + b"\r\n")
            return not is_untagged
        return super()._answer(wire, tag, name, rest)


@pytest.fixture
def opened(certificates, network, grant_for):
    """Give a session with a server that answers as told, and the server."""

    @contextmanager
    def open_with(scenario="ok", *, refuses=None, capabilities=CAPABILITIES, at="fetch", **answers):
        given = {name.upper(): text for name, text in answers.items()}
        server = Refusing(
            scenario, at=at, certificates=certificates, capabilities=capabilities, answers=given
        )
        server.refuses = {name.upper(): text for name, text in (refuses or {}).items()}
        # Only where a server falls silent is it worth giving up soon; a busy machine is slow too.
        ends = scenario in FAULTS
        patience = Patience(stall=0.5, session=5.0) if ends else Patience(session=60.0)
        provider = ImapProvider(network, patience=patience)
        with server, provider.open(grant_for(server)) as session:
            yield session, server

    return open_with


def name(uid, uidvalidity=7) -> ProviderMessageId:
    return ProviderMessageId(f"{INBOX.id}.{uidvalidity}.{uid}")


def status(**items) -> bytes:
    given = {"MESSAGES": 1, "UIDNEXT": 2, "UIDVALIDITY": 7, "UNSEEN": 1} | items
    text = " ".join(f"{key} {value}" for key, value in given.items() if value is not None)
    return f"* STATUS INBOX ({text})\r\n".encode()


def position(**more) -> Cursor:
    text = '{"name":"INBOX","uidvalidity":7,"last_uid":1,"messages":1,"uidnext":2,"unseen":1'
    extra = "".join(f',"{key}":{value}' for key, value in more.items())
    compared = int(NOW.timestamp())
    return Cursor("imap", 1, f'{text}{extra},"compared_at":{compared}}}')


def changes(session, cursor, known=nothing, **more):
    given = {"since": None, "limit": 100, "now": NOW} | more
    return session.changes(INBOX, cursor, Known(known), **given)


def failure(opened, act, *args, **how) -> MailroomError:
    with pytest.raises(MailroomError) as caught, opened(*args, **how) as (session, _server):
        act(session)
    return caught.value


def fetch_one(session):
    return list(session.fetch(INBOX, [name(1)]))


# ---- looking ----


def look(session):
    return session.look({INBOX.id: position()}, lambda one: one.id == INBOX.id, now=NOW)


def test_an_unchanged_folder_is_seen_as_such(opened):
    with opened() as (session, server):
        assert look(session).changed == frozenset()
        assert len(server.commands) == 4


@pytest.mark.parametrize("refusal", [b"NO [UNAVAILABLE] later", b"NO", b"BAD what", b"OK nothing"])
def test_a_listing_that_fails_or_is_empty_is_never_an_empty_mailbox(opened, refusal):
    error = failure(opened, look, refuses={"LIST": refusal})
    assert isinstance(error, RetryLaterError)


def test_a_folder_of_which_nothing_is_told_is_named_and_left_alone(opened):
    other = folder_id(b"Sent")
    with opened() as (session, _server):
        cursors = {
            INBOX.id: position(),
            other: Cursor("imap", 1, '{"name":"Sent","uidvalidity":7,"last_uid":0}'),
        }
        seen = session.look(cursors, lambda _one: True, now=NOW)
    assert other not in seen.changed
    assert seen.unavailable == {other}
    assert other in {one.id for one in seen.folders}


def test_a_server_that_refuses_every_status_is_not_an_idle_mailbox(opened):
    error = failure(opened, look, refuses={"STATUS": b"NO [UNAVAILABLE] later"})
    assert error.code is ErrorCode.PROVIDER_UNAVAILABLE


def test_a_folder_that_is_gone_is_no_trouble_of_the_server(opened):
    gone = folder_id(b"Deals")
    cursor = Cursor("imap", 1, '{"name":"Deals","uidvalidity":7,"last_uid":0}')
    with opened(refuses={"STATUS": b"NO [NONEXISTENT] no such mailbox"}) as (session, _server):
        seen = session.look({gone: cursor}, lambda one: one.id == gone, now=NOW)
    assert seen.changed == seen.unavailable == frozenset()
    assert gone not in {one.id for one in seen.folders}


@pytest.mark.parametrize(
    "odd",
    [
        {"UIDVALIDITY": None},
        {"UIDVALIDITY": 0},
        {"UIDVALIDITY": 1 << 32},
        {"UIDVALIDITY": "abc"},
        {"UIDNEXT": 1 << 40},
    ],
)
def test_numbers_that_cannot_be_right_park_the_folder_and_not_the_mailbox(opened, odd):
    with opened(status=status(**odd)) as (session, _server):
        assert look(session).changed == {INBOX.id}
    error = failure(opened, lambda session: changes(session, position()), status=status(**odd))
    assert error.code is ErrorCode.FOLDER_UNAVAILABLE
    error = failure(opened, lambda session: session.baseline(INBOX, now=NOW), status=status(**odd))
    assert error.code is ErrorCode.FOLDER_UNAVAILABLE


def test_a_numbering_above_two_to_the_thirty_first_is_kept(opened):
    number = 3_458_731_839
    examined = EXAMINED.replace(b"7]", str(number).encode() + b"]")
    with opened(status=status(UIDVALIDITY=number), select=examined) as (session, _server):
        page = changes(session, None)
    assert page.added == (name(1, number),)


def test_a_folder_that_cannot_be_opened_is_its_own_trouble(opened):
    refuses = {"EXAMINE": b"NO [SERVERBUG] broken"}
    error = failure(opened, lambda session: changes(session, position()), refuses=refuses)
    assert error.code is ErrorCode.FOLDER_UNAVAILABLE


REFUSALS = [
    b"NO [INUSE] locked",
    b"NO [UNAVAILABLE] later",
    b"NO [SERVERBUG] broken",
    b"NO [LIMIT] too many",
    b"NO [OVERQUOTA] full",
    b"NO [NONEXISTENT] never heard of it",
    b"NO cannot",
    b"BAD what",
]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_folder_that_is_listed_and_not_opened_has_lost_nothing(opened, refusal):
    error = failure(opened, fetch_one, refuses={"EXAMINE": refusal})
    assert error.code is ErrorCode.FOLDER_UNAVAILABLE


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize(
    "listed", [b'* LIST () "/" Sent\r\n', b'* LIST (\\Noselect) "/" INBOX\r\n']
)
def test_what_was_in_a_folder_that_is_no_more_is_gone(opened, refusal, listed):
    with opened(refuses={"EXAMINE": refusal}, list=listed) as (session, _server):
        assert fetch_one(session) == [MissingMessage(name(1), "gone")]


def test_what_was_in_a_folder_known_to_hold_nothing_now_is_gone(opened):
    folder = replace(INBOX, selectable=False)
    with opened(list=b'* LIST (\\Noselect) "/" INBOX\r\n') as (session, _server):
        assert list(session.fetch(folder, [name(1)])) == [MissingMessage(name(1), "gone")]
    error = failure(opened, lambda session: list(session.fetch(folder, [name(1)])))
    assert error.code is ErrorCode.FOLDER_UNAVAILABLE


def test_a_listing_that_fails_is_no_proof_that_a_folder_is_gone(opened):
    refuses = {"EXAMINE": b"NO cannot", "LIST": b"NO [UNAVAILABLE] later"}
    error = failure(opened, fetch_one, refuses=refuses)
    assert error.code is ErrorCode.PROVIDER_UNAVAILABLE


# ---- listing ----


def test_uidnext_may_be_missing(opened):
    with opened(status=status(UIDNEXT=None), search=b"* SEARCH 1 5 3\r\n") as (session, server):
        page = changes(session, None)
        assert page.added == (name(1), name(3), name(5))
        assert not page.more
        assert any(b"UID 1:4294967295" in line for line in server.commands)
        baseline = session.baseline(INBOX, now=NOW)
    assert '"last_uid":1' in baseline.position


class Lagging(ScriptedImap):
    """Tells of new mail in STATUS at once, in the selected folder only once it is opened anew."""

    uids = (1,)
    shown = (1,)

    def _answer(self, wire, tag, name, rest):
        if name == "EXAMINE":
            self.shown = self.uids
        text = " ".join(str(uid) for uid in self.shown)
        self._answers |= {
            "STATUS": status(UIDNEXT=self.uids[-1] + 1, MESSAGES=len(self.uids)),
            "SEARCH": f"* SEARCH {text}\r\n".encode(),
        }
        return super()._answer(wire, tag, name, rest)


def test_mail_that_status_knows_before_the_open_folder_is_not_passed(
    certificates, provider, grant_for
):
    with Lagging(certificates=certificates) as server, provider.open(grant_for(server)) as session:
        first = changes(session, position())
        server.uids = (1, 2)
        page = changes(session, first.next_cursor)
        server.uids = (1, 2, 3)
        later = changes(session, page.next_cursor)
        server.uids = (1, 2, 3, 4)
        upto = session.baseline(INBOX, now=NOW)
        session.list_window(INBOX, since=NOW - timedelta(days=1), upto=upto)
        assert server.shown == server.uids
    assert (first.added, page.added, later.added) == ((), (name(2),), (name(3),))


def test_uidnext_may_go_back(opened):
    moved = '"last_uid":9'
    cursor = Cursor("imap", 1, position().position.replace('"last_uid":1', moved))
    with opened(status=status(UIDNEXT=3), search=b"* SEARCH 9 4\r\n") as (session, _server):
        page = changes(session, cursor)
    assert page.added == ()
    assert moved in page.next_cursor.position


@pytest.mark.parametrize(
    "answer", [b"* SEARCH 1 2 3 4 5\r\n", b"* SEARCH 5 2 2 1\r\n* SEARCH 4 3\r\n"]
)
def test_search_results_outside_what_was_asked_are_dropped(opened, answer):
    with opened(status=status(UIDNEXT=4, MESSAGES=3), search=answer) as (session, _server):
        page = changes(session, position())
    assert page.added == (name(2), name(3))


@pytest.mark.parametrize(
    "answer", [b"* SEARCH\r\n", b"* SEARCH (MODSEQ 1)\r\n", b"", b"* SEARCH x\r\n"]
)
def test_an_empty_search_is_empty_however_it_is_put(opened, answer):
    with opened(search=answer) as (session, _server):
        assert changes(session, position()).added == ()


def test_two_hundred_thousand_messages_are_listed_in_pages(opened):
    numbers = b" ".join(b"%d" % uid for uid in range(1, 200_001))
    with opened(
        status=status(UIDNEXT=200_001, MESSAGES=200_000), search=b"* SEARCH " + numbers + b"\r\n"
    ) as (session, server):
        first = changes(session, None, limit=1_000)
        second = changes(session, first.next_cursor, limit=60_000)
        assert all(len(line) < 200 for line in server.commands)
    assert first.more
    assert second.more
    assert second.added[0] == name(1_001)
    assert second.added[-1] == name(61_000)


def test_a_failed_comparison_removes_nothing(opened):
    held = {name(uid): Flags() for uid in range(1, 6)}

    def compare(session):
        return changes(session, None, lambda: held)

    error = failure(
        opened, compare, refuses={"FETCH": b"NO [UNAVAILABLE] later"}, search=b"* SEARCH\r\n"
    )
    assert isinstance(error, RetryLaterError)
    # FETCH names only one of five; SEARCH says that three are there.
    with opened(search=b"* SEARCH 1 2 3\r\n", status=status(UIDNEXT=6, MESSAGES=3)) as (
        session,
        _s,
    ):
        page = compare(session)
    assert set(page.removed) == {name(4), name(5)}


def test_change_numbers_that_go_back_lead_to_a_comparison(opened):
    with opened(
        capabilities=WITH_CONDSTORE, status=status(HIGHESTMODSEQ=5), search=b"* SEARCH\r\n"
    ) as (session, server):
        page = changes(session, position(modseq=9), lambda: {name(1): Flags(seen=True)})
        assert any(b"FLAGS MODSEQ" in line for line in server.commands)
    assert page.flags == {name(1): Flags()}


def test_a_server_that_refuses_to_tell_changes_is_compared_with(opened):
    class Without(Refusing):
        pass

    with opened(
        capabilities=WITH_CONDSTORE, status=status(HIGHESTMODSEQ=0), search=b"* SEARCH\r\n"
    ) as (session, _server):
        page = changes(session, position(modseq=9), lambda: {name(1): Flags(seen=True)})
    assert page.flags == {name(1): Flags()}


@pytest.mark.parametrize("vanished", [b"1:4294967295", b"1", b"1,1,1"])
def test_vanished_names_only_what_lies_before_the_position(opened, vanished):
    answer = b"* VANISHED (EARLIER) " + vanished + b"\r\n"
    with opened(
        capabilities=WITH_QRESYNC,
        status=status(HIGHESTMODSEQ=12),
        search=b"* SEARCH\r\n",
        fetch=answer,
    ) as (session, _server):
        page = changes(session, position(modseq=9))
    assert page.removed == (name(1),)


def test_a_vast_vanished_names_only_what_we_hold(opened):
    last = 3_000_000
    cursor = Cursor(
        "imap", 1, position(modseq=9).position.replace('"last_uid":1', f'"last_uid":{last}')
    )
    held = {name(uid): Flags() for uid in (5, 20_000, last)}
    with opened(
        capabilities=WITH_QRESYNC,
        status=status(HIGHESTMODSEQ=12, UIDNEXT=last + 1),
        search=b"* SEARCH\r\n",
        fetch=b"* VANISHED (EARLIER) 1:4294967295\r\n",
    ) as (session, _server):
        page = changes(session, cursor, lambda: held)
    assert page.removed == tuple(held)


@pytest.mark.parametrize("odd", [b"* VANISHED (EARLIER) 1:x\r\n", b"* 1 FETCH (UID 1 FLAGS (\r\n"])
def test_an_unreadable_answer_is_a_violation_and_no_bug(opened, odd):
    error = failure(
        opened,
        lambda session: changes(session, position(modseq=9)),
        capabilities=WITH_QRESYNC,
        status=status(HIGHESTMODSEQ=12),
        search=b"* SEARCH\r\n",
        fetch=odd,
    )
    assert error.code is ErrorCode.PROTOCOL_VIOLATION


def test_a_uidvalidity_that_changes_between_two_answers_is_told(opened):
    select = EXAMINED.replace(b"7]", b"8]")
    with pytest.raises(CursorExpiredError), opened(select=select) as (session, _server):
        changes(session, position())
    error = failure(opened, lambda session: changes(session, None), select=select)
    assert error.code is ErrorCode.FOLDER_UNAVAILABLE


@pytest.mark.parametrize(
    ("date", "listed"),
    [
        (b'"21-Nov-2026 11:59:59 +0000"', False),
        (b'"21-Nov-2026 12:00:00 +0000"', True),
        (b'"21-Nov-2026 02:00:00 -1000"', True),
        (b'"01-Jan-1970 00:00:00 +0000"', False),
        (b'"31-Dec-9998 00:00:00 +0000"', True),
        (b'"31-Dec-9999 23:59:59 -1200"', True),
        (b'"who knows"', True),
        (b"NIL", True),
    ],
)
def test_odd_dates_of_receipt_stay_sane(opened, date, listed):
    answer = b"* 1 FETCH (UID 1 INTERNALDATE " + date + b")\r\n"
    with opened(fetch=answer) as (session, _server):
        page = changes(session, None, since=NOW)
    assert page.added == ((name(1),) if listed else ())


def test_a_message_whose_date_of_receipt_is_not_told_is_listed(opened):
    with opened(fetch=b"") as (session, _server):
        page = changes(session, None, since=NOW)
        assert session.list_window(INBOX, since=NOW, upto=page.next_cursor) == (name(1),)
    assert page.added == (name(1),)


# ---- fetching ----


def fetched(opened, ids=(1,), **how):
    with opened(**how) as (session, _server):
        return {
            one.provider_message_id: one for one in session.fetch(INBOX, [name(uid) for uid in ids])
        }


def whole(uid, text=b"Subject: hi\r\n\r\nhi") -> bytes:
    return (
        b'* %d FETCH (UID %d FLAGS () INTERNALDATE "21-Nov-2026 10:00:00 +0000" RFC822.SIZE %d'
        b" BODY[] {%d}\r\n%b)\r\n" % (uid, uid, len(text), len(text), text)
    )


def test_answers_are_matched_by_uid_and_by_nothing_else(opened):
    mixed = (
        whole(3, b"c") + b"* 9 FETCH (FLAGS (\\Seen))\r\n" + whole(9, b"foreign") + whole(1, b"a")
    )
    got = fetched(opened, ids=(1, 2, 3), fetch=mixed)
    assert got[name(1)].raw == b"a"
    assert got[name(3)].raw == b"c"
    assert got[name(2)] == MissingMessage(name(2), "gone")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "gone"),
        (b"* 1 FETCH (FLAGS ())\r\n", "gone"),
        (b"* 1 FETCH ()\r\n", "gone"),
        (b"* 1 FETCH (UID x RFC822.SIZE 5)\r\n", "gone"),
        # It is there, and what is told of it is not enough or breaks the grammar.
        (b"* 1 FETCH (UID 1)\r\n", "unreadable"),
        (b"* 1 FETCH (UID 1 RFC822.SIZE 5 BODY[] NIL)\r\n", "unreadable"),
        (b"* 1 FETCH (UID 1 RFC822.SIZE 5\r\n", "unreadable"),
        (b"* 1 FETCH " + b"(" * 100_000 + b"\r\n", "unreadable"),
    ],
)
def test_what_is_not_delivered_is_asked_for_once_more_and_then_missing(opened, answer, reason):
    with opened(fetch=answer) as (session, server):
        (one,) = session.fetch(INBOX, [name(1)])
        asked = [line for line in server.commands if b"RFC822.SIZE" in line]
    assert one == MissingMessage(name(1), reason)
    assert len(asked) == 2


@pytest.mark.parametrize("size", [100_000, 60_000_000])
def test_a_structure_of_a_hundred_thousand_parentheses_is_one_unreadable_message(opened, size):
    deep = b"(" * 100_000 + b")" * 100_000
    answer = b"* 1 FETCH (UID 1 FLAGS () RFC822.SIZE %d BODYSTRUCTURE %b)\r\n" % (size, deep)
    assert fetched(opened, fetch=answer) == {name(1): MissingMessage(name(1), "unreadable")}


def test_a_message_with_a_broken_structure_is_salvaged_whole_while_it_is_small(opened):
    text = b"Subject: x\r\n\r\n" + b"y" * 100_000
    answer = whole(1, text).replace(b"BODY[]", b"BODYSTRUCTURE NIL BODY[]")
    assert fetched(opened, fetch=answer)[name(1)].raw == text


def test_flags_that_change_while_bodies_come_are_the_newest(opened):
    answer = whole(1) + b"* 1 FETCH (FLAGS (\\Seen) UID 1 MODSEQ (9))\r\n"
    one = fetched(opened, fetch=answer)[name(1)]
    assert one.raw == b"Subject: hi\r\n\r\nhi"
    assert one.flags == Flags(seen=True, version=9)


def test_bodies_nobody_asked_for_are_not_gathered(opened):
    body = b"x" * MEGABYTE
    pieces = (b" BODY[%d] {%d}\r\n%b" % (n, len(body), body) for n in range(1, 16))
    answer = b"* 1 FETCH (UID 1" + b"".join(pieces) + b")\r\n"
    error = failure(opened, lambda session: list(session.fetch(INBOX, [name(1)])), fetch=answer * 5)
    assert error.code is ErrorCode.PROTOCOL_VIOLATION


def test_a_missing_date_of_receipt_becomes_the_beginning_of_time(opened):
    answer = whole(1).replace(b'INTERNALDATE "21-Nov-2026 10:00:00 +0000" ', b"")
    one = fetched(opened, fetch=answer)[name(1)]
    assert isinstance(one, FetchedMessage)
    assert one.received_at == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        ("drop", {ErrorCode.CONNECTION_DROPPED}),
        ("reset", {ErrorCode.CONNECTION_DROPPED}),
        ("half_line", {ErrorCode.CONNECTION_DROPPED}),
        ("half_literal", {ErrorCode.CONNECTION_DROPPED}),
        ("silence", {ErrorCode.CONNECTION_TIMED_OUT}),
        ("huge_literal", {ErrorCode.PROTOCOL_VIOLATION}),
        ("garbage", {ErrorCode.PROTOCOL_VIOLATION}),
        ("http", {ErrorCode.PROTOCOL_VIOLATION}),
        ("long_line", {ErrorCode.PROTOCOL_VIOLATION, ErrorCode.CONNECTION_TIMED_OUT}),
        ("flood", {ErrorCode.PROTOCOL_VIOLATION, ErrorCode.CONNECTION_TIMED_OUT}),
        ("parentheses", {ErrorCode.CONNECTION_TIMED_OUT}),
    ],
)
def test_a_fault_while_fetching_ends_the_session_with_its_code(opened, fault, codes):
    error = failure(opened, lambda session: list(session.fetch(INBOX, [name(1)])), fault)
    assert error.code in codes
    assert isinstance(error, RetryLaterError)


def test_a_drip_ends_with_the_session(opened):
    error = failure(opened, lambda session: list(session.fetch(INBOX, [name(1)])), "chatter")
    assert error.code is ErrorCode.CONNECTION_TIMED_OUT


def test_what_is_read_at_once_is_bounded():
    assert LONGEST_LINE <= 16 << 20
    assert LARGEST_LITERAL <= 16 << 20


@pytest.mark.parametrize(
    ("refusal", "kind", "code"),
    [
        (b"NO cannot", RetryLaterError, ErrorCode.FOLDER_UNAVAILABLE),
        (b"NO [UNAVAILABLE] later", RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE),
        (b"OK nothing", UnreadableMessageError, ErrorCode.MESSAGE_GONE),
    ],
)
def test_a_part_that_cannot_be_read_is_never_an_empty_one(opened, refusal, kind, code):
    error = failure(
        opened,
        lambda session: list(session.read_part(INBOX, name(1), "2", "base64")),
        refuses={"FETCH": refusal},
    )
    assert isinstance(error, kind)
    assert error.code is code


def test_a_part_of_an_older_numbering_is_gone(opened):
    error = failure(opened, lambda session: list(session.read_part(INBOX, name(1, 6), "2", "")))
    assert error.code is ErrorCode.MESSAGE_GONE


def test_a_bye_in_the_middle_is_temporary(opened):
    error = failure(opened, look, refuses={"STATUS": b"* BYE Too many connections"})
    assert error.code is ErrorCode.TOO_MANY_CONNECTIONS


# ---- the wire ----


def test_every_command_is_one_line_whatever_folders_are_called(opened):
    listed = (
        b'* LIST () "/" INBOX\r\n* LIST () "/" "x\\" DELETE INBOX"\r\n'
        b'* LIST () "/" {20}\r\nevil\r\nM9 DELETE INBO\r\n* LIST () "/" "two words"\r\n'
    )
    with opened(list=listed) as (session, server):
        seen = session.look({}, lambda _one: True, now=NOW)
        for one in seen.folders:
            if one.selectable:
                session.baseline(one, now=NOW)
            else:
                with pytest.raises(RetryLaterError):
                    session.baseline(one, now=NOW)
        commands = server.commands
    assert len(seen.folders) == 4
    assert sum(one.selectable for one in seen.folders) == 3
    assert not any(re.match(rb"\S+ DELETE", line) for line in commands)
    assert sum(line.split()[1] == b"STATUS" for line in commands) == 3


@pytest.mark.parametrize("control", ["\r\n", "\n", "\r", "\0"])
def test_a_control_character_in_a_section_or_a_cursor_sends_nothing(opened, control):
    section = f"1]{control}M9 DELETE INBOX"
    with opened() as (session, server):
        with pytest.raises(MailroomError) as caught:
            list(session.read_part(INBOX, name(1), section, "7bit"))
        assert caught.value.code is ErrorCode.INVALID_REQUEST
        evil = position().position.replace('"INBOX"', '"IN\\r\\nM9 DELETE INBOX"')
        with pytest.raises(MailroomError):
            session.look({INBOX.id: Cursor("imap", 1, evil)}, lambda _one: True, now=NOW)
        assert not any(b"DELETE" in line for line in server.commands)


def test_a_window_in_the_future_is_empty(opened):
    answer = b'* 1 FETCH (UID 1 INTERNALDATE "21-Nov-2026 10:00:00 +0000")\r\n'
    with opened(fetch=answer) as (session, _server):
        window = session.list_window(INBOX, since=NOW + timedelta(days=1), upto=position())
    assert window == ()
