"""The main job over HTTP on the local stack: connect, import, sync, read by contact, disconnect, reconnect."""

import hashlib
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime

import pytest

from shared.aws.queues import encode_audit
from shared.aws.tables import unescape
from shared.ports.queues import AuditRequest

PASSWORD = "not-a-real-password"
ADDRESS = "ada@mailroom.test"
CUSTOMER = "kim@customer.example"
PATIENCE_SECONDS = 240


def until(claim, *, seconds=PATIENCE_SECONDS, what="it"):
    """Wait for a claim about the running stack; its work is asynchronous, so there is nothing else to wait for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(ConnectionError, TimeoutError):
            if result := claim():
                return result
        time.sleep(0.25)
    message = f"{what} did not come about within {seconds} s"
    raise AssertionError(message)


def mail(number, at, *, sender=CUSTOMER, to=ADDRESS, reply_to=None, text=None):
    message = EmailMessage()
    message["From"], message["To"] = sender, to
    message["Subject"] = f"Message {number}"
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{number}@customer.example>"
    if reply_to is not None:
        message["In-Reply-To"] = message["References"] = f"<{reply_to}@customer.example>"
    message.set_content(text or f"Text of {number}\n")
    return message


class Life:
    """One connected mailbox, as its user sees it."""

    def __init__(self, stack, dovecot, smtp, api, user):
        self.stack, self.dovecot, self.smtp, self.api, self.user = stack, dovecot, smtp, api, user
        self.mailbox_id = None

    @property
    def server(self):
        return self.dovecot.mail(self.user)

    def logins(self, password=PASSWORD):
        return {
            "imap": {
                "host": "127.0.0.1",
                "port": self.dovecot.ports.tls,
                "security": "tls",
                "username": self.user,
                "password": password,
            },
            "smtp": {
                "host": "127.0.0.1",
                "port": self.smtp.ports.tls,
                "security": "tls",
                "username": self.user,
                "password": password,
            },
        }

    def connect(self, days=30):
        answer = self.api(
            "POST", "/v1/mailboxes", {**self.logins(), "address": self.user, "backfill_days": days}
        )
        assert answer.status == 201, answer.body
        self.mailbox_id = answer.body["id"]
        return answer.body

    def mailbox(self):
        return self.api("GET", f"/v1/mailboxes/{self.mailbox_id}").body

    def backfill(self):
        answer = self.api("GET", f"/v1/mailboxes/{self.mailbox_id}/backfills")
        if answer.status >= 500 and set(answer.body or ()) == {"message"}:
            # The gateway's own: a function took too long, as its first call after a power cut may.
            raise TimeoutError(answer)
        assert answer.status == 200, answer.body
        return answer.body["items"][0]

    def imported(self):
        return until(lambda: (b := self.backfill())["state"] == "done" and b, what="the import")

    def messages(self, query=""):
        found, token = [], ""
        while token is not None:
            page = self.api(
                "GET",
                f"/v1/messages?mailbox_id={self.mailbox_id}&limit=100{query}{token and '&next=' + token}",
            ).body
            found += page["items"]
            token = page["next"]
        return found

    def subjects(self, query=""):
        return sorted(message["subject"] for message in self.messages(query))

    def sync_now(self):
        answer = self.api("POST", f"/v1/mailboxes/{self.mailbox_id}/sync")
        assert answer.status == 202, answer.body
        path = f"/v1/mailboxes/{self.mailbox_id}/runs/{answer.body['run_id']}"
        return until(
            lambda: (run := self.api("GET", path)).status == 200 and run.body,
            what="the run asked for",
        )


@pytest.fixture
def life(stack, dovecot, submission, request):
    user = f"user-{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}@mailroom.test"
    dovecot.add_user(user, PASSWORD)
    return Life(stack, dovecot, submission, stack.as_user(f"tenant-{user}", "ada", "admin"), user)


@pytest.fixture
def now():
    return datetime.now(UTC).replace(microsecond=0)


def fill(life, now, count, *, days_apart=1.0, folder="INBOX", start=0):
    messages = [
        (mail(start + number, at, to=life.user).as_bytes(), (), at)
        for number in range(count)
        if (at := now - timedelta(days=number * days_apart, hours=1))
    ]
    life.server.append_many(folder, messages)


def test_the_last_days_are_imported_and_not_a_message_more(life, now):
    fill(life, now, 40)
    life.connect(days=30)
    backfill = life.imported()
    assert life.subjects() == sorted(f"Message {number}" for number in range(30))
    assert backfill["percent"] == 100
    assert backfill["listed"] == backfill["stored"] == 30
    assert backfill["failed"] == 0
    preview = life.api("GET", f"/v1/mailboxes/{life.mailbox_id}/backfill-preview")
    assert preview.status == 200, preview.body
    week, month, _quarter, year = preview.body["windows"]
    assert (week["missing"], month["missing"], year["days"], year["messages"]) == (0, 0, 365, 40)
    # The day of a border counts whole.
    assert year["missing"] in {9, 10}


def test_new_mail_arrives_at_once_after_sync_now_and_follows_moves_and_deletions(life, now):
    fill(life, now, 3)
    life.connect()
    life.imported()
    life.server.deliver(mail(100, now, to=life.user).as_bytes())
    # Stored by that run, or by a poll of the schedule that came before it.
    assert life.sync_now()["code"] is None
    assert "Message 100" in life.subjects()

    by_subject = {message["subject"]: message for message in life.messages()}
    inbox, archive = (
        next(
            f["id"]
            for f in life.api("GET", f"/v1/mailboxes/{life.mailbox_id}/folders").body["items"]
            if f["role"] == role
        )
        for role in ("inbox", "archive")
    )
    first, second, *_ = life.server.uids()
    life.server.move([first], "Archive")
    life.server.expunge([second])
    third = life.server.uids()[0]
    life.server.set_flags([third], ["\\Seen"])
    life.sync_now()
    places = {m["subject"]: {p["folder_id"] for p in m["mailboxes"]} for m in life.messages()}
    assert places["Message 0"] == {archive}
    assert "Message 1" not in places
    assert places["Message 2"] == places["Message 100"] == {inbox}
    deleted = life.api("GET", f"/v1/messages/{by_subject['Message 1']['id']}")
    assert deleted.status == 200, "the history stays when the provider's copy is deleted"
    seen = {m["subject"]: m["mailboxes"][0]["seen"] for m in life.messages()}
    assert seen["Message 2"] is True
    assert seen["Message 100"] is False


def test_new_mail_arrives_by_itself_within_the_schedule(life, now):
    life.connect(days=0)
    patched = life.api("PATCH", f"/v1/mailboxes/{life.mailbox_id}", {"sync_minutes": 1})
    assert patched.status == 200, patched.body
    until(lambda: life.mailbox()["last_synced_at"], what="the first sync")
    life.server.deliver(mail(1, now, to=life.user).as_bytes())
    until(lambda: life.subjects() == ["Message 1"], seconds=180, what="the scheduled sync")


def test_a_contact_added_later_gets_the_mail_already_stored_and_a_thread_reads_in_order(life, now):
    other = f"{life.user} <{life.user}>, cc@customer.example"
    life.server.append_many(
        "INBOX",
        [
            (mail(1, now - timedelta(hours=3), to=other).as_bytes(), (), now - timedelta(hours=3)),
            (
                mail(
                    3, now - timedelta(hours=1), reply_to=1, to=other, text="third\n\n> second\n"
                ).as_bytes(),
                (),
                now - timedelta(hours=1),
            ),
            (mail(9, now, sender="news@list.example").as_bytes(), (), now),
        ],
    )
    life.server.append_many(
        "Sent",
        [
            (
                mail(
                    2, now - timedelta(hours=2), sender=life.user, to=CUSTOMER, reply_to=1
                ).as_bytes(),
                (),
                now - timedelta(hours=2),
            )
        ],
    )
    life.connect()
    life.imported()
    put = life.api("PUT", "/v1/contacts/kim", {"name": "Kim", "addresses": [CUSTOMER.upper()]})
    assert put.status in {200, 201}, put.body
    timeline = life.api("GET", "/v1/contacts/kim/messages").body["items"]
    assert [m["subject"] for m in timeline] == ["Message 3", "Message 2", "Message 1"]
    assert [m["direction"] for m in timeline] == ["inbound", "outbound", "inbound"]
    assert timeline[0]["contacts"], "the message names its contact"
    thread = life.api("GET", f"/v1/threads/{timeline[0]['thread_id']}").body
    assert [m["subject"] for m in thread["items"]] == ["Message 1", "Message 2", "Message 3"]
    alone = life.api("GET", f"/v1/messages/{timeline[0]['id']}").body
    assert "third" in alone["text"]
    # Renaming the address away empties the timeline at once: contacts are resolved when read.
    life.api("PUT", "/v1/contacts/kim", {"name": "Kim", "addresses": ["kim@elsewhere.example"]})
    assert life.api("GET", "/v1/contacts/kim/messages").body["items"] == []


@pytest.mark.parametrize(
    "query", ["&subject=message%201", "&from=kim%40customer.example&subject=Message%201"]
)
def test_search_finds_by_sender_and_subject(life, now, query):
    fill(life, now, 3)
    life.connect()
    life.imported()
    assert life.subjects(query) == ["Message 1"]


def test_killing_the_stack_in_mid_import_loses_and_doubles_nothing(life, now):
    fill(life, now, 1500, days_apart=0.01)
    life.connect(days=30)
    until(lambda: 0 < life.backfill()["percent"] < 100, what="an import under way")
    life.stack.kill9()
    life.stack.start()
    backfill = until(
        lambda: (b := life.backfill())["state"] == "done" and b,
        seconds=600,
        what="the import after the kill",
    )
    expected = sorted(f"Message {number}" for number in range(1500))
    assert life.subjects() == expected
    assert backfill["listed"] == 1500
    life.sync_now()
    assert life.subjects() == expected


def test_a_wrong_password_is_named_nothing_is_stored_and_reconnect_heals_a_changed_one(life, now):
    fill(life, now, 2)
    refused = life.api("POST", "/v1/mailboxes", {**life.logins("wrong"), "address": life.user})
    assert refused.status == 422
    assert refused.body["code"] == "connection_test_failed"
    assert refused.body["imap"]["code"] == "login_rejected"
    assert life.api("GET", "/v1/mailboxes").body["items"] == []

    life.connect()
    life.imported()
    life.dovecot.add_user(life.user, "a-new-false-password")
    life.api("POST", f"/v1/mailboxes/{life.mailbox_id}/sync")
    parked = until(
        lambda: (m := life.mailbox())["status"] == "reconnect_required" and m, what="the parking"
    )
    assert parked["latest_error"]["inbound"]["code"] == "login_rejected"
    assert parked["latest_error"]["inbound"]["acts"] == "user"
    life.server_password = "a-new-false-password"
    healed = life.api(
        "POST", f"/v1/mailboxes/{life.mailbox_id}/reconnect", life.logins("a-new-false-password")
    )
    assert healed.status == 200, healed.body
    assert healed.body["id"] == life.mailbox_id
    assert healed.body["latest_error"]["inbound"] is None
    until(lambda: life.mailbox()["status"] == "active", what="the healing")
    assert len(life.messages()) == 2


def test_an_audit_brings_in_again_what_was_removed_behind_the_product_s_back(life, now):
    fill(life, now, 4)
    life.connect()
    life.imported()
    subjects = life.subjects()
    assert life.mailbox()["completeness"] is None
    table = life.stack.client("dynamodb")
    name = life.stack.outputs["TableName"]
    found = table.get_paginator("scan").paginate(
        TableName=name,
        FilterExpression="contains(pk, :mailbox) AND begins_with(sk, :copy)",
        ExpressionAttributeValues={
            ":mailbox": {"S": f"#mailbox#{life.mailbox_id}"},
            ":copy": {"S": "copy#"},
        },
    )
    newest = max(
        (item for page in found for item in page["Items"]), key=lambda item: item["date_sk"]["S"]
    )
    table.delete_item(TableName=name, Key={"pk": newest["pk"], "sk": newest["sk"]})
    assert len(life.subjects()) == 3
    queues = life.stack.client("sqs")
    url = queues.get_queue_url(QueueName="mailroom-local-plan")["QueueUrl"]
    tenant = newest["pk"]["S"].partition("#")[0]
    tick = AuditRequest(unescape(tenant), life.mailbox_id, datetime.now(UTC))
    queues.send_message(QueueUrl=url, MessageBody=encode_audit(tick), MessageGroupId="audits")
    completeness = until(
        lambda: (found := life.mailbox()["completeness"]) and found["repaired"] and found,
        what="the audit and its repair",
    )
    assert (completeness["missing"], completeness["repaired"], completeness["extra"]) == (1, 1, 0)
    assert life.subjects() == subjects
    path = f"/v1/mailboxes/{life.mailbox_id}/backfills/{completeness['repair_id']}"
    repair = life.api("GET", path).body
    assert (repair["kind"], repair["state"], repair["stored"]) == ("repair", "done", 1)


def test_disconnecting_keeps_the_history_and_deletes_the_secret(life, now):
    fill(life, now, 2)
    life.connect()
    life.imported()
    secrets = life.stack.client("secretsmanager")
    names = [s["Name"] for s in secrets.list_secrets()["SecretList"]]
    assert any(life.mailbox_id in name for name in names)
    preview = life.api("GET", f"/v1/mailboxes/{life.mailbox_id}/disconnection")
    assert preview.status == 200
    assert life.api("DELETE", f"/v1/mailboxes/{life.mailbox_id}").status == 204
    assert life.mailbox()["status"] == "disconnected"
    assert len(life.messages()) == 2
    names = [s["Name"] for s in secrets.list_secrets()["SecretList"]]
    assert not any(life.mailbox_id in name for name in names)


def test_another_tenant_finds_nothing(life, now):
    fill(life, now, 1)
    life.connect()
    life.imported()
    message = life.messages()[0]
    stranger = life.stack.as_user("another-tenant", "ada", "admin")
    for path in (
        f"/v1/mailboxes/{life.mailbox_id}",
        f"/v1/messages/{message['id']}",
        f"/v1/threads/{message['thread_id']}",
        f"/v1/mailboxes/{life.mailbox_id}/folders",
    ):
        unknown = stranger("GET", path[:-6] + "AAAAAA") if path.count("/") == 3 else None
        answer = stranger("GET", path)
        assert answer.status == 404
        if unknown is not None:
            same = {key: value for key, value in answer.body.items() if key != "request_id"}
            assert same == {
                key: value for key, value in unknown.body.items() if key != "request_id"
            }
    assert stranger("GET", f"/v1/messages?mailbox_id={life.mailbox_id}").status == 404
    assert stranger("GET", "/v1/mailboxes").body["items"] == []


def test_without_a_token_only_the_named_routes_answer(stack):
    nobody = stack.as_nobody()
    assert nobody("GET", "/v1/mailboxes").status == 401
    assert nobody("POST", "/v1/mailboxes", {}).status == 401
    assert nobody("GET", "/openapi.json").status == 200
    assert nobody("GET", "/docs").status == 200
    assert nobody("GET", "/v1/health").status == 200
