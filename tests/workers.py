"""Which worker runs which tests, and what begins first, where tests run in several processes.

A module's tests stay on one worker, so that what they share is made once. What takes long begins
first, or one worker would be left alone with it at the end.

pytest-xdist's groups cannot do this: it learns them from a name that pytest 9.2 no longer lets it
change, and then spreads all tests without a word
(https://github.com/pytest-dev/pytest-xdist/issues/1386).
"""

import pytest

STACK = "tests/e2e/"
"""On a worker that has a stack and mostly waits for it, while others compute."""
KILLED = "tests/e2e/test_main_job.py"
"""It waits minutes for what a killed stack had in hand: it has a stack of its own."""
FLOWS = "tests/faults/test_every_flow_survives.py"
"""Minutes of one core, and nothing shared but by a flow's own tests: flow by flow."""
FIRST = (
    KILLED,
    STACK,
    "tests/browser/",
    FLOWS,
    "tests/faults/test_scale.py",
    "tests/contract/stores/",
    "tests/contract/test_provider_sync.py",
    "tests/unit/operations/test_hostile_mail.py",
    "tests/unit/mime/test_hostile.py",
    "tests/infra/test_benchmarks.py",
    "tests/infra/test_local_stack",
)
"""Beginnings of paths, in the order to begin in; whatever is not here takes seconds."""


def piece_of(nodeid: str) -> str:
    """Return the name of what one worker runs in one go."""
    module, _, test = nodeid.partition("::")
    if module.startswith(STACK) and module != KILLED:
        return STACK
    if module == FLOWS:
        flow = test.partition("[")[2].rstrip("]").partition("-")[0]
        return f"{module}[{flow}]"
    return module


def turn_of(nodeid: str) -> int:
    """Return the place in `FIRST` of what the test belongs to; all others come after those."""
    return next((n for n, first in enumerate(FIRST) if nodeid.startswith(first)), len(FIRST))


def pytest_collection_modifyitems(config, items) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: turn_of(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling

    class Pieces(LoadScopeScheduling):
        """In the order they are collected in, which is ours."""

        def _split_scope(self, nodeid):
            return piece_of(nodeid)

    config.option.loadscopereorder = False
    return Pieces(config, log)


@pytest.hookimpl(optionalhook=True, wrapper=True)
def pytest_xdist_auto_num_workers():
    """One more than there are cores: whoever has a stack of its own waits for it most of the time.

    With two more, browsers and stacks wait for a core for longer than a person would.
    """
    return (yield) + 1
