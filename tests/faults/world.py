"""The product on moto under a driver that plays Lambda, SQS and the clock, and can go back in time.

Lambda: an invocation that dies takes its process with it; the next one begins with empty caches.
SQS: what a worker did not finish comes again after the queue's visibility timeout, and after too
many times goes to the dead letters. Delays are by the fake clock. AWS itself is moto in process,
with botocore's clients kept from life to life: they hold nothing of ours.
"""

import base64
import pickle
import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, ClassVar

from botocore import UNSIGNED
from botocore.config import Config
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sqs.models import sqs_backends

from functions.erase_mail.handler import lambda_handler as erase_mail
from functions.maintain_mailboxes.handler import lambda_handler as maintain_mailboxes
from functions.record_dead_letter.handler import lambda_handler as record_dead_letter
from functions.schedule_sync.handler import lambda_handler as schedule_sync
from shared import wiring, wiring_of_changes
from shared.aws import clients
from shared.aws.clients import Clients
from tests.fakes.clock import FixedClock
from tests.fakes.deployment import Answer, context
from tests.faults.killpoints import Death, Interrupter, Watched, WatchedMail
from tests.functions import moto_stack
from tests.functions.moto_stack import Stack, forget, forget_adapters, sqs_event
from tests.infra.template_text import translated

REGION = "eu-central-1"
NAME = "mailroom-test"
WORKERS = moto_stack.ALL_WORKERS | {"erase": erase_mail}
TIMES_TRIED = 6
"""So often a person tries again what failed, a minute later each time."""


class KeptClients(Clients):
    """Clients that are made once for all worlds; making one takes longer than a whole flow."""

    made: ClassVar[dict[str, Any]] = {}

    def create(self, service: str, config: Config) -> Any:
        if service not in self.made:
            if service == "dynamodb":
                # Nobody here looks at a signature, and each costs as much as a read's answer.
                config = config.merge(Config(signature_version=UNSIGNED))
            self.made[service] = super().create(service, config)
        return self.made[service]

    def all(self) -> list[Any]:
        dynamodb = self.create("dynamodb", Config())
        return [dynamodb, self.s3, self.sqs, self.secrets_manager, self.kms]


@cache
def kept_clients() -> KeptClients:
    return KeptClients()


@cache
def queue_settings() -> dict[str, tuple[timedelta, int]]:
    """Visibility timeout and deliveries of each queue, as the template has them."""
    resources = translated()["Resources"]
    found = {}
    for name in WORKERS:
        queue = resources[f"{name.title()}Queue"]["Properties"]
        times = queue["RedrivePolicy"]["maxReceiveCount"]
        found[name] = timedelta(seconds=queue["VisibilityTimeout"]), times
    return found


@dataclass
class Waiting:
    """A message in a queue."""

    queue: str
    body: str
    ready_at: datetime
    received: int = 0


@dataclass
class Picture:
    """Everything a world consists of, to be gone back to."""

    kept: bytes
    objects: dict[str, bytes]
    at: datetime
    more: Any = None


@dataclass
class World(Stack):
    """A deployment that can be interrupted at any call."""

    interrupter: Interrupter = field(default_factory=Interrupter)
    waiting: deque[Waiting] = field(default_factory=deque)
    delivered: list[tuple[str, str]] = field(default_factory=list)
    """Every message a worker ended: what may come again."""
    dead_letters: list[str] = field(default_factory=list)
    failures: int = 0
    """Invocations that did not end as they should, and requests answered with 5xx."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What a flow has to remember: the mailbox's id, ids it was answered with."""
    times_delivered: int = 1
    newest_first: bool = False
    rng: random.Random = field(default_factory=lambda: random.Random(1))

    def start(self, monkeypatch: Any) -> "World":
        super().start(monkeypatch)
        monkeypatch.setattr(clients, "Clients", KeptClients)
        clients.clients_of_process.cache_clear()
        # One after the other: the k-th call is the same call whenever the flow is run.
        monkeypatch.setattr("shared.aws.message_store._WORKERS", 1)
        monkeypatch.setattr("shared.aws.mail_eraser._WORKERS", 1)
        monkeypatch.setattr("shared.operations.plan_backfill.CHUNK_SIZE", 2)
        # A tick asks every shard; one mailbox is in one of them.
        monkeypatch.setattr("shared.domain.schedule.SHARDS", 1)
        monkeypatch.setattr("shared.aws.tables_of_backfills.BACKFILL_SHARDS", 1)
        for place in ("aws.tables_of_changes", "operations.sweep_outbound"):
            monkeypatch.setattr(f"shared.{place}.SHARDS_OF_CHANGES", 1)
        for place in ("aws.tables_of_sends", "operations.sweep_outbound"):
            monkeypatch.setattr(f"shared.{place}.SHARDS_OF_SENDS", 1)
        # A day's minute is drawn with the id. A flow that wants audits has one an hour, which is
        # once in twelve of its polls; the others have none.
        monkeypatch.setattr(
            "shared.operations.schedule_sync.is_audit_minute",
            lambda _id, now: "audited" in self.facts and now.minute < 5,
        )
        tester = Watched(
            wiring.server_tester(), self.interrupter, frozenset({"test_imap", "test_smtp"})
        )
        monkeypatch.setattr(wiring, "server_tester", lambda: tester)
        monkeypatch.setattr(
            wiring, "provider_of", lambda _provider: WatchedMail(self.server, self.interrupter)
        )
        monkeypatch.setattr(
            wiring_of_changes,
            "changer_of",
            lambda _provider: WatchedMail(self.server, self.interrupter),
        )
        monkeypatch.setattr(wiring, "rng", lambda: self.rng)
        for client in kept_clients().all():
            self.interrupter.listen(client)
        self.new_process()
        return self

    def stop(self) -> None:
        for client in kept_clients().all():
            self.interrupter.unlisten(client)

    # ---- Lambda ----

    def new_process(self) -> None:
        """Begin a process without memory."""
        forget_adapters()
        self.interrupter.revive()

    def invoke(self, handler: Callable[..., Any], event: dict[str, Any]) -> Any:
        """Return a handler's answer, or None where it raised or died."""
        try:
            return handler(event, context())
        except Death:
            self.new_process()
        except Exception:  # boundary: whatever a handler raises, Lambda goes on
            pass
        self.failures += 1
        return None

    def insist(self, method: str, target: str, **request: Any) -> Answer:
        """Ask as a person does who meets a failure: again, a minute later."""
        for _ in range(TIMES_TRIED):
            with suppress(Death):
                answer = self.ask(method, target, **request)
                if answer.status < 500:
                    return answer
            self.failures += 1
            self.new_process()
            self.clock.advance(minutes=1)
        raise AssertionError(f"{method} {target}: {TIMES_TRIED} times in vain")

    # ---- SQS ----

    def drain(self) -> None:
        """Have the workers work until nothing waits, however long that takes by the clock."""
        self.drain_but()

    def drain_but(self, *resting: str) -> None:
        """As `drain`, while the workers of some queues rest."""
        for _ in range(500):
            if not self.work_once(*resting):
                return
        raise AssertionError("the queues do not come to rest")

    def work_once(self, *resting: str) -> bool:
        """Have one worker take one message, when the time for it has come; False: none waits."""
        self.collect()
        wanted = [one for one in self.waiting if one.queue not in resting]
        if not wanted:
            return False
        self.clock.at = max(self.clock.at, min(one.ready_at for one in wanted))
        ready = [one for one in wanted if one.ready_at <= self.clock.at]
        message = ready[-1] if self.newest_first else ready[0]
        self.waiting.remove(message)
        for _ in range(self.times_delivered):
            self._hand_over(message)
        return True

    def _hand_over(self, message: Waiting) -> None:
        message.received += 1
        event = sqs_event(message.body, sent_at=self.clock.at)
        answer = self.invoke(WORKERS[message.queue], event)
        if answer == {"batchItemFailures": []}:
            self.delivered.append((message.queue, message.body))
            return
        if answer is not None:
            # Whoever raised stays alive; only the message comes again.
            assert answer == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
            self.failures += 1
        timeout, most = queue_settings()[message.queue]
        message.ready_at = self.clock.at + timeout
        if message.received < most:
            self.waiting.append(message)
            return
        self.dead_letters.append(message.body)
        if message.queue == "erase":
            # Nobody reads its dead letters; an alarm does.
            return
        for _ in range(TIMES_TRIED):
            if self.invoke(record_dead_letter, event) is not None:
                return

    def collect(self) -> None:
        """Take over what was sent, with its delay by our clock."""
        backend = sqs_backends[DEFAULT_ACCOUNT_ID][REGION]
        for name in WORKERS:
            queue = backend.queues[f"{NAME}-{name}"]
            for message in queue._messages:
                delay = 0.0
                if message.delayed_until:
                    delay = round((message.delayed_until - message.sent_timestamp) / 1000)
                ready = self.clock.at + timedelta(seconds=delay)
                self.waiting.append(Waiting(name, message.body, ready))
            queue._messages.clear()

    def redeliver(self, *, newest_first: bool = False) -> None:
        """Deliver once more whatever was ever delivered."""
        again = list(reversed(self.delivered)) if newest_first else list(self.delivered)
        self.waiting += [Waiting(queue, body, self.clock.at) for queue, body in again]
        self.drain()

    # ---- time ----

    def minute(self) -> None:
        """Let a minute pass, with both schedules' ticks, and all that follows."""
        self.clock.advance(minutes=1)
        self.invoke(schedule_sync, {"time": self.clock.at.isoformat()})
        self.invoke(maintain_mailboxes, {})
        self.drain()

    def poll(self) -> None:
        """Let time pass until every mailbox has been polled."""
        for _ in range(5):
            self.minute()

    # ---- going back ----

    def picture(self) -> Picture:
        """Keep everything as it is."""
        self.collect()
        everything = (_table().items, _secrets().secrets, self.server, self.facts, self.waiting)
        # Pickled: a copy taken as `copy.deepcopy` does takes five times as long.
        return Picture(pickle.dumps(everything), objects(), self.clock.at, self.keep_more())

    def restore(self, picture: Picture) -> None:
        """Go back, as a process without memory."""
        self.collect()
        _table().items, _secrets().secrets, self.server, self.facts, self.waiting = pickle.loads(
            picture.kept
        )
        if objects() != picture.objects:
            _replace_objects(picture.objects)
        self.clock.at = picture.at
        self.delivered.clear()
        self.dead_letters.clear()
        self.failures = 0
        self.times_delivered, self.newest_first = 1, False
        self.rng.seed(1)
        self.restore_more(picture.more)
        self.interrupter.arm()
        self.new_process()

    def keep_more(self) -> Any:
        """Return what else there is, for a world with more in it."""
        return None

    def restore_more(self, kept: Any) -> None:
        """Bring back what `keep_more` returned."""

    # ---- what must be so in every end ----

    def wrongs(self) -> list[str]:
        """Return what nothing excuses, whatever an undisturbed world is like."""
        return []

    def take_tally(self) -> dict[str, int]:
        """Return what was counted since the last time, for the lines a run ends with."""
        return {}

    def lose_copy(self, name: str) -> None:
        """Remove one of our copies behind our back."""
        for partition in _table().items.values():
            for key, item in list(partition.items()):
                if item.to_json()["Attributes"]["sk"]["S"] == f"copy#{name}":
                    del partition[key]
                    return
        raise AssertionError(f"no copy of {name}")

    # ---- what is there ----

    def items(self) -> list[dict[str, Any]]:
        """Every item of the table."""
        return [
            _decoded(item.to_json()["Attributes"])
            for partition in _table().items.values()
            for item in partition.values()
        ]

    def theirs(self) -> Any:
        """What the provider holds."""
        return {
            name: {uid: mail.flags for uid, mail in folder.mails.items()}
            for name, folder in self.server.folders.items()
        }

    def read_secret(self, text: str) -> Any:
        """Return what of a secret must be the same in every life."""
        return text

    def secret_texts(self) -> dict[str, str]:
        """The current text of every secret."""
        found = {}
        for name, secret in _secrets().secrets.items():
            (current,) = [
                version
                for version in secret.versions.values()
                if "AWSCURRENT" in version["version_stages"]
            ]
            found[name] = current["secret_string"]
        return found


def _decoded(value: Any) -> Any:
    """Return an item as botocore hands it over: bytes decoded, sets in order."""
    if isinstance(value, dict):
        if isinstance(value.get("B"), str):
            return {"B": base64.b64decode(value["B"])}
        if "SS" in value:
            return {"SS": sorted(value["SS"])}
        return {name: _decoded(one) for name, one in value.items()}
    return value


def objects() -> dict[str, bytes]:
    """Every object of the bucket."""
    keys = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[NAME].keys
    return {name: keys[name].value for name in list(keys)}


def _replace_objects(wanted: dict[str, bytes]) -> None:
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    for name in list(backend.buckets[NAME].keys):
        backend.delete_object(NAME, name)
    for name, value in wanted.items():
        backend.put_object(NAME, name, value)


def _table() -> Any:
    return dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[NAME]


def _secrets() -> Any:
    return secretsmanager_backends[DEFAULT_ACCOUNT_ID][REGION]


@contextmanager
def a_world(monkeypatch: Any, kind: type[World] = World) -> Iterator[World]:
    """A new deployment with nothing in it."""
    with mock_aws():
        world = kind(clock=FixedClock()).start(monkeypatch)
        try:
            yield world
        finally:
            world.stop()
    forget()
