"""Runs the model test: random lives of a mailbox, repeatable by their seed.

    uv run poe model --steps 20000 [--seed 7]

A life is fifty steps. In each something happens: at the provider (`model_owners`, whose answers
`model_provider` spoils), to the mailbox's person, to the queues (`model_queues`) or to a worker
(`model_workers`); `model_life` lists what may, and `model_world` does it, with the product's own
operations. `model_checks` says what holds after every step, and what holds once all is at rest.

A failure prints the steps that led to it, as few as were found, and the seed that repeats it.
"""

import argparse
import random

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.model_life import Life

STEPS_A_LIFE = 50


def live(steps: int, number: int, *, shrinks: bool = True) -> None:
    """Live `steps` steps in lives that seed `number` decides; raise what one of them broke."""

    class Seeded(Life):
        """Hypothesis keeps the seed on the class."""

    seed(number)(Seeded)
    run_state_machine_as_test(
        Seeded,
        settings=settings(
            max_examples=max(1, steps // STEPS_A_LIFE),
            stateful_step_count=STEPS_A_LIFE,
            phases=[Phase.generate, *([Phase.shrink] if shrinks else [])],
            deadline=None,
            database=None,
            print_blob=False,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


def a_seed() -> int:
    """Return one nobody chose."""
    return random.SystemRandom().randrange(10**6)


def main() -> None:
    """Live as the command line asks."""
    parser = argparse.ArgumentParser(prog="poe model", description=__doc__)
    parser.add_argument("--steps", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=None, help="one at random unless given")
    given = parser.parse_args()
    number = a_seed() if given.seed is None else given.seed
    print(f"seed {number}, {given.steps} steps", flush=True)
    live(given.steps, number)
    print("every message is there or accounted for")


if __name__ == "__main__":
    main()
