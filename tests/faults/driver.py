"""How a flow is tried: undisturbed, then with one interruption at each of its calls, and compared."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from tests.faults.fingerprint import Fingerprint, differences, fingerprint
from tests.faults.killpoints import ANSWERED_ALIKE, Call, Interruption, Kind
from tests.faults.world import Picture, World

LONGEST_MINUTES = 75
"""So long a world may take until it is as it should be: what failed hard is tried again hourly."""
MINUTES_OF_DOUBT = 10
"""So often a world of doubt goes on to where it has something to do."""
REPEATABLE = frozenset({"UpdateItem mailbox state", "PutItem slot", "UpdateItem slot"})
"""What a repetition may write: a poll that found nothing, a lease or a turn taken and given back."""


@dataclass(frozen=True)
class Flow:
    """A story, in which every call can be interrupted."""

    name: str
    prepare: Callable[[Any], None]
    act: Callable[[Any], None]
    """How it begins; what this puts into the queues is worked off after it."""
    rests: tuple[str, ...] = ()
    """Queues whose workers come only after the part that is interrupted."""
    repeatable: frozenset[str] = REPEATABLE
    kind: type[World] = World
    doubtful: frozenset[str] = frozenset()
    """Calls whose answer nobody can ask for again: where one is not heard a flow may end otherwise."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Step:
    """Where an invocation begins: the world as it was, and how many calls had been made."""

    picture: Picture
    calls_before: int


@dataclass(frozen=True)
class Undisturbed:
    """How a flow goes when nothing happens."""

    steps: tuple[Step, ...]
    end: Fingerprint
    calls: tuple[Call, ...]
    doubts: tuple[Fingerprint, ...] = ()
    """How it goes when such an answer is lost, or whoever waited for it dies, and nothing else."""

    @property
    def start(self) -> Picture:
        return self.steps[0].picture

    def step_of(self, call: int) -> Step:
        """Return the invocation that makes a call: what came before need not be done again."""
        return [step for step in self.steps if step.calls_before <= call][-1]

    def first_effect(self, step: Step) -> int | None:
        """Return the number of an invocation's first side effect."""
        rest = enumerate(self.calls[step.calls_before :], step.calls_before)
        return next((number for number, call in rest if call.is_effect), None)


_undisturbed: dict[str, Undisturbed] = {}
_starts: dict[Any, Picture] = {}


def undisturbed(flow: Flow, world: World) -> Undisturbed:
    """Run a flow to its end; once in a process."""
    if flow.name not in _undisturbed:
        beginning = (flow.kind, flow.prepare)
        if beginning not in _starts:
            flow.prepare(world)
            _starts[beginning] = world.picture()
        start = _starts[beginning]
        world.restore(start)
        calls = world.interrupter.calls
        steps = [Step(start, 0)]
        flow.act(world)
        steps.append(Step(world.picture(), len(calls)))
        while world.work_once(*flow.rests):
            steps.append(Step(world.picture(), len(calls)))
        made = tuple(calls)
        world.drain()
        assert not world.failures, f"{flow} fails by itself"
        before = Undisturbed(tuple(steps), fingerprint(world), made)
        told = world.wrongs()
        assert not told, told
        doubts = tuple(_ends_in_doubt(flow, world, before))
        _undisturbed[flow.name] = replace(before, doubts=doubts)
    return _undisturbed[flow.name]


def _ends_in_doubt(flow: Flow, world: World, before: Undisturbed) -> Iterator[Fingerprint]:
    for at, call in enumerate(before.calls):
        if call.name in flow.doubtful:
            for kind in (Kind.LOST, Kind.AFTER):
                _begin(flow, world, before, Interruption(kind, at))
                world.drain()
                for _ in range(MINUTES_OF_DOUBT):
                    world.minute()
                yield fingerprint(world)


def _begin(flow: Flow, world: World, before: Undisturbed, interruption: Interruption) -> None:
    """Run a flow from the invocation that makes the call which is interrupted."""
    step = before.step_of(interruption.at)
    world.restore(step.picture)
    world.interrupter.arm(replace(interruption, at=interruption.at - step.calls_before))
    if step is before.steps[0]:
        flow.act(world)
    world.drain_but(*flow.rests)
    assert world.interrupter.fired, f"{flow} made no call number {interruption.at}"


def points(kind: Kind, before: Undisturbed) -> list[int]:
    """Return the numbers of the calls at which such an interruption makes a difference.

    A death between two side effects is one after the first and one before the second: it is tried
    as the former, and as the latter only where an invocation begins.
    """
    firsts = {before.first_effect(step) for step in before.steps}

    def fits(number: int, call: Call) -> bool:
        match kind:
            case Kind.BEFORE:
                return number in firsts
            case Kind.AFTER:
                return call.is_effect
            case Kind.LOST:
                return call.is_effect or not call.is_ours
            case Kind.THROTTLED:
                return True
            case Kind.DOUBLED:
                return call.is_effect and call.is_ours and call.operation not in ANSWERED_ALIKE

    return [number for number, call in enumerate(before.calls) if fits(number, call)]


def interrupted(
    flow: Flow, world: World, kind: Kind, *, only: int | None = None
) -> tuple[int, list[str]]:
    """Interrupt a flow at each of its calls; return how often, and what ended differently.

    `only`: the number of the one call to interrupt.
    """
    before = undisturbed(flow, world)
    told = []
    tried = [at for at in points(kind, before) if only in {None, at}]
    for at in tried:
        _begin(flow, world, before, Interruption(kind, at))
        found = settled(world, before)
        told += [f"{flow} {kind} {at} ({before.calls[at].name}): {one}" for one in found]
    return len(tried), told


def settled(world: World, before: Undisturbed) -> list[str]:
    """Let time pass until the world is as expected; return what still differs when it is over."""
    world.drain()
    for _ in range(LONGEST_MINUTES):
        if fingerprint(world) in (before.end, *before.doubts):
            return world.wrongs()
        world.minute()
    return differences(before.end, fingerprint(world)) + world.wrongs()


def repeated(flow: Flow, world: World) -> tuple[int, list[str]]:
    """Have every message come once more, in order and newest first; nothing may change."""
    before = undisturbed(flow, world)
    told = []
    for newest_first in (False, True):
        world.restore(before.start)
        flow.act(world)
        world.drain()
        world.interrupter.arm()
        world.redeliver(newest_first=newest_first)
        told += [f"{flow} again: {one}" for one in differences(before.end, fingerprint(world))]
        told += world.wrongs()
        wrote = set(world.interrupter.landed) - flow.repeatable
        told += [f"{flow} again: wrote {one}" for one in sorted(wrote)]
    return 2, told


def shuffled(flow: Flow, world: World) -> tuple[int, list[str]]:
    """Have every message delivered twice at once, newest first, and both."""
    before = undisturbed(flow, world)
    told = []
    for times, newest_first in ((2, False), (1, True), (2, True)):
        world.restore(before.start)
        world.times_delivered, world.newest_first = times, newest_first
        flow.act(world)
        found = settled(world, before)
        told += [f"{flow} {times} times, newest first {newest_first}: {one}" for one in found]
    return 3, told
