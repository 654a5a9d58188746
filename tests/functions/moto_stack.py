"""The real handlers and the real AWS adapters, on moto; only the mail server is a fake in memory."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.config import Config
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sqs.models import sqs_backends

from functions.deliver_outbound.handler import lambda_handler as deliver_outbound
from functions.erase_mail.handler import lambda_handler as erase_mail
from functions.maintain_mailboxes.handler import lambda_handler as maintain_mailboxes
from functions.plan_backfill.handler import lambda_handler as plan_backfill
from functions.record_dead_letter.handler import lambda_handler as record_dead_letter
from functions.run_backfill_chunk.handler import lambda_handler as run_backfill_chunk
from functions.schedule_sync.handler import lambda_handler as schedule_sync
from functions.sync_mailbox.handler import lambda_handler as sync_mailbox
from shared import (
    config,
    wiring,
    wiring_of_changes,
    wiring_of_delivery,
    wiring_of_events,
    wiring_of_limits,
    wiring_of_push,
    wiring_of_sending,
    wiring_of_sign_ins,
)
from shared.aws import clients
from shared.domain.erasure import SETTLE_SECONDS
from shared.domain.mail_server import Verdict
from tests.fakes.deployment import Answer, Deployment, context, function_of
from tests.fakes.mail import FOLDERS
from tests.fakes.moto_dynamodb import make_atomic
from tests.fakes.moto_secrets import keep_one_current
from tests.fakes.provider import FakeMailServer
from tests.fakes.quick_moto import make_quick
from tests.fakes.sender import FakePost
from tests.functions import roles
from tests.infra.template_text import translated

make_atomic()
make_quick()
keep_one_current()

WORKERS = {
    "sync": sync_mailbox,
    "plan": plan_backfill,
    "chunk": run_backfill_chunk,
}
ALL_WORKERS = {**WORKERS, "outbound": deliver_outbound}
QUEUES = (*ALL_WORKERS, "erase")


@cache
def client(service: str) -> Any:
    """Return the tests' own client; it answers for whichever deployment is mocked at the time."""
    return boto3.client(service)


def keep_clients(monkeypatch: Any) -> None:
    """Let all deployments have the same clients: making one takes longer than many a test."""
    monkeypatch.setattr(clients.Clients, "create", _kept)


_create = clients.Clients.create
kept_clients: dict[str, Any] = {}
"""Those of `keep_clients`, by service."""


def _kept(made_by: clients.Clients, service: str, config: Config) -> Any:
    if service not in kept_clients:
        kept_clients[service] = roles.watch(_create(made_by, service, config))
    return kept_clients[service]


def runs_of(caplog: Any, work: str) -> list[Any]:
    """Return the lines of the runs that did this work, in their order."""
    return [one for one in caplog.records if one.message == "run" and one.work == work]


def sqs_event(*bodies: str, sent_at: datetime | None = None) -> dict[str, Any]:
    """Return what the event source mapping hands over."""
    sent = sent_at or datetime.now(UTC)
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": "x",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": str(round(sent.timestamp() * 1000)),
                },
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:000000000000:queue",
                "awsRegion": "eu-central-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


def act(handler: Any, event: dict[str, Any]) -> Any:
    """Return what a handler answers that may do what its function's role lets it do."""
    with roles.acting_as(roles.function_of(handler)):
        return handler(event, context())


@dataclass
class Stack(Deployment):
    """The product on moto: `ask` for requests, `work` for the queues, `tick` for the schedules."""

    server: FakeMailServer = field(
        default_factory=lambda: FakeMailServer.with_folders("INBOX", "Sent", "Trash")
    )
    post: FakePost = field(default_factory=FakePost)
    queue_urls: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def start(self, monkeypatch: Any) -> "Stack":
        resources = translated()["Resources"]
        table = resources["Table"]["Properties"]
        client("dynamodb").create_table(
            TableName="mailroom-test",
            **{
                name: table[name]
                for name in (
                    "BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes",
                )
            },
        )  # fmt: skip
        client("s3").create_bucket(
            Bucket="mailroom-test", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        sqs = client("sqs")
        self.queue_urls = {
            name: sqs.create_queue(QueueName=f"mailroom-test-{name}")["QueueUrl"] for name in QUEUES
        }
        settings = {
            "MAILROOM_TABLE": "mailroom-test",
            "MAILROOM_BUCKET": "mailroom-test",
            "MAILROOM_CREDENTIAL_STORE": "secrets",
            "MAILROOM_SECRET_PREFIX": "mailroom-test",
            "MAILROOM_ALLOW_ADMIN_OPENINGS": "true",
        } | {f"MAILROOM_{name.upper()}_QUEUE_URL": url for name, url in self.queue_urls.items()}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        forget()
        tester = SimpleNamespace(
            test_imap=lambda _: Verdict(folders=FOLDERS), test_smtp=lambda _: Verdict()
        )
        monkeypatch.setattr(wiring, "clock", lambda: self.clock)
        monkeypatch.setattr(wiring_of_limits, "rate_limits", lambda: self.rate_limits)
        monkeypatch.setattr(wiring_of_changes, "changer_of", lambda _provider: self.server)
        monkeypatch.setattr(wiring, "provider_of", lambda _provider: self.server)
        monkeypatch.setattr(wiring, "server_tester", lambda: tester)
        self.post = FakePost(self.server, now=self.clock.now())
        monkeypatch.setattr(wiring_of_delivery, "sender_of", lambda _provider: self.post)
        return self

    def handle(self, event: dict[str, Any]) -> Answer:
        """Answer as the function does that has the route, with its role."""
        place = event["requestContext"]["http"]["method"], event["rawPath"]
        with roles.acting_as(function_of(*place)):
            return super().handle(event)

    def bodies(self, queue: str) -> list[str]:
        """Take what waits in a queue."""
        sqs = client("sqs")
        taken: list[str] = []
        while True:
            answer = sqs.receive_message(QueueUrl=self.queue_urls[queue], MaxNumberOfMessages=10)
            messages = answer.get("Messages", [])
            if not messages:
                return taken
            for message in messages:
                taken.append(message["Body"])
                sqs.delete_message(
                    QueueUrl=self.queue_urls[queue], ReceiptHandle=message["ReceiptHandle"]
                )

    def work(self) -> int:
        """Have the workers empty the queues; return how many requests there were."""
        done = 0
        while any(waiting := {name: self.bodies(name) for name in ALL_WORKERS}.values()):
            for name, bodies in zip(ALL_WORKERS, waiting, strict=True):
                if bodies:
                    answer = act(ALL_WORKERS[name], sqs_event(*bodies))
                    assert answer == {"batchItemFailures": []}, name
                    done += len(bodies)
        return done

    def erase(self) -> int:
        """Let every erasure come due and be carried out; return how many requests there were."""
        self.clock.advance(SETTLE_SECONDS)
        (queue,) = (
            queue
            for backend in sqs_backends[DEFAULT_ACCOUNT_ID].values()
            for queue in backend.queues.values()
            if queue.name == "mailroom-test-erase"
        )
        # They are delayed, and moto's clock is not ours.
        bodies = [message.body for message in queue._messages]
        queue._messages.clear()
        for body in bodies:
            assert act(erase_mail, sqs_event(body)) == {"batchItemFailures": []}
        return len(bodies)

    def tick(self) -> Any:
        """Let a minute pass."""
        self.clock.advance(minutes=1)
        return act(schedule_sync, {"time": self.clock.at.isoformat()})

    def sweep(self) -> Any:
        return act(maintain_mailboxes, {})

    def bury(self, *bodies: str) -> Any:
        return act(record_dead_letter, sqs_event(*bodies, sent_at=self.clock.at))

    def deliver(self, number: int, *, folder: str = "INBOX", **headers: str) -> Any:
        """Have a mail arrive at the provider."""
        at = self.clock.at
        lines = {
            "From": "Cleo <cleo@client.example>",
            "To": "ann@ours.example",
            "Subject": f"Mail {number}",
            "Date": format_datetime(at),
            "Message-ID": f"<{number}@client.example>",
        } | headers
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return self.deliver_raw(f"{text}\r\nText {number}\r\n".encode(), folder)

    def deliver_raw(self, raw: bytes, folder: str = "INBOX") -> Any:
        """Have a mail arrive as it is; return its id at the provider."""
        return self.server.deliver(folder, raw, self.clock.at)

    def connect(self, **changes: Any) -> str:
        """Connect Ann's mailbox and return its id."""
        login = {"host": "imap.example.org", "username": "ann", "password": "not-a-real-one"}
        body = {"address": "ann@ours.example", "imap": login, "smtp": login, **changes}
        answer = self.ask("POST", "/v1/mailboxes", body=body)
        assert answer.status == 201, answer.text
        mailbox_id: str = answer.json["id"]
        return mailbox_id


def forget_adapters() -> None:
    """Have every adapter built again on next use: each test is a deployment of its own."""
    for module in (
        wiring,
        wiring_of_delivery,
        wiring_of_events,
        wiring_of_push,
        wiring_of_sending,
        wiring_of_sign_ins,
    ):
        for value in vars(module).values():
            if clear := getattr(value, "cache_clear", None):
                clear()


def forget() -> None:
    forget_adapters()
    config.settings.cache_clear()
    clients.clients_of_process.cache_clear()
