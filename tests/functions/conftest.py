import pytest
from moto import mock_aws

from tests.fakes.clock import FixedClock
from tests.functions.moto_stack import Stack, forget, keep_clients


@pytest.fixture
def stack(monkeypatch):
    keep_clients(monkeypatch)
    with mock_aws():
        yield Stack(clock=FixedClock()).start(monkeypatch)
    forget()
