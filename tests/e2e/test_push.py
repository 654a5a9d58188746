"""Push over HTTP on the local stack, from a provider's word to the message that it is about.

The simulators do as Google and Microsoft do: Gmail publishes and Pub/Sub posts with a signed token,
Graph asks whether it is welcome and then tells. What finds its way here is in no queue of ours.
"""

import pytest

from tests.e2e.test_main_job import until
from tests.e2e.test_sign_ins import (  # noqa: F401 - fixtures, which are found by name
    _no_fault_outlives_its_test,
    life_of,
    provider,
)

SECONDS = 45
"""A second or two as a rule; a word that follows another within half a minute waits for its end.

Nobody polls within the hour, so that what comes comes by push.
"""


@pytest.fixture
def life(stack, provider, request, monkeypatch):  # noqa: F811 - as above
    """A connected mailbox whose provider has yet to say its first word of it."""
    life = life_of(stack, provider, request)
    if provider.name == "gmail":
        # It says one as soon as it is asked to, and nothing of what changes within a second of it.
        life.arm("push_lost", times=1)
        monkeypatch.setattr(provider.simulator.limits, "push_seconds", 0)
    life.fill(2)
    life.connect(days=30)
    # At once: a poll that was asked for before may begin much later.
    settings = life.api("PATCH", f"/v1/mailboxes/{life.mailbox_id}", {"sync_minutes": 60})
    assert settings.status == 200, settings.body
    life.imported()
    until(lambda: watches(life), what="the provider's promise to tell")
    return life


def watches(life):
    """How many the provider keeps for this mailbox."""
    simulator = life.provider.simulator
    if life.provider.name == "gmail":
        return sum(one["address"] == life.address for one in simulator.state()["watches"])
    return simulator.subscriptions(life.address)


def pushes(life):
    """What went out about this mailbox, as it was answered."""
    simulator = life.provider.simulator
    until(lambda: simulator.service.courier.waiting() == 0, what="the pushes")
    return [one for one in simulator.pushed() if life.address in one.users]


def runs(life):
    return life.api("GET", f"/v1/mailboxes/{life.mailbox_id}/runs").body["items"]


def test_a_message_arrives_by_push_within_seconds_and_once_however_often_it_is_told(life):
    life.arm("push_doubled", times=1, copies=3)
    life.fill(1, start=100)
    until(lambda: "Message 100" in life.subjects(), seconds=SECONDS, what="the message")
    assert life.subjects() == ["Message 0", "Message 1", "Message 100"]
    assert life.held_here() == life.held_there()
    until(lambda: [one for one in runs(life) if one["reason"] == "push"], what="the run's record")
    assert [one["stored"] for one in runs(life) if one["reason"] == "push"] == [1]
    # A try that took too long is made again; each copy is taken once.
    taken = [one for one in pushes(life) if one.status in {202, 204}]
    assert sum(len(one.users) for one in taken) == 3
    if life.provider.name == "outlook":
        life.provider.simulator.lifecycle(life.address, "subscriptionRemoved")
        until(lambda: watches(life), seconds=SECONDS, what="another subscription")


def test_what_is_forged_brings_nothing_and_who_disconnects_is_told_of_no_more(life):
    life.arm("push_forged", times=None)
    life.fill(1, start=200)
    until(lambda: pushes(life), what="the forged push")
    # Where Google's keys could not be had in time the push is to come again: no forgery insists.
    refused = {401, 503} if life.provider.name == "gmail" else {202}
    assert {one.status for one in pushes(life)} <= refused
    life.provider.simulator.faults.clear()
    gone = life.api("DELETE", f"/v1/mailboxes/{life.mailbox_id}")
    assert gone.status == 204, gone.body
    until(lambda: not watches(life), what="the end of the promise")
    assert "Message 200" not in life.subjects()
