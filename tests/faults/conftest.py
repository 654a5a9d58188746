"""What the tests of interruptions share: the accounts' providers, and the sum of what was tried."""

from collections.abc import Mapping

import pytest

from tests.faults.accounts import places_of_run
from tests.faults.summary import DIFFERENCES, TRIED


@pytest.fixture(scope="session")
def places(certificates):
    """Have the worlds of accounts find Google and Microsoft."""
    with places_of_run(certificates):
        yield


@pytest.fixture
def at(request):
    """The number of the one call to interrupt, or None: each."""
    return request.config.getoption("--at")


@pytest.fixture
def tried(record_property):
    """Take note of how often something was interrupted, and fail for any difference."""

    def note(times: int, differences: list[str], tally: Mapping[str, int]) -> None:
        for name, number in tally.items():
            record_property(name, number)
        record_property(TRIED, times)
        record_property(DIFFERENCES, len(differences))
        assert not differences, "\n".join(differences)

    return note
