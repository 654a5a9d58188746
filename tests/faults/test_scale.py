"""A fleet in simulated time, nine of ten mailboxes one tenant's: who waits how long, whatever fails.

100,000 mailboxes live through three good hours, an hour without providers, and what follows: once
for all tests that ask about it, in some forty seconds of one core. The other faults are tried on
5,000; `uv run poe bench scale` puts 100,000 through those too. What of it is real, and that the
model tells the same as `sync_mailbox` over the store: `tests/performance/scale_model.py`, and the
first test. Nothing here looks at a real clock.
"""

import random
from dataclasses import fields
from functools import cache

import pytest

from shared.domain.failure import backoff_seconds
from shared.domain.schedule import slots_at
from tests.performance import scale
from tests.performance.scale_fleet import BEGIN, BIG, CADENCES, Fleet, make_boxes
from tests.performance.scale_model import Faults, Queue, Simulation
from tests.performance.scale_real import RealFleet

LARGE, LARGE_WORKERS = scale.MAILBOXES, scale.WORKERS
COUNT, WORKERS = 5_000, 4
CLASSES = [(every, quiet) for every in CADENCES for quiet in (False, True)]


def whole_fleet_a_minute(count):
    """Polls a minute if no mailbox rested."""
    return count * sum(part / every for every, part in CADENCES.items())


def after_good_hours():
    return scale.bad_day(LARGE, LARGE_WORKERS)


# ---- the model is what it stands for ----


@pytest.mark.parametrize(
    "faults",
    [
        Faults(),
        Faults(provider_down=(1_800, 5_400)),
        Faults(no_ticks=(1_800, 5_400)),
        Faults(no_workers=(1_800, 3_600)),
        Faults(hanging=frozenset(box.id for box in make_boxes(300)[::30]), hang_seconds=30.0),
    ],
    ids=["none", "providers", "ticks", "workers", "hanging"],
)
def test_the_model_tells_to_the_second_what_the_operation_tells_over_the_store(faults):
    told = []
    for fleet in (Fleet.of(make_boxes(300)), RealFleet(make_boxes(300))):
        rng = random.Random(5)
        queue = Queue(refuses=lambda rng=rng: rng.random() < 1 / 10)
        simulation = Simulation(fleet, 2, faults, queue, most=20)
        told.append((simulation.run(200), fleet.boxes))
    (model, modelled), (real, held) = told
    for field in fields(model):
        assert getattr(model, field.name) == getattr(real, field.name), field.name
    assert modelled == held
    assert model.hand_overs > 200
    assert sum(model.polls.values()) > 5_000


def test_the_big_tenant_is_as_large_as_it_is_said_to_be():
    boxes = make_boxes(COUNT)
    assert sum(box.tenant_id == BIG for box in boxes) == 0.9 * COUNT
    assert len({box.id for box in boxes}) == COUNT


# ---- nobody starves: 100,000 ----


def test_a_tick_that_takes_several_invocations_asks_for_each_due_mailbox_once():
    fleet = Fleet.of(make_boxes(LARGE))
    due = [found for slot in slots_at(BEGIN) for found in fleet.due(slot)]
    shared_out = scale.fan_out(LARGE)
    assert shared_out["invocations"] > 3
    assert shared_out["asked"] == sum(not one.not_before or one.not_before <= BEGIN for one in due)
    assert shared_out["asked_twice"] == 0


def test_no_mailbox_is_ever_overdue_though_each_minute_takes_several_invocations():
    good, _ = after_good_hours()
    assert good.hand_overs > 3 * scale.GOOD_MINUTES
    assert good.ever_overdue() == 0
    assert good.failed == good.dropped == 0


@pytest.mark.parametrize(("every", "quiet"), CLASSES)
def test_a_mailbox_is_polled_once_in_a_cycle_or_in_three_where_it_rests(every, quiet):
    good, _ = after_good_hours()
    cycle = every * 60 * (3 if quiet else 1)
    assert good.age(0.95, every=every, quiet=quiet) == pytest.approx(cycle, abs=10)
    assert good.age(1.0, every=every, quiet=quiet) <= cycle + 30


@pytest.mark.parametrize("every", CADENCES)
def test_a_tenant_with_nine_of_ten_mailboxes_slows_no_other(every):
    good, _ = after_good_hours()
    alone = _alone().age(0.95, big=False, every=every, quiet=False)
    assert good.age(0.95, big=False, every=every, quiet=False) <= alone + 5


@cache
def _alone():
    return scale.without_the_big_tenant(LARGE, LARGE_WORKERS)


# ---- an hour without providers: 100,000 ----


@pytest.mark.parametrize("every", CADENCES)
def test_after_an_hour_s_outage_nobody_is_late_for_longer_than_a_cycle_and_a_quarter(every):
    _, bad = after_good_hours()
    assert bad.ever_overdue() > LARGE / 2
    assert bad.normal_after(scale.OUTAGE_ENDED, every) <= every + 15


def test_after_an_hour_s_outage_nobody_comes_in_a_herd():
    _, bad = after_good_hours()
    ended = scale.OUTAGE_ENDED // 60
    assert bad.worst(bad.polls, ended) <= whole_fleet_a_minute(LARGE)
    # From one minute to the next it grows by less than a sixth of that.
    growth = [bad.polls[minute + 1] - bad.polls[minute] for minute in range(ended, ended + 30)]
    assert max(growth) <= whole_fleet_a_minute(LARGE) / 6
    assert bad.worst(bad.oldest, ended) <= 30
    assert bad.worst(bad.at_once, 0) <= LARGE_WORKERS


def test_in_an_outage_that_fills_the_workers_the_others_do_not_wait_for_the_big_tenant():
    _, bad = after_good_hours()
    assert max(bad.at_once.values()) == LARGE_WORKERS
    assert bad.waits[True].at(0.95) >= 60
    assert bad.waits[False].longest <= 30


# ---- too much work ----


@pytest.mark.parametrize("scenario", [scale.all_at_once, scale.half_the_workers])
def test_what_is_too_much_waits_at_the_tenant_whose_it_is(scenario):
    seen = scenario(COUNT, WORKERS)
    # At most for the next of four workers to become free.
    assert seen.waits[False].at(0.95) <= 20
    assert seen.waits[True].at(0.95) >= 60
    # It is the message group that does it: in one line the others wait as well.
    assert scenario(COUNT, WORKERS, fair=False).waits[False].at(0.95) >= 30


# ---- other faults ----


@cache
def after_fault(name):
    scenario, ended = scale.FAULTS[name]
    return scenario(COUNT, WORKERS), ended


@pytest.mark.parametrize("name", scale.FAULTS)
def test_after_a_fault_all_is_normal_within_a_cycle_and_a_quarter_of_an_hour(name):
    seen, ended = after_fault(name)
    assert seen.ever_overdue() > COUNT / 2
    for every in CADENCES:
        assert seen.normal_after(ended, every) <= every + 15
    after = ended // 60
    if name != "no worker for half an hour":
        assert seen.worst(seen.polls, after) <= 1.1 * whole_fleet_a_minute(COUNT)
        assert seen.worst(seen.oldest, after) <= 30
    assert seen.worst(seen.oldest, after + 15) <= 30
    assert seen.worst(seen.at_once, 0) <= WORKERS


def test_requests_that_waited_for_workers_are_lost_by_none_and_cost_each_mailbox_one_poll():
    seen, ended = after_fault("no worker for half an hour")
    first = ended // 60
    worked_off = sum(seen.polls[minute] for minute in range(first, first + 6))
    assert seen.dropped > 3 * COUNT
    assert worked_off < 1.5 * COUNT


def test_mailboxes_that_failed_together_are_tried_again_apart():
    waits = sorted(backoff_seconds(5, random.Random(box.id)) for box in make_boxes(COUNT))
    busiest = max(
        sum(minute <= wait < minute + 60 for wait in waits) for minute in range(0, 900, 60)
    )
    assert busiest < 1.3 * COUNT * 60 / (waits[-1] - waits[0])


@pytest.mark.parametrize(("one_in", "seconds"), [(COUNT, 110.0), (100, 30.0)])
def test_mailboxes_whose_servers_hang_make_no_other_overdue(one_in, seconds):
    seen = scale.hanging(COUNT, WORKERS, one_in=one_in, seconds=seconds)
    assert seen.failed > 0
    assert seen.ever_overdue() == 0


def test_a_queue_that_refuses_a_third_costs_one_in_twenty_a_cycle_and_nobody_three():
    seen = scale.refusing_queue(COUNT, WORKERS, most=500)
    assert seen.hand_overs > 90
    for every in CADENCES:
        assert seen.age(0.95, every=every, quiet=False) <= 1.3 * every * 60
    assert seen.most_cycles() <= 3.2


def test_requests_older_than_the_queue_keeps_are_made_up_for_by_the_next_cycle():
    boxes = [box for box in make_boxes(400) if box.every == 5 and not box.is_quiet]
    faults = Faults(no_workers=(60, 60 + 8 * scale.HOUR))
    simulation = Simulation(Fleet.of(boxes), WORKERS, faults)
    simulation.run(9 * 60)
    assert simulation.queue.expired > 0
    assert not simulation.overdue()


def test_a_run_that_would_begin_too_late_in_its_invocation_is_no_part_of_the_model():
    boxes = make_boxes(COUNT)
    faults = Faults(hanging=frozenset(box.id for box in boxes), hang_seconds=90.0)
    with pytest.raises(ValueError, match="put this run back"):
        Simulation(Fleet.of(boxes), WORKERS, faults).run(10)
