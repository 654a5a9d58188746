"""The contract of `OpeningStore`."""

from dataclasses import replace

import pytest

from shared.domain.errors import ConflictError, ErrorCode
from shared.domain.ids import OpeningId, UserId
from shared.domain.opening import Opening
from tests.fakes.values import (
    BOX,
    NOW,
    OTHER_BOX,
    OTHER_TENANT,
    TENANT,
    connected,
    later,
    stands,
)

OPENING = Opening(OpeningId("01OPEN1"), UserId("root#1"), "Tïcket 4711\nlost", NOW, later(3600))


@pytest.fixture
def box(stores):
    return connected(stores.mailboxes).mailbox


def listed(stores, **place):
    return stores.openings.list_openings(TENANT, BOX, **{"before": None, "limit": 9} | place)


def test_it_is_recorded_together_with_the_settings_it_is_by(stores, box):
    saved = stores.openings.save_with(replace(box, openings=(OPENING,)), OPENING)
    assert stands(stores.mailboxes, box).mailbox == saved
    assert (saved.openings, saved.version) == ((OPENING,), box.version + 1)
    assert stores.openings.get_opening(TENANT, BOX, OPENING.id) == OPENING
    assert stores.openings.get_opening(TENANT, BOX, OpeningId("01OPEN")) is None
    for place in ((TENANT, OTHER_BOX), (OTHER_TENANT, BOX)):
        assert stores.openings.get_opening(*place, OPENING.id) is None
        assert stores.openings.list_openings(*place, before=None, limit=9) == []


def test_neither_is_written_over_settings_that_are_newer(stores, box):
    stores.mailboxes.save_settings(replace(box, display_name="Newer"))
    with pytest.raises(ConflictError) as caught:
        stores.openings.save_with(replace(box, openings=(OPENING,)), OPENING)
    assert caught.value.code is ErrorCode.VERSION_CONFLICT
    assert stands(stores.mailboxes, box).mailbox.openings == ()
    assert listed(stores) == []


def test_how_it_stands_by_now_replaces_what_was_recorded(stores, box):
    for ends_at in (later(3600), later(60), None):
        opening = replace(OPENING, ends_at=ends_at)
        box = stores.openings.save_with(replace(box, openings=()), opening)
        assert listed(stores) == [opening]


def test_they_are_listed_newest_first_page_by_page(stores, box):
    recorded = [replace(OPENING, id=OpeningId(f"01OPEN{number}")) for number in range(5)]
    for one in recorded:
        box = stores.openings.save_with(box, one)
    read, before = [], None
    while page := listed(stores, before=before, limit=2):
        assert len(page) <= 2
        read += page
        before = page[-1].id
    assert read == recorded[::-1]
