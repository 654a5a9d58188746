from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.backfill import BackfillKind
from shared.domain.contact_history import (
    LOG_LASTS,
    LONGEST_REST,
    WRITTEN_WITHIN,
    is_forgotten,
    rests_until,
    unheard,
)
from shared.domain.ids import Address
from shared.domain.mailbox import RunState, StoredMail
from shared.domain.policy import Folding, TenantPolicy
from tests.fakes.values import NOW, a_backfill, a_mailbox, later

BOX = a_mailbox(store=StoredMail.CONTACTS_ONLY, connected_at=NOW)
HOUR = timedelta(hours=1)


def test_a_mailbox_that_keeps_all_has_nothing_to_hear():
    assert unheard(replace(BOX, store=StoredMail.ALL), RunState(), later(999)) is None


@pytest.mark.parametrize(
    ("since", "position", "begins"),
    [
        (None, None, NOW - WRITTEN_WITHIN),
        (later(60), None, later(60) - WRITTEN_WITHIN),
        (later(60), later(300), later(300)),
        # Who was added before the choice was made again is not forgotten.
        (later(600), later(300), later(300)),
    ],
)
def test_it_hears_from_where_it_stands_on_or_from_the_choice(since, position, begins):
    box = replace(BOX, contacts_since=since)
    found = unheard(box, RunState(contacts_to=position), NOW + HOUR)
    assert found == (begins, NOW + HOUR - WRITTEN_WITHIN)


def test_what_is_younger_than_a_write_takes_is_left_to_the_next_run():
    state = RunState(contacts_to=NOW)
    assert unheard(BOX, state, NOW + WRITTEN_WITHIN) is None
    assert unheard(BOX, state, NOW + WRITTEN_WITHIN + HOUR) == (NOW, NOW + HOUR)


def test_a_position_is_given_up_before_the_log_forgets():
    assert not is_forgotten(NOW - LOG_LASTS + timedelta(days=2), NOW)
    assert is_forgotten(NOW - LOG_LASTS, NOW)


@pytest.mark.parametrize(
    ("took", "rest"),
    [(0, timedelta()), (2, timedelta(minutes=2)), (30, timedelta(minutes=30)), (900, LONGEST_REST)],
)
def test_a_search_takes_a_sixtieth_of_the_time(took, rest):
    history = a_backfill(kind=BackfillKind.CONTACT_HISTORY, created_at=NOW, started_at=later(took))
    assert rests_until(history) == later(took) + rest


def test_one_that_never_began_has_nothing_wait():
    assert rests_until(a_backfill(started_at=None)) is None


@pytest.mark.parametrize(
    ("policy", "address", "written"),
    [
        (TenantPolicy(), "a.b+c@x.example", ["a.b+c@x.example"]),
        (TenantPolicy(plus_tags=Folding.FOLD), "a@x.example", ["@x.example"]),
        (TenantPolicy(dots=Folding.FOLD), "a@x.example", ["a@x.example"]),
        (TenantPolicy(dots=Folding.FOLD), "a@gmail.com", ["@gmail.com", "@googlemail.com"]),
        (TenantPolicy(plus_tags=Folding.FOLD), "a@gmail.com", ["@gmail.com"]),
    ],
)
def test_what_is_taken_for_one_address_is_searched_for_by_its_domain(policy, address, written):
    assert list(policy.written_as(Address(address))) == written
