"""Every test here runs against the fakes and against AWS: what passes both is the contract."""

import pytest

from tests.fakes.backends import Stores, in_memory, on_aws


@pytest.fixture(params=["memory", "aws"])
def stores(request) -> Stores:
    if request.param == "memory":
        yield in_memory()
    else:
        with on_aws() as made:
            yield made


@pytest.fixture
def aws() -> Stores:
    with on_aws() as made:
        yield made
