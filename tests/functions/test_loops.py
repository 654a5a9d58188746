"""A loop is made, and is seen to stop: through the real handlers, queues and stores."""

import json
from collections import Counter
from datetime import timedelta

import pytest

from shared.config import settings
from shared.domain.loops import TRIES_OF_A_CHUNK
from shared.operations import sync_mailbox
from shared.operations.ingest import Ingest
from tests.functions.moto_stack import forget_adapters

MOST = 5
SECONDS_OF_A_TRY = 280
"""Of a worker with the default time."""


@pytest.fixture
def stack(stack, monkeypatch):
    """A deployment in which six runs in an hour are a loop."""
    monkeypatch.setenv("MAILROOM_RUNS_OF_MAILBOX_AN_HOUR", str(MOST))
    settings.cache_clear()
    forget_adapters()
    return stack


def error(stack, mailbox_id):
    return stack.ask("GET", f"/v1/mailboxes/{mailbox_id}").json["latest_error"]["inbound"]


def runs(stack, mailbox_id):
    listed = stack.ask("GET", f"/v1/mailboxes/{mailbox_id}/runs").json["items"]
    return [one["code"] for one in listed]


def stopped(capsys):
    """How often the alarm's metric was counted."""
    printed = capsys.readouterr().out.splitlines()
    lines = [json.loads(line) for line in printed if '"LoopStopped"' in line]
    for line in lines:
        assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    return sum(sum(line["LoopStopped"]) for line in lines)


def next_hour(stack):
    now = stack.clock.at
    hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    stack.clock.advance(seconds=(hour - now).total_seconds() + 10)


def test_runs_that_ask_for_one_another_for_ever_are_stopped_and_go_on_an_hour_later(
    stack, monkeypatch, capsys
):
    mailbox_id = stack.connect()
    stack.deliver(1)
    with monkeypatch.context() as broken:
        # Each run leaves all there is to do to the next.
        broken.setattr(sync_mailbox, "MESSAGES_PER_RUN", 0)
        stack.work()
        assert Counter(runs(stack, mailbox_id)) == {None: MOST, "loop_stopped": 1}
        assert stopped(capsys) == 1
        told = error(stack, mailbox_id)
        assert (told["code"], told["acts"]) == ("loop_stopped", "operator")
        assert told["next_retry_at"].startswith("2026-03-01T13:00:0")
        # Nobody starts it again before, and what is asked for meanwhile costs nothing.
        for _ in range(3):
            stack.ask("POST", f"/v1/mailboxes/{mailbox_id}/sync")
            stack.clock.advance(minutes=5)
            stack.tick()
            stack.work()
        assert len(runs(stack, mailbox_id)) == MOST + 1
        assert stopped(capsys) == 0
    next_hour(stack)
    for _ in range(5):
        stack.tick()
    stack.work()
    assert error(stack, mailbox_id) is None
    assert Counter(runs(stack, mailbox_id)) == {None: MOST + 1, "loop_stopped": 1}
    listed = stack.ask("GET", f"/v1/mailboxes/{mailbox_id}/runs").json["items"]
    assert sum(one["stored"] for one in listed) == 1


def test_polls_that_find_nothing_are_counted_as_well(stack, capsys):
    mailbox_id = stack.connect()
    stack.work()
    for _ in range(5 * (MOST + 2)):
        stack.tick()
        stack.work()
    assert error(stack, mailbox_id)["code"] == "loop_stopped"
    assert stopped(capsys) == 1
    next_hour(stack)
    for _ in range(5):
        stack.tick()
    stack.work()
    assert error(stack, mailbox_id) is None


def test_a_chunk_that_never_comes_to_its_end_rests_and_ends_an_hour_later(
    stack, monkeypatch, capsys
):
    stack.deliver(1)
    with monkeypatch.context() as broken:
        tries = []

        def takes_all_its_time(*_given):
            tries.append(stack.clock.advance(seconds=SECONDS_OF_A_TRY))
            return False

        broken.setattr(Ingest, "take_in", takes_all_its_time)
        mailbox_id = stack.connect(backfill_days=30)
        stack.work()
        (backfill,) = stack.ask("GET", f"/v1/mailboxes/{mailbox_id}/backfills").json["items"]
        assert (backfill["state"], backfill["code"]) == ("waiting", "loop_stopped")
        # Sync's first looks are among them.
        assert TRIES_OF_A_CHUNK <= len(tries) <= TRIES_OF_A_CHUNK + 2
        # They took hours, and no single one had many.
        assert backfill["waiting_until"] == "2026-03-01T15:00:00Z"
        assert stopped(capsys) == 1
        stack.sweep()
        stack.work()
        assert stopped(capsys) == 0
    next_hour(stack)
    stack.sweep()
    stack.work()
    (backfill,) = stack.ask("GET", f"/v1/mailboxes/{mailbox_id}/backfills").json["items"]
    assert (backfill["state"], backfill["stored"]) == ("done", 1)
