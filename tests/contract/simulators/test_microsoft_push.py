"""What Graph tells subscriptions, as simulated: of which changes, where, and of themselves."""

import datetime as dt
import json

import pytest
from werkzeug.wrappers import Response

from infra.simulators.kit.mailbox import Delivery
from tests.contract.simulators.microsoft_client import IMMUTABLE, OTHER, WORK, Web, eml
from tests.contract.simulators.push_receiver import until

STATE = "ours.s3cret"
# learn.microsoft.com/graph/api/resources/changenotification; msgraph-sdk has no model of it.
ALWAYS = {"subscriptionId", "subscriptionExpirationDateTime", "tenantId", "clientState"}
OF_A_CHANGE = ALWAYS | {"changeType", "resource", "resourceData"}
OF_ITSELF = ALWAYS | {"lifecycleEvent"}


def wanted(simulator, receiver, **more):
    later = (simulator.clock.now() + dt.timedelta(days=6)).isoformat()
    return {
        "changeType": "created,updated,deleted",
        "notificationUrl": receiver.url,
        "lifecycleNotificationUrl": receiver.url,
        "resource": "me/messages",
        "expirationDateTime": later,
        "clientState": STATE,
        **more,
    }


@pytest.fixture
def subscribe(simulator, graph, receiver):
    def make(headers=IMMUTABLE, **more):
        answer = graph.ask("POST", "/subscriptions", wanted(simulator, receiver, **more), headers)
        assert answer.status == 201, answer.data
        return answer.json

    return make


def notes(requests):
    return [one for request in requests for one in request.json["value"]]


def test_every_change_of_a_mailbox_is_told_as_microsoft_describes_it(
    simulator, subscribe, receiver, mailbox
):
    made = subscribe()
    name = mailbox.deliver(eml())
    mailbox.set_flags(name, seen=True)
    mailbox.delete(name)
    until(lambda: len(notes(receiver.received)) == 3)
    told = notes(receiver.received)
    assert [one["changeType"] for one in told] == ["created", "updated", "deleted"]
    for one in told:
        assert one["clientState"] == STATE
        assert one["subscriptionId"] == made["id"]
        assert one["resourceData"]["id"] == name
        assert one["tenantId"] == simulator.tenant(WORK)
        assert set(one) == OF_A_CHANGE
        assert set(one["resourceData"]) == {"@odata.type", "@odata.id", "@odata.etag", "id"}
        assert one["resource"] == one["resourceData"]["@odata.id"]


def test_a_folder_s_subscription_hears_of_that_folder_and_a_kind_s_of_that_kind(
    subscribe, receiver, mailbox
):
    subscribe(resource="me/mailFolders('inbox')/messages", changeType="created")
    subscribe(resource=f"me/mailFolders/{mailbox.folder_id('archive')}/messages", headers={})
    name = mailbox.deliver(eml())
    mailbox.set_flags(name, flagged=True)
    mailbox.move(name, "archive")
    there = mailbox.default_id(name)
    until(lambda: len(notes(receiver.received)) == 2)
    told = [(one["changeType"], one["resourceData"]["id"]) for one in notes(receiver.received)]
    assert told == [("created", name), ("created", there)]


def test_another_mailbox_s_changes_are_not_told_nor_those_after_its_end(
    simulator, graph, subscribe, receiver, mailbox
):
    made = subscribe()
    simulator.mail(OTHER).deliver(eml(2))
    mailbox.deliver(eml(1))
    receiver.wait(1)
    assert graph.ask("DELETE", f"/subscriptions/{made['id']}").status == 204
    subscribe()
    simulator.clock.advance(7 * 86_400)
    mailbox.deliver(eml(3))
    until(lambda: simulator.service.courier.waiting() == 0)
    assert len(notes(receiver.received)) == 1


def test_many_changes_come_in_few_requests(simulator, subscribe, receiver, mailbox):
    subscribe()
    simulator.faults.arm("push_delayed", times=30, seconds=0.2)
    mailbox.deliver_all([Delivery(eml(number)) for number in range(30)])
    until(lambda: len(notes(receiver.received)) == 30)
    assert len(receiver.received) < 30


# ---- whether it is welcome ----


def test_both_urls_are_asked_before_anything_is_told(simulator, subscribe, receiver, mailbox):
    subscribe(lifecycleNotificationUrl=f"{receiver.url}/life?of=it")
    assert len(receiver.asked) == 2
    assert " " in receiver.asked[0]
    before = len(receiver.received)
    mailbox.deliver(eml())
    receiver.wait(before + 1)


@pytest.mark.parametrize(
    "answer",
    [
        lambda token: Response(token, 202, content_type="text/plain"),
        lambda token: Response(token, 200, content_type="text/html"),
        lambda token: Response(json.dumps(token), 200, content_type="text/plain"),
        lambda token: Response(token.replace(" ", "%20"), 200, content_type="text/plain"),
        lambda token: Response("", 302, headers={"Location": "/elsewhere"}),
        lambda token: Response("", 404),
    ],
)
def test_who_does_not_answer_rightly_is_not_subscribed(simulator, graph, receiver, answer):
    receiver.welcome = answer
    refused = graph.ask("POST", "/subscriptions", wanted(simulator, receiver))
    assert (refused.status, refused.code) == (400, "ValidationError")
    assert graph.get("/subscriptions")["value"] == []


def test_a_url_that_nobody_answers_at_or_without_tls_elsewhere_is_refused(
    simulator, graph, receiver
):
    for url in ("http://127.0.0.1:1/", "https://127.0.0.1:1/"):
        body = wanted(simulator, receiver, notificationUrl=url)
        refused = graph.ask("POST", "/subscriptions", body)
        assert (refused.status, refused.code) == (400, "ValidationError")
    for name in ("notificationUrl", "lifecycleNotificationUrl"):
        body = wanted(simulator, receiver, **{name: "http://hooks.example/"})
        assert graph.ask("POST", "/subscriptions", body).code == "InvalidRequest"


def test_what_a_subscription_keeps_to_itself_is_shown_nowhere(graph, subscribe):
    made = subscribe()
    listed = graph.get("/subscriptions")["value"][0]
    assert set(listed) == set(made) - {"@odata.context"}
    assert not [name for name in made if name.startswith("-")]


# ---- what becomes of it ----


def test_lifecycle_events_are_told_and_what_they_say_is_so(
    simulator, graph, subscribe, receiver, mailbox
):
    made = subscribe()
    path = f"/subscriptions/{made['id']}"
    later = {"expirationDateTime": made["expirationDateTime"]}
    for answer in (("POST", f"{path}/reauthorize", {}), ("PATCH", path, later)):
        assert simulator.lifecycle(WORK, "reauthorizationRequired") == 1
        mailbox.deliver(eml(1))
        assert graph.ask(*answer).status < 300
        mailbox.deliver(eml(2))
    simulator.lifecycle(WORK, "missed")
    simulator.lifecycle(WORK, "subscriptionRemoved")
    mailbox.deliver(eml(3))
    until(lambda: len(notes(receiver.received)) == 6)
    told = [one.get("lifecycleEvent", "created") for one in notes(receiver.received)]
    again = ["reauthorizationRequired", "created"]
    assert told == [*again, *again, "missed", "subscriptionRemoved"]
    assert graph.ask("GET", path).status == 404
    of_itself = [one for one in notes(receiver.received) if "lifecycleEvent" in one]
    assert all(set(one) == OF_ITSELF for one in of_itself)


def test_events_are_caused_over_http_and_unknown_ones_refused(simulator, subscribe, receiver):
    subscribe()
    control = Web(simulator.browser_url)
    path = f"/_control/users/{WORK}/lifecycle"
    assert control.ask("POST", path, {"event": "missed"}).json == {"told": 1}
    assert control.ask("POST", path, {"event": "gone"}).status == 400
    assert (
        control.ask("POST", "/_control/users/no@one/lifecycle", {"event": "missed"}).status == 404
    )
    until(lambda: simulator.pushed())
    assert notes(receiver.received)[0]["lifecycleEvent"] == "missed"
    assert len(control.ask("GET", "/_control/pushes").json["pushes"]) == 1


# ---- on its way ----


def test_what_is_not_taken_comes_again(simulator, subscribe, receiver, mailbox):
    subscribe()
    receiver.answers = [503, 404]
    mailbox.deliver(eml())
    assert notes(receiver.wait(3)) == notes(receiver.wait(1)) * 3
    until(lambda: [one.status for one in simulator.pushed()] == [503, 404, 204])


@pytest.mark.parametrize("what", ["client_state", "subscription", "no_client_state"])
def test_a_forged_notification_lacks_what_proves_it(simulator, subscribe, receiver, mailbox, what):
    made = subscribe()
    receiver.answers = [401]
    simulator.faults.arm("push_forged", what=what)
    mailbox.deliver(eml())
    (note,) = notes(receiver.wait(1))
    right = (note["clientState"] == STATE, note["subscriptionId"] == made["id"])
    assert right == (what == "subscription", what != "subscription")


def test_one_is_lost_doubled_late_or_overtaken_where_a_fault_says_so(
    simulator, subscribe, receiver, mailbox
):
    subscribe()
    for fault in ("push_lost", "push_doubled", "push_overtaken", "push_delayed"):
        seconds = {"seconds": 0.3} if fault in ("push_overtaken", "push_delayed") else {}
        simulator.faults.arm(fault, **seconds)
        mailbox.deliver(eml())
    until(lambda: simulator.service.courier.waiting() == 0 and len(notes(receiver.received)) == 4)
