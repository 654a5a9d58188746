"""Where tests run in several processes, what belongs together is together, and the long begins first."""

import re
import subprocess
import sys
from pathlib import Path

from tests import workers

ROOT = Path(__file__).parents[2]
ONE = "def test_one(): pass\ndef test_two(): pass\ndef test_three(): pass\n"
FLOWS = """
import pytest
@pytest.mark.parametrize("kind", ["before", "after"])
@pytest.mark.parametrize("flow", "abcdef")
def test_interrupted(flow, kind): pass
@pytest.mark.parametrize("flow", "abcdef")
def test_repeated(flow): pass
"""


def test_what_is_to_begin_first_is_there():
    for first in workers.FIRST:
        assert list(ROOT.glob(f"{first}*")), first


def test_each_piece_runs_on_one_worker_and_the_long_are_handed_out_first(tmp_path):
    modules = {f"tests/contract/test_{n}.py": ONE for n in range(6)}
    modules |= {f"tests/e2e/test_{n}.py": ONE for n in range(2)}
    modules |= {workers.KILLED: ONE, workers.FLOWS: FLOWS}
    for name, text in modules.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "--numprocesses", "2", "-p", "tests.workers",
         "--import-mode", "importlib", "--rootdir", tmp_path, "tests"],
        check=False, cwd=tmp_path, capture_output=True, text=True, timeout=120,
        env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    ran = re.findall(r"^\[(gw\d)\].* PASSED (\S+)", done.stdout, re.MULTILINE)
    assert len(ran) == 9 * 3 + 6 * 3, done.stdout
    where = {}
    for worker, nodeid in ran:
        where.setdefault(workers.piece_of(nodeid), set()).add(worker)
    assert [piece for piece, seen in where.items() if len(seen) > 1] == []
    assert len(where) == 2 + 6 + 6
    assert {worker for worker, _ in ran} == {"gw0", "gw1"}
    for worker in ("gw0", "gw1"):
        turns = [workers.turn_of(nodeid) for one, nodeid in ran if one == worker]
        assert turns == sorted(turns)
