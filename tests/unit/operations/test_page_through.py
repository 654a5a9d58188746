"""Pages from several indexes: everything once, in order, whatever the size of a page and however little is shown."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ids import FolderId, MessageId
from shared.operations.page_through import (
    Judged,
    entry_at_position,
    entry_to_position,
    page_through,
)
from shared.ports.stores import IndexPage, TimelineEntry

START = datetime(2026, 1, 1, tzinfo=UTC)


def order(entry):
    return entry.at, entry.message_id, entry.folder_id or ""


def index_of(entries, at_most=1_000):
    ordered = sorted(entries, key=order, reverse=True)

    def read(*, before, limit):
        after = [entry for entry in ordered if before is None or order(entry) < order(before)]
        number = min(limit, at_most)
        return IndexPage(after[:number], more=len(after) > number)

    return read


def together(indexes):
    return lambda **asked: [index(**asked) for index in indexes]


def walk(indexes, shown, limit, budget, judged=1_000, looks=None):
    """Read every page; return the pages' items. A view is stood for by its message id."""

    def judge(entries):
        first = entries[:judged]
        views = {e.message_id: e.message_id for e in first if e.message_id in shown}
        return Judged(cast("Any", views), len(first), 1)

    pages, before = [], None
    for _ in range(10_000):
        page = page_through(
            together(indexes), judge, before=before, limit=limit, budget=budget, looks=looks
        )
        pages.append(page.items)
        assert len(page.items) <= limit
        if page.next is None:
            return pages
        assert before is None or order(page.next) < order(before)
        before = page.next
    raise AssertionError("the pages never end")


# A message has one instant in every index, as received.
MESSAGES = st.lists(st.integers(0, 20), min_size=0, max_size=60)
WHERE = st.lists(st.sets(st.integers(0, 3), min_size=1), min_size=60, max_size=60)


@given(
    minutes=MESSAGES,
    where=WHERE,
    hidden=st.sets(st.integers(0, 59)),
    limit=st.integers(1, 70),
    budget=st.sampled_from([1, 30, 1_000]),
    at_most=st.lists(st.sampled_from([1, 3, 1_000]), min_size=4, max_size=4),
    judged=st.sampled_from([1, 7, 1_000]),
    looks=st.sampled_from([None, 1, 2]),
)
def test_every_shown_message_comes_once_and_newest_first(
    minutes, where, hidden, limit, budget, at_most, judged, looks
):
    indexes: list[list[TimelineEntry]] = [[], [], [], []]
    at = {}
    for number, minute in enumerate(minutes):
        name = MessageId(f"m{number:03}")
        at[name] = START + timedelta(minutes=minute)
        for position in where[number]:
            indexes[position].append(TimelineEntry(at[name], name))
    shown = {name for number, name in enumerate(at) if number not in hidden}
    read = [index_of(entries, most) for entries, most in zip(indexes, at_most, strict=True)]
    pages = walk(read, shown, limit, budget, judged, looks)
    found = [name for items in pages for name in items]
    assert found == sorted(shown, key=lambda name: (at[name], name), reverse=True)


@given(
    folders=st.lists(st.sets(st.sampled_from("abc"), min_size=1), max_size=20),
    limit=st.integers(1, 5),
)
def test_a_message_in_several_folders_of_a_mailbox_comes_once(folders, limit):
    entries = [
        TimelineEntry(START, MessageId(f"m{number:03}"), FolderId(folder))
        for number, names in enumerate(folders)
        for folder in names
    ]
    shown = {entry.message_id for entry in entries}
    found = [name for items in walk([index_of(entries)], shown, limit, 1_000) for name in items]
    assert found == sorted(shown, reverse=True)


def test_a_page_that_ends_with_the_index_has_no_next():
    entries = [TimelineEntry(START + timedelta(minutes=n), MessageId(f"m{n}")) for n in range(3)]
    assert len(walk([index_of(entries)], {"m0", "m1", "m2"}, 3, 1_000)) == 1


def test_a_page_that_ends_early_names_nothing_hidden_as_where_the_next_begins():
    entries = [
        TimelineEntry(START - timedelta(minutes=number), MessageId(f"m{number}"))
        for number in range(5)
    ]

    def judge(found):
        return Judged(cast("Any", {"m1": "m1"}), len(found), 1)

    page = page_through(
        together([index_of(entries, at_most=3)]), judge, before=None, limit=4, looks=1
    )
    assert page.items == ("m1",)
    assert page.next == entries[1]


def test_one_request_looks_at_no_more_than_its_budget():
    entries = [TimelineEntry(START + timedelta(minutes=n), MessageId(f"m{n}")) for n in range(500)]
    looked_at = []

    def nothing(some):
        looked_at.extend(some)
        return Judged({}, len(some), 1)

    page = page_through(together([index_of(entries)]), nothing, before=None, limit=50, budget=100)
    assert page.items == ()
    assert page.next is not None
    assert len(looked_at) == 100


@given(
    at=st.datetimes(timezones=st.just(UTC)),
    name=st.text(min_size=1),
    folder=st.none() | st.text(),
)
def test_a_position_survives_its_token(at, name, folder):
    entry = TimelineEntry(at, MessageId(name), (folder and FolderId(folder)) or folder)
    assert entry_at_position(entry_to_position(entry)) == entry


@pytest.mark.parametrize(
    "position", [[], ["x"], [1, "m", None], ["x", "m", None], ["2026-01-01T00:00:00", "m", None]]
)
def test_what_is_no_position_is_refused(position):
    with pytest.raises(ValueError, match=r".*"):
        entry_at_position(position)
