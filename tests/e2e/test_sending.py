"""Mail written through the API over HTTP on the local stack: who gets it, where it shows, what goes wrong.

At the demo's IMAP and SMTP servers, at an SMTP server that refuses in the words of real ones, and at
Gmail and Outlook.
"""

import email
import email.policy
import hashlib
import json
import re
import smtplib
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

import pytest

from infra.simulators.scripted_smtp import ScriptedSmtp
from shared.domain.errors import ErrorCode
from shared.domain.explanations import explain
from tests.e2e.conftest import FRONT_END
from tests.e2e.test_main_job import PASSWORD, Life, until
from tests.e2e.test_sign_ins import Life as SignedIn
from tests.e2e.test_sign_ins import Provider, provider

__all__ = ["provider"]
CUSTOMER = "kim@customer.example"
FILE = bytes(range(256)) * 300
"""Every byte there is: what an encoding could change."""
GMAIL_SENDS = r"^POST (/upload)?/gmail/v1/users/[^/]+/(messages|drafts)/send$"


def written(sender, to, subject, text, *, answers=None, **headers):
    """A mail as a person's own program writes it."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain="customer.example")
    if answers is not None:
        message["In-Reply-To"] = answers["Message-ID"]
        message["References"] = f"{answers['References'] or ''} {answers['Message-ID']}".strip()
    for name, value in headers.items():
        message[name] = value
    message.set_content(text)
    return message


class Desk:
    """A mailbox to write from, as its user sees it; `life` is how it was connected."""

    def __init__(self, life):
        self.life, self.api = life, life.api

    @property
    def path(self):
        return f"/v1/mailboxes/{self.life.mailbox_id}"

    def ask(self, key=None, **body):
        body.setdefault("mailbox_id", self.life.mailbox_id)
        name = {"Idempotency-Key": key or uuid.uuid4().hex}
        answer = self.api("POST", "/v1/sends", body, **name)
        assert answer.status == 202, answer.body
        return answer.body

    def look(self, send):
        answer = self.api("GET", f"{self.path}/sends/{send['id']}")
        assert answer.status == 200, answer.body
        return answer.body

    def cancel(self, send):
        return self.api("POST", f"{self.path}/sends/{send['id']}/cancel")

    def sent(self, send):
        """Wait until it is sent and on its timeline."""
        found = until(
            lambda: (s := self.look(send))["status"] not in {"queued", "sending"} and s,
            what="the sending",
        )
        assert found["status"] == "sent", found
        return until(lambda: (s := self.look(send))["message_id"] and s, what="its timeline")

    def told(self, send):
        """Wait until it says what stands in its way."""
        return until(
            lambda: (
                (s := self.look(send))["status"] != "sending"
                and (s["cause"] or any(one["cause"] for one in s["recipients"]))
                and s
            ),
            what="a cause",
        )

    def errors(self):
        return self.api("GET", self.path).body["latest_error"]

    def add_contact(self, contact, address):
        body = {"name": contact.title(), "addresses": [address]}
        assert self.api("PUT", f"/v1/contacts/{contact}", body).status in {200, 201}

    def change(self, message_id, **change):
        answer = self.api("PATCH", f"{self.path}/messages/{message_id}", change)
        assert answer.status == 202, answer.body

    def pending(self):
        """What the provider has not acknowledged yet."""
        copies = [copy for one in self.life.messages() for copy in one["mailboxes"]]
        return [name for copy in copies for name in copy["pending"]]

    def timeline(self, contact):
        answer = self.api("GET", f"/v1/contacts/{contact}/messages?limit=50")
        assert answer.status == 200, answer.body
        return answer.body["items"]

    def upload(self, filename, content):
        """Announce a file and send it as a browser does, from a page of another origin."""
        announced = {
            "filename": filename,
            "content_type": "application/pdf",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        place = self.api("POST", "/v1/uploads", announced)
        assert place.status == 201, place.body
        request = urllib.request.Request(
            place.body["url"],
            method=place.body["method"],
            data=content,
            headers={**place.body["headers"], "Origin": FRONT_END},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200
            assert answer.headers["Access-Control-Allow-Origin"] in {FRONT_END, "*"}
        return place.body["upload_id"]


@pytest.fixture
def people(stack, dovecot, submission, request):
    """Addresses on the demo's server, of this test alone, and their mailboxes there."""
    digest = hashlib.sha256(request.node.name.encode()).hexdigest()[:8]

    def address_of(name):
        address = f"{name}-{digest}@mailroom.test"
        dovecot.add_user(address, PASSWORD)
        return address

    return address_of


def connected(stack, dovecot, submission, address, user, **more):
    """Return the desk of a mailbox of `user`, imported unless that is of 0 days."""
    life = Life(stack, dovecot, submission, stack.as_user(f"tenant-{address}", user), address)
    body = {**life.logins(), "address": address, "backfill_days": 30, **more}
    answer = life.api("POST", "/v1/mailboxes", body)
    assert answer.status == 201, answer.body
    life.mailbox_id = answer.body["id"]
    if body["backfill_days"]:
        life.imported()
    return Desk(life)


def deliver(dovecot, submission, message):
    """Send a mail as its writer's own program does."""
    tls = dovecot.certificates.client_context()
    with smtplib.SMTP_SSL("127.0.0.1", submission.ports.tls, context=tls, timeout=30) as server:
        server.login(message["From"], PASSWORD)
        server.send_message(message)


def held(dovecot, address, folder="INBOX"):
    """The mails in somebody's folder on the server."""
    box = dovecot.mail(address)
    raw = [box.raw(uid, folder) for uid in box.uids(folder)]
    return [email.message_from_bytes(one, policy=email.policy.default) for one in raw]


def words(code):
    """What the product says of a code, as the API shows it."""
    said = explain(ErrorCode(code))
    return {"code": code, "message": said.message, "acts": said.acts, "fix": said.fix}


def told_of(error):
    """The same of a mailbox's error, which may be tried again by itself."""
    patience = "Mailroom still tries again by itself; act if it stays so. "
    told = {name: error[name] for name in ("code", "message", "acts", "fix")}
    return told | {"fix": told["fix"].removeprefix(patience)}


def test_a_reply_reaches_the_recipient_once_and_their_answer_comes_back_to_its_thread(
    stack, dovecot, submission, people
):
    ada, anna, boss = (people(name) for name in ("ada", "anna", "boss"))
    question = written(anna, ada, "Prices", "What does it cost?", Cc="carl@elsewhere.example")
    deliver(dovecot, submission, question)
    dovecot.mail(anna).append_many("Sent", [(question.as_bytes(), (), None)])
    desk = connected(stack, dovecot, submission, ada, "ada")
    desk.add_contact("anna", anna)
    signature = {"text": "Ada Example\nACME", "html": "<b>Ada Example</b><br>ACME"}
    assert desk.api("PUT", "/v1/signature", signature).status == 200
    (asked,) = desk.timeline("anna")
    begun = desk.api("GET", f"/v1/messages/{asked['id']}/answer?kind=reply_all").body
    assert (begun["subject"], [one["address"] for one in begun["to"]]) == ("Re: Prices", [anna])
    mail = {
        "answers": {"message_id": asked["id"], "kind": "reply_all"},
        "text": "It costs 10 €.",
        "html": "<p>It costs <b>10 €</b>.</p>",
        "bcc": [{"address": boss}],
        "attachments": [{"upload_id": desk.upload("Preise für Kim.pdf", FILE)}],
    }

    # Pressed twice, or repeated by a proxy.
    with ThreadPoolExecutor(2) as pool:
        twice = list(pool.map(lambda _: desk.ask("one-mail", **mail), range(2)))
    assert twice[0]["id"] == twice[1]["id"]
    send = desk.sent(twice[0])
    assert [one["status"] for one in send["recipients"]] == ["accepted"] * 3
    assert desk.ask("one-mail", **mail)["status"] == "sent"

    # What Anna has.
    (got,) = held(dovecot, anna)
    assert (got["Subject"], got["From"].addresses[0].addr_spec) == ("Re: Prices", ada)
    assert got["In-Reply-To"] == got["References"] == question["Message-ID"]
    assert got["Message-ID"] == send["internet_message_id"]
    assert (got["Bcc"], got["Cc"]) == (None, "carl@elsewhere.example")
    text, html = (got.get_body((kind,)).get_content() for kind in ("plain", "html"))
    for part in (text, html):
        assert "10 €" in part
        assert "Ada Example" in part
        assert "What does it cost?" in part
    (file,) = got.iter_attachments()
    assert (file.get_filename(), file.get_content()) == ("Preise für Kim.pdf", FILE)
    assert [one["Message-ID"] for one in held(dovecot, boss)] == [got["Message-ID"]]

    # Once on her timeline and once among the sent mail, also when sync has seen it there.
    assert desk.life.sync_now()["code"] is None
    timeline = desk.timeline("anna")
    assert [one["direction"] for one in timeline] == ["outbound", "inbound"]
    assert timeline[0]["id"] == send["message_id"]
    assert {one["thread_id"] for one in timeline} == {asked["thread_id"]}
    assert len(desk.life.messages()) == 2
    assert [one["Message-ID"] for one in held(dovecot, ada, "Sent")] == [got["Message-ID"]]

    # On Anna's side it is the same conversation, and what she answers is so on Ada's.
    hers = connected(stack, dovecot, submission, anna, "anna")
    assert len({one["thread_id"] for one in hers.life.messages()}) == 1
    deliver(dovecot, submission, written(anna, ada, "Re: Prices", "Too much.", answers=got))
    desk.life.sync_now()
    timeline = desk.timeline("anna")
    assert [one["snippet"].split()[0] for one in timeline] == ["Too", "It", "What"]
    assert {one["thread_id"] for one in timeline} == {asked["thread_id"]}
    assert timeline[0]["contacts"] == ["anna"]


def test_a_mail_called_off_in_time_never_leaves_and_one_of_later_leaves_when_it_is_due(
    stack, dovecot, submission, people
):
    ada, anna = people("ada"), people("anna")
    desk = connected(stack, dovecot, submission, ada, "ada", backfill_days=0)
    mail = {"to": [{"address": anna, "name": "Anna"}], "text": "Hello"}
    regretted = desk.ask(**mail, subject="Regretted", undo_seconds=3)
    assert (regretted["status"], regretted["can_cancel"]) == ("queued", True)
    assert desk.cancel(regretted).body["status"] == "cancelled"
    soon = desk.ask(**mail, subject="Soon", send_at=after(seconds=3).isoformat())
    later = desk.ask(**mail, subject="Later", send_at=after(hours=9).isoformat())
    bring_forward(stack, later)
    stack.client("lambda").invoke(FunctionName="mailroom-local-schedule_sync", Payload=b"{}")
    desk.sent(later)
    assert desk.sent(soon)["sent_at"] >= soon["due_at"]
    # Due before either of these.
    assert sorted(one["Subject"] for one in held(dovecot, anna)) == ["Later", "Soon"]
    assert desk.look(regretted)["status"] == "cancelled"
    refused = desk.cancel(soon)
    assert (refused.status, refused.body["code"]) == (409, "too_late")


def test_what_is_done_with_a_mail_here_is_done_there_and_a_test_message_comes_back(
    stack, dovecot, submission, people
):
    ada = people("ada")
    for subject in ("First", "Second"):
        dovecot.mail(ada).deliver(written(CUSTOMER, ada, subject, "Hello").as_bytes())
    dovecot.mail(ada).create_folder("Deals")
    desk = connected(stack, dovecot, submission, ada, "ada")
    trip = desk.api("POST", f"{desk.path}/test-messages", {}, **{"Idempotency-Key": "a-test"})
    assert trip.status == 202, trip.body
    ids = {one["subject"]: one["id"] for one in desk.life.messages()}
    folders = desk.api("GET", f"{desk.path}/folders").body["items"]
    (deals,) = (one["id"] for one in folders if one["name"] == "Deals")
    desk.change(ids["First"], seen=True, folder_id=deals)
    desk.change(ids["Second"], trashed=True)
    until(lambda: "Second" in subjects(dovecot, ada, "Trash"), what="the trash there")
    until(lambda: subjects(dovecot, ada, "Deals") == ["First"], what="the move there")
    assert [set(one) for one in dovecot.mail(ada).flags("Deals").values()] == [{"\\Seen"}]
    until(lambda: desk.pending() == [], what="the acknowledgement")

    path = f"{desk.path}/test-messages/{trip.body['id']}"
    until(lambda: missing(desk.api("GET", path).body) <= {"came_back"}, what="the sending")
    desk.life.sync_now()
    found = until(
        lambda: (t := desk.api("GET", path).body)["state"] != "waiting" and t, what="its return"
    )
    assert (found["state"], found["cause"], found["came_back_to"]) == ("succeeded", None, "inbox")
    assert missing(found) == set()
    # Where they were moved to, once; and the test message is in nobody's way.
    assert desk.life.subjects() == ["First"]
    assert desk.errors() == {"inbound": None, "outbound": None, "push": None}


def missing(trip):
    """The steps of a test message that it has not taken by now."""
    return {one["step"] for one in trip["steps"] if one["at"] is None}


def subjects(dovecot, address, folder):
    return [one["Subject"] for one in held(dovecot, address, folder)]


def after(**much):
    return datetime.now(UTC) + timedelta(**much)


def bring_forward(stack, send):
    """Have the hours pass for one send that waits in no queue."""
    table, name = stack.client("dynamodb"), stack.outputs["TableName"]
    pages = table.get_paginator("scan").paginate(
        TableName=name,
        FilterExpression="send_id = :send AND attribute_exists(due_key)",
        ExpressionAttributeValues={":send": {"S": send["id"]}},
    )
    (item,) = (item for page in pages for item in page["Items"])
    now = after(seconds=0)
    document = json.loads(item["document"]["S"])
    document["due"] = now.isoformat()
    item["document"]["S"] = json.dumps(document)
    at = now.strftime("%Y-%m-%dT%H:%M:%S")
    item["due_key"]["S"] = re.sub(r"^[^.#Z]+", at, item["due_key"]["S"])
    table.put_item(TableName=name, Item=item)


REFUSALS = {
    "auth_failed": ("failed", "login_rejected"),
    "auth_app_password": ("failed", "app_password_required"),
    "auth_disabled_mailbox": ("failed", "smtp_disabled"),
    "auth_temporary": ("queued", "provider_unavailable"),
    "sender_refused": ("failed", "sender_not_allowed"),
    "daily_limit": ("queued", "sending_limit_reached"),
    "unknown_recipient": ("failed", "recipient_rejected"),
    "recipient_full": ("queued", "recipient_full"),
    "too_big": ("failed", "mail_too_large"),
    "policy": ("failed", "mail_refused"),
}
"""What a submission server answers, and what becomes of the mail."""


def test_each_refusal_of_smtp_is_told_in_its_words_and_leaves_what_comes_in_alone(
    stack, dovecot, submission, people
):
    ada, port = people("ada"), stack.spare_ports[0]
    given = {"certificates": dovecot.certificates, "port": port}
    life = Life(stack, dovecot, submission, stack.as_user(f"tenant-{ada}", "ada"), ada)
    logins = life.logins()
    logins["smtp"]["port"] = port
    with ScriptedSmtp(**given):
        desk = connected(stack, dovecot, submission, ada, "ada", backfill_days=0, **logins)
    mail = {"to": [{"address": CUSTOMER}], "subject": "Offer", "text": "Hello"}
    for scenario, (status, code) in REFUSALS.items():
        with ScriptedSmtp(scenario, **given) as server:
            send = desk.told(desk.ask(**mail))
            assert (send["status"], send["cause"]) == (status, words(code)), scenario
            if status == "queued":
                assert send["next_try_at"] > send["due_at"], scenario
                assert desk.cancel(send).status == 200, scenario
        assert server.taken == [], scenario
        assert told_of(desk.errors()["outbound"]) == words(code), scenario
    dovecot.mail(ada).deliver(written(CUSTOMER, ada, "Incoming", "Hello").as_bytes())
    assert desk.life.sync_now()["code"] is None
    assert "Incoming" in desk.life.subjects()
    assert desk.errors()["inbound"] is None

    refused = {"gone@customer.example": "550 5.1.1 No such user"}
    with ScriptedSmtp(recipients=refused, **given) as server:
        both = [{"address": one} for one in (CUSTOMER, *refused)]
        send = desk.sent(desk.ask(**{**mail, "to": both}))
        assert len(server.taken) == len(server.got(CUSTOMER)) == 1
    causes = {one["address"]: (one["status"], one["cause"]) for one in send["recipients"]}
    expected = ("refused", words("recipient_rejected"))
    assert causes == {CUSTOMER: ("accepted", None), "gone@customer.example": expected}
    assert desk.errors() == {"inbound": None, "outbound": None, "push": None}


FAULTS = {
    "gmail": ("sending_429", {}, "queued", "sending_limit_reached"),
    "outlook": (
        "graph_error",
        {"status": 403, "code": "ErrorSendAsDenied", "route": r"/send$"},
        "failed",
        "sender_not_allowed",
    ),
}


def test_gmail_and_outlook_send_a_reply_once_and_tell_in_their_words_why_not(
    stack, provider: Provider
):
    address = f"sender@{provider.name}.example"
    life = SignedIn(stack, provider, stack.as_user(f"tenant-{address}", "ada"), address)
    (received,) = life.fill(1)
    life.connect()
    life.imported()
    desk = Desk(life)
    desk.add_contact("kim", CUSTOMER)
    (asked,) = desk.timeline("kim")
    answer = {"answers": {"message_id": asked["id"], "kind": "reply"}, "text": "With pleasure."}

    fault, given, status, code = FAULTS[provider.name]
    life.arm(fault, times=1, **given)
    send = desk.told(desk.ask(**answer))
    assert (send["status"], send["cause"]) == (status, words(code))
    assert told_of(desk.errors()["outbound"]) == words(code)
    assert life.sync_now()["code"] is None
    assert desk.errors()["inbound"] is None
    if status == "queued":
        assert desk.cancel(send).status == 200
    assert life.held_there() == life.held_here()

    send = desk.sent(desk.ask(**answer))
    assert desk.errors()["outbound"] is None
    life.sync_now()
    assert life.held_there() == life.held_here()
    timeline = desk.timeline("kim")
    assert [one["direction"] for one in timeline] == ["outbound", "inbound"]
    assert timeline[0]["id"] == send["message_id"]
    assert {one["thread_id"] for one in timeline} == {asked["thread_id"]}
    assert len(desk.api("GET", f"{desk.path}/sends").body["items"]) == 2

    desk.change(asked["id"], seen=True)
    until(lambda: desk.pending() == [], what="the acknowledgement")
    assert [one.seen for one in life.mail.messages() if one.id == received] == [True]
