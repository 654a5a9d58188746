"""No secret, subject, body or address comes out: canaries go through all of it, then everything is searched (T43).

Sought in every spelling (tests/e2e/canaries.py) in all logs, in each message sent to a queue or a bus,
in what lies in queues, in errors of the API and of functions, in the names of metrics, and in what the table
says of errors; what lets somebody in, in all of the table.
"""

import hashlib
import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime

import pytest

from infra.local.mail_providers import CLIENT_SECRET
from infra.simulators.kit.mailbox import Delivery
from infra.simulators.scripted_smtp import ScriptedSmtp
from tests.e2e.canaries import search
from tests.e2e.conftest import FRONT_END
from tests.e2e.person import Person
from tests.e2e.test_main_job import Life, until
from tests.e2e.test_sending import Desk
from tests.e2e.test_sign_ins import Life as SignedIn
from tests.e2e.test_sign_ins import Provider

pytestmark = pytest.mark.stack

SECRETS = {
    "password of IMAP": "cnry-imap+Grünspan/44=%&q",
    "password of SMTP": "cnry-smtp+Zinnober/55=%&q",
    "wrong password": "cnry-wrong+Ocker/66=%&q",
    "client secret": CLIENT_SECRET,
}
CONTENT = {
    "subject": "Cnry Überraschung: Kündigung von Vogel & Söhne",
    "text": "Cnry, der Kranke heißt Ignaz Wüstenfuchs und zahlt 4711 €.",
    "HTML": "Cnry geheimer <b>Absatz</b> über Ölpreise",
    "attachment": "Cnry;Gehaltsliste;Wüstenfuchs;98765,43",
    "name of the attachment": "Cnry Gehälter von Wüstenfuchs 2026.csv",
    "sender": "cnry.wuestenfuchs+privat@sender-of-canaries.example",
    "name of the sender": "Cnry Wüstenfuchs, Ignaz",
    "recipient": "cnry.empfaenger+privat@recipients-of-canaries.example",
    "refused recipient": "cnry.niemand+privat@recipients-of-canaries.example",
    "words of the server": "cnry nobody here is called niemand, ask Wanda",
    "subject sent": "Cnry Angebot für Wüstenfuchs über 47.110 €",
    "text sent": "Cnry, wir bieten Ihnen vertraulich 47.110 € für Ihr Schweigen.",
    "signature": "Cnry Ada von Geheimrat, Telefon 0815-4711",
    "contact": "Cnry Kontakt Wüstenfuchs GmbH & Co.",
    "attachment sent": "Cnry Vertragsentwurf, Absatz 4: streng geheim",
    "name of the attachment sent": "Cnry Vertrag für Wüstenfuchs.pdf",
}
BURIED = "Cnry poison of a release that is not out yet: Wüstenfuchs"
"""In a message of a queue, which nobody can read: it is a dead letter and in no log."""


MARKS = {
    "functions.log": '"outcome"',
    "messages.log": '"DetailType": ',
    "queues": "of a release that is not out yet",
    "metrics": "SyncAge",
    "errors in the table": "login_rejected",
    "refusals": "connection_test_failed",
}
"""What stands in each place after all that."""
AT_WORK = ("sync_mailbox", "plan_backfill", "run_backfill_chunk", "deliver_outbound", "read_mail")
"""Functions that run by then: the others would have to start."""


class Watched(Person):
    """A person at a browser who looks at where they are sent."""

    def __init__(self, home):
        super().__init__(home)
        self.urls = []

    def _send(self, url, form):
        status, location, text = super()._send(url, form)
        self.urls += [url, location or ""]
        return status, location, text


class Heard:
    """The API, whose refusals are kept."""

    def __init__(self, api, refusals):
        self.api, self.refusals = api, refusals

    def __call__(self, method, path, body=None, **headers):
        answer = self.api(method, path, body, **headers)
        if answer.status >= 400:
            self.refusals.append(str(answer))
        return answer


def letter(to, *, number=0):
    message = EmailMessage()
    name, address = CONTENT["name of the sender"], CONTENT["sender"]
    message["From"] = f'"{name}" <{address}>'
    message["To"], message["Subject"] = to, CONTENT["subject"]
    at = datetime.now(UTC) - timedelta(hours=1 + number)
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{uuid.uuid4().hex}@sender-of-canaries.example>"
    message.set_content(CONTENT["text"])
    message.add_alternative(f"<p>{CONTENT['HTML']}</p>", subtype="html")
    message.add_attachment(
        CONTENT["attachment"].encode(),
        maintype="text",
        subtype="csv",
        filename=CONTENT["name of the attachment"],
    )
    return message.as_bytes(), at


@pytest.fixture
def refusals():
    return []


def test_no_canary_is_found_anywhere_and_one_that_was_let_out_is(
    stack, dovecot, submission, providers, refusals
):
    secrets = dict(SECRETS)
    live_with_imap(stack, dovecot, submission, refusals, secrets)
    live_with_gmail(stack, providers, refusals, secrets)
    fail_in_many_ways(stack, refusals)
    assert len(secrets) >= 12, secrets.keys()

    places = written_down(stack, refusals)
    # Each place was written to, else the search would prove nothing.
    for place, mark in MARKS.items():
        assert mark in places[place], place
    leaks = search(secrets | CONTENT, places)
    assert leaks == [], "\n".join(map(str, leaks))
    # What was buried is in the queue it lies in, and nowhere else.
    places.pop("queues")
    logs = {place: text for place, text in places.items() if "messages.log" not in place}
    assert search({"buried": BURIED}, logs) == []
    assert search(secrets, {"table": table(stack, r".")}) == []

    # And would be seen: in a message of a queue, and in what a function says as it dies.
    planted = {"recipient": CONTENT["recipient"], "subject": CONTENT["subject"]}
    put(stack, "erase", json.dumps({"to": planted["recipient"]}))
    die_saying(stack, planted["subject"])
    found = search(planted, written_down(stack, []))
    assert {leak.canary for leak in found} == set(planted)


def live_with_imap(stack, dovecot, submission, refusals, secrets):
    digest = hashlib.sha256(b"canaries").hexdigest()[:8]
    address, port = f"ada-{digest}@mailroom.test", stack.spare_ports[0]
    dovecot.add_user(address, SECRETS["password of IMAP"])
    for number in range(2):
        raw, at = letter(address, number=number)
        dovecot.mail(address).append_many("INBOX", [(raw, (), at)])
    token = stack.token(f"tenant-{digest}", "ada", "admin")
    secrets["token of the caller"] = token
    api = Heard(stack.as_user(f"tenant-{digest}", "ada", "admin"), refusals)
    life = Life(stack, dovecot, submission, api, address)
    desk = Desk(life)
    nobody = CONTENT["refused recipient"]
    words = CONTENT["words of the server"]
    with ScriptedSmtp(
        certificates=dovecot.certificates,
        port=port,
        recipients={nobody: f"550 5.1.1 <{nobody}> {words}"},
    ) as server:
        logins = life.logins()
        logins["smtp"] |= {"port": port, "password": SECRETS["password of SMTP"]}
        body = {"address": address, "backfill_days": 30}
        for password in (SECRETS["wrong password"], SECRETS["password of IMAP"]):
            logins["imap"]["password"] = password
            answer = api("POST", "/v1/mailboxes", {**logins, **body})
        assert answer.status == 201, answer.body
        life.mailbox_id = answer.body["id"]
        life.imported()
        # A caller who mixes things up is told so without being quoted.
        for wrong in (
            {**logins, "address": {"password": SECRETS["password of IMAP"]}},
            {**logins, "address": address, "note": SECRETS["password of SMTP"]},
            {"imap": SECRETS["password of IMAP"], "smtp": SECRETS["password of SMTP"]},
        ):
            assert api("POST", "/v1/mailboxes", wrong).status == 400
        contact = {"name": CONTENT["contact"], "addresses": [CONTENT["sender"]]}
        assert api("PUT", "/v1/contacts/canary", contact).status in {200, 201}
        assert len(api("GET", "/v1/contacts/canary/messages").body["items"]) == 2
        signature = {"text": CONTENT["signature"], "html": f"<i>{CONTENT['signature']}</i>"}
        assert api("PUT", "/v1/signature", signature).status == 200
        file = CONTENT["attachment sent"].encode()
        send = desk.ask(
            to=[{"address": CONTENT["recipient"]}, {"address": nobody}],
            subject=CONTENT["subject sent"],
            text=CONTENT["text sent"],
            attachments=[{"upload_id": desk.upload(CONTENT["name of the attachment sent"], file)}],
        )
        until(lambda: desk.look(send)["status"] not in {"queued", "sending"}, what="the sending")
        assert server.got(CONTENT["recipient"])
    assert life.sync_now()["code"] is None
    # Its person changes the password: an error of the mailbox, and a reconnect that fails.
    dovecot.add_user(address, "another password")
    api("POST", f"/v1/mailboxes/{life.mailbox_id}/sync")
    until(lambda: life.mailbox()["status"] == "reconnect_required", what="the parking")
    api("POST", f"/v1/mailboxes/{life.mailbox_id}/reconnect", logins)
    person = {"addresses": [CONTENT["sender"]], "confirm": [CONTENT["sender"]]}
    answer = api("POST", "/v1/erasures", {**person, "keeps_out": "stored_mail"})
    assert answer.status == 202, answer.body
    assert api("DELETE", f"/v1/mailboxes/{life.mailbox_id}").status == 204


def live_with_gmail(stack, providers, refusals, secrets):
    provider = Provider(
        "gmail", providers.google, "Continue", "Cancel", "user", "invalid_credentials_401"
    )
    api = Heard(stack.as_user("tenant-canaries", "ada", "admin"), refusals)
    life = SignedIn(stack, provider, api, "cnry@gmail.example")
    life.person = Watched(FRONT_END)
    raw, at = letter(life.address)
    life.mail.deliver_all([Delivery(raw, (), at)])
    begun = life.begin(backfill_days=30)
    kept = table(stack, r"^kept$")
    for number, value in enumerate(re.findall(r"[A-Za-z0-9._~-]{40,}", kept)):
        secrets[f"kept of the sign-in {number}"] = value
    back = life.sign_in(begun)
    life.mailbox_id = back.query["mailbox_id"]
    codes = re.findall(r"[?&]code=([^&#]+)", " ".join(life.person.urls))
    secrets["authorization code"] = codes[0]
    secrets |= {
        f"cookie {name}": value
        for name, value in life.person.cookies.get(stack.endpoint, {}).items()
    }
    life.imported()
    life.use_up_the_access_token()
    life.fill(1, start=50)
    assert life.sync_now()["code"] is None
    client = stack.client("secretsmanager")
    names = [one["Name"] for one in client.list_secrets(MaxResults=100)["SecretList"]]
    (name,) = [one for one in names if one.endswith(life.mailbox_id)]
    text = client.get_secret_value(SecretId=name)["SecretString"]
    tokens = set(re.findall(r"[A-Za-z0-9._~/+-]{40,}", text))
    assert len(tokens) >= 2, "a refresh token and an access token"
    secrets |= {f"token {number}": token for number, token in enumerate(sorted(tokens))}
    # A mail that nobody can read is a dead letter.
    life.mail.deliver_all([Delivery(b"\r\n\r\n")])
    life.sync_now()
    providers.google.revoke_grants(life.address, "user")
    life.use_up_the_access_token()
    life.fill(1, start=60)
    life.sync_now()
    until(life.error, what="the error")


def fail_in_many_ways(stack, refusals):
    """A request of a newer release in a queue, and events that no function expects."""
    put(stack, "erase", json.dumps({"v": 99, "text": BURIED}))
    record = {"messageId": "m", "body": BURIED, "attributes": {}, "eventSource": "aws:sqs"}
    for name in AT_WORK:
        refusals.append(fail(stack, name, {"Records": [record], "body": CONTENT["text"]}))


def fail(stack, name, event):
    """What a function answers to an event it was not made for."""
    name = name if name.startswith("mailroom-") else f"mailroom-local-{name}"
    answer = stack.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    return answer["Payload"].read().decode()


def die_saying(stack, text):
    """Deploy a function as a module of that name, which there is none of."""
    functions, name = stack.client("lambda"), "mailroom-local-read_mail"
    handler = functions.get_function_configuration(FunctionName=name)["Handler"]
    functions.update_function_configuration(FunctionName=name, Handler=f"{text}.handler")
    try:
        assert "errorMessage" in fail(stack, name, {})
    finally:
        functions.update_function_configuration(FunctionName=name, Handler=handler)


def put(stack, queue, body):
    client = stack.client("sqs")
    url = client.get_queue_url(QueueName=f"mailroom-local-{queue}")["QueueUrl"]
    client.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="canaries")


def written_down(stack, refusals):
    """Every place that somebody could read without being let in to mail or secrets, by name."""
    stack._emulator.save()
    saved = stack.paths.state / "current"
    metrics = stack.client("cloudwatch").get_paginator("list_metrics").paginate()
    return {
        **{path.name: path.read_text(errors="replace") for path in stack.paths.logs.iterdir()},
        "queues": (saved / "sqs.json").read_text(),
        "alarms": (saved / "cloudwatch.json").read_text(),
        "metrics": json.dumps([page["Metrics"] for page in metrics]),
        "errors in the table": table(stack, r"error|cause|code|reply|failure|outcome"),
        "refusals": "\n".join(refusals),
    }


def table(stack, names):
    """Every attribute in the table whose name matches, as text."""
    name = stack.outputs["TableName"]
    pages = stack.client("dynamodb").get_paginator("scan").paginate(TableName=name)
    return "\n".join(
        f"{key} {value}"
        for page in pages
        for item in page["Items"]
        for key, value in item.items()
        if re.search(names, key)
    )
