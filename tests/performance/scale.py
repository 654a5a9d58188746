"""Decides what a large fleet is put through in simulated time, and which figures are told of it.

Each scenario takes the size of the fleet and the limit of its workers. `tests/faults/test_scale.py`
asserts `bad_day` of 100,000 mailboxes, and of a small fleet what the table shows of a large one.
"""

import random
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from shared.domain.schedule import SlotRange, slots_at
from shared.operations.schedule_sync import schedule_sync
from tests.fakes.queues import RecordingTickRelay, RecordingWorkQueues
from tests.performance.scale_fleet import BEGIN, BIG, CADENCES, Fleet, make_boxes
from tests.performance.scale_model import Faults, Queue, Simulation
from tests.performance.scale_seen import Seen

Figures = dict[str, Any]
MAILBOXES, WORKERS = 100_000, 80
MILLION = 1_000_000
HOUR = 3_600
FAULT_BEGINS = HOUR // 2
GOOD_MINUTES = 190
"""Even an hourly mailbox that rests is polled within them."""
BAD_MINUTES = 136
OUTAGE_ENDED = GOOD_MINUTES * 60 + HOUR


@cache
def bad_day(count: int, workers: int) -> tuple[Seen, Seen]:
    """Return what three good hours show, and then an hour without providers and what follows."""
    simulation = Simulation(Fleet.of(make_boxes(count)), workers)
    good = simulation.run(GOOD_MINUTES)
    simulation.seen = Seen()
    begins = simulation.second
    simulation.faults.provider_down = (begins, begins + HOUR)
    return good, simulation.run(BAD_MINUTES)


def without_the_big_tenant(count: int, workers: int) -> Seen:
    """The good hours of the same mailboxes of the others, alone."""
    boxes = [box for box in make_boxes(count) if box.tenant_id != BIG]
    return Simulation(Fleet.of(boxes), workers).run(GOOD_MINUTES)


def all_at_once(count: int, workers: int, *, fair: bool = True) -> Seen:
    """Somebody asks for a run of every mailbox of the big tenant in the same second."""
    boxes = make_boxes(count)
    simulation = Simulation(Fleet.of(boxes), workers, queue=Queue(fair=fair))
    simulation.run(10)
    simulation.seen = Seen()
    simulation.ask_now([box for box in boxes if box.tenant_id == BIG])
    return simulation.run(20)


def half_the_workers(count: int, workers: int, *, fair: bool = True) -> Seen:
    """Polls last so much longer that there is work for twice the workers."""
    slowness = 2.0 * workers / needed(count, workers)
    return Simulation(
        Fleet.of(make_boxes(count)),
        workers,
        queue=Queue(fair=fair),
        slowness=slowness,
        measured_from=HOUR,
    ).run(150)


def needed(count: int, workers: int) -> float:
    """Return how many invocations are at work on average when all is well."""
    minutes = 30
    seen = Simulation(Fleet.of(make_boxes(count)), workers).run(minutes)
    return seen.busy_seconds / (60 * minutes)


def no_ticks(count: int, workers: int) -> Seen:
    """The schedule stands still for an hour."""
    faults = Faults(no_ticks=(FAULT_BEGINS, FAULT_BEGINS + HOUR))
    return Simulation(Fleet.of(make_boxes(count)), workers, faults).run(200)


def no_workers(count: int, workers: int) -> Seen:
    """No worker may run for half an hour, while the schedule goes on."""
    faults = Faults(no_workers=(FAULT_BEGINS, FAULT_BEGINS + HOUR // 2))
    return Simulation(Fleet.of(make_boxes(count)), workers, faults).run(170)


def refusing_queue(count: int, workers: int, **how: Any) -> Seen:
    """Of every third piece the queue takes a half, all its tries included."""
    rng = random.Random(2)
    queue = Queue(refuses=lambda: rng.random() < 1 / 3)
    return Simulation(Fleet.of(make_boxes(count)), workers, queue=queue, **how).run(90)


def hanging(count: int, workers: int, *, one_in: int, seconds: float) -> Seen:
    """Some servers keep a poll waiting for ever, and have done so for days."""
    boxes = make_boxes(count)
    broken = boxes[::one_in]
    for box in broken:
        box.failures, box.not_before = 200, None
    faults = Faults(hanging=frozenset(box.id for box in broken), hang_seconds=seconds)
    return Simulation(Fleet.of(boxes), workers, faults, measured_from=HOUR).run(150)


def fan_out(count: int) -> Figures:
    """Return how one minute's tick of so many mailboxes is shared out: invocations, deepest chain."""
    fleet, queue = Fleet.of(make_boxes(count)), RecordingWorkQueues()
    invocations = depth = 0
    level: list[Sequence[SlotRange] | None] = [None]
    while level:
        relay = RecordingTickRelay()
        for ranges in level:
            schedule_sync(
                at=BEGIN,
                mailboxes=fleet,
                queues=queue,
                relay=relay,
                remaining_seconds=lambda: 40.0,
                ranges=ranges,
            )
        invocations += len(level)
        depth += 1
        level = [ranges for _, ranges in relay.handed_on]
    slots = [slot for slot in slots_at(BEGIN) if slot in fleet.slots]
    return {
        "mailboxes": count,
        "read": sum(len(fleet.slots[slot]) for slot in slots),
        "largest_slot": max(len(fleet.slots[slot]) for slot in slots),
        "asked": len({request.mailbox_id for request in queue.syncs}),
        "asked_twice": len(queue.syncs) - len({request.mailbox_id for request in queue.syncs}),
        "invocations": invocations,
        "depth": depth,
    }


# ---- the table ----

FAULTS: dict[str, tuple[Callable[[int, int], Seen], int]] = {
    "no tick for an hour": (no_ticks, FAULT_BEGINS + HOUR),
    "no worker for half an hour": (no_workers, FAULT_BEGINS + HOUR // 2),
}
"""What follows a fault, and the second it ends in. `bad_day` has the providers' own."""


def measure(mailboxes: int) -> Figures:
    """Put a fleet through everything, with workers in proportion."""
    workers = max(2, WORKERS * mailboxes // MAILBOXES)
    began = time.process_time()
    good, bad = bad_day(mailboxes, workers)
    took = time.process_time() - began
    alone = without_the_big_tenant(mailboxes, workers)
    figures: Figures = {
        "mailboxes": mailboxes,
        "workers": workers,
        "processor_seconds": took,
        "polls_a_minute": sum(good.polls.values()) / GOOD_MINUTES,
        "seconds_of_a_batch": good.busy_seconds * 50 / sum(good.polls.values()),
        "invocations_a_minute": good.invocations / GOOD_MINUTES,
        "at_work": good.busy_seconds / (GOOD_MINUTES * 60),
        "oldest": good.worst(good.oldest, 0),
        "hand_overs_a_minute": good.hand_overs / GOOD_MINUTES,
        "ever_overdue": good.ever_overdue(),
        "ages": {
            f"{every} min{', resting' if quiet else ''}": [
                good.age(part, every=every, quiet=quiet) for part in (0.95, 1.0)
            ]
            for every in CADENCES
            for quiet in (False, True)
        },
        "others_p95": [
            [seen.age(0.95, big=False, every=every, quiet=False) for every in CADENCES]
            for seen in (good, alone)
        ],
    }
    faults = {"no provider answers for an hour": (bad, OUTAGE_ENDED)}
    faults |= {name: (run(mailboxes, workers), ended) for name, (run, ended) in FAULTS.items()}
    figures["faults"] = {
        name: {
            "normal_after": {every: seen.normal_after(ended, every) for every in CADENCES},
            "most_polls_a_minute_after": seen.worst(seen.polls, ended // 60),
            "oldest_after": seen.worst(seen.oldest, ended // 60 + 1),
            "dropped": seen.dropped,
            "longest_wait": [seen.waits[is_big].longest for is_big in (False, True)],
        }
        for name, (seen, ended) in faults.items()
    }
    for name, scenario in (("all_at_once", all_at_once), ("half_the_workers", half_the_workers)):
        for suffix, fair in (("", True), ("_one_line", False)):
            waits = scenario(mailboxes, workers, fair=fair).waits
            figures[name + suffix] = [waits[is_big].at(0.95) for is_big in (False, True)]
    for name, one_in, seconds in (("one_hangs", mailboxes, 110.0), ("one_in_100_hangs", 100, 30.0)):
        seen = hanging(mailboxes, workers, one_in=one_in, seconds=seconds)
        figures[name] = {
            "ever_overdue": seen.ever_overdue(),
            "at_work": seen.busy_seconds / (150 * 60),
        }
    figures["fan_out"] = fan_out(MILLION)
    figures["refusing_queue"] = {"cycles": refusing_queue(mailboxes, workers).most_cycles()}
    return figures


def rows(figures: Figures) -> list[tuple[str, str, str]]:
    """Return lines of the table: what, figure, aim."""
    with_big, alone = figures["others_p95"]
    lines = [
        ("polls a minute / invocations of the scheduler a minute",
         f"{figures['polls_a_minute']:,.0f} / {1 + figures['hand_overs_a_minute']:.1f}", ""),
        ("seconds of invocation for 50 polls; invocations at work, of at most",
         f"{figures['seconds_of_a_batch']:.1f}; {figures['at_work']:.1f}, {figures['workers']}", ""),
        ("oldest request, all day", f"{figures['oldest']} s", ""),
        ("overdue in the worst minute", f"{figures['ever_overdue']}", "0"),
    ]  # fmt: skip
    lines += [
        (f"age in seconds, every {name}: p95 / longest", " / ".join(f"{age:,}" for age in ages), "")
        for name, ages in figures["ages"].items()
    ]
    lines += [
        (
            f"p95 of the others' age, every {every} min: with the big tenant / without",
            f"{one:,} / {other:,}",
            "within 5 s",
        )
        for every, one, other in zip(CADENCES, with_big, alone, strict=True)
    ]
    for name, found in figures["faults"].items():
        after = ", ".join(f"{minutes}" for minutes in found["normal_after"].values())
        others, big = found["longest_wait"]
        lines += [
            (f"{name}: minutes until none is overdue, by cadence", after, "≤ cycle + 15"),
            (
                f"{name}: most polls a minute afterwards; oldest request",
                f"{found['most_polls_a_minute_after']:,}; {found['oldest_after']:,} s",
                "",
            ),
            (f"{name}: longest wait, others / big tenant", f"{others:,} / {big:,} s", ""),
        ]
    for name, told in (
        ("all_at_once", "all of the big tenant asked for at once"),
        ("half_the_workers", "work for twice the workers"),
    ):
        for suffix, queue in (("", "groups"), ("_one_line", "one line for all")):
            others, big = figures[name + suffix]
            what = f"{told}, {queue}: p95 wait of the others / of the big tenant"
            lines.append((what, f"{others:,} / {big:,} s", "" if suffix else "≤ 20 s"))
    for name, told in (("one_hangs", "one hangs"), ("one_in_100_hangs", "one in 100 hangs")):
        found = figures[name]
        what = f"{told}: others overdue; invocations at work"
        lines.append((what, f"{found['ever_overdue']}; {found['at_work']:.1f}", "0"))
    found = figures["fan_out"]
    lines += [
        (f"one tick of {found['mailboxes']:,}: mailboxes read / asked to sync / asked twice",
         f"{found['read']:,} / {found['asked']:,} / {found['asked_twice']}", ""),
        (f"one tick of {found['mailboxes']:,}: largest slot; invocations; longest chain of them",
         f"{found['largest_slot']:,}; {found['invocations']}; {found['depth']}", ""),
    ]  # fmt: skip
    what = "a third of what is sent is refused half way: most cycles from one poll to the next"
    lines.append((what, f"{figures['refusing_queue']['cycles']:.1f}", "≤ 3.2"))
    return lines
