"""Pages as Graph may craft them, and what they mean for what we hold; asked of a hand-made Graph."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.cursor import Cursor
from shared.domain.errors import CursorExpiredError, ErrorCode, RetryLaterError
from shared.domain.folders import Folder, FolderRole
from shared.domain.message import Flags
from shared.providers.outlook import comparing, delta, window
from shared.providers.outlook.entries import read_entry, read_page
from shared.providers.outlook.graph import Reply
from shared.providers.outlook.position import RENEW_EVERY, Position
from shared.providers.outlook.session import MOST_EMPTY, Session
from tests.fakes.known import Known, a_copy

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HERE = Folder("here", "Inbox", FolderRole.INBOX)
CURSOR = Position("/link", int(NOW.timestamp())).cursor()


def entry(name="a", *, at=NOW, modified=NOW, folder="here", **more):
    return {
        "id": name,
        "receivedDateTime": at.isoformat(),
        "lastModifiedDateTime": modified.isoformat(),
        "parentFolderId": folder,
        "isRead": False,
        **more,
    }


def gone(name="a"):
    return {"id": name, "@removed": {"reason": "deleted"}}


class Answers:
    """A Graph that answers from a table, and says what it was asked."""

    def __init__(self, *pages, messages=None) -> None:
        self._pages = list(pages)
        self._messages = messages or {}
        self.asked = []

    def relative(self, link):
        return link

    def get(self, url, *, page_size=0):
        self.asked.append(url)
        if "/messages?" in url:
            value = [{"id": name} for name, one in self._messages.items() if one]
            return Reply(200, {"value": value})
        page = self._pages.pop(0)
        name = "@odata.nextLink" if self._pages else "@odata.deltaLink"
        return Reply(200, {"value": page, name: f"/link{len(self._pages)}"})

    def batch(self, parts, **_):
        names = [part.url.split("/messages/")[1].split("?")[0] for part in parts]
        self.asked += names
        found = [self._messages.get(name) for name in names]
        return [Reply(200, one) if one else Reply(404, {}) for one in found]


def told(*pages, held=(), cursor=CURSOR, messages=None, limit=50, since=None):
    graph = Answers(*pages, messages=messages)
    copies = {one.provider_message_id: one for one in held}
    known = Known()
    known.in_folder = lambda: {k: v for k, v in copies.items() if v.removed_at is None}
    known.of = lambda ids: {k: copies[k] for k in ids if k in copies}
    page = delta.changes(Session(graph), HERE, cursor, known, since=since, limit=limit, now=NOW)
    return page, graph


def held(name="a", *folders, removed=False, **flags):
    copy = a_copy(name, Flags(**flags), frozenset(folders or {"here"}))
    return replace(copy, removed_at=NOW if removed else None)


# ---- what a page means ----


def test_an_entry_of_a_message_we_do_not_hold_is_new_and_an_old_one_is_named():
    page, _ = told([entry("a"), entry("b", at=NOW - timedelta(days=9))], since=NOW - timedelta(1))
    assert (page.added, page.too_old) == (("a",), ("b",))


def test_of_entries_of_one_message_the_newest_counts_in_any_order():
    old, new = entry(isRead=False), entry(isRead=True, modified=NOW + timedelta(seconds=1))
    for entries in ([old, new], [new, old], [new, old, new]):
        page, graph = told(entries, held=[held()])
        assert page.flags["a"].seen
        assert graph.asked == ["/link"]


@pytest.mark.parametrize("entries", [[entry(), gone()], [gone(), entry()]])
@pytest.mark.parametrize("holds", [True, False])
@pytest.mark.parametrize("is_there", [True, False])
def test_created_and_removed_on_one_page_is_asked_for(entries, holds, is_there):
    page, graph = told(
        entries, held=[held()] if holds else [], messages={"a": entry()} if is_there else {}
    )
    assert graph.asked == ["/link", "a"]
    assert page.added == (("a",) if is_there and not holds else ())
    assert page.removed == (("a",) if holds and not is_there else ())


def test_removed_and_never_seen_or_gone_already_is_nothing():
    page, _ = told([gone("x"), gone("a"), gone("a")], held=[held(removed=True)])
    assert (page.added, page.removed, page.placed) == ((), (), {})


def test_removed_here_and_held_elsewhere_by_now_stays_there():
    page, _ = told([gone()], held=[held("a", "there")])
    assert page.removed == ()


@pytest.mark.parametrize(
    "copy", [held("a", "there"), held("a", "there", removed=True), held(removed=True)]
)
def test_held_elsewhere_or_removed_is_placed_here_once_it_says_so_itself(copy):
    page, graph = told([entry()], held=[copy], messages={"a": entry(isRead=True)})
    assert page.placed == {"a": {"here"}}
    assert page.flags["a"].seen
    assert page.added == ()
    assert graph.asked == ["/link", "a"]


def test_what_has_moved_on_since_the_page_is_not_placed():
    page, _ = told([entry()], held=[held("a", "there")], messages={"a": entry(folder="there")})
    assert (page.placed, page.removed, page.added) == ({}, (), ())


def test_flags_that_are_the_same_are_not_told():
    page, _ = told([entry(isRead=True)], held=[held(seen=True, version=7)])
    assert page.flags == {}


def test_more_than_was_asked_for_waits_in_the_cursor_and_each_comes_once():
    names = [f"m{number}" for number in range(7)]
    page, _ = told([entry(name) for name in names], limit=3)
    seen = list(page.added)
    while page.more:
        page, graph = told(limit=3, cursor=Cursor.decode(page.next_cursor.encode()))
        seen += page.added
        assert graph.asked == []
    assert seen == names


def test_a_comparison_asks_each_message_that_a_list_left_out():
    copies = [held("a"), held("b"), held("c")]
    messages = {"a": entry("a"), "b": None, "c": entry("c", folder="there")}
    page, graph = told([entry("a")], held=copies, cursor=None, messages=messages)
    assert sorted(page.removed) == ["b"]
    graph_asked = [one for one in graph.asked if one in {"a", "b", "c"}]
    assert graph_asked == ["b"]


def test_a_list_that_left_out_what_is_there_removes_nothing():
    class Forgetful(Answers):
        def get(self, url, **more):
            return Reply(200, {"value": []}) if "/messages?" in url else super().get(url, **more)

    graph = Forgetful([entry("a")], messages={"a": entry("a")})
    known = Known(lambda: {"a": Flags()})
    page = delta.changes(Session(graph), HERE, None, known, since=None, limit=9, now=NOW)
    assert page.removed == ()


def test_a_page_that_follows_itself_is_refused():
    class Circle(Answers):
        def get(self, url, **_):
            return Reply(200, {"value": [], "@odata.nextLink": url})

    known = Known()
    with pytest.raises(RetryLaterError):
        delta.changes(Session(Circle()), HERE, CURSOR, known, since=None, limit=9, now=NOW)


# ---- reading ----


def test_an_entry_without_its_properties_is_as_plain_as_can_be():
    plain = read_entry({"id": "a"})
    assert plain.folder_id is None
    assert plain.flags == Flags()
    assert plain.received_at.year == 1970


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("2026-11-21T10:00:00Z", 2026),
        ("2026-11-21T10:00:00.1234567Z", 2026),
        ("9999-12-31T23:59:59Z", 9999),
        ("0001-01-01T00:00:00Z", 1),
        ("0001-01-01T00:00:00+14:00", 1970),
        ("soon", 1970),
        (7, 1970),
        ("2026-11-21T10:00:00", 1970),
    ],
)
def test_dates_of_theirs_are_read_or_left(text, year):
    assert read_entry({"id": "a", "receivedDateTime": text}).received_at.year == year


def test_a_version_is_when_it_was_changed_in_milliseconds():
    one = read_entry(entry(flag={"flagStatus": "flagged"}, isDraft=True))
    assert one.flags == Flags(flagged=True, draft=True, version=int(NOW.timestamp() * 1000))


@pytest.mark.parametrize(
    "value", [None, {}, "x", [None], [{"no": "id"}], [{"id": 7}], [{"id": ""}]]
)
def test_a_page_that_is_none_passes_by_itself(value):
    with pytest.raises(RetryLaterError):
        read_page({"value": value}, "/link", is_last=True)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=9,
)
NAMES = [
    "id",
    "@removed",
    "receivedDateTime",
    "lastModifiedDateTime",
    "isRead",
    "flag",
    "parentFolderId",
    "conversationIndex",
]


@given(st.lists(st.dictionaries(st.sampled_from(NAMES), ANY) | ANY, max_size=4))
def test_whatever_a_page_holds_it_is_read_or_refused(value):
    try:
        page = read_page({"value": value}, "/link", is_last=True)
    except RetryLaterError:
        return
    assert not (page.present.keys() & (page.removed | page.doubtful.keys()))


INDEX = "AQHXa/g7jienD/k6UUuD7h/+vh/4PQ=="
ANSWER = "AQHXa/g7jienD/k6UUuD7h/+vh/4PaspGJ7v"


def test_answers_have_the_thread_of_what_they_answer():
    first, answer = (read_entry(entry(conversationIndex=one)) for one in (INDEX, ANSWER))
    assert first.thread == answer.thread != None  # noqa: E711 - one chain


@pytest.mark.parametrize("index", [None, 7, "", "AQHXa", "AQHXag==", "\ud800", INDEX[:-5]])
def test_what_is_no_conversation_index_names_no_thread(index):
    assert read_entry(entry(conversationIndex=index)).thread is None


# ---- positions ----


@given(
    st.builds(
        Position,
        link=st.text().map("/".__add__),
        at=st.integers(0, 2**40),
        walking=st.booleans(),
        whole=st.booleans(),
        left=st.lists(st.text()).map(tuple),
    )
)
def test_a_position_survives_its_cursors_stored_form(position):
    assert Position.of(Cursor.decode(position.cursor().encode())) == position


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "null",
        "{}",
        '{"link":7,"at":1}',
        '{"link":"https://else","at":1}',
        '{"link":"/x","at":"1"}',
        '{"link":"/x","at":1,"left":[7]}',
        '{"link":"/x","at":1,"left":"ab"}',
    ],
)
def test_another_text_is_an_expired_cursor(text):
    with pytest.raises(CursorExpiredError):
        Position.of(Cursor("outlook", 1, text))
    with pytest.raises(CursorExpiredError):
        Position.of(Cursor("outlook", 2, json.dumps({"link": "/x", "at": 1})))


def test_a_position_is_due_amid_a_walk_and_when_it_has_grown_old():
    at = Position("/link", int(NOW.timestamp()))
    assert not at.is_due(NOW)
    assert replace(at, walking=True).is_due(NOW)
    assert replace(at, left=("a",)).is_due(NOW)
    assert at.is_due(NOW + RENEW_EVERY)


# ---- pages that never end ----


class Endless:
    """A Graph whose every list goes on, with nothing on any page."""

    def __init__(self) -> None:
        self.asked = []

    def relative(self, link):
        return link

    def get(self, url, **_):
        self.asked.append(url)
        return Reply(200, {"value": [], "@odata.nextLink": f"/link{len(self.asked)}"})


def walks_of(session):
    known = Known()
    known.in_folder = lambda: {"a": held("a")}
    return {
        "a list": lambda: list(session.listed("/me/mailFolders")),
        "a window": lambda: window.list_window(session, HERE, since=NOW, upto=CURSOR),
        "a comparison": lambda: comparing.step(session, HERE, known, upto=None),
    }


@pytest.mark.parametrize("walk", walks_of(None))
def test_a_list_of_empty_pages_is_given_up(walk):
    graph = Endless()
    with pytest.raises(RetryLaterError) as caught:
        walks_of(Session(graph))[walk]()
    assert caught.value.code is ErrorCode.PROVIDER_UNAVAILABLE
    assert len(graph.asked) == MOST_EMPTY


def test_a_page_with_something_on_it_lets_a_walk_go_on():
    pages = [[] for _ in range(MOST_EMPTY - 1)]
    graph = Answers(*pages, [entry("a")], *pages, [entry("b")])
    session, link, found = Session(graph), "/link", []
    while True:
        page = session.page(link, page_size=100)
        found += page.present
        link = page.link
        if page.is_last:
            break
    assert found == ["a", "b"]
