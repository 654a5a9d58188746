"""How long a session lasts at most, on a clock that the test moves."""

import pytest

from infra.simulators.scripted_imap import ScriptedImap
from shared.domain.errors import ErrorCode, RetryLaterError
from shared.providers.imap.adapter import ImapProvider
from shared.providers.network import Network
from tests.contract.conftest import loopback_policy


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(clock, certificates) -> ImapProvider:
    return ImapProvider(Network(loopback_policy(certificates.authority), monotonic=clock))


@pytest.fixture
def server(certificates):
    with ScriptedImap(certificates=certificates) as server:
        yield server


@pytest.mark.parametrize(("seconds", "lasts"), [(100, 100), (None, 870), (5_000, 870)])
def test_a_session_ends_with_its_callers_time_or_its_own(
    timed, clock, server, grant_for, seconds, lasts
):
    with timed.open(grant_for(server), seconds=seconds) as session:
        clock.now += lasts - 1
        assert session.folders()
        clock.now += 2
        with pytest.raises(RetryLaterError) as caught:
            session.folders()
    assert caught.value.code is ErrorCode.CONNECTION_TIMED_OUT


def test_a_slow_login_is_part_of_the_time(clock, certificates, grant_for):
    class Slow(ScriptedImap):
        def _answer_login(self, wire, tag, name, rest):
            clock.now += 8
            return super()._answer_login(wire, tag, name, rest)

    provider = ImapProvider(Network(loopback_policy(certificates.authority), monotonic=clock))
    with (
        Slow(certificates=certificates) as server,
        provider.open(grant_for(server), seconds=10) as session,
    ):
        clock.now += 3
        with pytest.raises(RetryLaterError) as caught:
            session.folders()
    assert caught.value.code is ErrorCode.CONNECTION_TIMED_OUT


def test_a_login_lasts_no_longer_than_the_session(clock, certificates, grant_for):
    class Slow(ScriptedImap):
        def _answer(self, wire, tag, name, rest):
            clock.now += 3
            return super()._answer(wire, tag, name, rest)

    provider = ImapProvider(Network(loopback_policy(certificates.authority), monotonic=clock))
    with (
        Slow(certificates=certificates) as server,
        pytest.raises(RetryLaterError) as caught,
        provider.open(grant_for(server), seconds=2),
    ):
        pass
    assert caught.value.code is ErrorCode.CONNECTION_TIMED_OUT


def test_an_answer_that_drips_ends_with_the_session(timed, clock, certificates, grant_for):
    class Dripping(ScriptedImap):
        def _answer(self, wire, tag, name, rest):
            if name != "LIST":
                return super()._answer(wire, tag, name, rest)
            for _ in range(7):
                clock.now += 10
                wire.send(b"* OK Still here\r\n")
            wire.hold()
            return False

    with (
        Dripping(certificates=certificates) as server,
        timed.open(grant_for(server), seconds=60) as session,
        pytest.raises(RetryLaterError) as caught,
    ):
        session.folders()
    assert caught.value.code is ErrorCode.CONNECTION_TIMED_OUT
