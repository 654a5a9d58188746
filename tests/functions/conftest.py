import pytest
from moto import mock_aws

from tests.fakes.clock import FixedClock
from tests.functions import roles
from tests.functions.moto_stack import Stack, forget, keep_clients


@pytest.fixture
def stack(monkeypatch):
    keep_clients(monkeypatch)
    with mock_aws():
        roles.forget()
        yield Stack(clock=FixedClock()).start(monkeypatch)
        assert roles.refused == [], "more than a role of template.yaml allows"
    forget()
