"""Pages from several indexes: everything once, in order, whatever the size of a page and however little is shown."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ids import FolderId, MessageId
from shared.operations.page_through import (
    entry_at_position,
    entry_to_position,
    page_through,
)
from shared.ports.stores import TimelineEntry

START = datetime(2026, 1, 1, tzinfo=UTC)


def order(entry):
    return entry.at, entry.message_id, entry.folder_id or ""


def index_of(entries):
    ordered = sorted(entries, key=order, reverse=True)

    def read(*, before, limit):
        after = [entry for entry in ordered if before is None or order(entry) < order(before)]
        return after[:limit]

    return read


def walk(indexes, shown, limit, budget):
    """Read every page; return the pages' items. A view is stood for by its message id."""
    pages, before = [], None
    for _ in range(10_000):
        page = page_through(
            indexes,
            lambda entries: cast(
                "Any", {e.message_id: e.message_id for e in entries if e.message_id in shown}
            ),
            before=before,
            limit=limit,
            budget=budget,
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
)
def test_every_shown_message_comes_once_and_newest_first(minutes, where, hidden, limit, budget):
    indexes: list[list[TimelineEntry]] = [[], [], [], []]
    at = {}
    for number, minute in enumerate(minutes):
        name = MessageId(f"m{number:03}")
        at[name] = START + timedelta(minutes=minute)
        for position in where[number]:
            indexes[position].append(TimelineEntry(at[name], name))
    shown = {name for number, name in enumerate(at) if number not in hidden}
    pages = walk([index_of(entries) for entries in indexes], shown, limit, budget)
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


def test_one_request_looks_at_no_more_than_its_budget():
    entries = [TimelineEntry(START + timedelta(minutes=n), MessageId(f"m{n}")) for n in range(500)]
    looked_at = []

    def nothing(some):
        looked_at.extend(some)
        return {}

    page = page_through([index_of(entries)], nothing, before=None, limit=50, budget=100)
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
