"""Whatever somebody sends, it is stored or marked unreadable, within two seconds and 512 MB.

Each build has a seed of its own: `HOSTILE_SEED` repeats one, `HOSTILE_COUNT` makes it longer.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

from tests.unit.mime.hostile import KINDS
from tests.unit.operations.hostile_run import Cost

SEED = int(os.environ.get("HOSTILE_SEED") or random.SystemRandom().getrandbits(32))
COUNT = int(os.environ.get("HOSTILE_COUNT") or 3_000)


def test_hostile_mail_is_stored_or_marked_unreadable_within_its_share():
    """Taken in by a run, through what the table is given, and read back over the API."""
    print(f"HOSTILE_SEED={SEED} HOSTILE_COUNT={COUNT}")
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.operations.hostile_run",
         "--seed", str(SEED), "--count", str(COUNT)],
        check=False, capture_output=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    costs = [Cost(**json.loads(line)) for line in done.stdout.splitlines()]
    bad = [cost for cost in costs if not cost.is_within]
    assert not bad, f"seed {SEED}: {bad[:20]}"
    assert done.returncode == 0, done.stderr.decode()[-2_000:]
    assert len(costs) == COUNT
    assert {cost.kind for cost in costs} == set(KINDS)
    for outcome in ("stored", "unreadable"):
        assert any(cost.outcome == outcome for cost in costs)
    largest = max(costs, key=lambda cost: cost.megabytes)
    slowest = max(costs, key=lambda cost: cost.seconds)
    print(f"slowest {slowest}\nlargest {largest}")
