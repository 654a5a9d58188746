"""A simulated Google or Microsoft per test; Google's answers are held against its own contract."""

import pytest

from infra.simulators.google import GoogleSimulator, discovery
from tests.contract.simulators import microsoft_client
from tests.contract.simulators.google_world import FULL, World
from tests.contract.simulators.push_receiver import Receiver


@pytest.fixture
def google(certificates):
    good = certificates.good
    with GoogleSimulator(certificate=good.certificate, key=good.key) as simulator:
        breaches = watch_contract(simulator)
        world = World(simulator, certificates.authority)
        yield world
        world.close()
        assert simulator.service.failures == []
        assert breaches == []


@pytest.fixture
def mail(google):
    return google.mail()


@pytest.fixture
def api(google):
    google.simulator.limits.user_units = 1_000_000
    token = google.token(FULL)

    def call(method, path, body=None, **more):
        return google.api(method, path, token, body=body, **more)

    return call


@pytest.fixture
def receiver():
    """Somebody who is told of changes."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def simulator():
    with microsoft_client.running() as simulator:
        yield simulator


@pytest.fixture
def graph(simulator):
    return microsoft_client.graph_for(simulator)


@pytest.fixture
def mailbox(simulator):
    return simulator.mail(microsoft_client.WORK)


def watch_contract(simulator):
    """Collect what is wrong with any answer of the API, of whole requests and of parts."""
    breaches = []
    answer = simulator.service.answer

    def checked(call):
        response = answer(call)
        method = discovery.methods().get(f"gmail.users.{call.route}")
        if method is not None and not call.fault:
            breaches.extend(f"{call.line}: {wrong}" for wrong in wrongs(method, response))
        return response

    simulator.service.answer = checked
    return breaches


def wrongs(method, response):
    if response.status_code == 204:
        return ["204 for a method with an answer"] if method.response else []
    body = response.get_json(silent=True)
    if not isinstance(body, dict):
        return [f"no JSON object: {response.get_data()[:60]}"]
    if response.status_code == 200:
        if not method.response:
            return ["an answer for a method without one"]
        return discovery.problems(method.response, body)
    return error_wrongs(body, response.status_code)


def error_wrongs(body, status):
    error = body.get("error", {})
    first = (error.get("errors") or [{}])[0]
    found = {
        "code": error.get("code") == status,
        "message": bool(error.get("message")),
        "status": str(error.get("status", "")).isupper(),
        "errors": {"message", "domain", "reason"} <= set(first),
    }
    return [f"error without a right {name}" for name, is_right in found.items() if not is_right]
