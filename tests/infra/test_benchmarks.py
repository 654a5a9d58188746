"""The benchmarks still measure: they are run by hand, and nothing else would tell when they break."""

import subprocess
import sys

import pytest

from infra.local.paths import REPOSITORY


@pytest.mark.parametrize(
    "parts", ["units reading consumption", "reading units", "gmail", "outlook"]
)
def test_a_benchmark_measures_and_holds_what_it_counts_against_its_aim(parts):
    # One after another in one process, as all of them are run: none may measure for the next.
    command = [sys.executable, "-m", "tests.performance", *parts.split(), "--messages", "100"]
    done = subprocess.run(
        command, check=False, cwd=REPOSITORY, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "100 messages" in done.stdout
    assert "≤" in done.stdout
