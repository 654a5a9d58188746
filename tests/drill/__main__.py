"""`poe drill`: every alarm is caused, seen to ring, mended and seen to clear, on a stack of its own.

    python -m tests.drill [alarm …]

Prints a table; ends with 1 when an alarm did not ring or did not clear.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from infra.local.clients import forget_host_settings
from infra.local.paths import Paths
from tests.drill.drills import DRILLS, PHASES
from tests.drill.ground import stand
from tests.drill.run import run


def main():
    parser = argparse.ArgumentParser(prog="poe drill", description=__doc__, allow_abbrev=False)
    parser.add_argument("alarms", nargs="*", help="only these, by name without stack and stage")
    parser.add_argument("--keep", type=Path, help="a new folder for the stack, which stays")
    given = parser.parse_args()
    if unknown := set(given.alarms) - {one.alarm for one in DRILLS}:
        parser.error(f"no drill for {', '.join(sorted(unknown))}")
    drills = [one for one in DRILLS if not given.alarms or one.alarm in given.alarms]
    forget_host_settings()
    with (
        tempfile.TemporaryDirectory(prefix="mailroom-drill-") as folder,
        stand(Paths.of(given.keep or Path(folder))) as ground,
    ):
        print("| alarm | cause | seconds to ALARM | seconds to OK |\n| --- | --- | --- | --- |")
        outcomes = [
            outcome
            for phase in PHASES
            for outcome in run(
                ground,
                [one for one in phase if one in drills],
                lambda outcome: print(outcome, flush=True),
            )
        ]
    failed = [outcome for outcome in outcomes if outcome.failure]
    print(f"\n{len(outcomes) - len(failed)} of {len(outcomes)} alarms rang and cleared")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
