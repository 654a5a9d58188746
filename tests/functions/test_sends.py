"""A mail through the real worker and the real stores: sent once, counted, and to nobody in the log."""

import hashlib
import json
from dataclasses import replace

import pytest

from functions.deliver_outbound.handler import lambda_handler as deliver_outbound
from shared import wiring
from shared.aws.queues import encode_send
from shared.domain.composing import Draft, NamedAddress
from shared.domain.errors import ErrorCode, RetryLaterError, SendRefusedError
from shared.domain.ids import MailboxId, TenantId
from shared.domain.sending import Recipient, SendStatus
from shared.ports.queues import SendRequest
from shared.ports.sending import IdempotencyKey, SendCaps
from tests.fakes.deployment import context
from tests.fakes.sends import ref_of
from tests.fakes.values import a_send
from tests.functions.moto_stack import runs_of, sqs_event

CLEO, EVE = "cleo@client.example", "eve@elsewhere.example"


@pytest.fixture
def mailbox_id(stack, caplog):
    caplog.set_level("INFO", logger="mailroom")
    mailbox_id = stack.connect()
    stack.work()
    caplog.clear()
    return mailbox_id


def asked(stack, mailbox_id, *to):
    """Write a mail down as a request of the API does; return it and its request."""
    content = wiring.composer().compose(
        Draft(
            sender=NamedAddress("ann@ours.example", "Ann"),
            internet_message_id="<1@ours.example>",
            date=stack.clock.at,
            to=tuple(NamedAddress(one) for one in to),
            subject="An offer",
            text="Dear Cleo",
        )
    )
    record = wiring.mailboxes().get(TenantId("acme"), MailboxId(mailbox_id))
    send = replace(
        a_send(),
        tenant_id=TenantId("acme"),
        mailbox_id=MailboxId(mailbox_id),
        internet_message_id="<1@ours.example>",
        sender="ann@ours.example",
        recipients=tuple(map(Recipient, to)),
        blind=(),
        subject="An offer",
        digest=hashlib.sha256(content).hexdigest(),
        size=len(content),
        generation=record.mailbox.generation,
        created_at=stack.clock.at,
        due_at=stack.clock.at,
    )
    wiring.outgoing().put(ref_of(send), content)
    wiring.sends().create(send, IdempotencyKey("k", "b"), SendCaps(9, 9, 9), now=stack.clock.at)
    return send, encode_send(SendRequest(send.tenant_id, send.mailbox_id, send.id))


def stands(send):
    return wiring.sends().get(ref_of(send))


def deliver(*bodies):
    return deliver_outbound(sqs_event(*bodies), context())["batchItemFailures"]


def counted(capsys):
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    return [
        (name, line.get("provider"), line.get("code"))
        for line in lines
        for name in ("SendSucceeded", "SendFailed", "SendUnknown", "SendGivenUp")
        if name in line
    ]


def test_a_mail_is_sent_and_on_its_timeline_and_sync_finds_it_stored(
    stack, mailbox_id, caplog, capsys
):
    send, body = asked(stack, mailbox_id, CLEO)
    assert deliver(body) == []
    assert deliver(body) == [], "it came twice"
    after = stands(send)
    assert (after.status, after.filed_at) == (SendStatus.SENT, stack.clock.at)
    assert {one: len(mails) for one, mails in stack.post.arrived.items()} == {CLEO: 1}
    (shown,) = stack.ask("GET", "/v1/messages").json["items"]
    assert (shown["id"], shown["subject"]) == (after.message_id, "An offer")
    assert wiring.outgoing().get(ref_of(send), send.digest) is None
    stack.clock.advance(minutes=6)
    stack.tick()
    stack.ask("POST", f"/v1/mailboxes/{mailbox_id}/sync")
    stack.work()
    assert [one["id"] for one in stack.ask("GET", "/v1/messages").json["items"]] == [shown["id"]]
    (run, *_) = stack.ask("GET", f"/v1/mailboxes/{mailbox_id}/runs").json["items"]
    assert (run["listed"], run["already_stored"]) == (1, 1)
    assert counted(capsys) == [("SendSucceeded", "imap", None)]
    told = [vars(line) for line in runs_of(caplog, "send")]
    assert [(line["outcome"], line["send_id"]) for line in told] == [
        (SendStatus.SENT, send.id),
        ("dropped", send.id),
    ]
    assert told[0]["counts"] == {"accepted": 1}
    everything = str([vars(line) for line in caplog.records])
    assert "@client.example" not in everything
    assert "An offer" not in everything


def test_a_refused_mail_is_told_with_its_code_and_numbers_and_without_an_address(
    stack, mailbox_id, caplog, capsys
):
    stack.post.refusals[EVE] = SendRefusedError(ErrorCode.RECIPIENT_REJECTED, reply="550 5.1.1")
    send, body = asked(stack, mailbox_id, EVE)
    deliver(body)
    after = stands(send)
    assert (after.status, after.code) == (SendStatus.FAILED, ErrorCode.RECIPIENT_REJECTED)
    assert after.reply == "550 5.1.1"
    assert counted(capsys) == [("SendFailed", "imap", "recipient_rejected")]
    shown = stack.ask("GET", f"/v1/mailboxes/{mailbox_id}").json
    assert shown["latest_error"]["outbound"]["code"] == "recipient_rejected"
    assert shown["latest_error"]["inbound"] is None
    assert "eve@" not in str([vars(line) for line in caplog.records])


def test_a_mail_nobody_knows_of_is_counted_for_the_alarm(stack, mailbox_id, capsys):
    stack.post.mails_lost = 1
    send, body = asked(stack, mailbox_id, CLEO)
    deliver(body)
    assert stands(send).status is SendStatus.UNKNOWN
    assert counted(capsys) == [("SendUnknown", None, None)]


def test_what_is_put_off_comes_back_with_the_tick(stack, mailbox_id):
    stack.post.failures["open"] = RetryLaterError(ErrorCode.CONNECTION_FAILED)
    send, body = asked(stack, mailbox_id, CLEO)
    deliver(body)
    stack.post.failures.clear()
    assert stands(send).status is SendStatus.QUEUED
    for _ in range(2):
        stack.tick()
    stack.work()
    assert stands(send).status is SendStatus.SENT


def test_a_mail_whose_workers_fail_is_delivered_again_then_given_up_and_told(
    stack, mailbox_id, caplog, capsys
):
    stack.post.failures["prepare"] = RuntimeError(f"a bug about {CLEO}")
    send, body = asked(stack, mailbox_id, CLEO)
    for _ in range(5):
        assert deliver(body) == [{"itemIdentifier": "message-0"}]
        assert stack.bury(body) == {"batchItemFailures": []}, "its workers see to it"
        stack.clock.advance(minutes=10)
    assert deliver(body) == []
    after = stands(send)
    assert (after.status, after.code) == (SendStatus.QUEUED, ErrorCode.WORK_GIVEN_UP)
    assert counted(capsys) == [("SendGivenUp", None, None)]
    line, *_ = [one for one in runs_of(caplog, "send") if one.outcome == "raised"]
    assert (line.send_id, line.mailbox_id, line.message_id) == (send.id, mailbox_id, "message-0")
    assert CLEO not in str([vars(line) for line in caplog.records])


@pytest.mark.parametrize("tenant", ["other", "", "../acme", "acme#mailboxes"])
def test_a_request_that_names_another_tenant_sends_nothing(stack, mailbox_id, tenant):
    send, body = asked(stack, mailbox_id, CLEO)
    deliver(json.dumps(json.loads(body) | {"tenant_id": tenant}))
    assert stands(send) == send
    assert stack.post.steps == []


def test_what_nobody_can_read_is_delivered_again_and_not_logged(stack, mailbox_id, caplog):
    assert deliver("cleo@client.example") == [{"itemIdentifier": "message-0"}]
    assert "cleo@" not in str([vars(line) for line in caplog.records])


def test_a_test_message_comes_back_and_is_nobodys_mail(stack, mailbox_id, caplog):
    target = f"/v1/mailboxes/{mailbox_id}/test-messages"
    headers = {"idempotency-key": "t"}
    asked_for = stack.ask("POST", target, body={}, headers=headers)
    assert asked_for.status == 202, asked_for.text
    name = asked_for.json["id"]
    stack.work()
    shown = stack.ask("GET", f"{target}/{name}").json
    assert (shown["state"], shown["stands_at"]) == ("waiting", "came_back")
    (mail,) = stack.post.arrived["ann@ours.example"]
    stack.clock.advance(seconds=9)
    stack.deliver_raw(mail)
    stack.ask("POST", f"/v1/mailboxes/{mailbox_id}/sync")
    stack.work()
    shown = stack.ask("GET", f"{target}/{name}").json
    assert (shown["state"], shown["came_back_to"]) == ("succeeded", "inbox")
    assert [one["seconds"] for one in shown["steps"]] == [0, 0, 0, 0, 9]
    assert stack.ask("GET", "/v1/messages").json["items"] == []
    assert stack.ask("GET", "/v1/contacts").json["items"] == []
    (run, *_) = stack.ask("GET", f"/v1/mailboxes/{mailbox_id}/runs").json["items"]
    # What came back, and the copy among the sent mail.
    assert (run["listed"], run["skipped"]) == (2, {"test_message": 2})
    assert "ann@ours.example" not in str([vars(line) for line in caplog.records])


def test_mail_leaves_from_an_alias_once_a_test_from_it_came_back(stack, mailbox_id):
    sales = "sales@ours.example"
    target = f"/v1/mailboxes/{mailbox_id}"
    assert stack.ask("POST", f"{target}/aliases", body={"address": sales}).status == 201
    mail = {
        "mailbox_id": mailbox_id,
        "from": {"address": sales},
        "to": [{"address": CLEO}],
        "text": "Dear Cleo",
    }
    headers = {"idempotency-key": "1"}
    refused = stack.ask("POST", "/v1/sends", body=mail, headers=headers)
    assert (refused.status, refused.json["code"]) == (403, "sender_not_verified")
    stack.ask("POST", f"{target}/test-messages", body={"from": sales}, headers=headers)
    stack.work()
    (test,) = stack.post.arrived[sales]
    stack.deliver_raw(test)
    stack.ask("POST", f"{target}/sync")
    stack.work()
    (alias,) = stack.ask("GET", target).json["aliases"]
    assert alias["verified_at"]
    assert stack.ask("POST", "/v1/sends", body=mail, headers={"idempotency-key": "2"}).status == 202
    stack.work()
    assert b"From: sales@ours.example\r\n" in stack.post.arrived[CLEO][0]
    assert stack.ask("DELETE", f"{target}/aliases/sales%40ours.example").status == 204
    assert stack.ask("GET", target).json["aliases"] == []
