"""The test plan in tests/README.md has every row, names tests that exist, or says in a line why there is none."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PLAN = (TESTS / "README.md").read_text(encoding="utf-8").partition("## The plan")[2]
ROWS = list(range(1, 110))
TEST = re.compile(r"`(test_\w+)`")
REASON = re.compile(r"comes with \w|cannot be shown")


def rows() -> list[tuple[int, str, str, str]]:
    """Each row of the plan: its number, the fault, what must hold, what proves it."""
    found = []
    for line in PLAN.splitlines():
        if re.match(r"\| \d", line):
            number, fault, must_hold, proof = (cell.strip() for cell in line.strip("|").split("|"))
            found.append((int(number), fault, must_hold, proof))
    return found


def existing() -> set[str]:
    return {
        node.name
        for path in TESTS.rglob("test_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_row_is_in_the_plan_once_and_in_order():
    assert [number for number, *_ in rows()] == ROWS


def test_every_test_the_plan_names_exists():
    assert sorted(set(TEST.findall(PLAN)) - existing()) == []


def test_every_row_names_its_test_or_says_why_there_is_none():
    for number, fault, must_hold, proof in rows():
        assert fault, number
        assert must_hold, number
        assert TEST.search(proof) or REASON.search(proof), number


def test_no_fault_is_in_the_plan_twice():
    faults = [fault for _, fault, *_ in rows()]
    assert len(faults) == len(set(faults))
