"""Connected, imported, kept in sync, read by contact, disconnected: event in, answer out, through every function."""

import json
from datetime import timedelta
from threading import Event, current_thread, main_thread

import boto3
import pytest

from functions.schedule_sync.handler import lambda_handler as schedule_sync
from functions.sync_mailbox import handler
from functions.sync_mailbox.handler import lambda_handler as sync_mailbox
from shared import wiring, wiring_of_limits
from shared.aws.queues import encode_sync
from shared.aws.rate_limits import DynamoRateLimits
from shared.aws.send_store import DynamoSendStore
from shared.domain.errors import ErrorCode, RetryLaterError, StoreThrottledError
from shared.domain.ids import MailboxId, TenantId
from shared.domain.rate_limits import RATES, Act
from shared.domain.run import RunReason
from shared.domain.schedule import slot_of
from shared.operations.outcomes import SyncReport
from shared.ports.queues import SyncRequest
from shared.ports.sending import IdempotencyKey, SendCaps
from tests.fakes.deployment import context
from tests.fakes.values import a_send
from tests.functions.moto_stack import runs_of, sqs_event


def subjects(stack, target):
    return [item["subject"] for item in stack.ask("GET", target).json["items"]]


def test_the_main_job(stack):
    for number in range(5):
        stack.deliver(number)
        stack.clock.advance(minutes=1)
    mailbox_id = stack.connect(backfill_days=30)
    stack.work()
    put = stack.ask(
        "PUT", "/v1/contacts/crm-1", body={"name": "Cleo", "addresses": ["cleo@client.example"]}
    )
    assert put.status == 200
    timeline = "/v1/contacts/crm-1/messages"
    assert subjects(stack, timeline) == [f"Mail {number}" for number in (4, 3, 2, 1, 0)]
    (backfill,) = stack.ask("GET", f"/v1/mailboxes/{mailbox_id}/backfills").json["items"]
    assert (backfill["state"], backfill["percent"], backfill["stored"]) == ("done", 100, 5)

    preview = stack.ask("GET", f"/v1/mailboxes/{mailbox_id}/backfill-preview")
    assert preview.status == 200, preview.text
    assert preview.json["windows"][-1] == {
        "days": 365, "messages": 5, "missing": 0, "more": False, "seconds": 0, "quota": None,
        "matching": 5, "looked_at": 5,
    }  # fmt: skip

    # new mail arrives by the schedule, a deletion follows, both within a cycle
    uid = stack.deliver(5)
    queued = sum(stack.tick()["queued"] for _ in range(5))
    assert queued == 1
    stack.work()
    assert subjects(stack, timeline)[0] == "Mail 5"
    stack.server.delete("INBOX", uid)
    run_id = stack.ask("POST", f"/v1/mailboxes/{mailbox_id}/sync").json["run_id"]
    stack.work()
    assert stack.ask("GET", f"/v1/mailboxes/{mailbox_id}/runs/{run_id}").json["removed"] == 1
    newest = stack.ask("GET", timeline).json["items"][0]
    assert (newest["subject"], newest["mailboxes"]) == ("Mail 5", [])
    assert "Mail 5" not in subjects(stack, f"/v1/messages?mailbox_id={mailbox_id}")

    # read one, its thread, and search
    items = stack.ask("GET", f"/v1/messages?mailbox_id={mailbox_id}&subject=mail 3").json["items"]
    (found,) = items
    whole = stack.ask("GET", f"/v1/messages/{found['id']}").json
    assert whole["text"].strip() == "Text 3"
    thread = stack.ask("GET", f"/v1/threads/{found['thread_id']}").json
    assert [item["id"] for item in thread["items"]] == [found["id"]]
    assert stack.ask("GET", f"/v1/messages/{found['id']}", tenant="other").status == 404

    # history stays after disconnecting, and late work changes nothing
    late = stack.ask("POST", f"/v1/mailboxes/{mailbox_id}/sync")
    assert late.status == 202
    assert stack.ask("DELETE", f"/v1/mailboxes/{mailbox_id}").status == 204
    stack.deliver(6)
    stack.work()
    assert len(subjects(stack, timeline)) == 6
    assert boto3.client("secretsmanager").list_secrets()["SecretList"] == []
    assert sum(stack.tick()["queued"] for _ in range(5)) == 0


def test_pages_agree_with_the_whole_on_the_real_store(stack):
    for number in range(23):
        stack.deliver(number, From=f"c{number % 3}@client.example")
        if number % 4 == 0:
            stack.clock.advance(minutes=1)
    mailbox_id = stack.connect(backfill_days=30)
    stack.work()
    addresses = [f"c{number}@client.example" for number in range(3)]
    stack.ask("PUT", "/v1/contacts/c", body={"name": "C", "addresses": addresses})
    for target in (
        "/v1/contacts/c/messages",
        "/v1/messages",
        f"/v1/messages?mailbox_id={mailbox_id}",
    ):
        whole = [
            item["id"] for item in stack.ask("GET", target, query={"limit": 100}).json["items"]
        ]
        assert len(set(whole)) == 23
        found, token = [], None
        while True:
            page = stack.ask(
                "GET", target, query={"limit": 4} | ({"next": token} if token else {})
            ).json
            found += [item["id"] for item in page["items"]]
            token = page["next"]
            if token is None:
                break
        assert found == whole, target


def test_only_the_record_that_raised_is_delivered_again(stack):
    mailbox_id = stack.connect()
    stack.bodies("sync")
    good = encode_sync(SyncRequest(TenantId("acme"), MailboxId(mailbox_id), RunReason.SCHEDULE))
    for bad in (
        "not json",
        json.dumps({"v": 9, "kind": "sync"}),
        json.dumps({"v": 1, "kind": "x"}),
    ):
        answer = sync_mailbox(sqs_event(good, bad), context())
        assert answer == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    assert sync_mailbox(sqs_event("{}"), context())["batchItemFailures"]


def test_one_server_that_never_answers_is_delivered_again_and_kills_no_batch(stack, monkeypatch):
    mailbox_id = stack.connect()
    stack.bodies("sync")
    requests = [
        SyncRequest(TenantId("acme"), MailboxId(name), RunReason.SCHEDULE)
        for name in ("01STUCK", mailbox_id)
    ]
    run, others_are_done, released = handler.sync_mailbox, Event(), Event()

    def stuck(request, **ports):
        if request.mailbox_id == "01STUCK":
            released.wait()
            return SyncReport("dropped")
        report = run(request, **ports)
        others_are_done.set()
        return report

    def nearly_over():
        if current_thread() is main_thread():
            others_are_done.wait()
            return 1000 * handler.LAST_WORDS_SECONDS + 200
        return 60_000

    monkeypatch.setattr(handler, "sync_mailbox", stuck)
    hurried = context()
    hurried.get_remaining_time_in_millis = nearly_over
    try:
        answer = sync_mailbox(sqs_event(*map(encode_sync, requests)), hurried)
    finally:
        released.set()
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert stack.ask("GET", f"/v1/mailboxes/{mailbox_id}").json["last_synced_at"]


def test_what_there_is_no_time_to_begin_is_delivered_again_and_blames_no_mailbox(stack):
    mailbox_id = stack.connect()
    (body,) = stack.bodies("sync")
    hurried = context()
    hurried.get_remaining_time_in_millis = lambda: 20_000
    answer = sync_mailbox(sqs_event(body), hurried)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert stack.server.logins == 0
    inbound = stack.ask("GET", f"/v1/mailboxes/{mailbox_id}").json["latest_error"]["inbound"]
    assert inbound is None


def test_the_cause_of_a_failed_run_is_logged(stack, caplog):
    stack.connect()
    (body,) = stack.bodies("sync")
    stack.server.failure = RetryLaterError(ErrorCode.CONNECTION_FAILED, cause="errno 113")
    assert sync_mailbox(sqs_event(body), context()) == {"batchItemFailures": []}
    (line,) = runs_of(caplog, "sync")
    assert (line.code, line.cause) == ("connection_failed", "errno 113")


def test_a_dead_letter_becomes_a_latest_error(stack):
    mailbox_id = stack.connect()
    stack.work()
    body = encode_sync(SyncRequest(TenantId("acme"), MailboxId(mailbox_id), RunReason.SCHEDULE))
    assert stack.bury(body) == {"batchItemFailures": []}
    inbound = stack.ask("GET", f"/v1/mailboxes/{mailbox_id}").json["latest_error"]["inbound"]
    assert (inbound["code"], inbound["acts"]) == ("internal", "operator")


def test_the_sweeper_sends_again_what_was_lost(stack):
    stack.deliver(1)
    stack.connect(backfill_days=7)
    assert len(stack.bodies("plan")) == 1
    stack.clock.advance(minutes=6)
    assert stack.sweep() == {"sent": 1, "left": 0}
    stack.work()
    assert subjects(stack, "/v1/messages") == ["Mail 1"]


@pytest.mark.parametrize("event", [{}, {"time": "x"}, {"time": "2026-03-01T12:00:00"}])
def test_a_tick_without_a_time_serves_the_present_minute(stack, event):
    assert schedule_sync(event, context()) == {"queued": 0, "sends": 0, "changes": 0}


def test_a_part_of_a_minute_that_was_handed_on_is_done_like_a_tick(stack):
    mailbox_id = stack.connect()
    stack.work()
    slot = slot_of(MailboxId(mailbox_id), 5)
    for start, queued in (("", 1), (mailbox_id, 1), (f"{mailbox_id}0", 0)):
        event = {"time": stack.clock.at.isoformat(), "ranges": [[slot, start, ""]]}
        assert schedule_sync(event, context()) == {"queued": queued, "sends": 0, "changes": 0}
    assert len(stack.bodies("sync")) == 2


def test_a_tick_queues_the_mails_whose_time_has_come(stack):
    mailbox_id = MailboxId(stack.connect())
    mailbox = wiring.mailboxes().get(TenantId("acme"), mailbox_id).mailbox
    now = stack.clock.at
    for minutes in (0, 1, 2):
        send = a_send(
            str(minutes),
            mailbox_id=mailbox_id,
            generation=mailbox.generation,
            due_at=now + timedelta(minutes=minutes),
        )
        caps = SendCaps(99, 99, 99)
        wiring.sends().create(send, IdempotencyKey(send.id, "b"), caps, now=now)
    assert stack.tick()["sends"] == 2
    assert [json.loads(body)["send_id"] for body in stack.bodies("outbound")] == [
        "01SEND0",
        "01SEND1",
    ]
    # Of a minute with many mailboxes one part looks for mails, and a slow store holds up no mailbox.
    part = {"time": stack.clock.at.isoformat(), "ranges": []}
    assert schedule_sync(part, context()) == {"queued": 0, "sends": 0, "changes": 0}


def test_mails_that_cannot_be_looked_for_hold_up_no_mailbox(stack, monkeypatch, caplog):
    stack.connect()
    stack.work()

    def due(*_, **__):
        raise StoreThrottledError(cause="busy")

    monkeypatch.setattr(DynamoSendStore, "due", due)
    queued = [stack.tick() for _ in range(5)]
    assert sum(one["queued"] for one in queued) == 1
    assert sum(one.message == "sweep_of_sends_failed" for one in caplog.records) == 5


def test_who_asks_too_often_is_told_when_to_ask_again(stack, monkeypatch):
    monkeypatch.setattr(wiring_of_limits, "rate_limits", lambda: DynamoRateLimits(wiring.table()))
    mailbox_id = stack.connect()
    burst = RATES[Act.SYNC][0].burst
    answers = [stack.ask("POST", f"/v1/mailboxes/{mailbox_id}/sync") for _ in range(burst + 1)]
    assert [one.status for one in answers] == [202] * burst + [429]
    assert (answers[-1].json["code"], answers[-1].headers["Retry-After"]) == (
        "too_many_requests",
        "2",
    )
    assert stack.ask("GET", f"/v1/mailboxes/{mailbox_id}").status == 200
    stack.clock.advance(seconds=2)
    assert stack.ask("POST", f"/v1/mailboxes/{mailbox_id}/sync").status == 202


def test_of_requests_that_piled_up_one_logs_in_and_the_others_are_dropped(stack, caplog):
    caplog.set_level("INFO", logger="mailroom")
    mailbox_id = stack.connect()
    stack.work()
    body = encode_sync(SyncRequest(TenantId("acme"), MailboxId(mailbox_id), RunReason.SCHEDULE))
    piled_up = []
    for _ in range(3):
        piled_up.append(sqs_event(body, sent_at=stack.clock.advance(minutes=5)))
    stack.clock.advance(minutes=1)
    caplog.clear()
    for event in piled_up:
        assert sync_mailbox(event, context()) == {"batchItemFailures": []}
    polled = [line for line in caplog.records if line.message == "polled"]
    assert [getattr(line, "idle", 0) for line in polled] == [1, 0, 0]
    assert [getattr(line, "dropped", 0) for line in polled] == [0, 1, 1]
