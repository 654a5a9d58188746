"""A simulated Google per test."""

import pytest

from infra.simulators.google import GoogleSimulator
from tests.contract.simulators.google_world import World


@pytest.fixture
def google(certificates):
    good = certificates.good
    with GoogleSimulator(certificate=good.certificate, key=good.key) as simulator:
        yield World(simulator, certificates.authority)
        assert simulator.service.failures == []
