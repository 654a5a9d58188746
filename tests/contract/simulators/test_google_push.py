"""What Gmail publishes and Cloud Pub/Sub pushes, as simulated: to whom, when, and proved how."""

import base64
import json
import time
from importlib.resources import files
from types import SimpleNamespace

import pytest
from google.auth.exceptions import GoogleAuthError
from google.oauth2.id_token import verify_token

from infra.simulators.google import discovery
from infra.simulators.google.pubsub import FORGERIES
from tests.contract.simulators.google_world import ADA, BOB, CLIENT, FULL, ask, letter
from tests.contract.simulators.push_receiver import until

TOPIC, ACCOUNT = "projects/p/topics/mail", "push@p.iam.gserviceaccount.com"
AUDIENCE = "https://crm.example/push"
WATCH = {"topicName": TOPIC}


@pytest.fixture
def told(google, receiver):
    """A receiver at the topic's subscription; the first word is that of the watch itself."""
    google.simulator.limits.push_seconds = 0
    topic(google, receiver)
    return receiver


def topic(google, receiver, name=TOPIC, **more):
    given = {"service_account": ACCOUNT, "audience": AUDIENCE, **more}
    google.simulator.add_topic(name, endpoint=receiver.url, **given)


def watch(google, body=WATCH, address=ADA):
    answer = google.api("POST", "watch", google.token(address=address), body=body)
    assert answer.status == 200, answer.body
    return answer.json


def said(request):
    return json.loads(base64.b64decode(request.json["message"]["data"]))


def verified(google, request, audience=AUDIENCE):
    """The claims, by Google's own library and the simulator's own certificates."""

    def transport(url, method="GET", **_):
        answer = ask(method, url)
        return SimpleNamespace(status=answer.status, headers=answer.headers, data=answer.body)

    kind, _, token = request.headers["authorization"].partition(" ")
    assert kind == "Bearer"
    certificates = f"{google.root}/oauth2/v1/certs"
    return verify_token(token, transport, audience=audience, certs_url=certificates)


def test_a_watch_is_told_at_once_and_then_of_every_change(google, told, mail):
    before = watch(google)["historyId"]
    first = told.wait(1)[0]
    assert said(first) == {"emailAddress": ADA, "historyId": int(before)}
    name = mail.deliver(letter())
    assert said(told.wait(2)[1])["historyId"] == int(mail.history_id())
    mail.set_flags(name, seen=True)
    mail.delete(name)
    last = told.wait(4)[3]
    assert said(last)["historyId"] == int(mail.history_id()) > int(before)


def test_a_push_is_what_pub_sub_describes_and_its_token_google_s_library_believes(google, told):
    watch(google)
    request = told.wait(1)[0]
    message = request.json["message"]
    assert message["message_id"] == message["messageId"]
    known = {name: value for name, value in message.items() if "_" not in name}
    text = files("googleapiclient").joinpath("discovery_cache/documents/pubsub.v1.json").read_text()
    schema = json.loads(text)["schemas"]["PubsubMessage"]
    assert list(discovery._object_problems(schema, known, "message")) == []
    assert request.json["subscription"] == "projects/p/subscriptions/mail"
    assert request.headers["content-type"] == "application/json"
    claims = verified(google, request)
    assert (claims["email"], claims["email_verified"]) == (ACCOUNT, True)
    assert (claims["iss"], claims["aud"]) == ("https://accounts.google.com", AUDIENCE)


def test_without_an_audience_it_is_the_endpoint_and_without_an_account_there_is_no_token(
    google, receiver
):
    topic(google, receiver, audience="")
    watch(google)
    assert verified(google, receiver.wait(1)[0], receiver.url)["aud"] == receiver.url
    topic(google, receiver, service_account="")
    google.simulator.clock.advance(2)
    google.mail().deliver(letter())
    assert "authorization" not in receiver.wait(2)[1].headers


def test_what_is_not_taken_comes_again_until_it_is(google, told, mail):
    told.answers = [500, 302, 429, 404]
    watch(google)
    five = told.wait(5)
    assert len({one.json["message"]["messageId"] for one in five}) == 1
    until(lambda: google.simulator.service.courier.waiting() == 0)
    assert [(one.status, one.tries) for one in google.simulator.pushed()] == [
        *[(500, 1), (302, 2), (429, 3), (404, 4), (204, 5)]
    ]


def test_more_than_one_change_a_second_is_not_told(google, told, mail):
    google.simulator.limits.push_seconds = 1
    watch(google)
    told.wait(1)
    google.simulator.clock.advance(1.1)
    mail.deliver_all([])
    for number in range(5):
        mail.deliver(letter(number))
    # Another mailbox has a second of its own.
    watch(google, address=BOB)
    told.wait(3)
    google.simulator.clock.advance(1.1)
    mail.deliver(letter(9))
    assert [said(one)["emailAddress"] for one in told.wait(4)] == [ADA, ADA, BOB, ADA]


@pytest.mark.parametrize(
    ("behavior", "hears"), [("include", ["Label_1"]), ("exclude", ["INBOX"]), ("", ["Label_1"])]
)
def test_labels_choose_what_is_told(google, told, mail, behavior, hears):
    mail.create_folder("Deals")
    more = {"labelFilterBehavior": behavior} if behavior else {}
    watch(google, {**WATCH, "labelIds": ["Label_1"], **more})
    of = {}
    for label in ("Label_1", "INBOX"):
        mail.deliver(letter(label), folders=[label])
        of[int(mail.history_id())] = label
    until(lambda: google.simulator.service.courier.waiting() == 0 and len(told.received) > 1)
    heard = [said(one)["historyId"] for one in told.received]
    assert [of[one] for one in heard if one in of] == hears


def test_nobody_is_told_once_it_was_stopped_or_is_over_or_has_no_topic(google, told, mail):
    def count_after_a_change():
        mail.deliver(letter())
        # In order: what was to come for Ada has come before Bob's.
        google.mail(BOB).deliver(letter(to=BOB))
        until(lambda: google.simulator.service.courier.waiting() == 0)
        return sum(said(one)["emailAddress"] == ADA for one in told.received)

    watch(google, address=BOB)
    watch(google)
    assert google.api("POST", "stop", google.token()).status == 204
    before = count_after_a_change()
    assert count_after_a_change() == before
    watch(google)
    assert count_after_a_change() == before + 2
    google.simulator.clock.advance(7 * 86_400 + 1)
    assert count_after_a_change() == before + 2
    watch(google)
    assert google.control("DELETE", f"/topics/{TOPIC}").status == 200
    assert count_after_a_change() == before + 3


def test_watch_is_refused_in_google_s_words(google, told):
    def refused(body):
        answer = google.api("POST", "watch", google.token(FULL), body=body)
        return answer.status, answer.reason

    assert refused({"topicName": "projects/p/topics/none"}) == (404, "notFound")
    assert refused({"topicName": "mail"}) == (400, "invalidArgument")
    topic(google, told, "projects/p/topics/closed", gmail_may_publish=False)
    assert refused({"topicName": "projects/p/topics/closed"}) == (403, "forbidden")
    topic(google, told, "projects/p/topics/other")
    watch(google)
    assert refused({"topicName": "projects/p/topics/other"}) == (400, "failedPrecondition")
    google.api("POST", "stop", google.token())
    watch(google, {"topicName": "projects/p/topics/other"})
    google.simulator.change_client(CLIENT, project_id="another")
    assert refused(WATCH) == (400, "invalidArgument")


def test_clients_of_one_project_share_a_mailbox_s_watch(google, told):
    google.simulator.add_client("same", "s", [])
    google.simulator.add_client("other", "s", [], project="999")
    issue = google.simulator.grants.issue_access
    watch(google)
    assert google.api("POST", "stop", issue(ADA, "other", [FULL])).status == 204
    assert len(google.control("GET", "/").json["watches"]) == 1
    assert google.api("POST", "stop", issue(ADA, "same", [FULL])).status == 204
    assert google.control("GET", "/").json["watches"] == []


# ---- on its way ----


def test_a_push_is_lost_doubled_or_overtaken_where_a_fault_says_so(google, told, mail):
    watch(google)
    told.wait(1)
    arm = google.simulator.faults.arm
    arm("push_lost", user=ADA)
    mail.deliver(letter(1))
    arm("push_doubled", copies=3)
    mail.deliver(letter(2))
    doubled = [said(one)["historyId"] for one in told.wait(4)[1:]]
    assert doubled == [int(mail.history_id())] * 3
    arm("push_overtaken", seconds=60)
    mail.deliver(letter(3))
    late = int(mail.history_id())
    mail.deliver(letter(4))
    assert [said(one)["historyId"] for one in told.wait(6)[4:]] == [int(mail.history_id()), late]
    arm("push_delayed", seconds=0.3)
    began = time.monotonic()
    mail.deliver(letter(5))
    told.wait(7)
    assert time.monotonic() - began >= 0.3


def test_faults_of_pushes_strike_no_request_and_those_of_requests_no_push(google, told):
    google.simulator.faults.arm("push_lost", times=None)
    google.simulator.faults.arm("status", times=None)
    assert google.api("GET", "profile", google.token()).status == 503
    google.simulator.faults.clear()
    google.simulator.faults.arm("status", times=1, route="PUSH")
    watch(google)
    until(lambda: google.simulator.pushed())
    assert google.control("GET", "/pushes").json["pushes"][0]["users"] == [ADA]
    google.control("DELETE", "/pushes")
    assert google.simulator.pushed() == []


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forged_push_is_believed_by_nobody_and_does_not_insist(google, told, what):
    told.answers = [401]
    google.simulator.faults.arm("push_forged", what=what)
    watch(google)
    request = told.wait(1)[0]
    if what == "no_token":
        assert "authorization" not in request.headers
    else:
        try:
            claims = verified(google, request)
        except (ValueError, GoogleAuthError):
            claims = {}
        believed = ("email", "email_verified", "iss")
        right = {"email": ACCOUNT, "email_verified": True, "iss": "https://accounts.google.com"}
        assert {name: claims.get(name) for name in believed} != right
    until(lambda: google.simulator.pushed())
    assert google.simulator.service.courier.waiting() == 0
    assert google.simulator.pushed()[0].forged == what


def test_topics_are_made_over_http_and_a_wrong_one_is_told(google, told):
    made = google.control("POST", "/topics", {"name": "projects/q/topics/t", "endpoint": told.url})
    assert made.status == 200
    names = [one["name"] for one in google.control("GET", "/").json["topics"]]
    assert names == [TOPIC, "projects/q/topics/t"]
    assert google.control("POST", "/topics", {"name": "q"}).status == 400
    assert google.control("POST", "/topics", {"name": TOPIC, "colour": 1}).status == 400
    assert google.control("DELETE", "/topics/projects/q/topics/none").status == 404
    wrong = google.control("POST", "/faults", {"fault": "push_forged", "who": 1})
    assert "what" in wrong.json["error"]
