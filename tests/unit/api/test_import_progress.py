"""An import driven step by step, and what the API says of it after each."""

from datetime import datetime, timedelta

import pytest

from shared import wiring
from shared.domain.errors import ErrorCode, ReconnectRequiredError, RetryLaterError
from tests.fakes.clock import FixedClock
from tests.fakes.deployment import Deployment
from tests.fakes.provider import FakeMailServer
from tests.unit.operations.machine import TENANT, Machine, mail

NOW = FixedClock().now()
MAILS = 23
FATES = ("stored", "already_stored", "unreadable", "gone", "failed")


class Importing:
    """A machine, and the API in front of the same stores."""

    def __init__(self, monkeypatch):
        monkeypatch.setattr("shared.operations.plan_backfill.CHUNK_SIZE", 4)
        server = FakeMailServer.with_folders("INBOX")
        for number in range(MAILS):
            at = NOW - timedelta(days=number + 1)
            server.deliver("INBOX", mail(number, at), at)
        self.machine = Machine(server)
        self.app = Deployment(
            world=self.machine.world, clock=self.machine.clock, queues=self.machine.queues
        ).install(monkeypatch)
        self.box = self.machine.connect(days=5)
        self.machine.drain()
        self.machine.clock.advance(1)

    @property
    def path(self):
        return f"/v1/mailboxes/{self.box.id}/backfills"

    def ask(self, method, target, **given):
        answer = self.app.ask(method, target, user="ada", **given)
        assert answer.status < 300, answer.text
        return answer.json

    def begin(self, days):
        self.id = self.ask("POST", self.path, body={"days": days})["id"]
        self.machine.plan(self.machine.queues.take_plans()[0])
        return self.shown()

    def shown(self):
        return self.ask("GET", f"{self.path}/{self.id}")

    def act(self, action):
        return self.ask("POST", f"{self.path}/{self.id}/{action}")

    def run_one(self, *, minutes=2):
        self.machine.clock.advance(minutes=minutes)
        queues = self.machine.queues
        queues.delays.pop(0)
        self.machine.run_chunk(queues.chunks.pop(0))
        return self.shown()

    def seconds_left(self, shown):
        return (datetime.fromisoformat(shown["eta"]) - self.machine.clock.now()).total_seconds()


@pytest.fixture
def importing(monkeypatch):
    return Importing(monkeypatch)


def settled(shown):
    return sum(shown[fate] for fate in FATES) + sum(shown["skipped"].values())


def test_a_larger_import_moves_on_falls_in_time_and_its_sums_balance(importing):
    server = importing.machine.server
    inbox = server.folders["INBOX"]
    shown = importing.begin(60)
    assert (shown["listed"], shown["already_stored"]) == (MAILS, 5)
    assert (shown["percent"], shown["eta"]) == (5 * 100 // MAILS, None)
    # Of those still to come one goes, and one cannot be read.
    ids = {number: f"{inbox.folder.id}.1.{number}" for number in inbox.mails}
    server.delete("INBOX", 20)
    server.unreadable.add(ids[15])
    percents, left = [shown["percent"]], []
    while importing.machine.queues.chunks:
        shown = importing.run_one()
        percents.append(shown["percent"])
        if shown["state"] == "running":
            left.append(importing.seconds_left(shown))
    assert percents == sorted(set(percents))
    assert len(percents) == 6
    assert left == sorted(set(left), reverse=True)
    assert len(left) == 4
    assert (shown["state"], shown["percent"], shown["eta"]) == ("done", 100, None)
    assert (shown["stored"], shown["gone"], shown["unreadable"]) == (MAILS - 7, 1, 1)
    assert settled(shown) == shown["listed"] == MAILS
    assert shown["ended_at"]


def test_a_pause_has_no_eta_and_the_pace_after_it_is_the_pace_before(importing):
    importing.begin(60)
    before = importing.seconds_left(importing.run_one())
    paused = importing.act("pause")
    assert (paused["state"], paused["eta"]) == ("paused", None)
    importing.machine.clock.advance(days=3)
    assert importing.shown()["eta"] is None
    resumed = importing.act("resume")
    assert importing.seconds_left(resumed) == before


def test_a_wait_is_told_with_its_end_its_reason_and_what_to_do(importing):
    importing.begin(60)
    importing.run_one()
    importing.machine.server.failure = RetryLaterError(
        ErrorCode.RATE_LIMITED, retry_after_seconds=1_800
    )
    shown = importing.run_one()
    until = datetime.fromisoformat(shown["waiting_until"])
    assert shown["state"] == "waiting"
    assert until >= importing.machine.clock.now() + timedelta(minutes=30)
    assert datetime.fromisoformat(shown["eta"]) > until
    assert (shown["code"], shown["acts"]) == ("rate_limited", "time")
    assert shown["message"]
    assert shown["fix"].startswith("Nothing to do")
    importing.machine.server.failure = None
    importing.machine.tick(60)
    done = importing.shown()
    assert (done["state"], done["code"], done["message"]) == ("done", None, None)
    assert settled(done) == done["listed"]


def test_an_import_whose_mailbox_waits_for_its_user_says_so_until_the_reconnect(importing):
    importing.begin(60)
    importing.run_one()
    importing.machine.server.failure = ReconnectRequiredError(ErrorCode.LOGIN_REJECTED)
    shown = importing.run_one()
    assert (shown["state"], shown["waiting_until"], shown["eta"]) == ("waiting", None, None)
    assert (shown["code"], shown["acts"]) == ("login_rejected", "user")
    importing.machine.tick(10)
    assert importing.shown()["code"] == "login_rejected"
    importing.machine.server.failure = None
    importing.machine.reconnect(importing.box.id)
    importing.machine.tick(10)
    done = importing.shown()
    assert (done["state"], done["code"]) == ("done", None)
    assert settled(done) == done["listed"] == MAILS


def test_an_import_that_gets_nowhere_for_a_week_has_failed_with_its_reason_and_can_go_on(importing):
    importing.begin(60)
    importing.run_one()
    importing.machine.server.failure = RetryLaterError(ErrorCode.CONNECTION_FAILED)
    hours = 0
    while importing.shown()["state"] != "failed":
        importing.machine.clock.advance(minutes=57)
        importing.machine.tick(3)
        hours += 1
        assert hours < 200
    failed = importing.shown()
    assert 7 * 24 <= hours <= 7 * 24 + 2
    assert failed["code"] == "connection_failed"
    assert "resume" in failed["fix"].lower()
    assert failed["percent"] < 100
    assert not importing.machine.queues.chunks
    importing.machine.server.failure = None
    assert importing.act("resume")["state"] == "running"
    importing.machine.tick(70)
    done = importing.shown()
    assert (done["state"], done["code"]) == ("done", None)
    assert settled(done) == done["listed"] == MAILS
    assert len(importing.machine.live_copies(importing.box.id)) == MAILS
    assert importing.machine.world.runs[TENANT, importing.box.id]


# ---- before it begins ----


@pytest.fixture
def asking(importing, monkeypatch):
    machine = importing.machine
    importing.app.secrets = machine.secret_store
    monkeypatch.setattr(wiring, "provider_of", lambda _provider: machine.server)
    return importing


def test_a_preview_is_told_in_numbers(asking):
    path = f"/v1/mailboxes/{asking.box.id}/backfill-preview"
    windows = asking.ask("GET", path)["windows"]
    assert [(one["days"], one["messages"], one["missing"]) for one in windows] == [
        (7, 6, 1), (30, 23, 18), (90, 23, 18), (365, 23, 18),
    ]  # fmt: skip
    assert {(one["more"], one["quota"]) for one in windows} == {(False, None)}
    assert all(one["seconds"] >= 0 for one in windows)


def test_a_preview_whose_provider_is_away_says_to_ask_again_and_rings_no_alarm(asking):
    asking.machine.server.failure = RetryLaterError(ErrorCode.CONNECTION_DROPPED)
    path = f"/v1/mailboxes/{asking.box.id}/backfill-preview"
    answer = asking.app.ask("GET", path, user="ada")
    assert (answer.status, answer.json["code"]) == (409, "connection_dropped")
    assert answer.json["fix"] == "Ask again in a few minutes; an import can begin without it."
