"""What judging messages costs at each provider, and what becomes of it where a provider fails."""

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from infra.simulators.scripted_imap import ScriptedImap
from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.message import FetchedMessage, MissingMessage
from shared.mime.parse import MimeParser
from shared.providers.gmail import labels
from shared.providers.http import Requests
from shared.providers.outlook.graph import AnswerTooLargeError, Graph
from tests.contract.provider_worlds import NOW, number_of, raw_mail
from tests.contract.test_imap_hostile import INBOX, name
from tests.contract.test_imap_refusals import ABOUT_NOW, Troubled

ANN = "ann@customer.example"


# ---- IMAP ----

FIELDS = b"From: Ann <ann@customer.example>\r\nSubject: 1\r\n\r\n"


class Header(Troubled):
    """Answers with a header's fields, which it spells as it likes."""

    spelled = b'[HEADER.FIELDS ("from" SUBJECT)]<0>'
    said = b"{%d}\r\n%b" % (len(FIELDS), FIELDS)

    def _message(self, uid, items):
        told = b"UID %d FLAGS () RFC822.SIZE 9" % uid
        if b"BODY" in items:
            told += b" BODY%b %b" % (self.spelled, self.said)
        return b"* %d FETCH (%b)\r\n" % (uid, told)


def judge(provider, grant_for, server):
    with server, provider.open(grant_for(server)) as session:
        return list(session.fetch_headers(INBOX, [name(1), name(2), name(3)]))


def search(provider, grant_for, server):
    with server, provider.open(grant_for(server)) as session:
        upto = session.baseline(INBOX, now=NOW)
        since = NOW - timedelta(days=9_000)
        return session.search_window(INBOX, ["nobody@client.example"], since=since, upto=upto)


@pytest.fixture
def make(certificates):
    def made(kind=Header, **attributes) -> ScriptedImap:
        server = kind(certificates=certificates, answers={"STATUS": STATUS, "SEARCH": SEARCH})
        for attribute, value in attributes.items():
            setattr(server, attribute, value)
        return server

    return made


STATUS = b"* STATUS INBOX (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 7 UNSEEN 0)\r\n"
SEARCH = b"* SEARCH 1 2 3\r\n"


def test_a_choice_of_fields_is_taken_however_a_server_spells_it(provider, grant_for, make):
    server = make()
    got = judge(provider, grant_for, server)
    assert [one.header for one in got] == [FIELDS] * 3
    assert search(provider, grant_for, make()) == ()


def test_a_header_the_server_does_not_read_is_named_and_the_others_come(provider, grant_for, make):
    server = make(broken=frozenset({2}), refusal=b"NO some messages are broken")
    got = judge(provider, grant_for, server)
    assert MissingMessage(name(2), "unreadable") in got
    came = [one.provider_message_id for one in got if isinstance(one, FetchedMessage)]
    assert sorted(came) == [name(1), name(3)]


@pytest.mark.parametrize("refusal", ABOUT_NOW[:3])
def test_a_server_in_trouble_is_tried_again_later(provider, grant_for, make, refusal):
    for ask in (judge, search):
        server = make(broken=frozenset({2}), refusal=refusal)
        with pytest.raises(RetryLaterError):
            ask(provider, grant_for, server)


@pytest.mark.parametrize(
    "server",
    [
        {"broken": frozenset({2}), "refusal": b"NO [SERVERBUG] cannot"},
        {"said": b"NIL"},
        {"said": b"((("},
        {"spelled": b"[TEXT"},
    ],
)
def test_of_whom_nothing_could_be_read_is_found_rather_than_missed(
    provider, grant_for, make, server
):
    made = make(**server)
    found = set(search(provider, grant_for, made))
    assert found >= {name(2), name(3)}
    assert (name(1) in found) is ("broken" not in server)


# ---- Gmail ----


@pytest.fixture
def queries(monkeypatch):
    """What is asked of an API, in order."""
    asked = []
    stream = Requests.stream

    def noted(self, method, url, **more):
        asked.append(parse_qs(urlsplit(url).query))
        return stream(self, method, url, **more)

    monkeypatch.setattr(Requests, "stream", noted)
    return asked


def test_gmail_is_asked_for_each_field_and_for_no_part_of_the_mailbox_alone(gmail, queries):
    gmail.theirs.deliver(1)
    position = gmail.position()
    queries.clear()
    since = NOW - timedelta(days=7)
    with gmail.session() as session:
        found = session.search_window(labels.ALL, [ANN], since=since, upto=position)
        assert len(found) == 1
        assert (session.requests, session.units) == (1, 5)
    (asked,) = queries
    assert asked["maxResults"] == ["500"]
    (q,) = asked["q"]
    assert q.startswith(
        f"after:{int(since.timestamp())} {{from:{ANN} to:{ANN} cc:{ANN} bcc:{ANN}}}"
    )
    assert "in:inbox" not in q


def test_a_search_is_as_long_as_gmail_takes_it_however_many_it_is_for(gmail, queries):
    position = gmail.position()
    queries.clear()
    many = [f"person-{number}@{'long' * 15}.example" for number in range(40)]
    with gmail.session() as session:
        session.search_window(labels.ALL, many, since=NOW, upto=position)
    searches = [asked["q"][0] for asked in queries]
    assert max(map(len, searches)) < 1_500
    terms = [term.strip("{}") for search in searches for term in search.split()]
    for field in ("from", "to", "cc", "bcc"):
        assert all(terms.count(f"{field}:{one}") == 1 for one in many)


def test_a_search_leaves_out_what_is_not_active_as_the_window_does(gmail):
    gmail.theirs.create_folder("Deals")
    gmail.theirs.deliver(1, 2)
    gmail.theirs.deliver(3, folder="Deals")
    position = gmail.position()
    since = NOW - timedelta(days=7)
    with gmail.session() as session:
        session.look({}, lambda one: one.name == "INBOX", now=NOW)
        listed = session.list_window(labels.ALL, since=since, upto=position)
        assert session.search_window(labels.ALL, [ANN], since=since, upto=position) == listed
    assert set(listed) == {gmail.theirs.id_of(1), gmail.theirs.id_of(2)}


def test_a_header_of_gmails_costs_what_a_message_does_and_brings_no_content(gmail):
    gmail.theirs.deliver(*range(60))
    names = [gmail.theirs.id_of(number) for number in range(60)]
    with gmail.session() as session:
        got = list(session.fetch_headers(labels.ALL, names))
        assert (session.requests, session.units) == (2, 60 * 20)
    assert len(got) == 60
    assert not any(b"hello" in one.header for one in got)
    assert all(one.size >= len(raw_mail(1)) and one.provider_thread_id for one in got)


def test_a_header_gmail_fails_on_for_ever_is_named_and_the_others_come(gmail):
    gmail.theirs.deliver(1, 2, 3)
    names = [gmail.theirs.id_of(number) for number in (1, 2, 3)]
    gmail.simulator.faults.arm("backend_error", route=f"messages/{names[1]}", times=None)
    with gmail.session() as session:
        got = list(session.fetch_headers(labels.ALL, names))
    assert MissingMessage(names[1], "failing") in got
    assert sorted(number_of(one) for one in got if isinstance(one, FetchedMessage)) == [1, 3]


# ---- Outlook ----


def _names(outlook, *numbers):
    return [outlook.theirs._places[number][1] for number in numbers]


def test_a_header_of_outlooks_is_one_part_and_its_message_then_needs_no_other(outlook):
    outlook.theirs.deliver(*range(40))
    folder = outlook.folder()
    outlook.simulator.log.clear()
    with outlook.session() as session:
        got = list(session.fetch_headers(folder, _names(outlook, *range(40))))
        # Two batches, which count themselves as well.
        assert (len(got), session.requests, session.parts) == (40, 2, 40)
        kept = [one.provider_message_id for one in got if number_of(one) < 20]
        assert len(list(session.fetch(folder, kept))) == 20
        assert (session.requests, session.parts) == (3, 60)


def test_a_message_without_headers_as_sent_is_judged_by_its_properties(outlook):
    outlook.theirs.deliver(1)
    store = outlook.simulator._store
    facts = (
        '{"from": {"emailAddress": {"name": "Me \\"I\\"", "address": "ada@contoso.example"}},'
        ' "sender": {"emailAddress": {"name": "x", "address": "office@contoso.example"}},'
        ' "bccRecipients": [{"emailAddress": {"name": "A, B", "address": "Hidden@client.example"}}]}'
    )
    store.execute("update messages set facts = ?", facts)
    with outlook.session() as session:
        (one,) = session.fetch_headers(outlook.folder(), _names(outlook, 1))
    judged = MimeParser().parse(one)
    assert judged.taking_part() == ("ada@contoso.example", "hidden@client.example")
    assert b"Sender: " in one.header
    assert (judged.subject, judged.internet_message_id) == ("1", "1@customer.example")
    assert outlook.searched("hidden@client.example") == [1]


def test_who_has_no_address_in_exchanges_directory_is_found_rather_than_missed(outlook):
    outlook.theirs.deliver(1, 2)
    store = outlook.simulator._store
    who = '{"emailAddress": {"name": "x", "address": "/o=ExchangeLabs/cn=x"}}'
    facts = f'{{"from": {who}, "sender": {who}}}'
    store.execute("update messages set facts = ? where subject = '1'", facts)
    assert outlook.searched("nobody@client.example") == [1]


@pytest.mark.parametrize("unknown", ['"address": "/o=ExchangeLabs/cn=x"', '"address": ""'])
@pytest.mark.parametrize("place", ["from", "ccRecipients"])
def test_a_header_of_somebody_without_an_address_says_nothing(outlook, unknown, place):
    """The message itself may have the address, and is fetched whole."""
    outlook.theirs.deliver(1, 2)
    somebody = f'{{"emailAddress": {{"name": "x", {unknown}}}}}'
    ann = f'{{"emailAddress": {{"name": "Ann", "address": "{ANN}"}}}}'
    people = {"from": ann, "ccRecipients": "[]", "sender": ann}
    people[place] = somebody if place == "from" else f"[{ann}, {somebody}]"
    facts = ", ".join(f'"{name}": {value}' for name, value in people.items())
    store = outlook.simulator._store
    store.execute("update messages set facts = ? where subject = '1'", f"{{{facts}}}")
    with outlook.session() as session:
        first, second = session.fetch_headers(outlook.folder(), _names(outlook, 1, 2))
    assert MimeParser().parse(first).taking_part() == ()
    assert ANN in MimeParser().parse(second).taking_part()
    assert outlook.searched("nobody@client.example") == [1]


def test_a_draft_is_no_message_to_be_judged(outlook):
    outlook.theirs.deliver(1, 2)
    outlook.simulator._store.execute("update messages set is_draft = 1 where subject = '1'")
    first, second = _names(outlook, 1, 2)
    with outlook.session() as session:
        got = list(session.fetch_headers(outlook.folder(), [first, second]))
    assert got[0] == MissingMessage(first, "gone")
    assert number_of(got[1]) == 2
    assert outlook.searched(ANN) == [2]


def test_a_header_graph_fails_on_for_ever_is_named_and_an_outage_names_none(outlook):
    outlook.theirs.deliver(1, 2, 3)
    names = _names(outlook, 1, 2, 3)
    outlook.simulator.faults.arm("server_error", route=re.escape(names[1]), times=None)
    with outlook.session() as session:
        got = list(session.fetch_headers(outlook.folder(), names))
    assert MissingMessage(names[1], "failing") in got
    assert sorted(number_of(one) for one in got if isinstance(one, FetchedMessage)) == [1, 3]
    outlook.simulator.faults.arm("server_error", route="/messages", times=None)
    with outlook.session() as session, pytest.raises(RetryLaterError) as caught:
        list(session.fetch_headers(outlook.folder(), names))
    assert caught.value.code is ErrorCode.PROVIDER_UNAVAILABLE


@pytest.mark.parametrize(("limit", "found"), [(20_000, [1]), (4_000, [1, 2])])
def test_whom_it_is_for_may_be_more_than_is_held(outlook, monkeypatch, limit, found):
    crowd = ", ".join(f"person-{number}@crowd.example" for number in range(100))
    outlook.theirs.deliver_as(1, f"From: wanted@client.example\r\nTo: {crowd}")
    outlook.theirs.deliver_as(2, f"From: other@client.example\r\nTo: {crowd}")
    monkeypatch.setattr("shared.providers.outlook.window._PAGES", (200, 1))
    _limit_answers(monkeypatch, limit)
    assert sorted(outlook.searched("wanted@client.example")) == found


def _limit_answers(monkeypatch, limit):
    """Hold no list of Graph's that is longer."""
    whole = Graph.get

    def get(self, url, *, page_size=0):
        reply = whole(self, url, page_size=page_size)
        if len(str(reply.body)) > limit:
            raise AnswerTooLargeError(limit)
        return reply

    monkeypatch.setattr(Graph, "get", get)
