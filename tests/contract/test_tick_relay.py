"""How a part of a tick travels to another invocation: what is sent is what is read."""

import json

import pytest
from botocore.stub import ANY, Stubber
from hypothesis import given
from hypothesis import strategies as st

from shared.aws.clients import Clients
from shared.aws.relay import LambdaTickRelay, ranges_in, tick_event
from shared.domain.errors import StoreThrottledError
from shared.domain.ids import MailboxId
from shared.domain.schedule import SlotRange
from tests.fakes.clock import FixedClock

NOW = FixedClock().now()
bounds = st.none() | st.text(min_size=1).map(MailboxId)


@pytest.fixture
def functions():
    clients = Clients(attempts=1)
    with Stubber(clients.functions) as stub:
        yield stub, LambdaTickRelay("mailroom-test-schedule_sync", clients)
        stub.assert_no_pending_responses()


def test_a_part_is_handed_on_without_waiting_for_it(functions):
    stub, relay = functions
    sent = []
    relay.clients.functions.meta.events.register(
        "provide-client-params.lambda.Invoke", lambda params, **_: sent.append(params["Payload"])
    )
    expected = {
        "FunctionName": "mailroom-test-schedule_sync",
        "InvocationType": "Event",
        "Payload": ANY,
    }
    stub.add_response("invoke", {"StatusCode": 202}, expected)
    parts = [SlotRange("every-5#3#1", MailboxId("M2")), SlotRange("every-10#3#1")]
    relay.hand_on(NOW, parts)
    event = json.loads(sent[0])
    assert event == {
        "time": "2026-03-01T12:00:00+00:00",
        "ranges": [["every-5#3#1", "M2", ""], ["every-10#3#1", "", ""]],
    }
    assert ranges_in(event) == parts


@given(st.lists(st.builds(SlotRange, st.text(min_size=1), bounds, bounds)))
def test_what_is_handed_on_is_what_is_read(parts):
    assert ranges_in(json.loads(json.dumps(tick_event(NOW, parts)))) == parts


def test_a_tick_of_the_schedule_asks_for_all_of_its_minute():
    assert ranges_in({"time": "2026-03-01T12:00:00Z", "detail-type": "Scheduled Event"}) is None


@pytest.mark.parametrize(
    "ranges", [None, "every-5#0#0", [["every-5#0#0"]], [["", "", ""]], [["a", "b", 3]], [None]]
)
def test_a_part_of_no_known_shape_is_refused_and_does_not_become_a_whole_tick(ranges):
    with pytest.raises(ValueError, match="shape"):
        ranges_in({"ranges": ranges})


@pytest.mark.parametrize("code", ["TooManyRequestsException", "ServiceException"])
def test_a_service_that_is_busy_is_tried_later(functions, code):
    stub, relay = functions
    stub.add_client_error("invoke", code, http_status_code=429 if "Many" in code else 500)
    with pytest.raises(StoreThrottledError):
        relay.hand_on(NOW, [SlotRange("every-5#0#0")])
