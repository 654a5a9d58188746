"""Where a few messages are looked at that stand for many."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ids import FolderId
from shared.domain.sampling import MOST_PLACES, Estimate, Sampled, estimated, picked, spread

NOW = datetime(2026, 3, 1, tzinfo=UTC)
BORDERS = [NOW - timedelta(days=days) for days in (0, 7, 30, 90, 365)]
INBOX, SENT = FolderId("inbox"), FolderId("sent")
COUNTS = st.lists(
    st.dictionaries(st.text("abcdefgh", min_size=1, max_size=1), st.integers(0, 50_000)),
    min_size=4,
    max_size=4,
)


def test_few_messages_are_all_looked_at_each_stretch_in_one_listing_a_folder():
    places = spread([{INBOX: 3, SENT: 1}, {INBOX: 2}, {}, {SENT: 40}], BORDERS, most=200)
    assert [(one.stretch, one.folder_id, one.most) for one in places] == [
        (0, INBOX, 3),
        (0, SENT, 1),
        (1, INBOX, 2),
        (3, SENT, 40),
    ]
    for one in places:
        assert (one.before, one.since) == (BORDERS[one.stretch], BORDERS[one.stretch + 1])


def test_of_many_each_stretch_has_its_part_and_what_one_leaves_is_for_the_next():
    places = spread([{INBOX: 10}, {INBOX: 900}, {INBOX: 9_000}, {INBOX: 90_000}], BORDERS, most=200)
    looked_at = Counter()
    for one in places:
        looked_at[one.stretch] += one.most
    assert looked_at[0] == 10
    assert all(55 <= looked_at[number] <= 64 for number in (1, 2, 3))


def test_where_more_mail_lies_more_is_looked_at():
    places = spread([{INBOX: 9_000, SENT: 3_000}, {}, {}, {}], BORDERS, most=200)
    assert Counter(one.folder_id for one in places) == {INBOX: 5, SENT: 1}


@given(COUNTS, st.integers(4, 300))
def test_never_more_than_asked_for_nor_outside_a_stretch(counted, most):
    places = spread(counted, BORDERS, most=most)
    assert sum(one.most for one in places) <= most
    stretches = list(pairwise(BORDERS))
    for one in places:
        end, since = stretches[one.stretch]
        assert since <= one.since < one.before <= end
        assert one.most > 0
        assert counted[one.stretch][one.folder_id] > 0
    assert max(Counter(one.stretch for one in places).values(), default=0) <= MOST_PLACES
    assert places == spread(counted, BORDERS, most=most)


def test_what_is_picked_of_a_list_comes_from_all_of_it():
    assert picked([1, 2, 3], 5) == [1, 2, 3]
    assert picked(list(range(100)), 4) == [0, 25, 50, 75]


# ---- what they say ----


def looked_at(stretch: int, matching: int, of: int) -> list[Sampled]:
    return [Sampled(stretch, number < matching) for number in range(of)]


def test_what_was_looked_at_whole_is_no_estimate():
    sampled = [*looked_at(0, 1, 3), *looked_at(2, 2, 2)]
    assert estimated([3, 0, 2], sampled) == [Estimate(1, 3), Estimate(1, 3), Estimate(3, 5)]


def test_what_was_looked_at_in_part_stands_for_its_stretch_alone():
    sampled = [*looked_at(0, 10, 10), *looked_at(1, 5, 50)]
    assert estimated([10, 1_000], sampled) == [Estimate(10, 10), Estimate(110, 60)]


def test_a_stretch_of_which_nothing_was_seen_says_nothing_of_it_and_of_what_has_it():
    sampled = [*looked_at(0, 1, 2), *looked_at(2, 1, 1)]
    assert estimated([2, 5, 1], sampled) == [Estimate(1, 2), None, None]


@given(COUNTS, st.integers(4, 300), st.randoms(use_true_random=False))
def test_a_larger_window_never_has_fewer_nor_more_than_there_are(counted, most, rng):
    places = spread(counted, BORDERS, most=most)
    sampled = [Sampled(one.stretch, rng.random() < 0.5) for one in places for _ in range(one.most)]
    sums = [sum(one.values()) for one in counted]
    found = estimated(sums, sampled)
    held = [(one.matching, one.looked_at) for one in found if one is not None]
    assert held == sorted(held)
    for number, one in enumerate(found):
        if one is not None:
            total = sum(sums[: number + 1])
            assert one.matching <= total
            assert one.looked_at <= min(total, most)
