import pytest

from tests.fakes.deployment import Deployment


@pytest.fixture
def app(monkeypatch):
    return Deployment().install(monkeypatch)
