"""Being told of a mailbox's changes, by each provider that tells: asked for, kept, ended, read, forged.

What one simulator posts is read by the reader of that provider, as it came.
"""

import json
from dataclasses import dataclass
from datetime import timedelta

import pytest

from infra.simulators.google.pubsub import FORGERIES
from shared.domain.errors import (
    ConfigurationError,
    ErrorCode,
    ReconnectRequiredError,
    RequestError,
    RetryLaterError,
)
from shared.domain.secret import Secret
from shared.ports.push import Notice, PushReader, WatchedSession, WatchTarget
from shared.providers.gmail.endpoints import GoogleEndpoints
from shared.providers.gmail.push import GmailPush
from shared.providers.http import Http
from shared.providers.outlook.push import OutlookPush
from tests.contract.gmail_world import CLIENT
from tests.contract.gmail_world import OWNER as ADA
from tests.contract.outlook_world import OWNER as WORK
from tests.contract.simulators.push_receiver import Receiver, until

TOPIC, ACCOUNT = "projects/mailroom/topics/gmail", "push@mailroom.iam.gserviceaccount.com"
AUDIENCE = "https://api.example.org/v1/push/gmail"


@dataclass
class Told:
    """A world whose provider tells us."""

    world: object
    receiver: Receiver
    reader: PushReader
    place: str
    state: Secret | None

    @property
    def simulator(self):
        return self.world.simulator

    def target(self, place=None, days=6):
        at = self.simulator.clock.now().replace(microsecond=0)
        return WatchTarget(place or self.place, at + timedelta(days=days), self.state)

    def watch(self, **more):
        with self.world.session() as session:
            return session.watch(self.target(**more))

    def heard(self):
        """Every notice that came, as it is read."""
        until(lambda: self.simulator.service.courier.waiting() == 0)
        return [
            notice
            for one in list(self.receiver.received)
            for notice in self.reader.read(one.headers, one.body)
        ]

    def deliver(self, number):
        self.world.theirs.deliver(number)
        self.simulator.clock.advance(2)


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def at_gmail(gmail, receiver, certificates):
    gmail.simulator.add_topic(
        TOPIC, endpoint=receiver.url, service_account=ACCOUNT, audience=AUDIENCE
    )
    endpoints = GoogleEndpoints.at(gmail.simulator.url, gmail.simulator.browser_url)
    reader = GmailPush(
        Http(endpoints.origins, extra_ca_file=str(certificates.authority)),
        endpoints,
        audience=AUDIENCE,
        senders=[ACCOUNT],
        now=gmail.simulator.clock.now,
    )
    return Told(gmail, receiver, reader, TOPIC, None)


@pytest.fixture
def at_outlook(outlook, receiver):
    return Told(outlook, receiver, OutlookPush(), receiver.url, Secret("ours.s3cret"))


@pytest.fixture(params=["at_gmail", "at_outlook"])
def told(request):
    return request.getfixturevalue(request.param)


def key_of(told):
    return ADA if told.state is None else "ours"


# ---- both ----


def test_a_watched_mailbox_is_told_of_and_the_word_says_whose_it_is_and_no_more(told):
    watch = told.watch()
    told.simulator.clock.advance(2)
    told.deliver(1)
    ahead = watch.expires_at - told.simulator.clock.now()
    assert timedelta(days=5) < ahead <= timedelta(days=7)
    heard = told.heard()
    assert heard
    proof, name = (None, "") if told.state is None else (Secret("s3cret"), watch.name)
    assert {(one.key, one.proof, one.watch, one.ends) for one in heard} == {
        (key_of(told), proof, name, False)
    }


def test_what_is_ended_tells_no_more_and_may_be_ended_twice(told):
    watch = told.watch()
    told.simulator.clock.advance(2)
    for _ in range(2):
        with told.world.session() as session:
            session.unwatch(watch.name)
    before = told.heard()
    told.deliver(1)
    assert told.heard() == before


def test_one_that_stands_is_kept_where_the_provider_has_a_way_to(told):
    watch = told.watch(days=1)
    told.simulator.clock.advance(3_600)
    later = told.target().until
    with told.world.session() as session:
        assert isinstance(session, WatchedSession)
        kept = session.extend(watch.name, until=later)
        again = kept or session.watch(told.target())
    assert again.name == watch.name
    assert again.expires_at >= later
    told.heard()
    told.simulator.clock.advance(3 * 86_400)
    # The tokens of what came so far are over by now.
    told.receiver.received.clear()
    told.deliver(1)
    assert told.heard()


REFUSED = [
    (("rate_limit_403", "throttled"), RetryLaterError, {ErrorCode.RATE_LIMITED}),
    (("backend_error", "unavailable"), RetryLaterError, {ErrorCode.PROVIDER_UNAVAILABLE}),
    (("insufficient_scope_403", "forbidden"), ReconnectRequiredError, {ErrorCode.SCOPE_MISSING}),
    (
        ("mail_not_enabled_400", "mailbox_not_enabled"),
        ConfigurationError,
        {ErrorCode.PROVIDER_API_DISABLED},
    ),
    (("cut_body", "cut_body"), RetryLaterError, {ErrorCode.CONNECTION_DROPPED}),
    (
        ("broken_json", "broken_json"),
        RetryLaterError,
        {ErrorCode.ANSWER_NOT_UNDERSTOOD, ErrorCode.PROVIDER_UNAVAILABLE},
    ),
]


@pytest.mark.parametrize(("faults", "kind", "codes"), REFUSED)
def test_a_refusal_means_what_it_means_elsewhere(told, faults, kind, codes):
    fault = faults[0 if told.state is None else 1]
    told.simulator.faults.arm(fault, times=None, route="watch$|stop$|subscriptions$")
    with pytest.raises(kind) as refusal:
        told.watch()
    assert refusal.value.code in codes


def test_an_access_token_that_is_over_is_renewed_for_it(told):
    told.simulator.clock.advance(7_200)
    assert told.watch().name


# ---- Gmail ----


@pytest.mark.parametrize(
    ("place", "client", "topic"),
    [
        ("projects/mailroom/topics/none", {}, {}),
        (TOPIC, {"project_id": "another"}, {}),
        (TOPIC, {}, {"gmail_may_publish": False}),
        ("no topic", {}, {}),
    ],
)
def test_a_topic_that_gmail_may_not_publish_to_is_the_operator_s_to_mend(
    at_gmail, place, client, topic
):
    at_gmail.simulator.change_client(CLIENT.client_id, **client)
    at_gmail.simulator.add_topic(TOPIC, endpoint=at_gmail.receiver.url, **topic)
    with pytest.raises(ConfigurationError) as refusal:
        at_gmail.watch(place=place)
    assert refusal.value.code is ErrorCode.PUSH_REFUSED


def test_a_topic_of_before_gives_way_to_another(at_gmail):
    at_gmail.simulator.add_topic("projects/mailroom/topics/old", endpoint=at_gmail.receiver.url)
    assert at_gmail.watch(place="projects/mailroom/topics/old").name.endswith("old")
    assert at_gmail.watch().name == TOPIC
    (watch,) = at_gmail.simulator.state()["watches"]
    assert watch["topic"] == TOPIC


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forged_push_of_pub_sub_s_is_not_read(at_gmail, what):
    at_gmail.simulator.faults.arm("push_forged", what=what)
    at_gmail.watch()
    (one,) = at_gmail.receiver.wait(1)
    with pytest.raises(RequestError) as refusal:
        at_gmail.reader.read(one.headers, one.body)
    assert refusal.value.code is ErrorCode.UNAUTHENTICATED


def test_an_end_that_is_none_is_not_taken_for_one(at_gmail):
    for value in ("", "soon", "9" * 30):
        body = json.dumps({"historyId": "1", "expiration": value})
        at_gmail.simulator.faults.arm("status", status=200, body=body, route="watch$")
        with pytest.raises(RetryLaterError) as passing:
            at_gmail.watch()
        assert passing.value.code is ErrorCode.ANSWER_NOT_UNDERSTOOD


# ---- Outlook ----


def test_who_is_not_reached_or_not_welcome_is_the_operator_s_to_mend(at_outlook):
    for place in ("http://127.0.0.1:1/nobody", "http://elsewhere.example/", at_outlook.place):
        at_outlook.receiver.welcome = lambda token: _answer(token.upper())
        with pytest.raises(ConfigurationError) as refusal:
            at_outlook.watch(place=place)
        assert refusal.value.code is ErrorCode.PUSH_REFUSED


def test_one_that_is_gone_or_another_s_is_to_be_made_anew(at_outlook):
    watch = at_outlook.watch()
    later = at_outlook.target().until
    at_outlook.simulator.lifecycle(WORK, "subscriptionRemoved")
    with at_outlook.world.session() as session:
        assert session.extend(watch.name, until=later) is None
        at_outlook.simulator.faults.arm("forbidden", route="^PATCH")
        assert session.extend(watch.name, until=later) is None


def test_what_becomes_of_a_subscription_is_heard_and_an_extension_answers_it(at_outlook):
    watch = at_outlook.watch()
    for event in ("reauthorizationRequired", "missed"):
        at_outlook.simulator.lifecycle(WORK, event)
    assert [one.ends for one in at_outlook.heard()] == [True, True]
    at_outlook.deliver(1)
    assert len(at_outlook.heard()) == 2
    with at_outlook.world.session() as session:
        session.extend(watch.name, until=at_outlook.target().until)
    at_outlook.deliver(2)
    assert len(at_outlook.heard()) == 3
    at_outlook.simulator.lifecycle(WORK, "subscriptionRemoved")
    assert at_outlook.heard()[-1] == Notice("ours", Secret("s3cret"), watch.name, ends=True)


def test_a_forged_notification_is_read_and_its_proof_is_another(at_outlook):
    watch = at_outlook.watch()
    for what in FORGED:
        at_outlook.simulator.faults.arm("push_forged", what=what)
        at_outlook.world.theirs.deliver(FORGED.index(what))
    right = Notice("ours", Secret("s3cret"), watch.name)
    assert right not in at_outlook.heard()
    assert len(at_outlook.heard()) <= 2


FORGED = ["client_state", "subscription", "no_client_state"]


def test_an_answer_that_is_lost_leaves_one_that_nobody_knows_and_that_harms_nobody(at_outlook):
    at_outlook.simulator.faults.arm("cut_after_work", route="^POST /v1.0/subscriptions$")
    with pytest.raises(RetryLaterError):
        at_outlook.watch()
    watch = at_outlook.watch()
    at_outlook.deliver(1)
    names = {one.watch for one in at_outlook.heard()}
    assert watch.name in names
    assert len(names) == 2


def _answer(text):
    from werkzeug.wrappers import Response

    return Response(text, 200, content_type="text/plain")
